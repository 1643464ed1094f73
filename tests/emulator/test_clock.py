"""Virtual time: jumps, order, what it refuses."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.emulator.clock import Clock, DeadlockError, run_virtual


def test_an_hour_passes_at_once():
    async def main():
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - before

    real = time.monotonic()
    assert run_virtual(main()) == pytest.approx(3600)
    assert time.monotonic() - real < 5


@given(st.lists(st.integers(0, 10**6).map(lambda ms: ms / 1000), min_size=1, max_size=30, unique=True))
def test_sleepers_wake_in_the_order_of_their_times(delays):
    woken = []

    async def sleeper(delay):
        await asyncio.sleep(delay)
        assert asyncio.get_running_loop().time() == pytest.approx(delay, abs=1e-6)
        woken.append(delay)

    async def main():
        await asyncio.gather(*map(sleeper, delays))

    run_virtual(main())
    assert woken == sorted(delays)


def test_time_stands_still_while_something_can_run():
    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop.time()

    assert run_virtual(main()) == 0


def test_timeouts_fire_in_virtual_time():
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 50)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(50)


def test_waiting_for_nothing_is_a_deadlock():
    async def main():
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="expected a timer"):
        run_virtual(main())


def test_threads_are_refused():
    async def main():
        await asyncio.to_thread(int)

    with pytest.raises(RuntimeError, match="expected no thread in virtual time"):
        run_virtual(main())


def test_endless_polling_ends():
    async def main():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError, match="within 100 s of virtual time"):
        run_virtual(main(), limit=100)


def test_errors_and_results_come_through():
    async def fails():
        await asyncio.sleep(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_virtual(fails())
    assert run_virtual(asyncio.sleep(1, result=5)) == 5


def test_a_clock_is_scaled_and_goes_on_in_another_loop():
    clock = Clock(scale=10)

    async def wait():
        clock.now()
        await clock.sleep(30)
        return clock.now(), asyncio.get_running_loop().time()

    assert run_virtual(wait()) == (pytest.approx(30), pytest.approx(3))
    assert run_virtual(wait()) == (pytest.approx(60), pytest.approx(3))
    assert clock.now() == pytest.approx(60)  # no loop: virtual time stands still
