"""Hypothesis strategies: random circuits over every gate, and rows to bind them with."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from q_store.circuits import Angle, Circuit, Marginal, Observables, PauliSum, op, pauliexp, prepare, theta, x
from q_store.circuits.gates import GATES, PAULIEXP

MAX_PARAMS, MAX_FEATURES = 4, 3
QIS = tuple(sorted(name for name, gate in GATES.items() if not gate.native))
NATIVE = tuple(sorted(name for name, gate in GATES.items() if gate.native))
EVERY = (*QIS, *NATIVE, PAULIEXP)

numbers = st.floats(-3, 3).map(lambda value: round(value, 3))
# Clifford angles come in often: they are what rewriting looks for
constants = st.one_of(st.integers(-8, 8).map(lambda k: k * math.pi / 4), numbers)
turns = st.one_of(st.integers(-8, 8).map(lambda k: k / 8), numbers)


@st.composite
def angles(draw, constant=constants, n_params=MAX_PARAMS, n_features=MAX_FEATURES):
    """Any angle: a constant, a parameter, data, a bilinear term, or a sum of these."""
    total = Angle.of(draw(constant)) if draw(st.booleans()) else Angle()
    monomials = [theta(i) for i in range(n_params)] + [x(j) for j in range(n_features)]
    monomials += [theta(i) * x(j) for i in range(n_params) for j in range(n_features)]
    for _ in range(draw(st.integers(0, 2)) if monomials else 0):
        total = total + draw(st.one_of(st.sampled_from([1.0, -1.0]), numbers)) * draw(st.sampled_from(monomials))
    return total


@st.composite
def exponentials(draw, qubits, angle):
    """A pauliexp of one string, or of several that commute, on some of the qubits."""
    n = draw(st.integers(1, len(qubits)))
    letters = draw(st.text("XYZI", min_size=n, max_size=n))
    terms = [(letters, draw(numbers))]
    if draw(st.booleans()):  # letters replaced by I commute with the string itself
        terms.append(("".join(draw(st.sampled_from(c + "I")) for c in letters), draw(numbers)))
    return pauliexp(terms, angle, *qubits[:n])


@st.composite
def operations(draw, n_qubits, *, gates=EVERY, max_controls=3, n_params=MAX_PARAMS, n_features=MAX_FEATURES):
    """One operation on some of the qubits."""
    fitting = [name for name in gates if name == PAULIEXP or GATES[name].n_qubits <= n_qubits]
    name = draw(st.sampled_from(fitting))
    qubits = draw(st.permutations(range(n_qubits)))
    unit = turns if name in NATIVE else constants
    angle = angles(unit, n_params, n_features)
    if name == PAULIEXP:
        return draw(exponentials(qubits, draw(angle)))
    gate = GATES[name]
    free = qubits[gate.n_qubits :]
    used = draw(st.one_of(st.just(0), st.integers(0, min(max_controls, len(free)))))
    chosen = [draw(angle) for _ in range(gate.n_angles)]
    return op(name, *qubits[: gate.n_qubits], angles=chosen, controls=free[:used])


@st.composite
def circuits(
    draw,
    *,
    max_qubits=4,
    max_ops=12,
    gates=EVERY,
    max_controls=3,
    n_params=MAX_PARAMS,
    n_features=MAX_FEATURES,
    prepared=False,
):
    """A random circuit over every gate, with controls and every kind of angle; `prepared` may add a leading `prepare`.

    The amplitude columns come behind the `n_features` others, so that `rows` can make them unit vectors.
    """
    n = draw(st.integers(1, max_qubits))
    one = operations(n, gates=gates, max_controls=max_controls, n_params=n_params, n_features=n_features)
    ops = draw(st.lists(one, max_size=max_ops))
    if prepared and draw(st.booleans()):
        number = draw(st.integers(1, 2**n))
        return Circuit(n, n_params, n_features + number, (prepare(n, n_features, number), *ops))
    return Circuit(n, n_params, n_features, tuple(ops))


@st.composite
def rows(draw, circuit, n_data=2, n_params=2):
    """Data [n_data, D], amplitude columns with unit norm, and parameters [n_params, P]; data None if D = 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = rng.uniform(-3, 3, (n_params, circuit.n_params))
    if not circuit.n_features:
        return None, params
    data = rng.uniform(-2, 2, (n_data, circuit.n_features))
    if circuit.prepare:
        first, number = circuit.prepare.columns
        amplitudes = rng.normal(size=(n_data, number))
        data[:, first : first + number] = amplitudes / np.linalg.norm(amplitudes, axis=1, keepdims=True)
    return data, params


@st.composite
def observables(draw, n_qubits, diagonal=False, max_items=4):
    """Pauli sums and marginals."""
    letters = st.text("IZ" if diagonal else "IXYZ", min_size=n_qubits, max_size=n_qubits)
    terms = st.lists(st.tuples(numbers, letters, st.just(range(n_qubits))), min_size=1, max_size=3)
    sums = terms.map(lambda items: PauliSum.of(*items))
    subsets = st.permutations(range(n_qubits)).flatmap(
        lambda order: st.integers(1, n_qubits).map(lambda k: Marginal(tuple(order[:k])))
    )
    return Observables(tuple(draw(st.lists(st.one_of(sums, subsets), min_size=1, max_size=max_items))))
