"""The parts that decide, one by one: levelling, preference, speed, breaker, quota, choice of the noise domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from q_store.backends.base import Missing
from q_store.errors import CapabilityError, ConfigError, InputError
from q_store.jobs import Output, Status
from q_store.pool import policy
from q_store.pool.actions import BuyAgain, Finished, GiveUp, Keep, Probe, Send, Starve
from q_store.pool.breaker import Breaker, Health
from q_store.pool.events import Answered, Asked, Break, Broke, Probed, Reported, Tick
from q_store.pool.members import Load, MemberSpec, Needs
from q_store.pool.quota import Quota
from q_store.pool.settings import PoolSettings
from q_store.pool.speed import Speed
from q_store.pool.state import PoolState


def load(ready=0.0, pace=1.0, *, known=True, flights=0, waited=0.0, error=0.0, latency=0.0, largest=1000, **spec):
    own = MemberSpec(name=spec.pop("name", "m"), **spec)
    return Load(own, ready, latency, pace, error, known, flights, own.max_in_flight - flights, largest, waited)


def of(kind, actions):
    return [action for action in actions if isinstance(action, kind)]


def ask(state, count, members=None, now=0.0, batch=0):
    members = members or [standing.name for standing in state.standing(now)]
    return state.handle(Asked(batch, count, frozenset(members)), now)


# --------------------------------------------------------------------------------------------------------------- policy


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(1e-3, 10)), min_size=1, max_size=6),
    st.floats(1e-2, 1e4),
)
def test_level_is_where_the_work_is_done(pairs, work):
    loads = [load(ready, pace) for ready, pace in pairs]
    end = policy.level(work, loads)
    root = brentq(lambda t: sum(max(0, t - r) / p for r, p in pairs) - work, 0, 1e7, xtol=1e-9, rtol=1e-12)
    assert math.isclose(end, root, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("thrift", "elapsed", "expected"),
    [(0.5, 0.0, 2), (1.1, 0.0, 1), (1.1, 10.0, 2)],
)
def test_a_paid_member_is_called_in_where_the_free_one_takes_too_long(thrift, elapsed, expected):
    loads = [load(), load(price=1.0, name="paid")]
    assert len(policy.preferred(100, 100, loads, elapsed, PoolSettings(thrift=thrift))) == expected


def test_while_nothing_is_known_the_preferred_ones_work_alone_for_a_moment():
    for waited, expected in ((0.5, 1), (1.5, 2)):
        loads = [load(known=False, waited=waited, flights=1), load(known=False, price=1.0, name="paid")]
        assert len(policy.preferred(100, 100, loads, waited, PoolSettings())) == expected


@given(
    waiting=st.integers(1, 10_000),
    share=st.floats(0, 10_000),
    flights=st.integers(0, 3),
    known=st.booleans(),
    largest=st.integers(1, 100),
    error=st.floats(0, 1),
    price=st.sampled_from([0.0, 1.0]),
)
def test_slices_keep_all_limits(*, waiting, share, flights, known, largest, error, price):
    own = load(
        known=known,
        flights=flights,
        largest=largest,
        error=error,
        pace=0.01,
        max_slice=77,
        max_in_flight=4,
        price=price,
    )
    size = policy.size(waiting, 1.0, share, own, PoolSettings())
    assert 0 <= size <= min(waiting, 77, 4 * largest)
    assert size <= share + 1
    assert (size == 0) == (share < 0.5 or (not known and flights >= (1 if price else 2)))


# ---------------------------------------------------------------------------------------------------------------- speed


def test_speed_separates_latency_from_pace():
    speed = Speed()
    for work in (1, 4, 16, 64):
        speed.saw(work, 0.3 + 0.02 * work, queued=False)
        speed.saw(work, 0.02 * work, queued=True)
    assert np.allclose(speed.fit(), (0.3, 0.02), rtol=0.02)
    assert speed.error < 0.6


def test_slices_side_by_side_count_together():
    speed = Speed()
    for work in (5, 20, 80):
        for k in range(4):
            speed.saw(work, 1e-9 if k else 0.1 + work * 0.01, queued=k > 0)
    assert np.isclose(speed.fit()[1], 0.01 / 4, rtol=0.1)


def test_speed_forgets():
    speed = Speed()
    for _ in range(20):
        speed.saw(10, 1.0, queued=True)
    for _ in range(20):
        speed.saw(10, 9.0, queued=True)
    assert np.isclose(speed.fit()[1], 0.9, rtol=0.02)


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(0, 1e5), st.booleans()), min_size=1, max_size=30))
def test_latency_and_pace_are_never_absurd(seen):
    speed = Speed()
    for work, seconds, queued in seen:
        speed.saw(work, seconds, queued=queued)
    latency, pace = speed.fit()
    assert 0 <= latency < math.inf
    assert 0 < pace < math.inf
    assert 0 <= speed.error <= 1


# -------------------------------------------------------------------------------------------------------------- breaker


def test_a_breaker_opens_probes_tries_and_closes():
    own = Breaker(PoolSettings(failures=2, pause=1.0, longest_pause=3.0))
    own.failed(0.0, "a")
    own.succeeded(0.0)
    own.failed(0.0, "a")
    assert own.health is Health.CLOSED
    own.failed(0.0, "b")
    assert (own.health, own.until, own.reason) == (Health.OPEN, 1.0, "b")
    pauses, now = [], 1.0
    for _ in range(4):
        assert own.probe(now)
        assert not own.probe(now)  # one at a time
        own.probed(now, "no", ok=False)
        pauses.append(own.until - now)
        now = own.until
    assert pauses == [2.0, 3.0, 3.0, 3.0]
    assert own.probe(now)
    own.probed(now, "", ok=True)
    assert own.health is Health.TRIAL
    own.failed(now, "again")
    assert own.health is Health.OPEN
    assert own.probe(own.until)
    own.probed(own.until, "", ok=True)
    own.succeeded(own.until)
    assert own.health is Health.CLOSED
    own.trip(50.0, "dead")
    assert own.until == 51.0  # the pause begins anew


def test_a_breaker_that_opens_and_closes_all_the_time_pauses_ever_longer():
    own, now, opened = Breaker(PoolSettings(pause=1.0, longest_pause=60.0)), 0.0, 0
    while now < 1000:
        own.trip(now, "gone")
        opened += 1
        now = own.until
        assert own.probe(now)
        own.probed(now, "", ok=True)
        own.succeeded(now)
        assert own.health is Health.CLOSED
        now += 3.0
    assert opened < 25


def test_a_breaker_opens_when_half_of_the_last_slices_failed():
    own = Breaker(PoolSettings(failures=3, recent=10))
    for k in range(9):
        if k % 2:
            own.succeeded(0.0)
        else:
            own.failed(0.0, "x")
    assert own.health is Health.OPEN


def test_late_answers_do_not_close_an_open_breaker():
    own = Breaker(PoolSettings())
    own.trip(0.0, "x")
    own.succeeded(0.0)
    assert own.health is Health.OPEN
    own.hurry(0.5)
    assert own.probe(0.5)


@given(st.lists(st.booleans(), max_size=50), st.floats(0, 5), st.floats(0, 1))
def test_retries_are_bounded_by_the_quota(events, capacity, refill):
    own = Quota(capacity, refill)
    taken = 0
    for retry in events:
        if retry:
            taken += own.take()
        else:
            own.succeeded()
    assert taken <= capacity + refill * events.count(False) + 1e-9


# --------------------------------------------------------------------------------------------------------------- choice

IDEAL = MemberSpec(name="ideal", max_qubits=12)
WIDE = MemberSpec(name="wide", max_qubits=29)
NOISY = MemberSpec(name="noisy", noise_id="forte", max_qubits=36, exact=False, outputs=frozenset({Output.COUNTS}))
COUNTS = Needs(10, Output.COUNTS)


def test_members_of_one_noise_domain_are_chosen():
    state = PoolState([IDEAL, WIDE, NOISY])
    assert state.choose([COUNTS]) == [{"ideal", "wide"}]
    assert state.choose([COUNTS, Needs(20, Output.COUNTS)]) == [{"ideal", "wide"}, {"wide"}]
    assert state.choose([Needs(33, Output.COUNTS)]) == [{"noisy"}]
    assert state.choose([COUNTS], noise_id="forte") == [{"noisy"}]
    mixed = PoolState([IDEAL, WIDE, NOISY], PoolSettings(allow_mixed=True))
    assert mixed.choose([COUNTS]) == [{"ideal", "wide", "noisy"}]


def test_a_domain_that_works_goes_before_one_that_is_down_unless_it_is_preferred():
    state = PoolState([IDEAL, NOISY])
    state.handle(Reported("ideal", available=False), 0.0)
    assert state.choose([COUNTS]) == [{"noisy"}]
    assert state.choose([COUNTS], noise_id="ideal") == [{"ideal"}]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ([Needs(40, Output.COUNTS)], "ideal has 12 qubits; wide has 29 qubits; noisy has 36 qubits"),
        ([Needs(30, Output.STATE)], "noisy gives counts"),
        ([Needs(30, Output.COUNTS, exact=True)], "30 qubits, exactly"),
        ([Needs(10, Output.STATE), Needs(33, Output.COUNTS)], "ideal is ideal, noisy is forte, wide is ideal"),
    ],
)
def test_a_job_that_nobody_can_run_is_refused_with_what_each_can(needs, words):
    with pytest.raises(CapabilityError, match=words):
        PoolState([IDEAL, WIDE, NOISY]).choose(needs)


def test_an_unknown_domain_is_refused():
    with pytest.raises(CapabilityError, match="did you mean 'forte'"):
        PoolState([IDEAL, NOISY]).choose([COUNTS], noise_id="fort")


def test_members_of_two_domains_are_not_mixed_unless_allowed():
    with pytest.raises(InputError, match="one noise domain, got forte, ideal"):
        ask(PoolState([IDEAL, NOISY]), 5)
    assert of(Send, ask(PoolState([IDEAL, NOISY], PoolSettings(allow_mixed=True)), 5))


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_members_need_names_of_their_own(names):
    with pytest.raises(ConfigError, match="different names"):
        PoolState([MemberSpec(name=name) for name in names])


@pytest.mark.parametrize("wrong", [{"max_slice": 0}, {"max_in_flight": 0}, {"price": -1.0}, {"price": math.nan}])
def test_members_need_limits(wrong):
    with pytest.raises(ConfigError, match="1 or more"):
        MemberSpec(name="m", **wrong)


@pytest.mark.parametrize(
    "wrong", [{"tries": 0}, {"thrift": -0.1}, {"pause": 0.0}, {"pause": 99.0}, {"quota": math.inf}]
)
def test_settings_have_ranges(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PoolSettings(**wrong)


@pytest.mark.parametrize(
    "event", [Asked(0, 0, frozenset({"ideal"})), Asked(0, 3, frozenset()), Asked(0, 3, frozenset({"idle"}))]
)
def test_bad_questions_change_nothing(event):
    state = PoolState([IDEAL])
    with pytest.raises(InputError):
        state.handle(event, 0.0)
    assert of(Send, ask(state, 3))


# ---------------------------------------------------------------------------------------------------------------- state


def test_a_pool_of_one_sends_everything_at_once():
    (send,) = of(Send, ask(PoolState([MemberSpec(name="local", max_in_flight=1)]), 960))
    assert send.numbers.tolist() == list(range(960))
    sends = of(Send, ask(PoolState([MemberSpec(name="remote", max_in_flight=4, max_slice=100)]), 960))
    assert [len(each.numbers) for each in sends] == [100] * 4


def test_answers_are_kept_by_place_and_gaps_are_sent_again_or_given_up():
    state = PoolState([MemberSpec(name="m", max_in_flight=1, price=1.0)])
    (send,) = of(Send, ask(state, 4))
    gaps = {
        0: Missing(Status.FAILED, "bad gate"),
        2: Missing(Status.UNCERTAIN, "lost", retry=True),
        3: Missing(Status.FAILED, "later", retry=True),
    }
    actions = state.handle(Answered(send.slice, gaps), 1.0)
    (keep,) = of(Keep, actions)
    assert (keep.places.tolist(), keep.numbers.tolist()) == ([1], [1])
    fates = {(give.numbers[0], give.reason, give.uncertain) for give in of(GiveUp, actions)}
    assert fates == {(0, "bad gate", False), (2, "lost", True)}
    (again,) = of(Send, actions)
    assert again.numbers.tolist() == [3]
    assert of(Finished, state.handle(Answered(again.slice), 2.0))


def test_uncertain_circuits_that_are_paid_are_never_sent_again():
    state = PoolState([MemberSpec(name="m", max_in_flight=1, price=1.0)])
    (send,) = of(Send, ask(state, 4))
    actions = state.handle(Broke(send.slice, Break.UNCERTAIN, "reply lost"), 1.0)
    (give,) = of(GiveUp, actions)
    assert give.uncertain
    assert give.numbers.tolist() == [0, 1, 2, 3]
    assert of(Finished, actions)
    assert not of(Send, actions)


def test_circuits_go_elsewhere_before_they_come_back():
    state = PoolState([MemberSpec(name=name, max_in_flight=1, price=1.0) for name in "ab"])
    a, b = of(Send, ask(state, 2))
    assert not of(Send, state.handle(Broke(a.slice, Break.FAILED), 1.0))  # b is still at work
    (again,) = of(Send, state.handle(Answered(b.slice), 2.0))
    assert (again.member, again.numbers.tolist()) == ("b", a.numbers.tolist())


def test_a_throttled_member_is_left_alone_and_then_gets_half_as_many_slices():
    state = PoolState([MemberSpec(name="m", max_in_flight=4, max_slice=10)])
    sends = of(Send, ask(state, 400))
    for each in sends:
        actions = state.handle(Broke(each.slice, Break.THROTTLED, pause=7.0), 1.0)
        assert not of(Send, actions)
    assert actions[-1].at == pytest.approx(8.0)
    assert len(of(Send, state.handle(Tick(), actions[-1].at))) == 1  # four times halved
    assert state.standing(9.0)[0].window == 1


def test_a_member_that_refuses_is_out_for_the_batch_and_a_barred_one_for_good():
    state = PoolState([MemberSpec(name=name, max_in_flight=1) for name in "ab"])
    (a, _) = of(Send, ask(state, 2))
    state.handle(Broke(a.slice, Break.REFUSED, "no such gate"), 0.0)
    sends = of(Send, ask(state, 1, ["a"], batch=1))
    assert [each.member for each in sends] == ["a"]
    actions = state.handle(Broke(sends[0].slice, Break.BARRED, "key revoked"), 0.0)
    (give,) = of(GiveUp, actions)
    assert "a: key revoked" in give.reason
    (give,) = of(GiveUp, ask(state, 1, ["a"], batch=2))
    assert "no backend is left" in give.reason
    assert state.choose([Needs(2, Output.COUNTS)]) == [{"b"}]


def test_nobody_left_is_said_once_and_a_probe_brings_the_work_back():
    state = PoolState([MemberSpec(name="m", max_in_flight=1)])
    (send,) = of(Send, ask(state, 5))
    actions = state.handle(Broke(send.slice, Break.UNREACHABLE, "no route"), 0.0)
    (starve,) = of(Starve, actions)
    assert "m: no route" in starve.reason
    now = actions[-1].at
    for _ in range(3):
        actions = state.handle(Tick(), now)
        assert of(Probe, actions)
        assert not of(Starve, actions)
        actions = state.handle(Probed("m", ok=False), now)
        assert not of(Starve, actions)
        now = actions[-1].at
    state.handle(Tick(), now)
    (trial,) = of(Send, state.handle(Probed("m", ok=True), now))
    assert len(trial.numbers) == 1
    (rest,) = of(Send, state.handle(Answered(trial.slice), now + 1))
    assert len(rest.numbers) == 4


def test_a_trial_is_made_with_a_circuit_that_failed_least():
    state = PoolState([MemberSpec(name="m", max_in_flight=1, max_slice=2)], PoolSettings(failures=1))
    (send,) = of(Send, ask(state, 5))
    now = state.handle(Broke(send.slice, Break.FAILED), 0.0)[-1].at
    state.handle(Tick(), now)
    (trial,) = of(Send, state.handle(Probed("m", ok=True), now))
    assert trial.numbers.tolist() == [2]


def test_the_provider_may_say_that_it_is_down_and_back():
    state = PoolState([MemberSpec(name="m")])
    state.handle(Reported("m", available=False, reason="maintenance"), 0.0)
    actions = ask(state, 3)
    assert "maintenance" in of(Starve, actions)[0].reason
    assert of(Probe, state.handle(Reported("m", available=True), 0.1))


@given(st.integers(1, 500), st.integers(1, 60))
def test_every_circuit_is_sent_once_where_nothing_fails(count, max_slice):
    assume(count / max_slice < 100)
    state = PoolState([MemberSpec(name=name, max_slice=max_slice) for name in "abc"], PoolSettings(hedge=False))
    waiting, seen, now = of(Send, ask(state, count)), [], 0.0
    while waiting:
        send = waiting.pop(0)
        seen += send.numbers.tolist()
        now += 0.1
        waiting += of(Send, state.handle(Answered(send.slice), now))
    assert sorted(seen) == list(range(count))


def test_a_refusal_is_remembered_though_its_circuits_went_elsewhere():
    """A free member that is late loses its circuits at once; what it then says of the job still counts."""
    state = PoolState([MemberSpec(name="late"), MemberSpec(name="good")], PoolSettings(hedge=False, recall_after=0.0))
    sends = of(Send, ask(state, 2))
    late = next(send for send in sends if send.member == "late")
    for send in [send for send in sends if send.member == "good"]:
        sends += of(Send, state.handle(Answered(send.slice), 0.1))
    sends += of(Send, state.handle(Tick(), 1e3))
    assert any(send.member == "good" and set(late.numbers) <= set(send.numbers) for send in sends)
    state.handle(Broke(late.slice, Break.REFUSED, "no such gate"), 1e3)
    assert state._batches[0].barred == {"late": "no such gate"}


@pytest.mark.parametrize("price", [0.0, 1.0])
@pytest.mark.parametrize("whole", [True, False])
def test_circuits_of_unknown_fate_run_again_only_where_that_costs_nothing(price, whole):
    state = PoolState([MemberSpec(name="one", price=price), MemberSpec(name="two", price=price)])
    send = of(Send, ask(state, 40))[0]
    gap = Missing(Status.UNCERTAIN, "nobody knows")
    lost = send.numbers.tolist() if whole else send.numbers[:1].tolist()
    event = Broke(send.slice, Break.UNCERTAIN, gap.reason) if whole else Answered(send.slice, {0: gap})
    given_up = [number for action in of(GiveUp, state.handle(event, 1.0)) for number in action.numbers.tolist()]
    assert given_up == (lost if price else [])


@pytest.mark.parametrize("ok", [False, True])
def test_a_member_that_answers_a_probe_is_silent_no_more(ok):
    """Else circuits that it has now would be bought again at once, from one such member to the other and back."""
    paid = [MemberSpec(name=name, price=1.0, max_slice=2, max_in_flight=2) for name in "ab"]
    state = PoolState(paid, PoolSettings(lost="buy", lost_after=5.0, failures=1))
    state.handle(Asked(0, 8, frozenset("ab")), 0.0)
    state.handle(Reported("a", available=False), 1.0)
    assert any(isinstance(act, Probe) for act in state.handle(Tick(), 3.0))
    state.handle(Probed("a", ok=ok), 3.5)
    later = [act for at in (7.0, 20.0) for act in state.handle(Tick(), at)]
    assert any(isinstance(act, BuyAgain) for act in later) != ok
