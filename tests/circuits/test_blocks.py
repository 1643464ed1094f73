"""Blocks: as few as there can be, and the state before each is the state that its generators act on."""

from __future__ import annotations

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, op, pauliexp, rotation, ry, rz, templates, theta, x
from q_store.circuits.blocks import blocks
from q_store.circuits.circuit import PREPARE
from q_store.circuits.rotations import diagonalised, op_rotations


def strings(circuit):
    return [[str(p) for p in block.strings] for block in blocks(circuit)]


def test_layers_of_a_hardware_efficient_circuit_are_blocks():
    found = blocks(templates.hardware_efficient(3, 2, ("ry", "rz")))
    assert [len(block.generator) for block in found] == [3] * 6
    assert found[0].known
    assert [len(block.before.ops) for block in found] == [0, 3, 8, 11, 16, 19]


def test_the_order_in_which_a_circuit_is_written_does_not_matter():
    by_layer = [ry(theta(0), 0), ry(theta(2), 1), rz(theta(1), 0), rz(theta(3), 1)]
    by_qubit = [ry(theta(0), 0), rz(theta(1), 0), ry(theta(2), 1), rz(theta(3), 1)]
    assert strings(Circuit.build(2, by_layer)) == [["Y0", "Y1"], ["Z0", "Z1"]]
    assert strings(Circuit.build(2, by_qubit)) == [["Y0", "Y1"], ["Z0", "Z1"]]


def test_what_commutes_stays_in_one_block():
    circuit = Circuit.build(2, [rz(theta(0), 0), cnot(0, 1), rz(theta(1), 0), op("h", 0), rz(theta(2), 0)])
    assert strings(circuit) == [["Z0"], ["Z0"]]  # twice in the first block, behind the H in the second
    assert blocks(circuit)[0].generator.tolist() == [0, 0]


def test_a_block_in_the_middle_of_an_operation():
    circuit = Circuit.build(2, [op("ms", 0, 1, angles=[theta(0), theta(1), theta(2)])])
    assert strings(circuit) == [["Z0", "Z1"], ["X0 X1"], ["Z0", "Z1"]]
    assert [len(block.before.ops) for block in blocks(circuit)] == [0, 2, 3]


def test_controlled_rotations_are_two_generators_of_one_angle():
    circuit = Circuit.build(2, [op("h", 0), op("rx", 1, angles=[theta(0)], controls=[0])])
    assert strings(circuit) == [["X1", "Z0 X1"]]


def test_a_block_reads_features_only_where_what_comes_before_does():
    circuit = Circuit.build(1, [ry(theta(0), 0), rz(x(0), 0), ry(theta(1) * x(1), 0)])
    assert [block.before.n_features for block in blocks(circuit)] == [0, 2]


def test_entangled_generators_are_measured_in_one_basis():
    exponential = pauliexp([("XY", 1.0), ("YX", 0.5)], theta(0), 0, 1)
    circuit = Circuit.build(2, [op("h", 0), exponential, rotation("XX", theta(1), 0, 1)])
    (first, *_) = blocks(circuit)
    assert len(first.strings) == 2
    assert first.observables.is_diagonal
    assert not any(p.x for item in first.observables.items for _, p in item.terms)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_means_and_products_are_those_of_the_state_before(data):
    circuit = data.draw(strategies.circuits(max_qubits=3, max_ops=8, prepared=True))
    features, params = data.draw(strategies.rows(circuit, n_data=1, n_params=1))
    n = circuit.n_qubits
    for block in blocks(circuit):
        row = features[0] if block.before.n_features else None
        before = reference.state(block.before, row, params[0])
        measured = reference.expectations(reference.state(block.circuit, row, params[0])[None], block.observables, n)
        products = [block.strings[i] @ block.strings[j] for i, j in zip(*block.pairs, strict=True)]
        wanted = [expectation(before, p, n) for p in (*block.strings, *products)]
        np.testing.assert_allclose(measured[0], wanted, atol=1e-10)
        if block.known:
            np.testing.assert_allclose(block.zero[0], wanted, atol=1e-12)


def expectation(psi, pauli, n):
    states = np.arange(2**n)
    phase = 1j ** (pauli.phase % 4)
    sign = 1 - 2.0 * (np.bitwise_count(states & pauli.z) & 1)
    moved = np.zeros_like(psi)
    moved[states ^ pauli.x] = phase * sign * psi
    return np.vdot(psi, moved).real


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_site_is_in_one_block_and_blocks_commute(data):
    circuit = data.draw(strategies.circuits(max_ops=10))
    sites = [
        rotation
        for operation in circuit.ops
        if operation.gate != PREPARE
        for rotation in op_rotations(operation)
        if rotation.angle.params and rotation.pauli.x | rotation.pauli.z
    ]
    found = blocks(circuit)
    assert sum(len(block.generator) for block in found) == len(sites)
    for block in found:
        assert all(a.commutes(b) for a in block.strings for b in block.strings)
        basis, images = diagonalised(list(block.strings))
        assert len(basis) <= circuit.n_qubits
        assert not any(p.x for p in images)


def test_the_unbiased_covariance_of_few_shots():
    (block,) = blocks(Circuit(1, 1, 0, (op("h", 0), rz(theta(0), 0))))
    # two shots of a fair coin: the mean is 1, 0, 0 or -1, the plain variance 0, 1, 1, 0, so 1/2 on average
    each = [block.covariance(np.array([[mean]]), 2)[0, 0, 0] for mean in (1.0, 0.0, 0.0, -1.0)]
    assert np.mean(each) == pytest.approx(1.0)
