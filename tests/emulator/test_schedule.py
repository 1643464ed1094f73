"""The queue, against what must hold of any first-come-first-served queue."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.emulator.schedule import Schedule

ARRIVALS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), min_size=1, max_size=12)
"""(seconds after the one before, circuits)"""
PER = st.sampled_from(["circuit", "job"])


def booked(schedule, arrivals):
    now, out = 0, []
    for gap, size in arrivals:
        now += gap
        out.append((now, schedule.add(size, now)))
    return out


def running(bookings, t):
    return sum(int((b.active & (b.starts <= t) & (t < b.ends)).sum()) for _, b in bookings)


def moments(bookings):
    return sorted({float(t) for _, b in bookings for t in (*b.starts, *b.ends)})


@given(ARRIVALS, st.integers(1, 5), PER)
def test_slots_are_never_overbooked_and_never_idle_while_somebody_waits(arrivals, slots, per):
    bookings = booked(Schedule(slots, 2.0, per), arrivals)
    for t in moments(bookings):
        busy = running(bookings, t)
        assert busy <= slots
        if per == "circuit":
            waiting = any(arrived <= t and (b.starts > t).any() for arrived, b in bookings)
        else:
            waiting = any(arrived <= t and b.starts[0] > t for arrived, b in bookings)
        assert busy == slots or not waiting


@given(ARRIVALS, st.integers(1, 5), PER)
def test_first_come_first_served(arrivals, slots, per):
    bookings = booked(Schedule(slots, 2.0, per), arrivals)
    first = [b.starts[0] for _, b in bookings]
    assert first == sorted(first)
    for arrived, b in bookings:
        assert b.starts.min() >= arrived
        assert (np.diff(b.starts) >= (2.0 if per == "job" else 0)).all()
        np.testing.assert_allclose(b.ends - b.starts, 2.0)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 6))
def test_the_last_circuit_of_a_burst_ends_when_arithmetic_says(sizes, slots):
    per_circuit = booked(Schedule(slots, 0.5), [(0, size) for size in sizes])
    assert max(b.ends.max() for _, b in per_circuit) == pytest.approx(0.5 * math.ceil(sum(sizes) / slots))
    per_job = booked(Schedule(1, 0.5, "job"), [(0, size) for size in sizes])
    assert max(b.ends.max() for _, b in per_job) == pytest.approx(0.5 * sum(sizes))


def test_a_job_holds_one_slot_where_slots_count_jobs():
    schedule = Schedule(4, 1.0, "job")
    first, second = schedule.add(10, 0.0), schedule.add(10, 0.0)
    assert first.ends[-1] == second.ends[-1] == 10
    spread = Schedule(4, 1.0).add(10, 0.0)
    assert spread.ends[-1] == 3


@given(ARRIVALS, st.integers(1, 4), PER, st.data())
def test_after_a_cancellation_the_queue_is_as_tight_as_before(arrivals, slots, per, data):
    schedule = Schedule(slots, 2.0, per)
    bookings = booked(schedule, arrivals)
    now = bookings[-1][0] + data.draw(st.integers(0, 12)) + data.draw(st.sampled_from([0.0, 0.5]))
    before = [(b.starts.copy(), b.ends.copy()) for _, b in bookings]
    masks = [
        np.array(data.draw(st.lists(st.booleans(), min_size=len(b.starts), max_size=len(b.starts))))
        for _, b in bookings
    ]
    schedule.cancel([(b, mask) for (_, b), mask in zip(bookings, masks, strict=True)], now)
    for (_, b), mask, (starts, ends) in zip(bookings, masks, before, strict=True):
        begun = starts <= now
        np.testing.assert_array_equal(b.active, ~mask | (ends <= now))
        np.testing.assert_array_equal(b.starts[begun], starts[begun])
        assert (b.starts[b.active] <= starts[b.active]).all()  # nobody waits longer
        assert (b.starts[b.active & ~begun] >= now).all()
        assert (b.ends[b.active] - b.starts[b.active] == 2).all()
    bookings.append((now, schedule.add(3, now)))
    for t in [now, *(t for t in moments(bookings) if t >= now)]:
        busy = running(bookings, t)
        assert busy <= slots
        heads = [b.starts[b.active] if per == "circuit" else b.starts[b.active][:1] for _, b in bookings]
        if per == "circuit":
            assert busy == slots or not any((head > t).any() for head in heads)
        elif busy < slots:  # a job that has begun may only wait for its own circuits
            fresh = [h for h, (_, b) in zip(heads, bookings, strict=True) if not (b.starts <= t).any()]
            assert not any((head > t).any() for head in fresh)


def test_canceling_what_has_ended_changes_nothing():
    schedule = Schedule(1, 1.0)
    done, waiting = schedule.add(1, 0.0), schedule.add(1, 0.0)
    schedule.cancel([(done, np.array([True]))], 1.5)
    assert done.active.all()
    assert done.ends[0] == 1
    assert waiting.starts[0] == 1


def test_a_canceled_circuit_gives_its_slot_back_at_once():
    schedule = Schedule(1, 10.0)
    first, second = schedule.add(1, 0.0), schedule.add(1, 0.0)
    schedule.cancel([(first, np.array([True]))], 3.0)
    assert first.ends[0] == 3
    assert (second.starts[0], second.ends[0]) == (3, 13)
    assert schedule.wait(3.0) == 10


def test_circuits_without_a_time_never_wait():
    schedule = Schedule(1, 0.0)
    for now in (0.0, 0.0, 5.0):
        booking = schedule.add(1000, now)
        assert (booking.starts == now).all()
        assert (booking.ends == now).all()
    assert schedule.wait(5.0) == 0
