"""Pruning: the fidelity that is reported is that of the dense oracle, and never below the bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import circuits, rows

from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, encoders, rotation, rx, ry, rz, theta, x
from q_store.circuits.metrics import Metrics
from q_store.circuits.pruning import fidelities, merge, prune, remove_identities
from q_store.circuits.templates import hardware_efficient, reuploading, so4_layers
from q_store.errors import CircuitError, ConfigError, ShapeError


def oracle(circuit, other, data, params):
    """Fidelities by the slow oracle, which shares no code with the pruning."""
    every = [None] if data is None else data
    states = [[reference.state(each, row, params) for row in every] for each in (circuit, other)]
    return np.array([abs(np.vdot(a, b)) ** 2 for a, b in zip(*states, strict=True)])


@given(st.data())
def test_fidelities_are_those_of_the_oracle(data):
    circuit = data.draw(circuits(prepared=True))
    some, params = data.draw(rows(circuit))
    cut = Circuit(circuit.n_qubits, circuit.n_params, circuit.n_features, circuit.ops[:-1])
    found = fidelities(circuit, cut, some, params[0])
    np.testing.assert_allclose(found, oracle(circuit, cut, some, params[0]), atol=1e-10)


@given(st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]), st.integers(0, 2**32 - 1), st.floats(0.01, 1.5))
def test_the_bound_holds_and_the_fidelity_is_measured(bound, seed, scale):
    rng = np.random.default_rng(seed)
    circuit = encoders.amplitude(4) + so4_layers(4, 2)
    data = rng.normal(size=(3, 16))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    params = rng.normal(0, scale, circuit.n_params)
    pruned = prune(circuit, data, params, bound)
    truth = oracle(circuit, pruned.circuit, data, params)
    assert pruned.fidelity == pytest.approx(truth.min(), abs=1e-9)
    assert pruned.mean_fidelity == pytest.approx(truth.mean(), abs=1e-9)
    assert truth.min() >= bound - 1e-9
    assert pruned.after.two_qubit == pruned.before.two_qubit - len(pruned.removed)
    assert (pruned.before, pruned.after) == (Metrics.of(circuit), Metrics.of(pruned.circuit))


@given(st.integers(0, 2**32 - 1))
def test_a_lower_bound_never_keeps_more_entanglers(seed):
    rng = np.random.default_rng(seed)
    circuit = reuploading(4, 2, 3)
    params, data = rng.normal(0, 0.5, circuit.n_params), rng.normal(size=(4, 3))
    kept = [prune(circuit, data, params, bound).after.two_qubit for bound in (0.2, 0.6, 0.9, 0.99, 1.0)]
    assert kept == sorted(kept)


def test_it_goes_on_as_long_as_any_entangler_may_go():
    circuit = hardware_efficient(3, 1, entangler="rzz", final_rotations=False)
    params = np.array([0.3, -0.4, 0.8, 0.02, 0.9])
    pruned = prune(circuit, None, params, 0.999)
    assert pruned.removed == (3,)
    left = pruned.circuit.ops.index(circuit.ops[4])
    assert oracle(circuit, Circuit(3, 5, 0, pruned.circuit.ops[:left]), None, params)[0] < 0.999


def test_only_candidates_go_and_one_is_exact():
    circuit = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1), cnot(0, 1), ry(theta(1), 1)])
    params = np.array([0.7, 0.4])
    assert prune(circuit, None, params, 1.0).removed == ()  # one at a time: each alone changes the state
    still = Circuit.build(2, [rotation("ZZ", theta(0), 0, 1), cnot(0, 1), ry(0.3, 0)])
    assert prune(still, None, np.array([0.4]), 1.0).removed == (0, 1)
    assert prune(still, None, np.array([0.4]), 1.0, candidates=[1]).removed == (1,)


@given(st.data())
def test_removed_identities_leave_the_state(data):
    circuit = data.draw(circuits(prepared=True))
    some, params = data.draw(rows(circuit))
    zero = data.draw(st.lists(st.booleans(), min_size=4, max_size=4))
    params[0][np.array(zero)] = 0
    smaller = remove_identities(circuit, params[0])
    assert oracle(circuit, smaller, some, params[0]).min() > 1 - 1e-9
    assert remove_identities(smaller, params[0]) == smaller


@pytest.mark.parametrize(
    ("op", "gone"),
    [
        (ry(theta(0), 0), True),
        (ry(theta(1), 0), False),
        (ry(theta(0) * x(0), 0), True),
        (ry(theta(0) + x(0), 0), False),
        (ry(5e-7, 0), True),
        (ry(5e-6, 0), False),
        (rx(theta(2), 0), True),
        (rz(2 * math.pi, 0), True),
        (rotation("XY", theta(0), 0, 1), True),
        (cnot(0, 1), False),
    ],
)
def test_identities_are_known_by_their_angle_at_the_parameters(op, gone):
    circuit = Circuit(2, 3, 1, (op, ry(1.0, 1)))
    smaller = remove_identities(circuit, [0.0, 0.2, 4 * math.pi])
    assert len(smaller.ops) == 2 - gone
    assert remove_identities(circuit, [0.0, 0.2, 0.0], 0.0).ops == remove_identities(circuit, [0.0, 0.2, 0.0], 1e-9).ops


def test_merging_is_exact_and_counted():
    circuit = Circuit.build(2, [ry(theta(0), 0), ry(theta(1), 0), cnot(0, 1), cnot(0, 1), ry(theta(2) * x(0), 1)])
    smaller = merge(circuit)
    assert Metrics.of(circuit) == Metrics(5, 2, 5, (("cx", 2), ("ry", 3)))
    assert Metrics.of(smaller) == Metrics(2, 0, 1, (("ry", 2),))
    assert str(Metrics.of(circuit)) == "5 gates (2 cx, 3 ry), 2 on two qubits, depth 5"
    params, data = np.array([0.3, 0.4, 0.5]), np.array([[0.6], [-1.0]])
    np.testing.assert_allclose(oracle(circuit, smaller, data, params), 1, atol=1e-12)


def test_bad_input_is_refused():
    circuit = so4_layers(2, 1)
    for bound in (0, -0.1, 1.01, math.nan):
        with pytest.raises(ConfigError, match="fidelity bound above 0 and at most 1"):
            prune(circuit, None, np.zeros(6), bound)
    with pytest.raises(ShapeError, match=r"shape \[6\], got \[5\]"):
        prune(circuit, None, np.zeros(5), 0.9)
    with pytest.raises(CircuitError, match="at most 14 qubits"):
        prune(so4_layers(15, 1), None, np.zeros(15 + 4 * 7), 0.9)
    for threshold in (-1, 1, math.nan):
        with pytest.raises(ConfigError, match="threshold"):
            remove_identities(circuit, np.zeros(6), threshold)
