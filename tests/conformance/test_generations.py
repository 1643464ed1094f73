"""Our own client against services that announce results in one way only, or in both."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conformance.programs import reversal, standard_errors

from q_store.backends.ionq.client import IonQBackend
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.local.reference import state
from q_store.circuits import Circuit, cnot, op, ry, theta
from q_store.emulator import Emulator, run_virtual
from q_store.jobs import Job, Output

# asymmetric in its three qubits for every parameter below
CIRCUIT = Circuit.build(3, [ry(theta(0), 0), cnot(0, 2), op("zz", 0, 1, angles=[0.4]), ry(theta(1), 1), op("h", 2)])
PARAMS = np.array([[0.5, 2.0], [1.1, 0.3], [2.5, 1.4], [0.9, 2.9], [1.9, 0.8]])
GENERATIONS = ["both", "url", "artifact"]


def exact(rows):
    return np.array([np.abs(state(CIRCUIT, None, row)) ** 2 for row in rows])


def run(emulator, rows, *, shots=None, **settings):
    """The outcome of PARAMS[:rows], and how the emulator saw it."""

    async def story():
        backend = IonQBackend(IonQSettings(key="any", **settings), emulator.transport())
        output = Output.COUNTS if shots else Output.PROBABILITIES
        (outcome,) = await backend.run_async([Job(CIRCUIT, params=PARAMS[:rows], output=output, shots=shots)])
        await backend.aclose()
        assert outcome.complete
        return outcome, emulator.ledger()

    return run_virtual(story())


@pytest.mark.parametrize("results", GENERATIONS)
@pytest.mark.parametrize("rows", [1, 5], ids=["one circuit", "several"])
@pytest.mark.parametrize("gateset", ["qis", "native"])
def test_exact_results(results, rows, gateset):
    outcome, ledger = run(Emulator(results=results, circuit_seconds=1), rows, gateset=gateset)
    np.testing.assert_allclose(outcome.values, exact(PARAMS[:rows]), atol=1e-6)
    assert ledger["charged_circuits"] == rows


@pytest.mark.parametrize("results", GENERATIONS)
@pytest.mark.parametrize("backend", ["qpu.aria-1", "qpu.forte-1"])
def test_sampled_results(results, backend):
    outcome, ledger = run(
        Emulator(results=results, circuit_seconds=1), 5, shots=2000, backend=backend, gateset="native"
    )
    for counts, expected in zip(np.asarray(outcome.counts, float), exact(PARAMS), strict=True):
        assert counts.sum() == 2000
        # a few gates of rate 0.0133 at most: within three percent and six standard errors of the exact distribution
        assert np.abs(counts / 2000 - expected).max() < 0.03 + 6 * np.sqrt(0.25 / 2000)
        assert standard_errors(counts, expected[reversal(3)]) > 6
    assert ledger["circuits_charged_twice"] == 0


@pytest.mark.parametrize("results", GENERATIONS)
def test_keys_in_another_order_and_failed_children(results):
    """The order of the aggregate's keys means nothing; a child that failed is run again alone."""
    emulator = Emulator(results=results, circuit_seconds=1, faults="unordered:1,failed-child:0.3", seed=4)
    outcome, ledger = run(emulator, 5)
    np.testing.assert_allclose(outcome.values, exact(PARAMS), atol=1e-6)
    assert ledger["events"]["failed-child"] > 0
    assert ledger["charged_circuits"] == 5
