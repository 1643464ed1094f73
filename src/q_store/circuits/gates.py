"""The gates: IonQ's QIS set and the native GPi, GPi2, MS and ZZ.

Every gate is defined twice, on purpose: by its matrix (the definition that the NumPy oracle and the exporters use) and
as a product of Pauli rotations exp(-i a/2 P) (what the compiled engine runs and what gradients differentiate). Tests
hold the two against each other.

Matrices follow the convention that the FIRST qubit of an operation is the LEAST significant bit of the matrix index.
Angles of the QIS gates are radians, of the native gates turns (IonQ API v0.4; native matrices as in
https://docs.ionq.com/guides/getting-started-with-native-gates).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from q_store.errors import GateError, suggestion

Array = npt.NDArray[np.complex128]
Reals = npt.NDArray[np.float64]
# A factor: letters on the gate's qubits, the rotation angle as (constant, coefficient of each gate angle), radians.
Factor = tuple[str, float, tuple[float, ...]]

_I2 = np.eye(2, dtype=complex)
_X = np.array([[0, 1], [1, 0]], dtype=complex)
_Y = np.array([[0, -1j], [1j, 0]], dtype=complex)
_Z = np.diag([1.0 + 0j, -1.0])
PAULI_MATRICES = {"I": _I2, "X": _X, "Y": _Y, "Z": _Z}
TURN = 2 * math.pi


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate type.

    Attributes:
        name: IonQ's name, lower case.
        n_qubits: number of target qubits.
        n_angles: number of angles.
        matrix: angles[..., n_angles] -> unitaries[..., 2^n, 2^n].
        factors: rotations exp(-i a/2 P) in time order, a = constant + sum of coefficient * angle; letters "I..." are a
            global phase exp(-i a/2), which matters once the gate is controlled.
        frequencies: for each angle the frequencies of an expectation value as a function of it (per unit of the angle);
            the generator's eigenvalue differences. They fix the parameter-shift rule (Wierichs et al., Quantum 6, 677).
        native: whether it belongs to IonQ's native set (angles in turns).
    """

    name: str
    n_qubits: int
    n_angles: int
    matrix: Callable[[Reals], Array]
    factors: tuple[Factor, ...]
    frequencies: tuple[tuple[float, ...], ...] = ()
    native: bool = field(default=False)


def pauli_matrix(letters: str) -> Array:
    """The 2^n x 2^n matrix of a Pauli string; letters[0] acts on the least significant bit."""
    out = np.ones((1, 1), dtype=complex)
    for letter in letters:
        out = np.kron(PAULI_MATRICES[letter], out)
    return out


def rotation_matrix(letters: str, angle: Reals) -> Array:
    """exp(-i angle/2 P), shape angle.shape + (2^n, 2^n)."""
    p = pauli_matrix(letters)
    half = np.asarray(angle, dtype=float)[..., None, None] / 2
    return np.asarray(np.cos(half) * np.eye(len(p)) - 1j * np.sin(half) * p)


def _fixed(name: str, matrix: Sequence[Sequence[complex]] | Array, *factors: tuple[str, float]) -> Gate:
    unitary = np.asarray(matrix, dtype=complex)
    n = len(factors[0][0])

    def expand(angles: Reals) -> Array:
        return np.broadcast_to(unitary, (*np.shape(angles)[:-1], *unitary.shape))

    return Gate(name, n, 0, expand, tuple((letters, angle, ()) for letters, angle in factors))


def _rotation(letters: str, name: str) -> Gate:
    def matrix(angles: Reals) -> Array:
        return rotation_matrix(letters, angles[..., 0])

    return Gate(name, len(letters), 1, matrix, ((letters, 0.0, (1.0,)),), ((1.0,),))


def _gpi(angles: Reals) -> Array:
    phase = np.exp(1j * TURN * np.asarray(angles)[..., 0])
    out = np.zeros((*phase.shape, 2, 2), dtype=complex)
    out[..., 0, 1], out[..., 1, 0] = phase.conj(), phase
    return out


def _gpi2(angles: Reals) -> Array:
    return np.asarray((_I2 - 1j * _gpi(angles)) / math.sqrt(2))


def _ms(angles: Reals) -> Array:
    angles = np.asarray(angles)
    a, b = _gpi(angles[..., :1]), _gpi(angles[..., 1:2])
    pair = np.einsum("...ij,...kl->...kilj", a, b).reshape(*angles.shape[:-1], 4, 4)
    turn = math.pi * angles[..., 2, None, None]
    return np.asarray(np.cos(turn) * np.eye(4) - 1j * np.sin(turn) * pair)


