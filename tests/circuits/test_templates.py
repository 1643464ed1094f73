from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.local import reference
from q_store.circuits import Circuit, encoders, templates, theta, x
from q_store.circuits.gates import pauli_matrix
from q_store.errors import CircuitError

sizes = st.integers(1, 6)


def summary(circuit):
    return circuit.n_params, circuit.two_qubit_gates


def test_the_circuits_of_the_model_zoo_have_their_counts():
    assert summary(templates.so4_layers(5, blocks=25, measured=range(4))) == (104, 50)
    assert summary(templates.so4_layers(6, blocks=104)) == (422, 208)
    assert summary(templates.reuploading(6, 4, 24)) == (132, 24)
    assert summary(templates.reuploading(6, 5, 24, entangler="cz")) == (132, 30)
    assert summary(templates.hardware_efficient(6, 4, entanglement="ring")) == (30, 24)
    assert summary(templates.hardware_efficient(6, 4, ("ry", "rz"), final_rotations=False)) == (48, 20)
    assert encoders.amplitude(6).n_features == 64


@given(
    n=sizes,
    layers=st.integers(0, 3),
    rotations=st.sampled_from([("ry",), ("ry", "rz"), "rot", "rx"]),
    entanglement=st.sampled_from(templates.ENTANGLEMENTS),
    entangler=st.sampled_from(templates.ENTANGLERS),
    final=st.booleans(),
)
def test_hardware_efficient_counts_as_its_docstring(*, n, layers, rotations, entanglement, entangler, final):
    circuit = templates.hardware_efficient(n, layers, rotations, entanglement, entangler, final_rotations=final)
    k = {"rot": 3, "rx": 1}.get(rotations, len(rotations))
    edges = {"linear": n - 1, "ring": n if n > 2 else n - 1, "all_to_all": n * (n - 1) // 2}[entanglement]
    assert circuit.two_qubit_gates == layers * edges
    assert circuit.n_params == n * k * (layers + final) + layers * edges * (entangler == "rzz")
    assert in_order_of_appearance(circuit)


def in_order_of_appearance(circuit):
    return [i for o in circuit.ops for a in o.angles for i in a.params] == list(range(circuit.n_params))


def test_rot_is_rz_ry_rz():
    names = [o.gate for o in templates.hardware_efficient(1, 1, "rot", final_rotations=False).ops]
    assert names == ["rz", "ry", "rz"]


def test_the_pairs_of_a_layer():
    assert templates.pairs(4, "linear") == [(0, 1), (1, 2), (2, 3)]
    assert templates.pairs(4, "ring") == [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert templates.pairs(5, "ring", 2) == [(0, 2), (1, 3), (2, 4), (3, 0), (4, 1)]
    assert templates.pairs(4, "ring", 2) == [(0, 2), (1, 3)]
    assert templates.pairs(2, "ring") == [(0, 1)]
    assert templates.pairs(3, "all_to_all") == [(0, 1), (0, 2), (1, 2)]
    assert templates.pairs(1, "ring") == templates.pairs(1, "all_to_all") == []


@given(
    n=sizes,
    layers=st.integers(0, 3),
    features=st.integers(1, 20),
    entangler=st.sampled_from(templates.ENTANGLERS),
    final=st.sampled_from([("ry",), (), ("ry", "rx")]),
)
def test_reuploading_counts_and_cycles(n, layers, features, entangler, final):
    circuit = templates.reuploading(n, layers, features, entangler=entangler, final_rotations=final)
    edges = layers * (n if n > 2 else n - 1)
    assert circuit.two_qubit_gates == edges
    assert circuit.n_params == 2 * n * (2 * layers + len(final)) + edges * (entangler == "rzz")
    loaded = [a for o in circuit.ops for a in o.angles if a.uses_data]
    assert [a.features for a in loaded] == [(k % features,) for k in range(len(loaded))]
    # every monomial once: b has no feature, w has one
    numbers = [i for a in (a for o in circuit.ops for a in o.angles) for i in a.params]
    assert numbers == list(range(circuit.n_params))


def test_an_upload_is_w_x_plus_b():
    first = templates.reuploading(2, 1, 3).ops[0]
    assert (first.gate, first.qubits, first.angles) == ("ry", (0,), (theta(0) * x(0) + theta(1),))


@given(st.integers(2, 9))
def test_round_robin_holds_every_pair_once_in_matchings(n):
    rounds = templates.round_robin(n)
    assert sorted(pair for matching in rounds for pair in matching) == list(combinations(range(n), 2))
    for matching in rounds:
        used = [q for pair in matching for q in pair]
        assert len(set(used)) == len(used) == 2 * (n // 2)


def test_a_block_is_its_formula():
    t = np.array([0.3, -0.7, 1.1, 0.4])
    circuit = Circuit.build(2, templates.so4_block(0, 1))

    def turn(letters, angle):
        return np.cos(angle / 2) * np.eye(4) - 1j * np.sin(angle / 2) * pauli_matrix(letters)

    expected = np.linalg.multi_dot([turn("XY", t[3]), turn("YX", t[2]), turn("IY", t[1]), turn("YI", t[0])])
    np.testing.assert_allclose(reference.state(circuit, None, t), expected[:, 0], atol=1e-12)
    assert np.abs(expected.imag).max() < 1e-12  # real
    np.testing.assert_allclose(np.linalg.det(expected).real, 1)


@given(n=st.integers(2, 6), layers=st.integers(0, 5), data=st.data())
def test_blocks_left_out_cannot_be_seen(n, layers, data):
    measured = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    circuit = templates.so4_layers(n, layers, measured=measured)
    blocks = [o.qubits for o in circuit.ops if o.is_entangling][::2]
    assert circuit.n_params == 4 * len(blocks) + len(measured)
    assert in_order_of_appearance(circuit)
    # every block that stays reaches a measured qubit through later blocks
    cone = set(measured)
    for pair in reversed(blocks):
        assert cone & set(pair)
        cone |= set(pair)
    # and every block of the layers that is missing does not
    cone, left = set(measured), list(reversed(blocks))
    for k in range(layers):
        matching = templates.round_robin(n)[-1 - k % len(templates.round_robin(n))]
        seen = [pair for pair in matching if cone & set(pair)]
        assert sorted(left[: len(seen)]) == sorted(seen)
        del left[: len(seen)]
        cone.update(*seen)
    assert not left


@given(n=st.integers(2, 6), blocks=st.integers(0, 20))
def test_the_first_layer_is_trimmed(n, blocks):
    circuit = templates.so4_layers(n, blocks=blocks)
    assert circuit.n_params == 4 * blocks + n
    pairs = [o.qubits for o in circuit.ops if o.is_entangling][::2]
    full = templates.so4_layers(n, -(-blocks // (n // 2)))
    every = [o.qubits for o in full.ops if o.is_entangling][::2]
    assert pairs == every[len(every) - blocks :]


def test_no_final_rotations():
    circuit = templates.so4_layers(4, 2, final_rotations=False)
    assert (circuit.n_params, circuit.ops[-1].gate) == (16, "pauliexp")


def test_zero_parameters_are_the_identity():
    for circuit in (templates.so4_layers(4, 3), templates.hardware_efficient(4, 2, ("ry", "rz"), entangler="rzz")):
        psi = reference.state(circuit, None, np.zeros(circuit.n_params))
        np.testing.assert_allclose(psi, np.eye(16)[0], atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: templates.hardware_efficient(3, 1, "rj"),
            "expected rotation to be one of rx, ry, rz, rot, got 'rj'; known",
        ),
        (lambda: templates.hardware_efficient(3, 1, ()), "one rotation or more"),
        (lambda: templates.hardware_efficient(3, 1, ("ry", "rot")), "'rot' alone"),
        (lambda: templates.hardware_efficient(3, 0, entangler="cnott"), "did you mean 'cnot'"),
        (lambda: templates.hardware_efficient(3, 1, entanglement="rign"), "did you mean 'ring'"),
        (lambda: templates.hardware_efficient(3, -1), "layers of 0 or more, got -1"),
        (lambda: templates.hardware_efficient(0, 1), "n_qubits of 1 or more, got 0"),
        (lambda: templates.pairs(4, "ring", 4), r"1\.\.3 for the entanglement 'ring', got 4"),
        (lambda: templates.pairs(4, "linear", 2), "got 2 for 'linear'"),
        (lambda: templates.reuploading(3, 1, 0), "n_features of 1 or more"),
        (lambda: templates.reuploading(3, 1, 2, entangler="xx"), "expected entangler"),
        (lambda: templates.so4_layers(4), "expected layers, blocks or both"),
        (lambda: templates.so4_layers(1, 2), "n_qubits of 2 or more"),
        (lambda: templates.so4_layers(4, 2, measured=[4]), r"different measured qubits in 0\.\.3"),
        (lambda: templates.so4_layers(4, 2, blocks=5), "expected 3..4 blocks for 2 layers, got 5; leave out `layers`"),
        (lambda: templates.so4_layers(4, 2, blocks=2), "expected 3..4 blocks"),
    ],
)
def test_bad_arguments_say_what_is_possible(make, message):
    with pytest.raises(CircuitError, match=message):
        make()
