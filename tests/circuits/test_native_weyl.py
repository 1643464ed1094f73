from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from q_store.backends.local.reference import matrix
from q_store.circuits import Angle, op
from q_store.circuits.gates import pauli_matrix
from q_store.circuits.native.sphere import AXES, about, after, from_matrix, inverse, to_matrix, turned
from q_store.circuits.native.turns import Turn
from q_store.circuits.native.weyl import canonical, matrix_of, shortest

PI = math.pi


def random_unitary(rng, n):
    q, r = np.linalg.qr(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    return q * (np.diag(r) / abs(np.diag(r)))


def exponential(angles):
    out = np.eye(4, dtype=complex)
    for letter, angle in zip("XYZ", angles, strict=True):
        pair = pauli_matrix(letter * 2)
        out = (math.cos(angle / 2) * np.eye(4) - 1j * math.sin(angle / 2) * pair) @ out
    return out


def local(rng):
    return np.kron(random_unitary(rng, 2), random_unitary(rng, 2))


def coordinates(u):
    """The angles modulo pi, those that are not zero; checks the whole decomposition."""
    before, angles, afterwards = canonical(u)
    low, high = (to_matrix(b) for b in before)
    left, right = (to_matrix(a) for a in afterwards)
    product = np.kron(right, left) @ exponential(angles) @ np.kron(high, low)
    assert abs(abs(np.vdot(product, u)) - 4) < 1e-13
    return [a for a in angles if abs(math.remainder(a, PI)) > 1e-10]


SWAP = matrix(op("swap", 0, 1), [])
ISWAP = exponential((-PI / 2, -PI / 2, 0))
CX = matrix(op("x", 1, controls=[0]), [])


@pytest.mark.parametrize(
    ("u", "number"),
    [
        (np.eye(4, dtype=complex), 0),
        (np.kron(pauli_matrix("X"), pauli_matrix("Z")), 0),
        (CX, 1),
        (matrix(op("h", 1, controls=[0]), []), 1),
        (matrix(op("p", 1, angles=[0.3], controls=[0]), [0.3]), 1),
        (ISWAP, 2),
        (CX @ matrix(op("x", 0, controls=[1]), [])[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])], 2),
        (SWAP, 3),
        (exponential((0.3, 0.2, 0.1)), 3),
        (exponential((PI / 2, PI / 2, 0.1)), 3),
        (exponential((PI, 2 * PI, -PI)), 0),
    ],
)
def test_known_gates(u, number):
    rng = np.random.default_rng(1)
    for _ in range(5):
        assert len(coordinates(local(rng) @ u @ local(rng))) == number


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_random_unitaries(seed):
    assert len(coordinates(random_unitary(np.random.default_rng(seed), 4))) == 3


@settings(max_examples=200)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1e-15, 1e-12, 1e-9, 1e-7, 1e-4]),
    st.lists(st.integers(-2, 2), min_size=3, max_size=3),
)
def test_close_to_degenerate(seed, size, quarters):
    """Around every corner of the Weyl chamber, where eigenvectors are badly defined."""
    rng = np.random.default_rng(seed)
    angles = [k * PI / 4 + size * rng.normal() for k in quarters]
    coordinates(local(rng) @ exponential(angles) @ local(rng))


def test_runs_become_shorter_only():
    quarter = Angle.of(PI / 2)
    xz = Turn((2, 5), (AXES["X"], AXES["Z"]), quarter)
    zx = Turn((5, 2), (AXES["X"], AXES["Z"]), quarter)
    yy = Turn((2, 5), (AXES["Y"], AXES["Y"]), Angle.of(0.3))
    assert shortest([xz]) is None
    assert shortest([xz, zx]) is None
    # XZ and ZX commute: the second XZ meets the first
    assert sum(len(turn.qubits) == 2 for turn in shortest([xz, zx, xz])) == 3
    run = [xz, zx, yy, zx, xz, yy]
    new = shortest(run)
    assert 0 < sum(len(turn.qubits) == 2 for turn in new) <= 3
    whole = np.eye(4, dtype=complex)
    for turn in new:
        if len(turn.qubits) == 2:
            step = matrix_of([turn], (2, 5))
        else:
            small = to_matrix(about(turn.axes[0], turn.angle.constant))
            step = np.kron(small, np.eye(2)) if turn.qubits == (5,) else np.kron(np.eye(2), small)
        whole = step @ whole
    assert abs(np.vdot(whole, matrix_of(run, (2, 5)))) == pytest.approx(4, abs=1e-12)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_quaternions_are_unitaries(seed):
    rng = np.random.default_rng(seed)
    u, v = random_unitary(rng, 2), random_unitary(rng, 2)
    (a, phase), (b, _) = from_matrix(u), from_matrix(v)
    np.testing.assert_allclose(np.exp(1j * phase) * to_matrix(a), u, atol=1e-14)
    np.testing.assert_allclose(to_matrix(after(b, a)), to_matrix(b) @ to_matrix(a), atol=1e-14)
    np.testing.assert_allclose(to_matrix(inverse(a)), to_matrix(a).conj().T, atol=1e-14)
    axis = (0.6, 0.0, 0.8)
    pauli = sum(c * pauli_matrix(letter) for c, letter in zip(axis, "XYZ", strict=True))
    image = sum(c * pauli_matrix(letter) for c, letter in zip(turned(a, axis), "XYZ", strict=True))
    np.testing.assert_allclose(image, u @ pauli @ u.conj().T, atol=1e-14)
