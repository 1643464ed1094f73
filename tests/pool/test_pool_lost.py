"""A paid member that is lost in the middle: its circuits are waited for, or bought again where the user says so."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest
from tests.pool.pools import Site, epoch, opened, run, sweep

from q_store.emulator.clock import run_virtual
from q_store.errors import BudgetError
from q_store.events import PoolBought, PoolPaused, PoolResumed
from q_store.jobs import Output, Status
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings
from q_store.store import Caps, State

BUY = PoolSettings(lost="buy", lost_after=20.0)
STORIES = (PoolPaused, PoolResumed, PoolBought)
ROWS = 60


def members(**more):
    return [Site(name, backend="qpu.aria-1", circuit_seconds=1.0, **more) for name in ("lost", "one", "two")]


def begun(path=None):
    store = opened(path, owner="first")
    store.runs.start("train", {}, run="r")
    return store


def counts(reuse=True):
    return sweep(ROWS, output=Output.COUNTS, observables=(), shots=100, reuse=reuse)


def breaks(site, fault):
    site.line.dead = fault == "dead"
    site.line.status = int(fault) if fault.isdigit() else None


def losing(own, store, settings, *, fault="dead", back=None, stay=0.0, job=None, **more):
    """A pool whose first member breaks after 5 s, to come `back` then; it stays open for a while after the answer."""
    heard = []
    epoch()

    async def go():
        loop = asyncio.get_running_loop()
        async with Pool([s.member for s in own], store, "r", settings=settings, sinks=[heard.append], **more) as pool:
            loop.call_later(5, breaks, own[0], fault)
            if back is not None:
                loop.call_later(back, breaks, own[0], "")
            (outcome,) = await pool.run_async([job or counts()])
            took = loop.time()
            await asyncio.sleep(stay)
            return outcome, took

    outcome, took = run_virtual(go())
    return outcome, took, [event for event in heard if type(event) in STORIES]


def charged(own):
    return [site.ledger["charged_circuits"] for site in own]


def marked(store):
    return [ticket for ticket in store.tickets.of_run("r") if ticket.bought_again]


@pytest.mark.parametrize("fault", ["dead", "500", "429"])
def test_what_is_lost_is_bought_again_and_said(fault):
    own, store = members(), begun()
    outcome, took, heard = losing(own, store, BUY, fault=fault)
    again = sum(ticket.circuits for ticket in marked(store))
    assert outcome.complete
    assert took < 60
    assert 0 < again < 20
    assert sum(event.circuits for event in heard if isinstance(event, PoolBought)) == again
    assert {event.member for event in heard if isinstance(event, PoolBought)} == {"lost"}
    assert any("circuits of lost were bought again" in line for line in outcome.proof)
    assert store.budget.totals("r")["USD"][1].circuits == again  # what is perhaps charged stays reserved
    store.check()


def test_by_default_nothing_is_bought_again_and_the_answer_waits_for_the_patience_only():
    own, store = members(), begun()
    outcome, took, heard = losing(own, store, None, patience=300.0)
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert 300 < took < 330
    assert heard == marked(store) == []
    lost = [ticket for ticket in store.tickets.open() if ticket.state is State.UNCERTAIN]
    assert sum(ticket.circuits for ticket in lost) == len(outcome.status)
    breaks(own[0], "")
    (found,), _ = run(own, [counts()], store, run="r")
    assert found.complete
    assert sum(charged(own)) == ROWS


@pytest.mark.parametrize("reuse", [True, False])
def test_what_a_lost_member_still_brings_is_kept_as_extra_samples(reuse):
    """The ledgers show which circuits were paid twice, and the store has the shots of both."""
    own, store = members(), begun()
    outcome, _, _ = losing(own, store, BUY, back=200.0, stay=300.0, job=counts(reuse))
    assert outcome.complete
    again = sum(ticket.circuits for ticket in marked(store))
    assert {ticket.state for ticket in marked(store)} <= {State.DONE, State.CANCELLED}
    assert sum(charged(own)) == ROWS + again > ROWS
    spent, reserved = store.budget.totals("r")["USD"]
    assert (spent.circuits, reserved.circuits) == (ROWS + again, 0)
    assert spent.money == pytest.approx(sum(site.ledger["charges_usd"] for site in own))
    journal = store.journal.read("r", 0).measured
    assert Counter(journal.shots.tolist()) == {100: ROWS}
    rows = store._database.rows("SELECT shots, COUNT(*) FROM samples GROUP BY shots ORDER BY shots")
    assert dict(rows) == {100: ROWS - again, 200: again}
    (replay,), took = run(own, [counts(reuse)], store, run="r")
    np.testing.assert_array_equal(replay.counts, outcome.counts)
    assert took == 0


def test_what_comes_back_before_it_was_bought_again_is_not_bought():
    own, store = members(), begun()
    outcome, _, heard = losing(own, store, PoolSettings(lost="buy", lost_after=60.0), back=40.0)
    assert outcome.complete
    assert sum(charged(own)) == ROWS
    assert heard == []


def test_the_next_process_takes_up_what_was_bought_again(tmp_path):
    own, store = members(), begun(tmp_path / "s.db")
    outcome, _, _ = losing(own, store, BUY)
    again = sum(ticket.circuits for ticket in marked(store))
    breaks(own[0], "")
    store.close()
    store = opened(tmp_path / "s.db", owner="second")
    store.runs.start("train", {}, run="other")

    async def go():
        async with Pool([site.member for site in own], store, "other") as pool:
            await pool.run_async([sweep(3, shots=100, seed=5)])
            await asyncio.sleep(600)

    epoch()
    run_virtual(go())
    assert {ticket.state for ticket in marked(store)} == {State.DONE}
    assert sum(charged(own)) == ROWS + again + 3
    assert Counter(store.journal.read("r", 0).measured.shots.tolist()) == {100: ROWS}
    (replay,), _ = run(own, [counts()], store, run="r")
    np.testing.assert_array_equal(replay.counts, outcome.counts)
    store.close()


def test_a_resumed_run_buys_what_an_earlier_process_left_with_a_lost_member():
    own, store = members(), begun()
    outcome, _, _ = losing(own, store, None, patience=100.0)
    lost = len(outcome.status)
    (found,), took = run(own, [counts()], store, run="r", settings=BUY)
    assert found.complete
    assert took < 60
    assert sum(ticket.circuits for ticket in marked(store)) == lost > 0
    done = sum(t.circuits for t in store.tickets.of_run("r") if t.backend == "lost" and t.state is State.DONE)
    assert sum(charged(own)[1:]) == ROWS - done


def test_buying_again_keeps_to_the_budget():
    own, store = members(), begun()
    with pytest.raises(BudgetError, match="raise the cap"):
        losing(own, store, BUY, budget=Caps(circuits=ROWS + 2))
    spent, reserved = store.budget.totals("r")["USD"]
    assert spent.circuits + reserved.circuits <= ROWS + 2
    assert marked(store)
    outcome, _, _ = losing(own, store, BUY, budget=Caps(circuits=2 * ROWS))
    assert outcome.complete


def test_a_member_alone_is_waited_for():
    """There is nobody else to buy from: the same member would get the same circuits twice."""
    own, store = members()[:1], begun()
    outcome, _, heard = losing(own, store, BUY, back=300.0)
    assert outcome.complete
    assert charged(own) == [ROWS]
    assert not [event for event in heard if isinstance(event, PoolBought)]
