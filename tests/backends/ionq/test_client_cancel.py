"""Cancelling the task cancels the remote jobs, also those whose acceptance nobody had heard of."""

from __future__ import annotations

import asyncio

import pytest
from tests.backends.ionq.scripted import Scripted, backend, job

from q_store.backends.ionq.client.run import FAREWELL
from q_store.emulator.clock import run_virtual


def canceled_after(service, seconds, rows=40, **options):
    """Run a job, cancel it after a while; the seconds that the cancellation took."""
    far = backend(service, **{"smallest": 20, "parallel": 2, **options})

    async def go():
        running = asyncio.create_task(far.run_async([job(rows)]))
        await asyncio.sleep(seconds)
        running.cancel()
        before = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await running
        took = asyncio.get_running_loop().time() - before
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await far.aclose()
        await asyncio.sleep(1000)
        return took, [task for task in left if not task.done()]

    return run_virtual(go())


def states(service):
    return {one["status"] for one in service.accepted}


def test_running_jobs_are_canceled():
    service = Scripted(duration=1e4)
    took, left = canceled_after(service, 20)
    assert len(service.accepted) == 2
    assert states(service) == {"canceled"}
    assert took < 1
    assert not left


def test_nothing_more_is_sent():
    service = Scripted(duration=1e4)
    service.script = {"POST /jobs": ["429:3"] * 10}
    canceled_after(service, 1)
    assert not service.accepted
    assert service.calls.count("POST /jobs") == 2


def test_a_job_that_was_being_sent_is_found_and_canceled():
    service = Scripted(duration=1e4)
    service.script = {"POST /jobs": ["slow", "500-after"]}
    took, _ = canceled_after(service, 0.5, timeout=5.0)
    assert len(service.accepted) == 2
    assert states(service) == {"canceled"}
    assert took < FAREWELL


def test_a_service_that_does_not_answer_holds_nobody_up():
    service = Scripted(duration=1e4)
    service.script = {"PUT": ["slow"] * 10}
    took, _ = canceled_after(service, 20)
    assert took <= FAREWELL + 0.1


def test_a_second_cancellation_does_not_wait():
    service = Scripted(duration=1e4)
    service.script = {"PUT": ["slow"] * 10}
    far = backend(service)

    async def go():
        running = asyncio.create_task(far.run_async([job()]))
        await asyncio.sleep(5)
        running.cancel()
        await asyncio.sleep(1)
        running.cancel()
        before = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.get_running_loop().time() - before

    assert run_virtual(go()) < 0.1