def _zz_native(angles: Reals) -> Array:
    return rotation_matrix("ZZ", TURN * np.asarray(angles)[..., 0])


def _phase(angles: Reals) -> Array:
    angle = np.asarray(angles)[..., 0]
    out = np.zeros((*angle.shape, 2, 2), dtype=complex)
    out[..., 0, 0], out[..., 1, 1] = 1, np.exp(1j * angle)
    return out


_PI = math.pi
_R = 1 / math.sqrt(2)
_SWAP = np.eye(4, dtype=complex)[[0, 2, 1, 3]]

_GATES = (
    _fixed("x", _X, ("X", _PI), ("I", -_PI)),
    _fixed("y", _Y, ("Y", _PI), ("I", -_PI)),
    _fixed("z", _Z, ("Z", _PI), ("I", -_PI)),
    _fixed("h", [[_R, _R], [_R, -_R]], ("Z", _PI), ("Y", _PI / 2), ("I", -_PI)),
    _fixed("s", [[1, 0], [0, 1j]], ("Z", _PI / 2), ("I", -_PI / 2)),
    _fixed("si", [[1, 0], [0, -1j]], ("Z", -_PI / 2), ("I", _PI / 2)),
    _fixed("t", np.diag([1, np.exp(0.25j * _PI)]), ("Z", _PI / 4), ("I", -_PI / 4)),
    _fixed("ti", np.diag([1, np.exp(-0.25j * _PI)]), ("Z", -_PI / 4), ("I", _PI / 4)),
    _fixed("v", [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]], ("X", _PI / 2), ("I", -_PI / 2)),
    _fixed("vi", [[0.5 - 0.5j, 0.5 + 0.5j], [0.5 + 0.5j, 0.5 - 0.5j]], ("X", -_PI / 2), ("I", _PI / 2)),
    _fixed("swap", _SWAP, ("XX", _PI / 2), ("YY", _PI / 2), ("ZZ", _PI / 2), ("II", -_PI / 2)),
    _rotation("X", "rx"),
    _rotation("Y", "ry"),
    _rotation("Z", "rz"),
    _rotation("XX", "xx"),
    _rotation("YY", "yy"),
    _rotation("ZZ", "zz"),
    # diag(1, e^{i a}): IonQ writes it "z" with a rotation
    Gate("p", 1, 1, _phase, (("Z", 0.0, (1.0,)), ("I", 0.0, (-1.0,))), ((1.0,),)),
    # GPi(phi) = RZ(4 pi phi) X
    Gate(
        "gpi",
        1,
        1,
        _gpi,
        (("X", _PI, (0.0,)), ("I", -_PI, (0.0,)), ("Z", 0.0, (2 * TURN,))),
        ((2 * TURN,),),
        native=True,
    ),
    # GPi2(phi) = RZ(2 pi phi) RX(pi/2) RZ(-2 pi phi)
    Gate(
        "gpi2",
        1,
        1,
        _gpi2,
        (("Z", 0.0, (-TURN,)), ("X", _PI / 2, (0.0,)), ("Z", 0.0, (TURN,))),
        ((TURN, 2 * TURN),),
        native=True,
    ),
    Gate(
        "ms",
        2,
        3,
        _ms,
        (
            ("ZI", 0.0, (-TURN, 0.0, 0.0)),
            ("IZ", 0.0, (0.0, -TURN, 0.0)),
            ("XX", 0.0, (0.0, 0.0, TURN)),
            ("ZI", 0.0, (TURN, 0.0, 0.0)),
            ("IZ", 0.0, (0.0, TURN, 0.0)),
        ),
        ((TURN, 2 * TURN), (TURN, 2 * TURN), (TURN,)),
        native=True,
    ),
    Gate("nzz", 2, 1, _zz_native, (("ZZ", 0.0, (TURN,)),), ((TURN,),), native=True),
)
GATES = {gate.name: gate for gate in _GATES}
# A Pauli exponential carries its letters in the operation; see `circuit.pauliexp`.
PAULIEXP = "pauliexp"


def gate(name: str) -> Gate:
    """The gate of this name.

    Raises:
        GateError: for an unknown name.
    """
    try:
        return GATES[name]
    except KeyError:
        msg = f"expected a known gate, got {name!r}{suggestion(name, GATES)}"
        raise GateError(msg) from None
