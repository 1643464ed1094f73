"""Members that die, hang, refuse or cost too much; calls that are given up."""

from __future__ import annotations

import asyncio
import functools

import numpy as np
import pytest
from tests.pool.pools import Site, epoch, opened, run, sweep

from q_store.backends.ionq import IonQSettings
from q_store.backends.local import LocalBackend
from q_store.emulator.clock import run_virtual
from q_store.errors import BudgetError, InputError, PausedError
from q_store.events import PoolPaused, PoolResumed
from q_store.jobs import Output, Status
from q_store.pool.pool import Pool
from q_store.store import Caps, State


def right(job):
    return LocalBackend(precision="float64").run(job).values


def three():
    return [Site(f"m{k}", circuit_seconds=1.0, rtt=0.05) for k in range(3)]


@functools.cache
def healthy():
    """Seconds that three sound members take."""
    return run(three(), [sweep(90)])[1]


async def after(seconds, do):
    await asyncio.sleep(seconds)
    do()


def dying(sites, jobs, do, at, store=None, **more):
    """Run jobs while something happens after `at` virtual seconds."""
    epoch()

    async def go():
        async with Pool([site.member for site in sites], store, **more) as pool:
            happening = asyncio.ensure_future(after(at, do))
            outcomes = await pool.run_async(jobs)
            took = asyncio.get_running_loop().time()
            happening.cancel()
            return outcomes, took

    return run_virtual(go())


@pytest.mark.parametrize("at", [0.0, 10.0])
@pytest.mark.parametrize("fault", ["dead", "500", "429"])
def test_a_third_of_the_pool_breaks_and_nothing_is_lost(fault, at):
    job = sweep(90)
    sites = three()

    def breaks():
        sites[0].line.dead = fault == "dead"
        sites[0].line.status = None if fault == "dead" else int(fault)

    (outcome,), took = dying(sites, [job], breaks, at)
    assert outcome.complete
    np.testing.assert_allclose(outcome.values, right(job), atol=1e-8)
    assert healthy() / took > 0.6


@pytest.mark.parametrize("fault", ["stuck", "failed-job", "failed-child"])
def test_a_third_of_the_pool_runs_nothing_and_nothing_is_lost(fault):
    job = sweep(90)
    sites = [Site("m0", circuit_seconds=1.0, rtt=0.05, faults=f"{fault}:1"), *three()[1:]]
    (outcome,), took = run(sites, [job])
    assert outcome.complete
    np.testing.assert_allclose(outcome.values, right(job), atol=1e-8)
    assert healthy() / took > 0.6


def test_a_pool_without_members_pauses_and_goes_on_when_one_is_back():
    site, heard = Site("only", circuit_seconds=1.0, slots=4), []
    job = sweep(40)

    def breaks():
        site.line.dead = True
        asyncio.get_running_loop().call_later(100, lambda: setattr(site.line, "dead", False))

    (outcome,), took = dying([site], [job], breaks, 3.0, sinks=[heard.append])
    assert outcome.complete
    assert 100 < took < 200
    stories = [event for event in heard if isinstance(event, PoolPaused | PoolResumed)]
    assert [type(event) for event in stories] == [PoolPaused, PoolResumed]
    assert "only" in stories[0].reason
    assert site.ledger["charged_circuits"] == 40


def test_a_pause_ends_with_a_run_that_can_be_resumed():
    site, store = Site("only", backend="qpu.aria-1", circuit_seconds=1.0), opened()
    store.runs.start("train", {}, run="r")
    job = sweep(10, shots=100)
    with pytest.raises(PausedError, match="resume the run"):
        dying([site], [job], lambda: setattr(site.line, "dead", True), 3.0, store, run="r", patience=60.0)
    site.line.dead = False
    (outcome,), _ = run([site], [job], store, run="r")
    assert outcome.complete
    assert site.ledger["charged_circuits"] == 10


def test_a_paid_slice_of_unknown_fate_is_uncertain_and_the_rest_is_answered():
    lost, sound = (Site(name, backend="qpu.aria-1", circuit_seconds=1.0) for name in ("lost", "sound"))
    store = opened()
    store.runs.start("train", {}, run="r")
    job = sweep(12, shots=100)
    (outcome,), _ = dying([lost, sound], [job], lambda: setattr(lost.line, "dead", True), 3.0, store, run="r")
    uncertain = {row for row, status in outcome.status.items() if status is Status.UNCERTAIN}
    assert uncertain == set(outcome.status)
    assert 0 < len(uncertain) < 12
    assert np.isnan(outcome.values[sorted(uncertain)]).all()
    held = [ticket for ticket in store.tickets.of_run("r") if ticket.state is State.UNCERTAIN]
    assert sum(ticket.circuits for ticket in held) == len(uncertain)
    assert store.budget.totals("r")["USD"][1].money > 0  # stays reserved
    lost.line.dead = False
    (found,), _ = run([lost, sound], [job], store, run="r")
    assert found.complete
    assert lost.ledger["charged_circuits"] + sound.ledger["charged_circuits"] == 12


