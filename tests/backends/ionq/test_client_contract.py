"""The contract of a backend, kept by the client in front of the emulator; and a fraction of the fault soak."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.backends.ionq.scripted import KEY, URL

from q_store.backends.contract import BackendContract
from q_store.backends.ionq.client import IonQBackend
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.local import LocalBackend
from q_store.backends.remote_contract import RemoteContract
from q_store.circuits import Circuit, Observables, cnot, ry, theta
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.emulator.physics import Physics
from q_store.jobs import Job, Output


def connected(emulator, **options):
    return IonQBackend(IonQSettings(**{"key": KEY, "url": URL, "jitter_seed": 1, **options}), emulator.transport())


class Front:
    """The client as if it were synchronous, each job in virtual time of its own."""

    def __init__(self, **options):
        self._far = connected(Emulator(), **options)
        self.capabilities = self._far.capabilities

    def run(self, job):
        return run_virtual(self._closing(job))

    async def _closing(self, job):
        try:
            return (await self._far.run_async([job]))[0]
        finally:
            await self._far.aclose()


class TestIdealInQis(BackendContract):
    tolerance = 1e-8

    def backend(self):
        return Front()


class TestIdealInNativeGates(BackendContract):
    tolerance = 1e-8

    def backend(self):
        return Front(gateset="native")


CIRCUIT = Circuit.build(3, [*(ry(theta(q), q) for q in range(3)), cnot(0, 1), cnot(1, 2), ry(theta(3), 2)])


def sweep(rows, **more):
    params = np.random.default_rng(rows).uniform(-3, 3, (rows, 4))
    return Job(CIRCUIT, params=params, observables=Observables.local_z(3), **more)


def run(emulator, asked, **options):
    far = connected(emulator, **options)

    async def go():
        outcomes = await far.run_async(asked)
        took = asyncio.get_running_loop().time()
        await far.aclose()
        return outcomes, took

    return run_virtual(go())


@pytest.mark.parametrize("seed", [1, 2])
def test_with_every_fault_at_once_all_circuits_run_once_and_come_back_in_order(seed):
    asked = sweep(300)
    emulator = Emulator(circuit_seconds=0.05, slots=8, rtt=0.05, faults="all:0.1", seed=seed)
    (outcome,), _ = run(emulator, [asked], jitter_seed=seed)
    assert outcome.complete, set(outcome.error.values())
    right = LocalBackend(precision="float64").run(asked).values
    np.testing.assert_allclose(outcome.values, right, atol=1e-8)
    ledger = emulator.ledger()
    assert ledger["charged_circuits"] == 300
    assert ledger["circuits_charged_twice"] == ledger["circuits_charged_twice_by_fingerprint"] == 0


def test_samples_do_not_depend_on_faults_or_arrival():
    asked = sweep(120, output=Output.COUNTS, shots=200, seed=3)
    calm, _ = run(Emulator(), [asked], noise="aria-1")
    storm, _ = run(
        Emulator(faults="failed-child:0.2,drop-after:0.2,unordered:0.5", circuit_seconds=0.1), [asked], noise="aria-1"
    )
    other, _ = run(Emulator(), [sweep(120, output=Output.COUNTS, shots=200, seed=4)], noise="aria-1")
    np.testing.assert_array_equal(calm[0].counts, storm[0].counts)
    assert (calm[0].counts != other[0].counts).any()


@pytest.mark.parametrize("slot_per", ["circuit", "job"])
def test_slots_are_kept_busy_under_both_readings(slot_per):
    emulator = Emulator(circuit_seconds=0.2, slots=4, slot_per=slot_per, rtt=0.1)
    _, took = run(emulator, [sweep(1000)])
    assert 1000 * 0.2 / 4 / took > 0.95


def test_a_gradient_step_takes_four_round_trips_at_most():
    _, took = run(Emulator(rtt=0.4, slots=1000), [sweep(960)])
    assert took <= 4 * 0.4 + 0.11


@pytest.mark.parametrize("results", ["url", "artifact"])
def test_either_generation_of_results_will_do(results):
    asked = sweep(50)
    (outcome,), _ = run(Emulator(results=results), [asked], smallest=25)
    np.testing.assert_allclose(outcome.values, LocalBackend(precision="float64").run(asked).values, atol=1e-8)


def test_native_gates_are_proven():
    (outcome,), _ = run(Emulator(), [sweep(50)], gateset="native")
    assert outcome.proof == ("native: sent 2 MS, service reports 2",)
    (outcome,), _ = run(Emulator(), [sweep(10, shots=100)], gateset="native", backend="qpu.forte-1")
    assert outcome.proof == ("native: sent 2 ZZ, service reports 2",)
    assert outcome.cost > 0


def without_noise(received, _):
    """What machines without noise measure."""
    rng = np.random.default_rng(received.noise_seed)
    found = Physics().distributions(received, "simulator")
    drawn = [rng.multinomial(received.shots, list(row.values())) / received.shots for row in found]
    return [dict(zip(row, each.tolist(), strict=True)) for row, each in zip(found, drawn, strict=True)]


class Remote(RemoteContract):
    tolerance = 1e-8
    interval = 0.1
    compute = None
    options = {}  # noqa: RUF012  # of the client

    def backend(self, faults=""):
        return connected(Emulator(seed=5, faults=faults, compute=self.compute), **self.options)

    def failing(self):
        return self.backend("failed-child:0.5")

    def run(self, coroutine):
        return run_virtual(coroutine)


class TestRemoteIdeal(Remote):
    pass


class TestRemoteNative(Remote):
    options = {"gateset": "native"}  # noqa: RUF012


class TestRemoteSampled(Remote):
    options = {"backend": "qpu.forte-1", "gateset": "native"}  # noqa: RUF012
    compute = staticmethod(without_noise)
