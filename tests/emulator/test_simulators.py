"""Exact probabilities of any size: state vectors against the dense oracle, and honest refusals."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, rows

from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, op, theta
from q_store.emulator import states
from q_store.emulator.answers import exact
from q_store.emulator.limits import Budget, ImpossibleJobError
from q_store.emulator.noise import unravel
from q_store.emulator.simulators import Engine, Large, is_small
from q_store.emulator.trajectories import unravelled

NONE = np.zeros((1, 0))


def ghz(n_qubits):
    return Circuit.build(n_qubits, [op("h", 0), *(cnot(q, q + 1) for q in range(n_qubits - 1))])


def spread(n_qubits):
    return Circuit.build(n_qubits, [op("ry", q, angles=[theta(q)]) for q in range(n_qubits)])


def large(circuit, budget=None):
    own = unravelled(unravel(circuit, None), clifford=False)
    return own, Large(own, budget or Budget())


def ideal(circuit, angles=NONE, budget=None):
    return list(exact(circuit, angles, 0.0, Engine(), budget or Budget()))


@settings(max_examples=60)
@given(st.data())
def test_state_vectors_are_those_of_the_oracle(data):
    circuit = data.draw(circuits(max_qubits=4, max_controls=2, n_features=0))
    _, params = data.draw(rows(circuit, n_params=3))
    expected = [np.abs(reference.state(circuit, None, row)) ** 2 for row in params]
    own, _ = large(circuit)
    paulis, angles = [r.pauli for r in own.rotations], own.angles(params)
    together = states.evolve(circuit.n_qubits, paulis, angles, 1 << 10)
    assert together is not None
    np.testing.assert_allclose(together[0].distributions(3).dense(), expected, atol=1e-12)
    whole = [states.whole(circuit.n_qubits, paulis, row) for row in angles]
    np.testing.assert_allclose(whole, expected, atol=1e-12)


@pytest.mark.parametrize("n_qubits", [15, 23, 29, 36])
def test_a_large_sparse_circuit_is_exact(n_qubits):
    (answer,) = ideal(ghz(n_qubits))
    assert list(answer) == [0, 2**n_qubits - 1]
    assert list(answer.values()) == pytest.approx([0.5, 0.5], abs=1e-12)


def test_a_dense_circuit_beyond_the_local_engine_is_exact():
    params = np.random.default_rng(1).uniform(0.5, 2.5, (1, 15))
    circuit = spread(15)
    assert not is_small(15, 15)
    (answer,) = ideal(circuit, params)
    expected = np.ones(1)
    for angle in params[0]:
        expected = np.kron([np.cos(angle / 2) ** 2, np.sin(angle / 2) ** 2], expected)
    np.testing.assert_allclose([answer[s] for s in range(2**15)], expected, atol=1e-12)


def test_a_long_circuit_takes_no_compilation():
    turns = Circuit.build(2, [op("rx", 0, angles=[theta(0)])] * 4_000 + [cnot(0, 1)])
    (answer,) = ideal(turns, np.array([[0.7 / 4_000]]))
    assert answer == pytest.approx({0: np.cos(0.35) ** 2, 3: np.sin(0.35) ** 2}, abs=1e-9)


def test_rows_come_in_order_though_only_some_are_sparse(monkeypatch):
    monkeypatch.setattr("q_store.emulator.simulators.SPARSE_STATES", 100)
    own, simulator = large(spread(8))
    angles = np.zeros((40, 8))
    angles[7:9] = np.pi / 2  # too many states for a batch with the others
    angles[np.arange(40), np.arange(40) % 8] += np.pi
    simulator._most = 8
    batches = [batch.dense() for batch in simulator.batches(own.angles(angles))]
    assert 1 < max(map(len, batches)) < 40
    found = np.concatenate(batches)
    expected = [np.abs(reference.state(spread(8), None, row)) ** 2 for row in angles]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_few_states_go_many_rows_at_a_time():
    own, simulator = large(ghz(30))
    sizes = [len(batch) for batch in simulator.batches(np.repeat(own.angles(NONE), 1_000, axis=0))]
    assert sizes == [1, 999]


@pytest.mark.parametrize(
    ("circuit", "size", "message"),
    [
        (spread(23), 1, r"expected a circuit of at most 22 qubits.*got 23"),
        (Circuit.build(22, list(spread(22).ops) * 200), 1, r"about 60 s of simulation, got one of about"),
        (spread(22), 300, r"about 60 s of simulation, got one of about"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_tried(circuit, size, message):
    start = time.process_time()
    with pytest.raises(ImpossibleJobError, match=message) as caught:
        ideal(circuit, np.full((size, circuit.n_params), 1.0))
    assert caught.value.code == "SimulationTimeout"
    assert time.process_time() - start < 10


def test_a_job_may_ask_for_so_much_and_no_more():
    circuit, rows_of = spread(4), np.full((5, 4), 1.0)
    assert len(ideal(circuit, rows_of, Budget(entries=80))) == 5
    with pytest.raises(ImpossibleJobError, match="at most 79 probabilities") as caught:
        ideal(circuit, rows_of, Budget(entries=79))
    assert caught.value.code == "SimulationTimeout"
    with pytest.raises(ImpossibleJobError, match="s of simulation"):
        ideal(spread(14), np.full((5, 14), 1.0), Budget(seconds=1e-4))


def test_programs_of_many_structures_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("q_store.emulator.simulators._HELD_BYTES", 32 * 2**4 * 17 * 3)  # three runs of a row
    engine, backends = Engine(), []
    for gates in range(1, 8):
        circuit = Circuit.build(4, [op("rx", 0, angles=[theta(0)])] * gates)
        (found,) = engine.probabilities(circuit, np.array([[0.2]]))
        assert found[:2] == pytest.approx([np.cos(0.1 * gates) ** 2, np.sin(0.1 * gates) ** 2])
        backends.append(engine._backend)
    assert len({id(backend) for backend in backends}) == 3
