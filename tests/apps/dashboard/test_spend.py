"""What was charged, by account, and each cap beside it."""

import pytest

from q_store.apps.dashboard.spend import Spend
from q_store.apps.history import Entry


def entry(number, kind, time, **values):
    return Entry(number, time, kind, values)


def cap(provider, **limits):
    none = dict.fromkeys(("money", "shots", "circuits", "seconds"))
    return entry(1, "BudgetSet", 1.0, provider=provider, currency="USD", **{**none, **limits})


def ended(account, cost=0.5, currency="USD", answered=5, shots=500):
    known = {} if account is None else {"account": account}
    return entry(2, "JobEnded", 2.0, cost=cost, currency=currency, answered=answered, shots_paid=shots, **known)


def known(job, at):
    return entry(3, "CircuitsKnown", at, job=job, circuits=5, lacking=5, at=at)


def done(job, at):
    return entry(4, "CircuitsDone", at, job=job, at=at)


def took(*entries):
    spend = Spend()
    for each in entries:
        spend.take(each)
    return spend.section()


def test_each_cap_is_beside_what_is_spent_of_it():
    found = took(
        cap(None, money=5.0, circuits=100, shots=9_000), cap("team-b", money=2.0),
        ended("ionq"), ended("ionq", 0.1), ended("team-b", 0.2, answered=3, shots=300),
    )  # fmt: skip
    assert found["costs"] == {"USD": 0.8}
    assert found["caps"] == [
        [None, "USD", 0.8, 5.0], [None, "circuits", 13, 100], [None, "shots", 1300, 9_000], ["team-b", "USD", 0.2, 2.0],
    ]  # fmt: skip


def test_money_adds_up_exactly_and_currencies_stay_apart():
    found = took(cap(None, money=5.0), *[ended("ionq", 0.1)] * 30, ended("ionq", 7.0, "EUR"))
    assert found["costs"] == {"EUR": 7.0, "USD": 3.0}
    assert found["caps"] == [[None, "USD", 3.0, 5.0]]


def test_what_is_computed_here_is_charged_to_nobody():
    found = took(cap(None, circuits=100), ended("", 0.0), ended("ionq"))
    assert (found["circuits"], found["shots_paid"]) == (5, 500)
    assert found["caps"] == [[None, "circuits", 5, 100]]


def test_jobs_of_an_earlier_version_count_for_the_run():
    assert took(cap(None, circuits=100), cap("ionq", circuits=9), ended(None))["caps"] == [
        [None, "circuits", 5, 100], ["ionq", "circuits", 0, 9],
    ]  # fmt: skip


def test_seconds_are_those_with_circuits_out():
    cut = entry(5, "ProcessStarted", 300.0, version="0")
    events = [known(0, 10.0), known(1, 12.0), done(0, 13.0), done(1, 14.5), known(2, 20.0), done(2, 21.0)]
    assert took(cap(None, seconds=60.0), *events)["caps"] == [[None, "seconds", 5.5, 60.0]]
    # circuits are out now; then the process was killed, and another one goes on
    events = [*events, known(3, 30.0), entry(6, "StepDone", 32.0)]
    assert took(cap(None, seconds=60.0), *events)["caps"][0][2] == pytest.approx(7.5)
    assert took(cap(None, seconds=60.0), *events, cut)["caps"][0][2] == pytest.approx(7.5)


def test_a_later_cap_replaces_the_earlier_one():
    assert took(cap(None, money=5.0), cap(None, money=8.0))["caps"] == [[None, "USD", 0.0, 8.0]]