def throttled_for(seconds, **more):
    """A paid member of two that answers 429 from second 5 on, for so long; outcome, time, sites, and its healths."""
    own = [Site(name, backend="qpu.aria-1", circuit_seconds=1.0, **more) for name in ("slow", "sound")]
    store, healths, sent = opened(), [], []
    store.runs.start("train", {}, run="r")

    async def go():
        loop = asyncio.get_running_loop()
        async with Pool([site.member for site in own], store, "r") as pool:
            loop.call_later(5, setattr, own[0].line, "status", 429)
            loop.call_later(4 + seconds, lambda: healths.append(pool.standing()[0]))
            loop.call_later(4 + seconds, lambda: sent.extend(store.tickets.of_run("r")))
            loop.call_later(5 + seconds, setattr, own[0].line, "status", None)
            (outcome,) = await pool.run_async([sweep(60, shots=100)])
            return outcome, loop.time()

    epoch()
    return *run_virtual(go()), own, healths, sent


@pytest.mark.parametrize("seconds", [20.0, 2000.0])
def test_what_a_throttled_member_has_accepted_is_collected_when_it_answers_again(seconds):
    """Also where that takes far longer than a member that cannot be reached is waited for."""
    outcome, took, own, (standing,), sent = throttled_for(seconds)
    assert outcome.complete
    assert took < 5 + seconds + 70
    assert sum(site.ledger["charged_circuits"] for site in own) == 60
    assert own[0].ledger["charged_circuits"] < 20 or seconds < 60  # and it gets nothing new
    assert len([ticket for ticket in sent if ticket.state is State.FAILED]) < 6
    states = {ticket.state for ticket in sent if ticket.backend == "slow"}
    assert State.SENT in states
    assert State.UNCERTAIN not in states
    assert "429" in standing.reason or standing.paused > 0


def test_canceling_a_call_cancels_what_it_sent_and_keeps_what_came():
    site, store = Site("a", backend="qpu.aria-1", circuit_seconds=1.0), opened()
    store.runs.start("train", {}, run="r")
    job = sweep(20, shots=100)

    async def go():
        async with Pool([site.member], store, "r") as pool:
            call = asyncio.ensure_future(pool.run_async([job]))
            await asyncio.sleep(8)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return asyncio.get_running_loop().time()

    epoch()
    assert run_virtual(go()) < 12
    assert {ticket.state for ticket in store.tickets.of_run("r")} <= {State.DONE, State.CANCELLED, State.FAILED}
    states = {line["status"] for line in site.ledger["jobs"]}
    assert states <= {"completed", "canceled"}
    before = site.ledger["charged_circuits"]
    assert store.budget.totals("r")["USD"][1].circuits == 0
    (outcome,), _ = run([site], [job], store, run="r")
    assert outcome.complete
    assert 0 < before < 20 == site.ledger["charged_circuits"]


def canceled_then(jobs):
    """The site after a canceled call of the first job, and these calls in the same pool."""
    site, store = Site("a", backend="qpu.aria-1", circuit_seconds=1.0), opened()

    async def go():
        async with Pool([site.member], store) as pool:
            call = asyncio.ensure_future(pool.run_async([sweep(8, shots=100, reuse=False)]))
            await asyncio.sleep(4)
            call.cancel()
            await asyncio.wait({call})
            assert pool.next_job == 0
            for job in jobs:
                assert (await pool.run_async([job]))[0].complete
            return site, pool.next_job

    epoch()
    return run_virtual(go())


def test_a_failed_call_that_is_repeated_goes_on_where_it_was():
    site, jobs = canceled_then([sweep(8, shots=100, reuse=False)])
    assert site.ledger["charged_circuits"] == 8
    assert jobs == 1


def test_after_a_failed_call_another_job_is_another():
    _, jobs = canceled_then([sweep(3, shots=100, reuse=False)])
    assert jobs == 2


def test_what_was_sent_to_a_member_that_is_gone_is_not_bought_from_another():
    lost, other = (Site(name, backend="qpu.aria-1", circuit_seconds=1.0) for name in ("lost", "other"))
    store = opened()
    store.runs.start("train", {}, run="r")
    job = sweep(6, shots=100, reuse=False)
    with pytest.raises(PausedError):
        dying([lost], [job], lambda: setattr(lost.line, "dead", True), 2.0, store, run="r", patience=60.0)
    (outcome,), _ = run([other], [job], store, run="r")
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert "lost" in next(iter(outcome.error.values()))
    assert other.ledger["charged_circuits"] == 6 - len(outcome.status)


