"""The ledger as arithmetic: chains of lives, shares that sum to the wall time, two clocks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.ledger import AFTER, BEFORE, HERE, SHARES, Life, chain, ledger, offsets

OURS = ("begun", "built", "written", "sent", "accepted", "asked", "seen", "fetched", "merged", "ended")
TIMES = dict(zip(OURS, (0.0, 0.1, 1.0, 3.0, 3.5, 10.5, 10.9, 12.0, 12.5, 13.0), strict=True))
THERE = {"accepted": 1003.25, "started": 1005.25, "finished": 1010.25}


class Told(NamedTuple):
    time: float
    kind: str
    values: dict[str, Any]


def job(member="one", times=None, provider=None, *, ordinal=0, state="done"):
    times = TIMES if times is None else times
    values = {"member": member, "job": ordinal, "times": times, "provider": provider or {}, "state": state}
    return Told(max(times.values()), "JobEnded", values)


def step(number, at):
    return Told(at, "StepDone", {"step": number})


def known(at, ordinal=0):
    return Told(at, "CircuitsKnown", {"job": ordinal, "circuits": 4, "lacking": 4, "at": at})


def done(at, ordinal=0):
    return Told(at, "CircuitsDone", {"job": ordinal, "at": at})


def within(begin, end, *told):
    between = sorted(told, key=lambda each: each.time)
    return [Told(begin, "ProcessStarted", {}), *between, Told(end, "ProcessEnded", {})]


def whole(life, offset=0.0):
    shares = dict.fromkeys(SHARES, 0.0)
    for span in chain(life, offset):
        shares[span.share] += span.end - span.begin
    return shares


def test_a_life_is_a_chain_without_gaps():
    spans = chain(Life("one", TIMES, THERE), -1000.0)
    shares = [(span.share, span.begin, span.end) for span in spans]
    assert shares == [
        ("client", 0.0, 1.0), ("rest", 1.0, 3.0), ("network", 3.0, 3.25), ("queue", 3.25, 5.25),
        ("execution", 5.25, 10.25), ("poll", 10.25, 10.5), ("network", 10.5, 12.0), ("client", 12.0, 13.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "rest"),
    [({}, 7.0 + 2.0), ({"accepted": 1003.25}, 9.0), ({"accepted": 1003.25, "started": 1005.25}, 5.25 + 2.0)],
)
def test_what_the_service_does_not_say_is_the_rest(provider, rest):
    assert whole(Life("one", TIMES, provider), -1000.0)["rest"] == pytest.approx(rest)


def test_a_job_that_was_never_accepted_is_the_rest_but_for_its_writing():
    times = {"begun": 0.0, "built": 0.5, "sent": 1.0, "ended": 9.0}
    assert whole(Life("one", times)) == {**dict.fromkeys(SHARES, 0.0), "client": 1.0, "rest": 8.0}


def test_a_job_that_ended_before_it_was_looked_at_has_no_wait_for_a_look():
    late = {**THERE, "finished": 1010.7}  # the look left before the end, and found it all the same
    shares = whole(Life("one", TIMES, late), -1000.0)
    assert shares["poll"] == 0.0
    assert sum(shares.values()) == pytest.approx(13.0)


def test_the_middle_of_all_bounds_is_the_distance_of_the_clocks():
    def life(sent, accepted, at, member="one"):
        return Life(member, {"sent": sent, "accepted": accepted}, {"accepted": at})

    wide, narrow = life(0.0, 2.0, 100.5), life(10.0, 10.5, 110.2)
    assert offsets([wide, narrow]) == pytest.approx([-99.95, -99.95])
    assert offsets([narrow, life(20.0, 20.5, 520.0)]) == pytest.approx([-99.95, -499.75])  # somebody set a clock
    assert offsets([wide, life(0.0, 2.0, 1.0, "two"), Life("three", {})]) == pytest.approx([-99.5, 0.0, 0.0])


def test_jobs_side_by_side_share_a_moment_alike():
    first = {"begun": 0.0, "sent": 0.0, "accepted": 0.0, "asked": 4.0, "fetched": 4.0, "merged": 4.0, "ended": 4.0}
    second = {name: at + 2.0 for name, at in first.items()}
    run = {"accepted": 0.0, "started": 0.0, "finished": 4.0}
    wait = {"accepted": 2.0, "started": 6.0, "finished": 6.0}
    told = within(0.0, 10.0, known(0.0), job("one", first, run), job("two", second, wait), done(6.0), step(1, 8.0))
    found = ledger(told)
    assert found.run.wall == 10.0
    parts = {part.name: part.seconds for part in found.backends}
    assert parts["one"]["execution"] == pytest.approx(2.0 + 1.0)
    assert parts["two"]["queue"] == pytest.approx(1.0 + 2.0)
    assert parts[HERE]["client"] == pytest.approx(4.0)
    assert [(part.name, part.wall) for part in found.steps] == [("1", 8.0), (AFTER, 2.0)]


def test_a_job_that_nobody_waits_for_has_no_share():
    times = {"begun": 0.0, "sent": 0.0, "accepted": 0.0, "asked": 9.0, "ended": 9.0}
    found = ledger(within(0.0, 10.0, known(0.0), done(4.0), job("slow", times)))
    assert found.run.seconds["rest"] == pytest.approx(4.0)
    assert found.run.seconds["client"] == pytest.approx(6.0)
    assert found.jobs[0].seconds["rest"] == pytest.approx(9.0)


def test_circuits_that_wait_and_a_run_that_is_held_are_the_rest():
    held = [Told(6.0, "RunHeld", {}), Told(8.0, "RunReleased", {"seconds": 2.0})]
    found = ledger(within(0.0, 10.0, known(1.0), done(4.0), *held))
    assert found.run.seconds["rest"] == pytest.approx(5.0)
    assert found.run.seconds["client"] == pytest.approx(5.0)


def test_what_ran_here_is_execution_and_what_is_around_it_client():
    ran = {"member": "local", "jobs": 10, "rows": 100, "seconds": 1.5, "began": 2.0, "ended": 4.0}
    found = ledger(within(0.0, 5.0, Told(1.0, "RunStarted", {}), Told(4.0, "JobsRun", ran), step(1, 4.5)))
    assert {part.name: part.wall for part in found.backends} == pytest.approx({"local": 1.5, HERE: 3.5})
    assert [(part.name, part.wall) for part in found.steps] == [(BEFORE, 1.0), ("1", 3.5), (AFTER, 0.5)]
    assert found.steps[1].seconds["execution"] == pytest.approx(1.5)


def test_time_between_two_processes_counts_for_nobody():
    told = [*within(0.0, 4.0, step(1, 3.0)), *within(1000.0, 1002.0, step(2, 1001.0))]
    found = ledger(told)
    assert found.run.wall == pytest.approx(6.0)
    assert [part.name for part in found.steps] == ["1", AFTER, "2", AFTER]


def test_steps_of_the_finish_have_names_of_their_own():
    told = within(0.0, 4.0, step(1, 1.0), Told(1.5, "StageStarted", {"stage": "finish"}), step(1, 3.0))
    assert [part.name for part in ledger(told).steps] == ["1", "finish 1", AFTER]


def test_money_and_circuits_are_added_up():
    cost = {"circuits": 5, "answered": 4, "shots_paid": 400, "cost": 0.1, "currency": "USD"}
    told = [Told(each.time, each.kind, {**each.values, **cost}) for each in (job(), job(), job(state="failed"))]
    (found,) = ledger(within(0.0, 20.0, *told)).jobs
    assert (found.jobs, found.failed, found.circuits, found.shots) == (3, 1, 12, 1200)
    assert (found.cost, found.currency) == (0.3, "USD")


def test_no_events_are_no_time():
    found = ledger([])
    assert (found.run.wall, found.backends, found.steps, found.jobs) == (0.0, [], [], [])
    assert found.body(steps=True)["steps"] == []


times = st.floats(0.0, 100.0)


@st.composite
def runs(draw):
    """Processes with jobs of any order of times, also such as damaged clocks give, and whatever else is told."""
    told = []
    for _ in range(draw(st.integers(0, 12))):
        ours = sorted(draw(st.lists(times, min_size=len(OURS), max_size=len(OURS))))
        kept = draw(st.sets(st.sampled_from(OURS)))
        there = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(THERE, st.floats(-50.0, 250.0))))
        own = {name: at for name, at in zip(OURS, ours, strict=True) if name in kept}
        told.append(
            job(draw(st.sampled_from("abc")), own or {"ended": ours[-1]}, there, ordinal=draw(st.integers(0, 3)))
        )
    told += [make(draw(times), draw(st.integers(0, 3))) for make in draw(st.lists(st.sampled_from([known, done])))]
    told += [step(number, draw(times)) for number in range(draw(st.integers(0, 5)))]
    told += [Told(draw(times), kind, {}) for kind in draw(st.lists(st.sampled_from(["RunHeld", "RunReleased"])))]
    began = draw(times)
    ran = {"member": "here", "jobs": 1, "rows": 1, "seconds": draw(times), "began": began, "ended": began + draw(times)}
    return within(0.0, 100.0, *told, *([Told(ran["ended"], "JobsRun", ran)] if draw(st.booleans()) else []))


@given(runs())
def test_shares_sum_to_the_wall_time(told):
    found = ledger(told)
    wall = max(each.time for each in told)
    for parts in ([found.run], found.backends, found.steps):
        assert math.fsum(part.wall for part in parts) == pytest.approx(wall)
        assert all(seconds >= 0.0 for part in parts for seconds in part.seconds.values())
    for share in SHARES:
        assert math.fsum(part.seconds[share] for part in found.steps) == pytest.approx(found.run.seconds[share])


def stage(name, at):
    return Told(at, "StageStarted", {"stage": name})


def test_a_recipe_is_cut_by_stages_and_steps():
    begun = Told(0.5, "RecipeStarted", {})
    own = [
        stage("training", 0.6),
        step(1, 2.0),
        step(2, 3.5),
        stage("looking", 3.5),
        stage("training", 5.0),
        step(3, 6.0),
    ]
    own += [stage("measuring", 6.5), Told(9.0, "RunFinished", {})]
    found = ledger(within(0.0, 10.0, begun, *own))
    assert [(each.name, round(each.wall, 6), each.steps) for each in found.steps] == [
        (BEFORE, 0.5, 0), (BEFORE, 0.1, 0), ("1", 1.4, 1), ("2", 1.5, 1), ("looking", 1.5, 0), ("3", 1.0, 1),
        ("training", 0.5, 0), ("measuring", 2.5, 0), (AFTER, 1.0, 0),
    ]  # fmt: skip
    assert [(each.name, round(each.wall, 6), each.steps) for each in found.stages] == [
        ("training", 4.4, 3), ("looking", 1.5, 0), ("measuring", 2.5, 0),
    ]  # fmt: skip
    assert math.fsum(each.wall for each in found.steps) == pytest.approx(found.run.wall) == 10.0
    assert found.body()["stages"]["training"]["steps"] == 3


def test_a_training_within_a_recipe_keeps_the_names_of_its_steps():
    inner = [
        stage("local training", 1.0),
        Told(1.5, "RunStarted", {"first_step": 3}),
        stage("epochs", 1.5),
        step(5, 3.0),
    ]
    inner += [stage("finish", 3.5), step(1, 4.0), stage("buying", 5.0), stage("refining", 7.0), step(1, 9.0)]
    found = ledger(within(0.0, 9.0, Told(1.0, "RecipeStarted", {}), *inner))
    assert [(each.name, each.steps) for each in found.steps] == [
        (BEFORE, 0), ("local training", 0), ("5", 2), ("finish 1", 1), ("local training", 0), ("buying", 0),
        ("refining 1", 1),
    ]  # fmt: skip
    assert [each.name for each in found.stages] == ["local training", "buying", "refining"]


def test_a_training_without_a_recipe_has_no_stages():
    told = within(0.0, 4.0, Told(1.0, "RunStarted", {}), stage("epochs", 1.0), step(1, 2.0), stage("finish", 2.0))
    assert ledger(told).stages == []
    assert "stages" not in ledger(told).body()


def test_a_recipe_that_goes_on_counts_its_steps_anew():
    first = [Told(0.5, "RecipeStarted", {}), stage("training", 0.5), step(1, 1.0), step(3, 2.0)]
    again = [Told(3.5, "RecipeStarted", {}), stage("training", 3.5), step(5, 4.0)]  # of quick steps some are told
    found = ledger([*within(0.0, 2.5, *first), *within(3.0, 4.0, *again)])
    assert [(each.name, each.steps) for each in found.steps if each.steps] == [("1", 1), ("3", 2), ("5", 5)]
    assert [(each.name, each.steps) for each in found.stages] == [("training", 8)]
