"""Budgets: what is reserved and spent never exceeds a cap, and messages say what would fit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.parts import answer, begun, intent, part

from q_store.errors import BudgetError, InputError, StoreError
from q_store.store import Amounts, Caps, Standing, State, room


def buy(store, name, money=1.0, size=1, **more):
    """An open ticket."""
    assert store.tickets.intend(intent(part(name, range(size)), money=money, keyed=False, **more)) == []


def test_tenths_fill_a_cap_to_the_last_cent(store):
    store.budget.set(Caps(money=0.3), run="run")
    for k in range(3):
        buy(store, f"t{k}", 0.1)
    assert store.budget.left("run", "ionq", "money") == 0
    with pytest.raises(BudgetError):
        buy(store, "more", 1e-9)


def test_a_refusal_says_what_would_fit_and_leaves_nothing(store):
    store.budget.set(Caps(money=10.0), run="run")
    buy(store, "a", 4.0)
    store.tickets.sent("a", "1")
    store.tickets.settle("a", State.DONE, answer([{0: 100}], cost=3.0))
    buy(store, "b", 5.0)
    with pytest.raises(
        BudgetError, match=r"at most 2 USD more for run run \(cap 10, spent 3, reserved 5\), got 4; 500 of"
    ):
        buy(store, "c", 4.0, size=1000)
    assert [ticket.fingerprint for ticket in store.tickets.open()] == ["b"]
    assert store.budget.totals()["USD"] == (Amounts(3.0, 100, 1), Amounts(5.0, 100, 1))


@pytest.mark.parametrize(("cap", "match"), [("shots", "250 shots"), ("circuits", "2 circuits")])
def test_shots_and_circuits_have_caps(store, cap, match):
    store.budget.set(Caps(**{cap: 250 if cap == "shots" else 2}), run="run")
    buy(store, "a", size=2)
    with pytest.raises(BudgetError, match=f"cap {match.split()[0]}"):
        buy(store, "b", size=1)
    store.tickets.settle("a", State.FAILED)
    buy(store, "c", size=2)


def test_wall_time_of_all_processes_counts(store):
    store.budget.set(Caps(seconds=60.0), run="run")
    store.runs.spend_seconds("run", 40.0)
    assert store.budget.left("run", "ionq", "seconds") == 20
    buy(store, "a")
    store.runs.spend_seconds("run", 25.5)
    with pytest.raises(BudgetError, match="less than 60 s of wall time for run run, got 66 s"):
        buy(store, "b")


def test_every_cap_that_holds_is_kept(store):
    """For a run, a provider, a run on a provider, and everything."""
    begun(store, "other")
    store.budget.set(Caps(money=10.0), run="run")
    store.budget.set(Caps(money=6.0), provider="ionq")
    store.budget.set(Caps(money=3.0), run="run", provider="ionq")
    store.budget.set(Caps(money=11.0))
    buy(store, "a", 3.0)
    with pytest.raises(BudgetError, match="run run on ionq"):
        buy(store, "b", 1.0)
    buy(store, "c", 3.0, run="other")
    with pytest.raises(BudgetError, match="for all runs on ionq"):
        buy(store, "d", 1.0, run="other")
    buy(store, "e", 5.0, run="other", provider="aws")
    with pytest.raises(BudgetError, match="for all runs "):
        buy(store, "f", 1.0, run="other", provider="aws")
    assert store.budget.left("run", "aws", "money") == 0
    assert len(store.budget.standings("run", "ionq")) == 4


def test_an_uncertain_ticket_keeps_its_reservation(store):
    store.budget.set(Caps(money=2.0), run="run")
    buy(store, "a", 1.5)
    store.tickets.uncertain("a", "the reply was lost")
    assert store.budget.left("run", "ionq", "money") == 0.5
    with pytest.raises(BudgetError):
        buy(store, "b", 1.0)
    store.tickets.settle("a", State.FAILED, reason="surely absent")
    buy(store, "b", 1.0)


def test_a_charge_beyond_the_reservation_is_booked_and_nothing_more_is_granted(store):
    store.budget.set(Caps(money=2.0), run="run")
    buy(store, "a", 1.5)
    store.tickets.sent("a", "1")
    store.tickets.settle("a", State.DONE, answer([{0: 100}], cost=2.5))
    assert store.budget.totals()["USD"][0].money == 2.5
    assert store.budget.left("run", "ionq", "money") == 0
    with pytest.raises(BudgetError, match=r"spent 2\.5"):
        buy(store, "b", 0.1)


def test_a_charge_without_results_is_booked(store):
    buy(store, "a", 1.5)
    store.tickets.sent("a", "1")
    store.tickets.settle("a", State.CANCELLED, charge=Amounts(0.7, 300, 3), reason="asked to")
    assert store.budget.totals("run")["USD"] == (Amounts(0.7, 300, 3), Amounts())


def test_currencies_are_not_mixed(store):
    store.budget.set(Caps(money=2.0, currency="EUR"), run="run")
    with pytest.raises(BudgetError, match=r"prices in EUR, .* got USD"):
        buy(store, "a", 1.0)
    buy(store, "free", 0.0)
    buy(store, "b", 1.0, currency="EUR")
    assert store.budget.totals()["EUR"][1].money == 1.0
    buy(store, "c", 1.0, provider="aws", currency="EUR")
    assert store.budget.left("run", "aws", "money") == 0


def test_a_cap_counts_its_own_currency_only(store):
    buy(store, "dear", 500.0, currency="JPY")
    store.budget.set(Caps(money=2.0), run="run")
    buy(store, "a", 2.0)
    assert store.budget.left("run", "ionq", "money") == 0


def test_a_check_compares_the_accounts_with_tickets_and_charges(store):
    buy(store, "a", 1.0)
    store.check()
    store._database.run("UPDATE accounts SET held_money = held_money + 1")
    with pytest.raises(StoreError, match="accounts that agree"):
        store.check()


@pytest.mark.parametrize(
    "cap", [{"money": 0}, {"shots": -1}, {"circuits": 0}, {"seconds": math.nan}, {"money": math.inf}]
)
def test_a_cap_of_nothing_is_refused(cap):
    with pytest.raises(InputError, match="above 0"):
        Caps(**cap)


@pytest.mark.parametrize("amounts", [{"money": -1e-9}, {"shots": -1}, {"money": math.nan}, {"money": 1e10}])
def test_odd_amounts_are_refused(amounts):
    with pytest.raises(InputError, match="0 or more"):
        Amounts(**amounts)


def test_wall_time_belongs_to_a_run(store):
    for scope in ({}, {"provider": "ionq"}, {"run": "run", "provider": "ionq"}):
        with pytest.raises(InputError, match="seconds"):
            store.budget.set(Caps(seconds=1.0), **scope)


money = st.integers(0, 1000).map(lambda cents: cents / 100)


@given(cap=st.integers(1, 1000), spent=money, reserved=money, price=money, circuits=st.integers(1, 50))
def test_what_is_said_to_fit_fits_and_one_more_does_not(cap, spent, reserved, price, circuits):
    standing = Standing("r", None, Caps(money=cap / 100), Amounts(spent), Amounts(reserved), 0.0)
    most = room([standing], Amounts(price * circuits, 0, circuits))
    assert standing.refusal(Amounts(price * most, 0, most), "USD") is None
    if most < circuits:
        assert standing.refusal(Amounts(price * (most + 1), 0, most + 1), "USD")
