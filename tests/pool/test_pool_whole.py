"""Jobs that run as a whole, in the caller: the same answers, guards and books as in slices, without an event loop."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
from tests.pool.pools import Site, opened, sweep

from q_store.apps.tally import Tally
from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.emulator.clock import run_virtual
from q_store.errors import BudgetError, CapabilityError, InputError
from q_store.jobs import Outcome, Output, drive
from q_store.pool import whole
from q_store.pool.events import Answered, Asked, Break, Broke, Probed, Reported, Withdrawn
from q_store.pool.members import MemberSpec, Needs
from q_store.pool.membership import Member
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings
from q_store.pool.state import PoolState
from q_store.store import Caps
from q_store.waiting import wait

QUICK = Needs(3, Output.EXPECTATION, exact=True, quick=True)
SLOW = QUICK._replace(quick=False)
STATE = Needs(3, Output.STATE, exact=True, quick=True)
ABLE = frozenset({Output.EXPECTATION, Output.STATE})
SLICED = frozenset({Output.EXPECTATION})
FIELDS = [field.name for field in fields(Outcome) if field.name != "seconds"]
JOBS = {
    "values": sweep(7),
    "samples": sweep(7, shots=100, seed=3),
    "counts": sweep(7, output=Output.COUNTS, observables=(), shots=np.arange(1, 8), seed=3),
    "probabilities": sweep(7, output=Output.PROBABILITIES, observables=()),
    "shifted": sweep(7, output=Output.SHIFTED),
    "state": sweep(7, output=Output.STATE, observables=()),
    "gradient": sweep(7, output=Output.VJP, pullback=np.ones_like),
    "jacobian": sweep(7, output=Output.JACOBIAN),
}


class Engine:
    """The local engine; says in which threads it ran, and that every job took so long."""

    def __init__(self, seconds=None):
        self.inner = LocalBackend(threads=1, precision="float64")
        self.capabilities = self.inner.capabilities
        self.threads = []
        self.seconds = seconds

    def run(self, job):
        self.threads.append(threading.get_ident())
        outcome = self.inner.run(job)
        return outcome if self.seconds is None else replace(outcome, seconds=self.seconds)


def member(name="here", *, engine=None, **more):
    """The engine of this machine in a pool; without `engine` in slices only."""
    service = LocalService(LocalBackend(threads=1, precision="float64"), workers=0)
    return Member(name=name, backend=service, at_once=engine, **{"recorded": False, **more})


def spec(name, **more):
    return MemberSpec(name=name, **{"outputs": ABLE, "whole": ABLE, "sliced": SLICED, **more})


def remote(name, **more):
    return spec(name, **{"outputs": SLICED, "whole": frozenset(), **more})


def assert_same(left, right, names=FIELDS):
    for name in names:
        np.testing.assert_equal(getattr(left, name), getattr(right, name), err_msg=name)


# --------------------------------------------------------------------------------------------------------- the answers


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_an_outcome_is_the_same_by_both_ways_and_only_its_source_is_not_the_engine_s(job):
    engine = Engine()
    pool = Pool([member(engine=engine)])
    (by_caller,) = pool.run_all([job])
    (by_loop,) = run_virtual(pool.run_async([job]))
    assert_same(by_caller, by_loop)
    assert_same(by_caller, replace(engine.inner.run(job), source="here"))
    assert pool.next_job == 2
    assert engine.threads == 2 * [threading.get_ident()]  # virtual time runs in this thread


@pytest.mark.parametrize("name", ["values", "samples", "counts", "probabilities", "shifted"])
def test_an_outcome_is_the_same_as_a_whole_and_in_slices(name):
    (as_whole,) = Pool([member(engine=Engine())]).run_all([JOBS[name]])
    (in_slices,) = run_virtual(Pool([member()]).run_async([JOBS[name]]))
    assert_same(as_whole, in_slices, [each for each in FIELDS if each not in {"values", "variances"}])
    for each in ("values", "variances"):
        left, right = getattr(as_whole, each), getattr(in_slices, each)
        assert (left is None) == (right is None)
        np.testing.assert_allclose(*(0 if side is None else side for side in (left, right)), atol=1e-12)


def test_a_call_that_needs_the_loop_is_answered_in_the_order_asked(monkeypatch):
    monkeypatch.setattr(whole, "_QUICK", 0)
    engine = Engine()
    pool = Pool([member(engine=engine), member("other")])
    jobs = [JOBS["values"], JOBS["state"], JOBS["shifted"]]
    outcomes = pool.run_all(jobs)
    wait(pool.aclose())
    for job, outcome in zip(jobs, outcomes, strict=True):
        assert outcome.complete
        np.testing.assert_allclose(outcome.values, engine.inner.run(job).values, atol=1e-12)
    assert outcomes[1].source == "here"
    assert len(engine.threads) == 1
    assert threading.get_ident() not in engine.threads


def test_in_the_loop_that_others_wait_in_only_whole_jobs_run():
    pool, other = Pool([member(engine=Engine())]), Pool([member()])

    async def go():
        (outcome,) = pool.run_all([JOBS["values"]])
        with pytest.raises(RuntimeError, match="await instead"):
            other.run_all([JOBS["values"]])
        return outcome

    assert wait(go()).complete
    assert other.next_job == 0


def test_plans_take_this_way_and_the_count_is_kept():
    tally = Tally(Pool([member(engine=Engine())]))

    def steps():
        outcomes = yield [JOBS["values"], JOBS["samples"]]
        return [outcome.source for outcome in outcomes]

    tally.run_async = None
    assert drive(steps(), tally) == ["here", "here"]
    assert (tally.circuits, tally.rows, tally.shots) == (14, 14, 700)


# --------------------------------------------------------------------------------------------------- who runs it whole


@pytest.mark.parametrize(
    ("specs", "needs", "expected"),
    [
        ([spec("a")], QUICK, "a"),
        ([spec("a")], SLOW, "a"),  # nobody else could help
        ([spec("a")], STATE, "a"),
        ([spec("a"), remote("b")], QUICK, "a"),
        ([spec("a"), remote("b")], SLOW, None),
        ([remote("b"), spec("a")], SLOW._replace(output=Output.STATE), "a"),
        ([spec("a"), remote("b", price=1.0)], QUICK, "a"),
        ([spec("a"), remote("b", priority=1)], QUICK, None),
        ([spec("a", priority=-1), remote("b", price=1.0)], QUICK, None),
        ([spec("a"), spec("b", priority=1)], QUICK, "b"),
        ([spec("a"), spec("b")], STATE, "a"),
        ([remote("b")], QUICK, None),
        ([spec("a"), remote("b", noise_id="aria", priority=1)], QUICK, None),  # another domain is preferred
        ([spec("a"), remote("b", noise_id="aria")], SLOW, "a"),  # and must not help
    ],
)
def test_who_runs_a_job_as_a_whole(specs, needs, expected):
    ((_, name),) = PoolState(specs).assign([needs], 0.0)
    assert name == expected


def test_mixed_domains_may_help_where_that_is_allowed():
    state = PoolState([spec("a"), remote("b", noise_id="aria")], PoolSettings(allow_mixed=True))
    assert state.assign([SLOW], 0.0) == [({"a", "b"}, None)]


def test_every_event_is_heeded_and_a_member_on_trial_gets_no_whole_job():
    state = PoolState([spec("a")])
    assert state.assign([QUICK], 0.0) == [({"a"}, "a")]
    state.handle(Reported("a", available=False, reason="down"), 1.0)
    assert state.assign([QUICK], 1.0) == [({"a"}, None)]
    assert state.assign([STATE], 1.0) == [({"a"}, "a")]  # there is no other way
    state.handle(Asked(0, 4, frozenset({"a"})), 1.0)
    state.handle(Reported("a", available=True), 3.0)
    (send,) = [each for each in state.handle(Probed("a", ok=True), 3.0) if hasattr(each, "numbers")]
    assert state.assign([QUICK], 3.0) == [({"a"}, None)]  # on trial
    state.handle(Answered(send.slice), 4.0)
    assert state.assign([QUICK], 4.0) == [({"a"}, "a")]


def test_a_member_that_nobody_has_tried_since_it_was_down_gets_no_whole_job():
    state = PoolState([spec("a")])
    state.handle(Reported("a", available=False, reason="down"), 0.0)
    state.handle(Asked(0, 4, frozenset({"a"})), 5.0)  # and probed
    state.handle(Withdrawn(0), 5.0)
    state.handle(Probed("a", ok=True), 5.0)
    assert state.assign([QUICK], 6.0) == [({"a"}, None)]


def test_a_pause_ends_by_itself():
    state = PoolState([spec("a")])
    (send,) = state.handle(Asked(0, 1, frozenset({"a"})), 0.0)
    state.handle(Broke(send.slice, Break.THROTTLED, pause=5.0), 0.0)
    state.handle(Withdrawn(0), 0.0)
    assert state.assign([QUICK], 1.0) == [({"a"}, None)]
    assert state.assign([QUICK], 6.0) == [({"a"}, "a")]


def test_a_member_without_a_free_place_is_waited_for():
    state = PoolState([spec("a", max_in_flight=1)])
    (send,) = state.handle(Asked(0, 4, frozenset({"a"})), 0.0)
    assert state.assign([QUICK], 0.0) == [({"a"}, None)]
    state.handle(Answered(send.slice), 1.0)
    assert state.assign([QUICK], 1.0) == [({"a"}, "a")]


def test_with_an_open_breaker_the_job_waits_for_the_probe_and_goes_in_slices():
    engine = Engine()
    pool = Pool([member(engine=engine)], settings=PoolSettings(pause=7.0))

    async def go():
        loop = asyncio.get_running_loop()
        async with pool:
            pool._state.handle(Reported("here", available=False, reason="down"), pool._clock.now())
            (slow,) = await pool.run_async([JOBS["values"]])
            waited = loop.time()
            (fast,) = await pool.run_async([JOBS["values"]])
            return slow, fast, waited, loop.time() - waited

    slow, fast, waited, then = run_virtual(go())
    assert slow.complete
    assert slow.source == fast.source == "here"
    assert waited >= 7.0
    assert then == 0.0
    assert len(engine.threads) == 1


def test_what_is_recorded_is_not_run_past_the_books():
    engine = Engine()
    site = Site("a", member={"at_once": engine})
    assert Output.STATE not in site.member.spec.outputs
    with pytest.raises(CapabilityError, match="state"):
        Pool([site.member]).run_all([JOBS["state"]])

    async def go():
        async with Pool([site.member]) as pool:
            return await pool.run_async([sweep(3)])

    assert run_virtual(go())[0].complete
    assert not engine.threads


# ----------------------------------------------------------------------------------------------------------- the books


def test_a_cap_on_wall_time_ends_it_and_the_time_is_kept():
    store = opened()
    store.runs.start("local", {}, run="r")
    pool = Pool([member(engine=Engine(seconds=3.0))], store, run="r", budget=Caps(seconds=5.0))
    pool.run_all([JOBS["values"]])
    run_virtual(pool.run_async([JOBS["values"]]))
    for call in (pool.run_all, lambda jobs: run_virtual(pool.run_async(jobs))):
        with pytest.raises(BudgetError, match=r"less than 5 s of wall time for run r, got 6 s"):
            call([JOBS["values"]])
    assert pool.next_job == 2
    assert store.runs.get("r").seconds == 6.0
    store.budget.set(Caps(seconds=8.0), run="r")
    pool.run_all([JOBS["values"]])
    run_virtual(pool.aclose())
    assert store.runs.get("r").seconds == 9.0


def test_without_a_cap_the_time_is_written_now_and_then_and_at_the_end():
    store = opened()
    store.runs.start("local", {}, run="r")
    pool = Pool([member(engine=Engine(seconds=8.0))], store, run="r")
    written = []
    for _ in range(5):
        pool.run_all([JOBS["values"]])
        written.append(store.runs.get("r").seconds)
    run_virtual(pool.aclose())
    assert written == [0.0, 0.0, 0.0, 24.0, 24.0]
    assert store.runs.get("r").seconds == 40.0


def test_what_is_free_here_is_stored_and_counted_by_neither_way():
    for one in (member(engine=Engine()), member()):
        store = opened()
        store.runs.start("local", {}, run="r")
        pool = Pool([one], store, run="r", budget=Caps(circuits=1, shots=1, money=0.01))
        assert all(outcome.complete for outcome in pool.run_all([JOBS["samples"], JOBS["values"]]))
        wait(pool.aclose())
        assert store.budget.left("r", "here", "circuits") == 1
        assert store.budget.left("r", "here", "shots") == 1
        assert not len(store.samples)


def test_a_failed_call_gives_its_numbers_back():
    pool = Pool([member(engine=Engine())], opened())
    wrong = sweep(2, params=np.array([[0.0, 1, 2, np.nan]]))
    for call in (pool.run_all, lambda jobs: run_virtual(pool.run_async(jobs))):
        with pytest.raises(InputError, match="finite"):
            call([JOBS["values"], wrong])
        assert pool.next_job == 0
    pool.run_all([JOBS["values"]])
    assert pool.next_job == 1
    run_virtual(pool.aclose())


def test_a_closed_pool_can_be_used_again_by_both_ways():
    for one in (member(engine=Engine()), member()):
        pool = Pool([one])
        for _ in range(2):
            assert pool.run_all([JOBS["values"]])[0].complete
            wait(pool.aclose())
