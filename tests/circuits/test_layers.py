"""Whole layers: left out they are the shallower circuit, at zeros they are the identity or it is said why not."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.local import reference
from q_store.circuits import Circuit, cnot, encoders, ry, rz, theta, x
from q_store.circuits.layers import parameters, truncated, why_not_identity, without
from q_store.circuits.templates import hardware_efficient, reuploading, so4_layers
from q_store.errors import CircuitError


def renumbered(circuit):
    """The circuit with its parameters numbered in order of appearance."""
    order = {}
    for op in circuit.ops:
        for angle in op.angles:
            for i in angle.params:
                order.setdefault(i, len(order))
    ops = tuple(replace(op, angles=tuple(a.rename(order) for a in op.angles)) for op in circuit.ops)
    return Circuit(circuit.n_qubits, len(order), circuit.n_features, ops)


TEMPLATES = {
    "ring": lambda layers: hardware_efficient(3, layers, ("ry", "rz"), "ring"),
    "rzz": lambda layers: hardware_efficient(4, layers, ("rx",), entangler="rzz", final_rotations=False),
    "so4": lambda layers: so4_layers(4, layers),
    "so4, some measured": lambda layers: so4_layers(5, layers, measured=(1, 3)),
    "reuploading": lambda layers: reuploading(3, layers, 3),
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("depth", range(5))
def test_without_its_last_layers_a_template_is_the_shallower_template(name, depth):
    make = TEMPLATES[name]
    whole = make(4)
    assert len(whole.layers) == 4
    shallow = truncated(whole, depth)
    assert renumbered(shallow) == renumbered(make(depth))
    assert (shallow.n_params, shallow.n_features) == (whole.n_params, whole.n_features)
    assert len(shallow.layers) == depth
    assert parameters(shallow).sum() == make(depth).n_params
    assert truncated(truncated(whole, 3), min(depth, 3)) == truncated(whole, min(depth, 3))


@pytest.mark.parametrize("name", TEMPLATES)
def test_behind_an_encoder_and_moved_the_layers_are_the_same(name):
    ansatz = TEMPLATES[name](2)
    joined = encoders.angle(ansatz.n_qubits).shifted(0, ansatz.n_features) + ansatz.shifted(5)
    for (first, last), (f, b) in zip(joined.layers, ansatz.layers, strict=True):
        assert joined.ops[first:last] == ansatz.shifted(5).ops[f:b]


def test_layers_are_a_remark_that_rewriting_drops():
    circuit = TEMPLATES["ring"](2)
    bare = Circuit(circuit.n_qubits, circuit.n_params, 0, circuit.ops)
    assert (bare, bare.digest, hash(bare)) == (circuit, circuit.digest, hash(circuit))
    assert bare.layers == ()


@pytest.mark.parametrize("layers", [[(0, 2), (1, 3)], [(0, 0)], [(2, 1)], [(0, 9)], [(-1, 1)]])
def test_impossible_layers_are_refused(layers):
    circuit = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1), ry(theta(1), 1)])
    with pytest.raises(CircuitError, match="separate layers"):
        circuit.layered(layers)
    with pytest.raises(CircuitError, match="separate layers"):
        encoders.amplitude(2).layered([(0, 1)])


def test_depths_out_of_range_and_circuits_without_layers_are_refused():
    with pytest.raises(CircuitError, match=r"depth of 0\.\.2 layers, got 3"):
        truncated(TEMPLATES["so4"](2), 3)
    with pytest.raises(CircuitError, match="whole layers, got one without; take one of"):
        truncated(Circuit.build(1, [ry(theta(0), 0)]), 1)


@given(st.sets(st.integers(0, 11)))
def test_without_keeps_what_is_left_of_the_layers(positions):
    circuit = hardware_efficient(3, 2, final_rotations=False, entanglement="ring")
    fewer = without(circuit, positions)
    assert fewer.ops == tuple(op for k, op in enumerate(circuit.ops) if k not in positions)
    expected = [tuple(op for k, op in enumerate(circuit.ops[f:b], f) if k not in positions) for f, b in circuit.layers]
    assert [fewer.ops[f:b] for f, b in fewer.layers] == [ops for ops in expected if ops]


@pytest.mark.parametrize("circuit", [so4_layers(4, 3), reuploading(3, 3, 2), hardware_efficient(3, 2, entangler="rzz")])
def test_a_layer_of_zeros_is_the_identity(circuit):
    assert [why_not_identity(circuit, k) for k in range(len(circuit.layers))] == [""] * len(circuit.layers)
    rng = np.random.default_rng(0)
    params, row = rng.normal(size=circuit.n_params), rng.normal(size=circuit.n_features)
    params[parameters(circuit) & ~parameters(truncated(circuit, 1))] = 0
    full = reference.state(circuit, row, params)
    np.testing.assert_allclose(full, reference.state(truncated(circuit, 1), row, params), atol=1e-14)


@pytest.mark.parametrize(
    ("ops", "why"),
    [
        ([ry(theta(0), 0), cnot(0, 1)], r"cx on qubits \(0, 1\) in layer 0 stays"),
        ([ry(theta(0) + 0.1, 0)], r"ry on qubits \(0,\) in layer 0 stays"),
        ([ry(theta(0) + x(0), 0)], "stays where the parameters are 0"),
        ([ry(theta(9), 0)], "parameter 9 of layer 0 occurs outside"),
        ([cnot(0, 1), ry(theta(0), 0), cnot(0, 1)], ""),
        ([ry(theta(0) * x(0), 0), rz(2 * theta(1), 1)], ""),
    ],
)
def test_what_is_no_identity_is_named(ops, why):
    circuit = Circuit.build(2, [*ops, rz(theta(9), 0)]).layered([(0, len(ops))])
    found = why_not_identity(circuit, 0)
    if why:
        assert re.search(why, found)
    else:
        assert found == ""
