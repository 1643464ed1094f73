"""One ordered answer from many members."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from tests.pool.pools import CIRCUIT, Site, run, sweep

from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.emulator.clock import run_virtual
from q_store.errors import AuthenticationError, CapabilityError, ConfigError, InputError
from q_store.jobs import Output
from q_store.pool.membership import Member
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings


def local(job):
    return LocalBackend(precision="float64").run(job)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_come_in_the_order_asked_whoever_ran_them(count):
    sites = [Site(f"m{k}", circuit_seconds=0.1 * (k + 1)) for k in range(count)]
    job = sweep(60)
    (outcome,), _ = run(sites, [job])
    assert outcome.complete
    np.testing.assert_allclose(outcome.values, local(job).values, atol=1e-8)
    assert sum(site.ledger["charged_circuits"] for site in sites) == 60
    assert outcome.noise_id == "ideal"
    sources = {outcome.source} if isinstance(outcome.source, str) else set(outcome.source)
    assert sources == {site.name for site in sites}


@pytest.mark.parametrize("output", [Output.COUNTS, Output.PROBABILITIES, Output.EXPECTATION, Output.SHIFTED])
@pytest.mark.parametrize("shots", [None, 300])
def test_ideal_members_answer_like_the_local_engine(output, shots):
    if output is Output.COUNTS and shots is None:
        return
    job = sweep(12, output=output, shots=shots, seed=5)
    if output in {Output.COUNTS, Output.PROBABILITIES}:
        job = replace(job, observables=())
    (outcome,), _ = run([Site("a", circuit_seconds=0.1), Site("b", circuit_seconds=0.2)], [job])
    right = local(job)
    for name in ("values", "variances", "counts"):
        if getattr(right, name) is None:
            assert getattr(outcome, name) is None
        else:
            np.testing.assert_allclose(getattr(outcome, name), getattr(right, name), atol=1e-8)
    assert outcome.shots_paid == right.shots_paid


def test_several_jobs_run_together_and_come_back_apart():
    jobs = [sweep(5), sweep(9, output=Output.COUNTS, observables=(), shots=50), sweep(3)]
    outcomes, took = run([Site("a", circuit_seconds=1.0, slots=17)], jobs)
    assert [outcome.rows for outcome in outcomes] == [5, 9, 3]
    np.testing.assert_allclose(outcomes[2].values, local(jobs[2]).values, atol=1e-8)
    assert took < 6


def test_equal_circuits_of_a_job_run_once():
    params = np.repeat(np.random.default_rng(0).uniform(-3, 3, (4, 4)), 5, axis=0)
    job = sweep(20, params=params, shots=100)
    site = Site("a")
    (outcome,), _ = run([site], [job])
    assert site.ledger["charged_circuits"] == 4
    np.testing.assert_allclose(outcome.values, local(job).values, atol=1e-8)  # each row draws its own samples


def test_without_reuse_every_circuit_runs():
    params = np.repeat(np.random.default_rng(0).uniform(-3, 3, (4, 4)), 5, axis=0)
    site = Site("a", noise="aria-1")
    (outcome,), _ = run([site], [sweep(20, params=params, shots=100, reuse=False, output=Output.COUNTS)])
    assert site.ledger["charged_circuits"] == 20
    assert (outcome.counts.sum(axis=1) == 100).all()
    assert len(np.unique(outcome.counts[:5], axis=0)) > 1


def test_unlike_members_are_not_mixed_unless_that_is_allowed():
    job = sweep(40, shots=100)
    quiet, noisy = Site("quiet", circuit_seconds=1.0), Site("noisy", circuit_seconds=1.0, noise="aria-1")
    (outcome,), _ = run([noisy, quiet], [job])
    assert outcome.source == "noisy"
    assert quiet.ledger["charged_circuits"] == 0
    (outcome,), _ = run([noisy, quiet], [job], settings=PoolSettings(allow_mixed=True))
    assert set(outcome.source) == {"noisy", "quiet"}
    assert set(outcome.noise_id.split(", ")) == {"ideal", "ionq:simulator:aria-1"}
    right = local(replace(job, shots=None)).values
    clean = np.array([source == "quiet" for source in outcome.source])
    assert np.abs(outcome.values - right)[clean].max() < 0.5


def test_a_job_that_nobody_can_run_is_refused_with_what_each_could():
    noisy = Site("noisy", noise="aria-1")
    with pytest.raises(CapabilityError, match=r"exactly, got noisy needs shots"):
        run([noisy], [sweep(3)])
    with pytest.raises(CapabilityError, match="state"):
        run([noisy], [sweep(3, output=Output.STATE, observables=())])
    assert noisy.ledger["accepted_jobs"] == 0


def test_a_wrong_key_and_bad_numbers_say_so():
    site = Site("a", keys=["another"])
    with pytest.raises(AuthenticationError):
        run([site], [sweep(3)])
    with pytest.raises(InputError, match="finite"):
        run([Site("a")], [sweep(2, params=np.array([[0.0, 1, 2, np.nan]]))])


def test_members_need_names_of_their_own():
    with pytest.raises(ConfigError, match="different names"):
        Pool([Site("a").member, Site("a").member])


class Whole:
    """A member that computes here, at once."""

    def __new__(cls):
        backend = LocalBackend(precision="float64")
        member = Site("local", member={"recorded": False}).member
        return replace(member, at_once=backend)


def test_what_a_member_runs_as_a_whole_is_run_at_once():
    async def go():
        async with Pool([Whole()]) as pool:
            state, gradient = await pool.run_async(
                [
                    sweep(4, output=Output.STATE, observables=()),
                    sweep(4, output=Output.VJP, pullback=np.ones_like),
                ]
            )
            return state, gradient, pool.next_job, asyncio.get_running_loop().time()

    state, gradient, jobs, took = run_virtual(go())
    assert state.values.shape == (4, 2**CIRCUIT.n_qubits)
    assert gradient.gradient.shape == (4, 4)
    assert jobs == 2
    assert took == 0


def test_what_is_shared_out_here_is_bit_by_bit_what_one_engine_says():
    job = sweep(200, output=Output.COUNTS, observables=(), shots=500, seed=3)

    async def go():
        members = [
            Member(name=name, backend=LocalService(LocalBackend(threads=1), workers=0), recorded=False)
            for name in ("a", "b")
        ]
        async with Pool(members) as pool:
            return (await pool.run_async([job]))[0]

    outcome = run_virtual(go())
    np.testing.assert_array_equal(outcome.counts, LocalBackend().run(job).counts)


def test_a_pool_lives_on_in_another_event_loop():
    site = Site("a", circuit_seconds=0.5)
    pool = Pool([site.member])

    async def go(rows):
        return await pool.run_async([sweep(rows)])

    for rows in (3, 7):
        (outcome,) = run_virtual(go(rows))
        assert outcome.complete
