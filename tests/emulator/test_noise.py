"""The documented noise, exactly and by trajectories, against Qiskit's density matrices and against each other."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, rows

from q_store.backends.ionq.noise import MODELS, Rates
from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, op, theta
from q_store.circuits.gates import pauli_matrix
from q_store.emulator import density
from q_store.emulator.limits import Budget
from q_store.emulator.noise import Noisy, Site, unravel
from q_store.emulator.shots import frequencies, trajectories
from q_store.emulator.simulators import Engine, Large, Small
from q_store.emulator.trajectories import draw, unravelled

RATES = Rates(0.02, 0.07)
plain = circuits(max_qubits=3, max_ops=8, max_controls=2, n_features=0)


def documented(n_qubits, rate):
    """K_0 = sqrt(1 - (4^n - 1) r/4^n), the others sqrt(r/4^n) times a Pauli string."""
    info = pytest.importorskip("qiskit.quantum_info")
    size = 4**n_qubits
    strings = ["".join(s) for s in itertools.product("IXYZ", repeat=n_qubits)]
    weights = [1 - (size - 1) * rate / size] + [rate / size] * (size - 1)
    return info.Kraus([math.sqrt(w) * pauli_matrix(s) for w, s in zip(weights, strings, strict=True)])


def by_qiskit(circuit, params, rates):
    info = pytest.importorskip("qiskit.quantum_info")
    rho = info.DensityMatrix.from_int(0, 2**circuit.n_qubits)
    angles = circuit.bind(None, params)[0]
    for operation in circuit.ops:
        own, angles = angles[: len(operation.angles)], angles[len(operation.angles) :]
        rho = rho.evolve(info.Operator(reference.matrix(operation, own)), list(operation.wires))
        *others, last = operation.wires
        for other in others:
            rho = rho.evolve(documented(2, rates.two), [other, last])
        if not others:
            rho = rho.evolve(documented(1, rates.one), [last])
    return rho.probabilities()


def exactly(circuit, params, rates=RATES):
    noisy = unravel(circuit, rates)
    return density.distributions(noisy, unravelled(noisy, clifford=False).angles(np.atleast_2d(params)))


@settings(max_examples=30)
@given(st.data())
def test_density_matrices_are_those_of_qiskit(data):
    circuit = data.draw(plain)
    _, params = data.draw(rows(circuit))
    expected = [by_qiskit(circuit, row, RATES) for row in params]
    np.testing.assert_allclose(exactly(circuit, params), expected, atol=1e-12)


def test_many_rows_are_each_as_alone():
    circuit = Circuit.build(3, [op("ry", q, angles=[theta(q)]) for q in range(3)] + [cnot(0, 2), cnot(2, 1)])
    params = np.random.default_rng(3).normal(size=(2 * density.LANES + 3, 3))
    together = exactly(circuit, params)
    np.testing.assert_allclose(together, [exactly(circuit, row)[0] for row in params], atol=1e-15)
    assert np.ptp(together, axis=0).min() > 0.01


@pytest.mark.parametrize(
    ("model", "one", "two"),
    [("aria-1", 0.0005, 0.0133), ("aria-2", 0.00065733, 0.01856), ("forte-1", 0.00026667, 0.00494933)],
)
def test_the_documented_rates_after_one_gate(model, one, two):
    flipped = exactly(Circuit.build(1, [op("x", 0)]), [[]], MODELS[model])[0]
    np.testing.assert_allclose(flipped, [one / 2, 1 - one / 2], atol=1e-15)
    idle = exactly(Circuit.build(2, [op("zz", 0, 1, angles=[0.3])]), [[]], MODELS[model])[0]
    np.testing.assert_allclose(idle, [1 - 3 * two / 4, two / 4, two / 4, two / 4], atol=1e-15)


def test_every_documented_model_is_there():
    harmony = {"harmony", "harmony-1", "harmony-2"}
    assert set(MODELS) == {"ideal", "aria-1", "aria-2", "forte-1", "forte-enterprise-1", *harmony}
    assert [name for name, rates in MODELS.items() if rates is None] == ["ideal"]


def test_a_channel_follows_every_gate_as_sent():
    circuit = Circuit.build(4, [op("h", 1), op("swap", 0, 3), op("x", 2, controls=[0, 3]), op("rz", 2, angles=[0.1])])
    sites = unravel(circuit, RATES).sites
    # rotations: h 2, swap 3, x with two controls 4 + 3, rz 1
    assert sites == (
        Site(2, (1,), 0.02),
        Site(5, (0, 3), 0.07),
        Site(12, (0, 2), 0.07),
        Site(12, (3, 2), 0.07),
        Site(13, (2,), 0.02),
    )
    assert unravel(circuit, None).sites == ()


class Every:
    """Random numbers that make every channel draw, and go through all of its errors."""

    def random(self, shape):
        return np.zeros(shape)

    def integers(self, _low, _high, shape):
        every, generators = shape
        return np.arange(every)[:, None] >> np.arange(generators) & 1


@settings(max_examples=60)
@given(st.data())
def test_one_error_of_each_kind_anywhere_is_a_channel_that_always_acts(data):
    circuit = data.draw(plain)
    _, params = data.draw(rows(circuit, n_params=1))
    whole = unravel(circuit, None)
    position = data.draw(st.integers(0, len(whole.rotations)))
    qubits = data.draw(st.permutations(range(circuit.n_qubits)))[:2]
    noisy = Noisy(circuit.n_qubits, whole.rotations, (Site(position, tuple(qubits), 1.0),))
    expected = density.distributions(noisy, unravelled(noisy, clifford=False).angles(params))[0]
    for clifford in (True, False):
        own = unravelled(noisy, clifford=clifford)
        errors = draw(own, 4 ** len(qubits), Every())
        (batch,) = Small(Engine(), own.circuit, Budget()).batches(own.angles(params) * errors.signs)
        seen = batch.flipped(errors.flips).dense().mean(axis=0)
        np.testing.assert_allclose(seen, expected, atol=1e-10)


@pytest.mark.parametrize("way", ["engine", "sparse", "whole"])
def test_trajectories_see_what_density_matrices_say(way):
    # biased on purpose: every qubit another angle, errors often
    ops = [op("ry", q, angles=[theta(q)]) for q in range(4)] + [cnot(0, 2), op("h", 1), op("t", 1), cnot(1, 3)]
    circuit = Circuit.build(4, [*ops, op("x", 0, controls=[1, 2]), op("rx", 3, angles=[theta(4)]), op("v", 3)])
    params, shots = np.array([[0.4, 2.0, 1.1, 0.7, 0.9]]), 10_000
    noisy = unravel(circuit, Rates(0.05, 0.2))
    own = unravelled(noisy, clifford=way == "engine")
    simulator = Small(Engine(), own.circuit, Budget()) if way == "engine" else Large(own, Budget(1e4))
    if way == "sparse":
        simulator._most = 16
    seen = trajectories(own, own.angles(params)[0], shots, np.random.default_rng(7), simulator)
    expected = exactly(circuit, params, Rates(0.05, 0.2))[0]
    found = np.zeros(16)
    for state, share in frequencies(seen, shots).items():
        found[state] = share
    deviation = (found - expected) / np.sqrt(expected * (1 - expected) / shots)
    assert found.sum() == pytest.approx(1)
    assert abs(deviation).max() < 4
    assert abs(exactly(circuit, params, Rates(0, 0))[0] - expected).max() > 0.02  # the noise is there to be seen


def test_shots_without_errors_share_one_run():
    circuit = Circuit.build(2, [op("h", 0), cnot(0, 1)])
    own = unravelled(unravel(circuit, Rates(0.01, 0.01)), clifford=True)
    runs = []

    def batches(angles):
        runs.append(len(angles))
        yield from Small(Engine(), own.circuit, Budget()).batches(angles)

    trajectories(
        own, own.angles(np.zeros((1, 0)))[0], 1_000, np.random.default_rng(0), SimpleNamespace(batches=batches)
    )
    assert runs[1] == 1
    assert 5 < runs[0] < 50  # 1,000 (1 - 0.99^2) = 20