def left_open(account, store, job):
    """A run whose only member dies, with jobs on their way; circuits of them."""
    with pytest.raises(PausedError):
        dying([account], [job], lambda: setattr(account.line, "dead", True), 3.0, store, run="r", patience=60.0)
    account.line.dead = False
    return sum(ticket.circuits for ticket in store.tickets.open())


def test_what_went_to_another_account_is_neither_looked_up_nor_bought_again():
    """The member has the same name, target and price; its key is another one, whose list of jobs is empty."""
    more = {"backend": "qpu.aria-1", "circuit_seconds": 1.0, "member": {"max_slice": 2, "max_in_flight": 2}}
    old, new = (Site("qpu", key=f"key-of-{name}", **more) for name in ("old", "new"))
    store = opened()
    store.runs.start("train", {}, run="r")
    job = sweep(10, shots=100, reuse=False)
    open_ones = left_open(old, store, job)
    for _ in range(2):
        (outcome,), _ = run([new], [job], store, run="r")
        assert set(outcome.status.values()) == {Status.UNCERTAIN}
        assert len(outcome.status) == open_ones > 0
        message = next(iter(outcome.error.values()))
        assert "resume with the key and url of before" in message
        assert "q-store cancel" in message
        assert "key-of" not in message
        assert {ticket.state for ticket in store.tickets.open()} == {State.UNCERTAIN}
        assert 0 < new.ledger["charged_circuits"] < 10 - open_ones
    (outcome,), _ = run([old], [job], store, run="r")
    assert outcome.complete
    assert old.ledger["charged_circuits"] + new.ledger["charged_circuits"] == 10


def test_the_mark_of_an_account_gives_no_key_away():
    one, two = (IonQSettings(key=key, url="https://u:p@service.test:81/v0.4").account for key in ("abc", "abd"))
    assert one != two
    assert one.startswith("service.test:81/v0.4 key ")
    assert len(one.rpartition(" ")[2]) * 4 == 16  # bits
    assert one != IonQSettings(key="abc", url="https://service.test:82/v0.4").account


def test_a_cap_is_never_exceeded_and_leaves_a_run_to_resume():
    site, store = Site("a", backend="qpu.aria-1", circuit_seconds=1.0), opened()
    store.runs.start("train", {}, run="r")
    jobs = [sweep(4, shots=100), sweep(30, shots=100, observables=(), output=Output.COUNTS)]
    with pytest.raises(BudgetError, match="raise the cap"):
        run([site], jobs, store, run="r", budget=Caps(circuits=20))
    spent, reserved = store.budget.totals("r")["USD"]
    assert 4 <= spent.circuits <= 20
    assert reserved.circuits == 0
    outcomes, _ = run([site], jobs, store, run="r", budget=Caps(circuits=34))
    assert all(outcome.complete for outcome in outcomes)
    assert site.ledger["charged_circuits"] == 34


def test_a_cap_of_one_provider_leaves_the_work_to_others():
    dear, free = Site("dear", backend="qpu.aria-1", member={"provider": "acme"}), Site("other", backend="qpu.aria-1")
    (outcome,), _ = run([dear, free], [sweep(10, shots=100)], budget={"acme": Caps(shots=200)})
    assert outcome.complete
    assert dear.ledger["charged_circuits"] <= 2


def test_a_budget_of_zero_is_refused():
    with pytest.raises(InputError, match="above 0"):
        Caps(circuits=0)


def test_two_pools_on_one_store_buy_every_circuit_once(tmp_path):
    site = Site("a", backend="qpu.aria-1", circuit_seconds=1.0, slots=2)
    job = sweep(12, shots=100, output=Output.COUNTS, observables=())
    stores = [opened(tmp_path / "shared.db", owner=name) for name in ("one", "two")]

    async def go():
        pools = [Pool([site.member], store) for store in stores]
        found = await asyncio.gather(*(pool.run_async([job]) for pool in pools))
        await asyncio.gather(*(pool.aclose() for pool in pools))
        return [outcome for (outcome,) in found]

    epoch()
    one, two = run_virtual(go())
    np.testing.assert_array_equal(one.counts, two.counts)
    assert site.ledger["charged_circuits"] == 12
    for store in stores:
        store.close()


def test_two_processes_on_one_run_are_told_apart(tmp_path):
    from q_store.errors import RunError

    site = Site("a", backend="qpu.aria-1", circuit_seconds=100.0)
    stores = [opened(tmp_path / "shared.db", owner=name) for name in ("one", "two")]
    stores[0].runs.start("train", {}, run="r")
    job = sweep(3, shots=100)

    async def go():
        first, second = (Pool([site.member], store, "r") for store in stores)
        call = asyncio.ensure_future(first.run_async([job]))
        await asyncio.sleep(5)
        with pytest.raises(RunError, match="at work on it"):
            await second.run_async([job])
        await call
        await asyncio.gather(first.aclose(), second.aclose())

    epoch()
    run_virtual(go())
    assert site.ledger["charged_circuits"] == 3
    for store in stores:
        store.close()
