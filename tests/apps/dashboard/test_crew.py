"""Backends from their events: lanes, the table, cost, and where the time went."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.apps.dashboard.crew import Crew
from q_store.apps.dashboard.lanes import STATES, UNSEEN, Lanes
from q_store.apps.dashboard.split import LARGEST, Split
from q_store.apps.dashboard.view import View
from q_store.apps.history import Entry
from q_store.ledger import ledger

STEP = {"step": 1, "epoch": 1, "loss": 1.0, "gradient_norm": 1.0, "learning_rate": 0.1, "circuits": 1, "shots": 1}


def entry(number, kind, at, /, **values):
    return Entry(number, at, kind, values)


def built(number, name, member, at):
    return entry(number, "JobBuilt", at, slice=name, job=0, member=member, circuits=5, shots=100, hedge=False, at=at)


def moved(number, name, member, stage, at):
    return entry(number, "JobMoved", at, slice=name, member=member, stage=stage, at=at)


def ended(number, name, member, at, state="done", *, cost=0.5):
    """Sent a second after it was built, 0.2 s each way, one second in the queue, two running, seen at once."""
    times = {"begun": at, "built": at, "written": at + 1, "sent": at + 1, "accepted": at + 1.4}
    provider = {}
    if state == "done":
        times |= {"asked": at + 4.2, "seen": at + 4.4, "fetched": at + 4.4, "merged": at + 4.5, "ended": at + 4.5}
        provider = {"accepted": at + 1.2, "started": at + 2.2, "finished": at + 4.2}
    return entry(
        number, "JobEnded", at + 4.5, slice=name, job=0, member=member, circuits=5, shots=100, state=state, reason="",
        times=times, provider=provider, answered=5 * (state == "done"), shots_paid=500, cost=cost, currency="USD",
        proof=["native: sent 3 gates, service reports 3"],
    )  # fmt: skip


def changed(number, member, at, health, reason=""):
    return entry(
        number, "MemberChanged", at, member=member, at=at, health=health, reason=reason, rate=10.0, latency=0.5,
        in_flight=1, window=4, paused=0.0, answered=5, failed=0,
    )  # fmt: skip


def took(*entries):
    crew = Crew()
    for each in entries:
        crew.take(each)
    return crew


def seconds(crew, member):
    pieces, _, _ = crew.lanes.since(UNSEEN)
    sums = [sum(piece[k + 1] for piece in pieces[member]) for k in range(len(STATES))]
    return dict(zip(STATES, sums, strict=True))


def test_lane_of_a_job():
    found = seconds(took(built(1, "a", "forte", 100.0), ended(2, "a", "forte", 100.0)), "forte")
    assert found == pytest.approx({"sending": 1.5, "queued": 1.0, "running": 2.0, "failed": 0, "paused": 0}, abs=0.01)


def test_job_on_its_way_is_told_until_it_ends():
    crew = took(built(1, "a", "forte", 100.0), moved(2, "a", "forte", "accepted", 101.0))
    assert crew.sections()["members"][0]["jobs"] == [["queued", 101.0]]
    crew.take(moved(3, "a", "forte", "started", 102.0))
    assert crew.sections()["members"][0]["jobs"] == [["running", 102.0]]
    crew.take(ended(4, "a", "forte", 100.0))
    assert crew.sections()["members"][0]["jobs"] == []


def test_open_breaker_is_shown_from_the_moment_it_opens():
    crew = took(changed(1, "forte", 100.0, "working"), changed(2, "forte", 103.0, "paused", "no answer, see /a/b/c"))
    (member,) = crew.sections()["members"]
    assert member["away"] == 103.0
    assert member["reason"] == "no answer, see c"
    crew.take(changed(3, "forte", 105.0, "probing"))
    crew.take(changed(4, "forte", 107.0, "working"))
    assert crew.sections()["members"][0]["away"] is None
    assert seconds(crew, "forte")["paused"] == pytest.approx(4.0)


def test_failing_is_shown_at_once_and_leaves_no_trace_where_it_was_one_call():
    crew = took(changed(1, "forte", 100.0, "working"), changed(2, "forte", 103.0, "failing", "refused"))
    (member,) = crew.sections()["members"]
    assert (member["health"], member["reason"], member["away"]) == ("failing", "refused", 103.0)
    crew.take(changed(3, "forte", 104.0, "working"))
    assert crew.sections()["members"][0]["away"] is None
    assert "forte" not in crew.lanes.since(UNSEEN)[0]
    crew.take(changed(4, "forte", 110.0, "failing"))
    crew.take(changed(5, "forte", 111.0, "paused"))
    assert crew.sections()["members"][0]["away"] == 110.0
    crew.take(changed(6, "forte", 115.0, "on trial"))
    assert seconds(crew, "forte")["paused"] == pytest.approx(5.0)


def test_failed_job_marks_its_lane():
    crew = took(built(1, "a", "forte", 100.0), ended(2, "a", "forte", 100.0, "failed", cost=0.0))
    assert seconds(crew, "forte")["failed"] == 1
    assert crew.sections()["members"][0]["jobs_failed"] == 1


def test_a_job_that_brought_nothing_has_failed_whatever_the_service_calls_it():
    none = ended(2, "a", "forte", 100.0, cost=0.0)
    crew = took(built(1, "a", "forte", 100.0), replace(none, values={**none.values, "answered": 0}))
    assert seconds(crew, "forte")["failed"] == 1
    (member,) = crew.sections()["members"]
    assert (member["jobs_ended"], member["jobs_failed"]) == (1, 1)


def test_a_job_left_to_another_process_ends_there():
    crew = took(ended(1, "a", "forte", 100.0, "left", cost=0.0), ended(2, "a", "forte", 200.0))
    assert crew.sections()["members"][0]["jobs_ended"] == 1


def test_proofs_are_counted():
    crew = took(*(ended(k, str(k), "forte", 100.0 + k) for k in range(2, 5)))
    assert crew.sections()["proofs"] == [["native: sent 3 gates, service reports 3", 3]]


def test_resumed_run_forgets_what_was_on_its_way():
    crew = took(built(1, "a", "forte", 100.0), changed(2, "forte", 101.0, "paused"))
    crew.take(entry(3, "ProcessStarted", 110.0, version="0"))
    (member,) = crew.sections()["members"]
    assert member["jobs"] == []
    assert member["away"] is None


def test_jobs_of_this_process_are_a_lane_too():
    crew = took(entry(1, "JobsRun", 102.0, member="local", jobs=8, rows=80, seconds=1.0, began=100.0, ended=102.0))
    assert seconds(crew, "local")["running"] == pytest.approx(1.0)
    assert crew.sections()["members"][0]["circuits"] == 80


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 400), st.floats(0, 50)), min_size=1, max_size=40),
    st.integers(1, 39),
)
def test_lanes_keep_every_second_and_readers_have_them(spans, early):
    """However many pieces were joined: the seconds of a lane are those of its spans, for a reader that follows too."""
    lanes, mark, held = Lanes(capacity=16, width=0.5), UNSEEN, {}
    spans = [("a", 0.0, 0.0), *spans]
    for k, (member, begin, length) in enumerate(spans):
        lanes.add(member, "running", 1000 + begin, 1000 + begin + length)
        if k % early == 0 or k == len(spans) - 1:
            new, everything, mark = lanes.since(mark)
            held = {} if everything else held
            for name, pieces in new.items():
                held.setdefault(name, {}).update({piece[0]: piece[3] for piece in pieces})
    for member in {name for name, _, _ in spans}:
        expected = sum(length for name, _, length in spans if name == member)
        assert sum(held[member].values()) == pytest.approx(expected, abs=0.0001 * 16)
        assert max(held[member]) < 16


def story(steps, jobs_each=2):
    """Steps of a remote training: two jobs each, one behind the other."""
    entries, at = [entry(1, "ProcessStarted", 1000.0, version="0")], 1000.5
    for k in range(steps):
        number = len(entries)
        entries.append(entry(number + 1, "CircuitsKnown", at, job=k, circuits=5, lacking=5, at=at))
        for j in range(jobs_each):
            entries.append(built(len(entries) + 1, f"{k}.{j}", "forte", at))
            entries.append(ended(len(entries) + 1, f"{k}.{j}", "forte", at))
            at += 4.5
        entries.append(entry(len(entries) + 1, "CircuitsDone", at, job=k, at=at))
        entries.append(entry(len(entries) + 1, "StepDone", at + 0.25, **STEP | {"step": k + 1, "seconds": at}))
        at += 0.5
    return entries


@pytest.mark.parametrize("steps", [1, 30, 300])
def test_time_split_is_that_of_the_ledger(steps):
    entries, split = story(steps), Split()
    for each in entries:
        split.take(each)
    whole = ledger(entries)
    found = split.section()
    assert sum(found["shares"].values()) == pytest.approx(whole.run.wall, abs=0.01)
    assert found["shares"] == pytest.approx(dict(whole.run.seconds), rel=1e-3, abs=0.01)
    for part in whole.backends:
        assert found["backends"][part.name] == pytest.approx(dict(part.seconds), rel=1e-3, abs=0.01)


def test_time_split_keeps_a_bounded_number_of_events():
    split = Split()
    for k in range(3 * LARGEST):  # circuits that wait for ever
        split.take(entry(k + 1, "CircuitsKnown", 1000.0 + k, job=k, circuits=1, lacking=1, at=1000.0 + k))
    assert len(split._piece) <= LARGEST


def test_local_training_is_split_between_kernels_and_the_rest():
    split, at = Split(), 1000.0
    split.take(entry(1, "ProcessStarted", at, version="0"))
    for k in range(1, 1001):
        at += 0.1
        split.take(entry(2 * k, "StepDone", at, **STEP | {"step": k, "seconds": at}))
        if k % 2 == 0:
            span = {"seconds": 0.15, "began": at - 0.2, "ended": at}
            split.take(entry(2 * k + 1, "JobsRun", at, member="local", jobs=2, rows=20, **span))
    shares = split.section()["shares"]
    assert shares["execution"] == pytest.approx(75.0, rel=0.01)
    assert shares["client"] == pytest.approx(25.0, rel=0.01)


def test_view_of_everything_is_json():
    import json

    view = View()
    for each in story(3):
        view.take(each)
    text = json.dumps(view.sections(), allow_nan=False)
    assert "forte" in text
    assert math.isfinite(view.time)
    assert view.sections()["progress"]["step"] == 3
