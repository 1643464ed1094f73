"""Faults: the grammar, the rates, and the same faults for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.emulator.faults import CALLS, FAMILIES, JOBS, NAMES, Fault, Faults
from q_store.errors import ConfigError

MANY = 4_000


def within(count, rate, of=MANY):
    """Within six standard deviations."""
    return abs(count - of * rate) < 6 * max(1.0, np.sqrt(of * rate * (1 - rate)))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_happens_at_its_rate(name):
    faults = Faults.parse(f"{name}:0.25", seed=3)
    drawn = [faults.call(i) or faults.job(i) for i in range(MANY)]
    if name in {**CALLS, **JOBS}:
        assert {fault.name for fault in drawn if fault} == {name}
        assert within(sum(fault is not None for fault in drawn), 0.25)
    else:
        assert not any(drawn)
    children, shuffles = faults.children(5, MANY).sum(), sum(faults.shuffle(i) is not None for i in range(MANY))
    assert within(children, 0.25 if name == "failed-child" else 0)
    assert within(shuffles, 0.25 if name == "unordered" else 0)


def test_all_hits_a_tenth_of_everything_with_every_fault():
    faults = Faults.parse("all:0.1", seed=1)
    calls = Counter(fault.name for i in range(10 * MANY) if (fault := faults.call(i)))
    assert within(calls.total(), 0.1, 10 * MANY)
    for family in FAMILIES:
        assert within(sum(calls[name] for name in family), 0.1 / len(FAMILIES), 10 * MANY)
    jobs = Counter(fault.name for i in range(MANY) if (fault := faults.job(i)))
    assert within(jobs.total(), 0.1)
    assert set(jobs) == set(JOBS)
    assert within(faults.children(0, MANY).sum(), 0.1)
    assert within(sum(faults.shuffle(i) is not None for i in range(MANY)), 0.1)


@given(st.integers(0, 2**40), st.integers(0, 10**6))
def test_a_fate_depends_on_the_seed_and_the_number_alone(seed, number):
    one, two = (Faults.parse("all:0.5", seed=seed) for _ in range(2))
    [two.call(i) for i in range(3)]
    assert one.call(number) == two.call(number)
    assert one.job(number) == two.job(number)
    assert (one.children(number, 20) == two.children(number, 20)).all()


def test_seeds_differ():
    fates = [[Faults.parse("500:0.5", seed=seed).call(i) is None for i in range(40)] for seed in range(3)]
    assert fates[0] != fates[1] != fates[2]


def test_seconds():
    assert Faults.parse("slow:1").call(0) == Fault("slow", 5.0)
    assert Faults.parse("slow:1:0.5").call(0) == Fault("slow", 0.5)
    assert Faults.parse("late:1:30").job(0) == Fault("late", 30.0)
    late = [Faults.parse("late:1").job(i).seconds for i in range(200)]
    assert 0 <= min(late) < 2
    assert 18 < max(late) <= 20


@pytest.mark.parametrize(
    ("name", "status", "refuses"),
    [
        ("429", 429, True),
        ("429-retry-after", 429, True),
        ("503", 503, True),
        ("503-before", 503, True),
        ("520-after", 520, False),
        ("drop-before", None, True),
        ("drop-after", None, False),
        ("slow", None, False),
        ("truncated", None, False),
    ],
)
def test_what_a_name_means(name, status, refuses):
    assert Fault(name).status == status
    assert Fault(name).refuses is refuses


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop-befor:0.1", "did you mean 'drop-before'"),
        ("al:0.1", "did you mean 'all'"),
        ("500", "expected name:rate"),
        ("500:1:2:3", "expected name:rate"),
        ("500:x", "expected a number"),
        ("500:-0.1", "expected a number"),
        ("500:nan", "expected a number"),
        ("500:1.5", "expected a rate from 0 to 1"),
        ("500:0.1:5", "expected no seconds for 500"),
        ("all:0.1:5", "expected no seconds for all"),
        ("500:0.6,502:0.6", "expected rates of at most 1"),
        ("slow:0.1:inf", "expected a number"),
    ],
)
def test_bad_specifications(text, message):
    with pytest.raises(ConfigError, match=message):
        Faults.parse(text)


def test_nothing_is_nothing():
    faults = Faults.parse(" ")
    assert not any(faults.call(i) or faults.job(i) or faults.shuffle(i) for i in range(100))
    assert not faults.children(0, 100).any()
