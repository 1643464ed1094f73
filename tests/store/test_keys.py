"""Equal keys mean equal distributions, and what the service gets as equal has equal keys."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EVERY, circuits
from tests.store.parts import part

from q_store.backends.ionq.wire.gates import is_native, is_qis
from q_store.backends.ionq.wire.template import Template
from q_store.backends.local import reference
from q_store.circuits import Angle, Circuit, op, pauliexp, prepare, theta
from q_store.circuits.gates import GATES
from q_store.errors import InputError, ShapeError
from q_store.jobs import Job, Output
from q_store.store import Domain, keys, keys_of

DOMAIN = Domain("ideal")
SHIFTS = [math.pi / 2, math.pi, 2 * math.pi, 4 * math.pi, 0.25, 0.5, 1.0, 2.0]


def state(circuit, angles):
    """The state for given angles, which become constants."""
    fixed = iter(angles.tolist())
    ops = tuple(replace(each, angles=tuple(Angle.of(next(fixed)) for _ in each.angles)) for each in circuit.ops)
    return reference.states(Job(Circuit(circuit.n_qubits, 0, 0, ops), output=Output.STATE))[0]


@given(circuits(max_qubits=3, max_ops=6, gates=EVERY), st.data())
def test_equal_keys_mean_equal_states(circuit, data):
    """Angles moved by likely periods: where the key stays, the state does, up to a global phase."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    n_angles = circuit.angle_table.constant.size
    if not n_angles:
        return
    first = rng.uniform(-3, 3, n_angles)
    second = first.copy()
    second[data.draw(st.integers(0, n_angles - 1))] += data.draw(st.sampled_from(SHIFTS))
    one, other = keys(circuit, np.stack([first, second]), DOMAIN)
    if one == other:
        assert abs(np.vdot(state(circuit, first), state(circuit, second))) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("gate", "controls", "period"),
    [("rx", 0, 2 * math.pi), ("rz", 1, 4 * math.pi), ("p", 0, 2 * math.pi), ("p", 1, 2 * math.pi),
     ("zz", 0, 2 * math.pi), ("gpi", 0, 0.5), ("gpi2", 0, 1.0), ("nzz", 0, 1.0)],
)  # fmt: skip
def test_the_period_of_a_gate_is_found(gate, controls, period):
    n = GATES[gate].n_qubits
    circuit = Circuit.build(n + controls, [op(gate, *range(n), angles=[theta(0)], controls=range(n, n + controls))])
    base = np.array([[0.3], [0.3 + period], [0.3 - 3 * period], [0.3 + period / 2]])
    one, two, three, half = keys(circuit, base, DOMAIN)
    assert one == two == three != half


def test_a_pauli_exponential_has_the_period_of_its_string():
    single = Circuit.build(2, [pauliexp([("XY", 0.5)], theta(0), 0, 1)])
    mixed = Circuit.build(2, [pauliexp([("XX", 0.3), ("ZZ", 0.7 * math.sqrt(2))], theta(0), 0, 1)])
    for circuit, same in ((single, True), (mixed, False)):
        one, other = keys(circuit, np.array([[0.2], [0.2 + 2 * math.pi]]), DOMAIN)
        assert (one == other) == same


@settings(max_examples=60)
@given(circuits(max_qubits=3, max_ops=4, gates=EVERY), st.data())
def test_what_is_sent_as_equal_has_equal_keys(circuit, data):
    """Against the numbers on IonQ's wire."""
    native = all(is_native(each) for each in circuit.ops)
    if not circuit.ops or not (native or all(is_qis(each) for each in circuit.ops)):
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    n_angles = circuit.angle_table.constant.size
    rows = rng.uniform(0, 0.25, (4, n_angles)) if native else rng.uniform(-9, 9, (4, n_angles))
    rows[1] = rows[0] + 3e-12 * data.draw(st.booleans())
    if not native:
        rows[2] = rows[0] + 2 * math.pi
    sent = Template.of(circuit, native=native).numbers(rows)
    own = keys(circuit, rows, DOMAIN)
    for a in range(4):
        for b in range(a):
            if np.array_equal(sent[a], sent[b]):
                assert own[a] == own[b]


def test_angles_are_the_same_within_their_rounding_and_not_beyond():
    circuit = Circuit.build(1, [op("rx", 0, angles=[theta(0)])])
    one, close, other = keys(circuit, np.array([[0.5], [0.5 + 4e-11], [0.5 + 2e-10]]), DOMAIN)
    assert one == close != other


def test_minus_zero_and_both_ends_of_a_period_are_one():
    circuit = Circuit.build(1, [op("rx", 0, angles=[theta(0)])])
    free = Circuit.build(2, [pauliexp([("XX", 0.3), ("ZZ", 0.7)], theta(0), 0, 1)])
    for own, rows in (
        (circuit, [[0.0], [-0.0], [-1e-12]]),
        (free, [[0.0], [-0.0]]),
        (circuit, [[math.pi], [-math.pi]]),
    ):
        assert len(set(keys(own, np.array(rows), DOMAIN))) == 1


def test_an_angle_without_effect_does_not_count():
    circuit = Circuit.build(1, [pauliexp([("I", 0.5)], theta(0), 0)])
    assert len(set(keys(circuit, np.array([[0.0], [1.0], [-2.5]]), DOMAIN))) == 1


def test_everything_that_matters_is_in_the_key():
    own = part("a", [4])
    twisted = Circuit.build(3, [*own.circuit.ops, op("x", 0)])
    every = {
        keys_of(own, DOMAIN)[0],
        keys_of(part("a", [5]), DOMAIN)[0],
        keys_of(part("a", [4], flips=[2]), DOMAIN)[0],
        keys(twisted, own.angles, DOMAIN)[0],
        *(
            keys_of(own, Domain(*text))[0]
            for text in (("n",), ("ideal", "t"), ("ideal", "", "s"), ("ideal", "", "", "c"))
        ),
    }
    assert len(every) == 8
    assert {len(key) for key in every} == {16}


def test_what_does_not_matter_is_not():
    """Shots, seed, fingerprint and place in the job; a mask without bits."""
    assert keys_of(part("a", [4], shots=10), DOMAIN) == keys_of(part("b", [4], shots=99), DOMAIN)
    assert keys_of(part("a", [4], flips=[0]), DOMAIN) == keys_of(part("a", [4]), DOMAIN)


def test_keys_are_the_same_for_ever():
    assert keys_of(part("a", [4]), DOMAIN)[0].hex() == "855c802e0c6fec948ea499f96ccdef2f"


def test_a_domain_survives_its_text():
    domain = Domain("n", "t", 'a "quoted", setting', "c")
    assert Domain.from_text(domain.text) == domain


def test_bad_angles_and_preparations_are_refused():
    with pytest.raises(ShapeError, match=r"\[S, 2\]"):
        keys(part("a").circuit, np.zeros((3, 1)), DOMAIN)
    with pytest.raises(ShapeError, match="finite"):
        keys(part("a").circuit, np.full((1, 2), np.nan), DOMAIN)
    with pytest.raises(InputError, match="lower"):
        keys(Circuit.build(1, [prepare(1)]), np.zeros((1, 0)), DOMAIN)
