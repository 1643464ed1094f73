"""What the store saves a pool from buying: samples again, rows of a run again, anything twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from tests.pool.pools import CIRCUIT, PAID, Site, epoch, opened, run, sweep

from q_store.circuits import Observables
from q_store.emulator.clock import run_virtual
from q_store.errors import RunError
from q_store.jobs import Job, Output
from q_store.pool.membership import Price
from q_store.pool.pool import Pool
from q_store.store import State


def aria(name="aria", **more):
    return Site(name, backend="qpu.aria-1", **more)


def counts(rows, shots=1000, **more):
    return sweep(rows, output=Output.COUNTS, observables=(), shots=shots, **more)


def test_a_repeated_evaluation_buys_nothing():
    site, store = aria(), opened()
    (first,), _ = run([site], [counts(6)], store)
    (again,), took = run([site], [counts(6, seed=9)], store)
    np.testing.assert_array_equal(first.counts, again.counts)
    assert site.ledger["charged_circuits"] == 6
    assert (first.shots_paid, again.shots_paid) == (6000, 0)
    assert first.cost > 0 == again.cost
    assert (first.source, again.source) == ("aria", "store")
    assert took == 0


def test_only_the_shots_that_are_missing_are_bought_and_added_to_those_that_there_are():
    site, store = aria(), opened()
    run([site], [counts(4, 1000)], store)
    (more,), _ = run([site], [counts(4, 2500)], store)
    assert more.shots_paid == 4 * 1500
    assert (more.counts.sum(axis=1) == 2500).all()


def test_more_shots_are_not_the_same_samples_again():
    site, store = Site("aria", noise="aria-1"), opened()
    (first,), _ = run([site], [counts(4, 1000)], store)
    (more,), _ = run([site], [counts(4, 2000)], store)
    assert (more.counts - first.counts != first.counts).any(axis=1).all()
    assert (more.counts >= first.counts).all()


def test_fewer_shots_than_there_are_are_drawn_from_them():
    site, store = aria(), opened()
    (many,), _ = run([site], [counts(4, 3000)], store)
    (few,), _ = run([site], [counts(4, 1000)], store)
    assert few.shots_paid == 0
    assert (few.counts.sum(axis=1) == 1000).all()
    assert (few.counts <= many.counts).all()
    assert np.abs(few.counts - many.counts / 3).max() > 3  # a sample of them, not a share
    assert np.abs(few.counts / 1000 - many.counts / 3000).max() < 0.08


def test_a_job_with_different_shots_for_equal_circuits_buys_the_most_once():
    site = aria()
    params = np.repeat([[0.3, 0.4, 0.5, 0.6]], 3, axis=0)
    job = Job(CIRCUIT, params=params, output=Output.COUNTS, shots=np.array([100, 1000, 400]))
    (outcome,), _ = run([site], [job], opened())
    assert outcome.counts.sum(axis=1).tolist() == [100, 1000, 400]
    assert outcome.shots_paid == 1000


def test_without_reuse_nothing_is_read_and_all_is_kept():
    site, store = aria(), opened()
    (first,), _ = run([site], [counts(4, reuse=False)], store)
    (again,), _ = run([site], [counts(4, reuse=False)], store)
    assert site.ledger["charged_circuits"] == 8
    (pooled,), _ = run([site], [counts(4, 2000)], store)
    np.testing.assert_array_equal(pooled.counts, first.counts + again.counts)
    assert site.ledger["charged_circuits"] == 8


def test_an_ideal_simulator_is_asked_once_for_good():
    site, store = Site("sim"), opened()
    job = Job(CIRCUIT, params=sweep(5).params, observables=Observables.local_z(3))
    (exact,), _ = run([site], [job], store)
    run([site], [counts(5), counts(5, 70_000, seed=2), sweep(5, shots=10)], store)
    (again,), _ = run([site], [job], store)
    np.testing.assert_array_equal(exact.values, again.values)
    assert site.ledger["charged_circuits"] == 5


@pytest.mark.parametrize("reuse", [True, False])
def test_a_run_that_begins_anew_replays_what_it_received(reuse):
    store = opened()
    own = store.runs.start("train", {}).id
    site = aria()
    jobs = [counts(4, reuse=reuse), counts(4, reuse=reuse), counts(4, 2500, reuse=reuse)]
    firsts = [run([site], [job], store, run=own, first_job=k)[0][0] for k, job in enumerate(jobs)]
    bought = site.ledger["charged_circuits"]
    replays, took = run([site], jobs, store, run=own)
    assert site.ledger["charged_circuits"] == bought
    assert took == 0
    for first, replay in zip(firsts, replays, strict=True):
        np.testing.assert_array_equal(first.counts, replay.counts)
        assert (first.shots_paid, first.cost) == (replay.shots_paid, replay.cost)


def test_what_was_taken_from_the_samples_is_the_same_after_they_have_grown():
    store = opened()
    own = store.runs.start("train", {}).id
    site = aria()
    run([site], [counts(4, 1000)], store)
    (first,), _ = run([site], [counts(4, 1000)], store, run=own)
    run([site], [counts(4, 9000)], store)
    (replay,), _ = run([site], [counts(4, 1000)], store, run=own)
    np.testing.assert_array_equal(first.counts, replay.counts)


def test_a_resumed_run_must_ask_the_same():
    store = opened()
    own = store.runs.start("train", {}).id
    run([aria()], [counts(4)], store, run=own)
    with pytest.raises(RunError, match="another job"):
        run([aria()], [counts(4, seed=1)], store, run=own)
    with pytest.raises(RunError, match="id of a run"):
        run([aria()], [counts(4)], store, run="no such run")


def test_a_run_keeps_to_its_noise_domain():
    store = opened()
    own = store.runs.start("train", {}).id
    (first,), _ = run([aria()], [counts(4)], store, run=own)
    (replay,), _ = run([Site("sim"), aria()], [counts(4)], store, run=own)
    assert replay.noise_id == first.noise_id == "ionq:qpu.aria-1"


def test_samples_are_shared_by_members_of_one_domain_only():
    store = opened()
    run([aria("one")], [counts(4)], store)
    other = aria("two")
    run([other], [counts(4)], store)
    assert other.ledger["charged_circuits"] == 0
    noisy = Site("three", noise="aria-1")
    run([noisy], [counts(4)], store)
    assert noisy.ledger["charged_circuits"] == 4


def test_old_samples_of_a_device_that_drifts_are_bought_again():
    now = [0.0]
    store = opened()
    store.samples._clock = lambda: now[0]
    site = aria(member={"max_age": 3600.0, "price": PAID})
    run([site], [counts(4)], store)
    now[0] = 3000.0
    run([site], [counts(4)], store)
    assert site.ledger["charged_circuits"] == 4
    now[0] = 4000.0
    run([site], [counts(4)], store)
    assert site.ledger["charged_circuits"] == 8


def test_circuits_that_cost_no_more_than_the_minimum():
    """Three rotations about one axis and another, two entanglers: 100 shots of one circuit are 0.284."""
    each = 100 * (4 * 0.00022 + 2 * 0.00098)
    assert PAID.each(CIRCUIT, 100) == pytest.approx(each)
    assert PAID.fewest(CIRCUIT, 100) == int(np.ceil(1.0 / each)) == 4
    assert Price().fewest(CIRCUIT, 100) == 1


def test_tickets_tell_the_story():
    store = opened()
    own = store.runs.start("train", {}).id
    run([aria()], [counts(4)], store, run=own)
    tickets = store.tickets.of_run(own)
    assert {ticket.state for ticket in tickets} == {State.DONE}
    assert sum(ticket.circuits for ticket in tickets) == 4
    assert store.runs.get(own).seconds > 0
    spent, reserved = store.budget.totals(own)["USD"]
    assert (spent.shots, spent.circuits, reserved.circuits) == (4000, 4, 0)
    store.check()


def test_what_another_process_has_bought_meanwhile_is_not_bought_again(tmp_path):
    """Circuits that wait for their turn are looked up again: whoever got them has no claim on them any more."""
    site = aria(member={"max_slice": 2, "max_in_flight": 1, "price": PAID}, circuit_seconds=1.0, rtt=0.1)
    stores = [opened(tmp_path / "s.db", owner=name) for name in ("one", "two")]
    job = counts(9)
    asked = job, replace(job, params=job.params[::-1])
    epoch()

    async def go():
        pools = [Pool([site.member], store) for store in stores]
        outcomes = await asyncio.gather(*(pool.run_async([job]) for pool, job in zip(pools, asked, strict=True)))
        await asyncio.gather(*(pool.aclose() for pool in pools))
        return [outcome for (outcome,) in outcomes]

    one, two = run_virtual(go())
    np.testing.assert_array_equal(one.counts, two.counts[::-1])
    assert site.ledger["charged_circuits"] == 9
    assert one.shots_paid + two.shots_paid == 9_000
    for store in stores:
        store.close()
