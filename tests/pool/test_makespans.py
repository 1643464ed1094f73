"""How long pools take, in virtual time: equal, unlike and broken members."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pool.simulator import FAULTS, Service, Simulation

from q_store.pool.events import Asked

COUNT = 960
EXAMPLES = 3_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 60


def pool(*services, seed=0, spec=None, **figures):
    named = {f"m{k}": service for k, service in enumerate(services)}
    return Simulation(named, {name: spec or {} for name in named}, seed, **figures)


@pytest.mark.parametrize("spec", [{}, {"max_in_flight": 2}, {"price": 1.0}], ids=str)
@pytest.mark.parametrize("latency", [0.0, 0.02, 0.1])
def test_three_equal_members_are_2_8_times_as_fast_as_one(latency, spec):
    alone = pool(Service(latency=latency), spec=spec).makespan(COUNT)
    assert alone / pool(*(Service(latency=latency) for _ in range(3)), spec=spec).makespan(COUNT) >= 2.8


def test_three_equal_members_that_take_one_slice_at_a_time():
    spec = {"max_in_flight": 1}
    alone = pool(Service(latency=0.02), spec=spec).makespan(COUNT)
    assert alone / pool(*(Service(latency=0.02) for _ in range(3)), spec=spec).makespan(COUNT) >= 2.8


@pytest.mark.parametrize("spec", [{}, {"max_in_flight": 1}, {"price": 1.0}], ids=str)
@pytest.mark.parametrize("count", [1000, 5000])
@pytest.mark.parametrize("latency", [0.0, 0.02])
@pytest.mark.parametrize("speeds", [(1, 1, 4, 100), (100, 4, 1, 1)], ids=str)
def test_unlike_members_come_within_10_percent_of_the_optimum(speeds, latency, count, spec):
    best = latency + count / sum(speeds)
    own = pool(*(Service(speed, latency) for speed in speeds), spec=spec)
    assert own.makespan(count) <= 1.1 * best  # nothing is known yet
    assert own.makespan(count) <= 1.1 * best


def test_an_equal_split_would_take_far_longer():
    """The bound of the test above means something: 250 circuits of 1000 at one a second."""
    assert 250 / (1000 / 106) > 25


@pytest.mark.parametrize("spec", [{}, {"max_in_flight": 1}, {"max_in_flight": 2}], ids=str)
@pytest.mark.parametrize("begin", [0.0, 0.3, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_broken_member_of_three_leaves_60_percent(fault, begin, spec):
    healthy = pool(*(Service() for _ in range(3)), spec=spec).makespan(COUNT)
    broken = pool(Service(), Service(fault=fault, broken_from=begin), Service(), spec=spec)
    assert healthy / broken.makespan(COUNT) >= 0.6  # and makespan() has checked that nothing is lost
    assert healthy / broken.makespan(COUNT) >= 0.6


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_for_a_while_a_member_comes_back(fault):
    own = pool(Service(), Service(fault=fault, broken_from=0.5, broken_to=5.0))
    for _ in range(20):
        own.makespan(COUNT)
    before = len(own.sends)
    own.makespan(COUNT)
    circuits = sum(len(send.numbers) for _, send in own.sends[before:] if send.member == "m1" and not send.hedge)
    assert circuits > COUNT / 3


def test_a_member_that_hangs_is_relied_on_no_longer():
    own = pool(Service(), Service(fault="hang", broken_from=1.0), Service())
    for _ in range(5):
        own.makespan(COUNT)
    before = len(own.sends)
    own.makespan(COUNT)
    assert sum(len(send.numbers) for _, send in own.sends[before:] if send.member == "m1") < 10


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_little_of_a_paid_member_is_at_stake_and_it_stays_busy(slots):
    """Ten seconds of work, or two latencies; 20 where slices cannot be on their way side by side."""
    spec = {"price": 1.0, "max_in_flight": slots}
    own = pool(*(Service(1.0, 0.4) for _ in range(3)), spec=spec)
    most = own.most_in_flight()
    assert own.makespan(COUNT) <= 1.1 * COUNT / 3
    assert 5 < max(most.values()) <= (16 if slots > 1 else 20)


def test_a_long_latency_justifies_more_in_flight():
    own = pool(*(Service(1.0, 30.0) for _ in range(3)), spec={"price": 1.0})
    own.makespan(COUNT)
    most = own.most_in_flight()
    own.makespan(COUNT)
    assert 30 < max(most.values()) <= 2 * 60


def test_what_is_at_stake_is_no_reason_to_waste_a_minimum_price():
    own = pool(*(Service(1.0, 0.4) for _ in range(3)), spec={"price": 1.0})
    own.tell(Asked(0, COUNT, frozenset(own.services), 1.0, dict.fromkeys(own.services, 25)))
    own.run()
    sizes = [len(send.numbers) for _, send in own.sends]
    assert max(sizes) == 25
    assert sum(size for size in sizes if size == 25) > COUNT / 4


def test_when_all_are_dead_it_says_so_once_and_goes_on_when_one_returns():
    own = pool(Service(fault="dead"), Service(fault="dead", broken_to=300.0))
    own.ask(0, COUNT)
    own.run(until=299.0)
    assert len(own.starved) == 1
    assert "m0: dead; m1: dead" in own.starved[0].reason or "no connection" in own.starved[0].reason
    probes = own.now
    own.run()
    assert set(own.judge.fates(0)) == {"m1"}
    assert own.finished[0] < probes + 62 + 1.2 * COUNT / 100  # the longest pause, and the work
    assert len(own.sends) < 200


@pytest.mark.parametrize("members", [1, 3])
def test_one_bad_circuit_is_found_and_the_others_are_answered(members):
    own = pool(*(Service(fault="poison", poison=frozenset({417})) for _ in range(members)))
    own.ask(0, COUNT)
    own.run()
    fates = own.judge.settled[0]
    assert {number for number, fate in fates.items() if fate == "given up"} == {417}


def test_circuits_that_fail_everywhere_end_with_the_quota():
    own = pool(Service(fault="failing"), Service(fault="failing"), quota=5.0)
    own.ask(0, 20)
    own.run()
    assert set(own.judge.fates(0)) == {"given up"}
    assert sum(len(send.numbers) for _, send in own.sends) <= 2 * 20 + 6 * 20


def test_a_paid_member_that_hangs_is_recalled():
    own = pool(Service(), Service(fault="hang", broken_from=1.0), spec={"price": 1.0}, recall_after=1.0)
    own.makespan(COUNT)
    assert len(own.judge.canceled) > 0


@pytest.mark.parametrize("begin", [0.0, 100.0, 200.0])
def test_slow_paid_members_of_which_one_hangs_leave_60_percent(begin):
    """Slices of minutes, as machines have them: beside those the fixed part of the patience is little."""
    healthy = pool(*(Service(1) for _ in range(3)), spec={"price": 1.0}).makespan(COUNT)
    broken = pool(Service(1), Service(1, fault="hang", broken_from=begin), Service(1), spec={"price": 1.0})
    assert healthy / broken.makespan(COUNT) >= 0.6


def test_a_paid_member_is_never_doubled_where_the_cancel_is_not_confirmed():
    services = Service(), Service(fault="hang", broken_from=1.0, obeys=False)
    own = pool(*services, spec={"price": 1.0}, recall_after=1.0)
    own.ask(0, COUNT)
    own.run(until=1e5)
    assert own.judge.open == {0}
    held = sum(len(send.numbers) for send in own.judge.in_flight.values())
    assert len(own.judge.settled[0]) == COUNT - held


@pytest.mark.parametrize(("thrift", "used"), [(0.5, True), (2.0, False)])
def test_a_paid_member_works_only_where_it_saves_enough_time(thrift, used):
    own = Simulation({"free": Service(100), "paid": Service(100)}, {"free": {}, "paid": {"price": 1.0}}, thrift=thrift)
    own.makespan(COUNT)
    assert ("paid" in own.judge.fates(0)) == used


def test_priority_goes_before_price():
    specs = {"free": {}, "paid": {"price": 1.0, "priority": 1}}
    own = Simulation({"free": Service(100), "paid": Service(100)}, specs, thrift=2.0)
    own.makespan(COUNT)
    assert set(own.judge.fates(0)) == {"paid"}


def test_a_free_member_that_never_answers_does_not_keep_the_paid_one_waiting():
    specs = {"free": {}, "paid": {"price": 1.0}}
    own = Simulation({"free": Service(fault="hang"), "paid": Service()}, specs, thrift=2.0, recall_after=5.0)
    assert own.makespan(COUNT) < 5.0 + 4 * COUNT / 100


def test_without_hedging_no_circuit_runs_twice():
    own = pool(Service(1), Service(100, jitter=0.5), hedge=False)
    own.makespan(COUNT)
    assert sum(len(send.numbers) for _, send in own.sends) == COUNT


def test_a_member_that_becomes_slow_gets_less():
    quick, turned = Service(100), Service(100)
    own = pool(quick, turned)
    own.makespan(COUNT)
    turned.speed = 2
    own.makespan(COUNT)
    before = own.now
    own.makespan(COUNT)
    assert own.now - before < 1.15 * COUNT / 102


def test_batches_are_served_in_the_order_asked():
    own = pool(Service(), Service())
    for batch in range(3):
        own.ask(batch, 300)
    own.run()
    assert sorted(own.finished, key=own.finished.__getitem__) == [0, 1, 2]
    assert own.now < 1.15 * 900 / 200


def test_work_of_unlike_circuits_is_comparable():
    """Circuits ten times as long: the speeds learned from the short ones still share them out."""
    own = pool(Service(1000), Service(10))
    own.makespan(5000)
    for service in own.services.values():
        service.speed /= 10
    batch = len(own.judge.asked)
    own.ask(batch, 1000, work=10.0)
    assert own.run() < 1.1 * 1000 / 101


services = st.builds(
    Service,
    speed=st.sampled_from([0.5, 5.0, 100.0, 5000.0]),
    latency=st.sampled_from([0.0, 0.05, 2.0]),
    side_by_side=st.integers(1, 3),
    jitter=st.sampled_from([0.0, 0.9]),
    fault=st.sampled_from(["", *FAULTS]),
    broken_from=st.sampled_from([0.0, 0.5, 10.0]),
    broken_to=st.sampled_from([20.0, float("inf")]),
)
specs = st.builds(
    dict,
    max_slice=st.sampled_from([2, 50, 5000]),
    max_in_flight=st.integers(1, 4),
    price=st.sampled_from([0.0, 1.0]),
    priority=st.integers(0, 1),
)


@settings(max_examples=EXAMPLES)
@given(
    others=st.lists(st.tuples(services, specs), max_size=3),
    spec=specs,
    counts=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    seed=st.integers(0, 100),
)
def test_if_one_member_works_for_ever_every_circuit_is_answered(others, spec, counts, seed):
    for service, other in others:
        if other["price"] and service.fault == "dead":
            service.broken_to = 20.0  # what a paid member has when it dies for ever is never known, nor sent again
    named = {f"m{k}": service for k, (service, _) in enumerate(others)}
    each = {f"m{k}": other for k, (_, other) in enumerate(others)}
    own = Simulation({**named, "good": Service(50, 0.05)}, {**each, "good": spec}, seed)
    for count in counts:
        own.makespan(count)
