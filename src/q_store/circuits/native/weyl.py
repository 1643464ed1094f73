"""Two-qubit unitaries as at most three rotations between local gates.

Every U of two qubits is A exp(-i (a XX + b YY + c ZZ)/2) B with local A and B (Zhang et al., Phys. Rev. A 67, 042313);
the rotations by multiples of pi are local. In the magic basis local gates are real orthogonal and XX, YY, ZZ diagonal,
so U^T U = B^T D^2 B: B diagonalises its commuting real and imaginary parts at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.gates import PAULI_MATRICES
from q_store.circuits.native.sphere import AXES, CLOSE, Local, from_matrix
from q_store.circuits.native.turns import Turn

Array = npt.NDArray[np.complex128]
Reals = npt.NDArray[np.float64]

_MAGIC = np.array([[1, 0, 0, 1j], [0, 1j, 1, 0], [0, 1j, -1, 0], [1, 0, 0, -1j]]) / math.sqrt(2)
# _SIGNS[k] is the diagonal of letter k on both qubits, in the magic basis
_SIGNS = np.array(
    [np.diag(_MAGIC.conj().T @ np.kron(PAULI_MATRICES[p], PAULI_MATRICES[p]) @ _MAGIC).real for p in "XYZ"]
)
# Any generic mixture separates the eigenvectors; several, because an unlucky one may bring two eigenvalues together
_MIXTURES = [(math.cos(t), math.sin(t)) for t in (0.4, 1.1, 1.9, 2.6)]


def canonical(matrix: Array) -> tuple[tuple[Local, Local], Reals, tuple[Local, Local]]:
    """(B, (a, b, c), A) of a unitary [4, 4], up to a global phase; angles in radians.

    B and A are the local gates of (qubit 0, qubit 1); qubit 0 is the least significant bit.
    """
    u = _MAGIC.conj().T @ matrix @ _MAGIC
    right = _eigenvectors(u.T @ u)
    if np.linalg.det(right) < 0:
        right[:, 0] = -right[:, 0]
    columns = u @ right
    phases = np.angle(np.einsum("ij,ij->j", columns, columns)) / 2
    left = (columns * np.exp(-1j * phases)).real
    if np.linalg.det(left) < 0:
        left[:, 0] = -left[:, 0]
        phases[0] += math.pi
    angles = -_SIGNS @ phases / 2
    return _factors(right.T), angles, _factors(left)


def _eigenvectors(symmetric: Array) -> Reals:
    """Real orthogonal V with V^T S V diagonal, for a symmetric unitary S."""
    best, error = np.eye(4), math.inf
    for x, y in _MIXTURES:
        _, v = np.linalg.eigh(x * symmetric.real + y * symmetric.imag)
        diagonal = v.T @ symmetric @ v
        off = float(np.abs(diagonal - np.diag(np.diag(diagonal))).max())
        if off < error:
            best, error = v, off
    return best


def _factors(orthogonal: Reals) -> tuple[Local, Local]:
    """The local gates of a real orthogonal matrix of determinant 1 in the magic basis."""
    pair = (_MAGIC @ orthogonal @ _MAGIC.conj().T).reshape(2, 2, 2, 2)  # [out 1, out 0, in 1, in 0]
    i, j = np.unravel_index(np.argmax(np.abs(pair).max(axis=(1, 3))), (2, 2))
    low = pair[i, :, j, :]
    k, m = np.unravel_index(np.argmax(np.abs(pair).max(axis=(0, 2))), (2, 2))
    high = pair[:, k, :, m]
    return from_matrix(low / np.sqrt(np.linalg.det(low)))[0], from_matrix(high / np.sqrt(np.linalg.det(high)))[0]


def matrix_of(turns: Sequence[Turn], pair: tuple[int, int]) -> Array:
    """The unitary [4, 4] of constant turns on the pair, whose first qubit is the least significant bit."""
    out = np.eye(4, dtype=complex)
    for turn in turns:
        low, high = turn.axes if turn.qubits == pair else turn.axes[::-1]
        product = np.kron(_pauli(high), _pauli(low))
        half = turn.angle.constant / 2
        out = math.cos(half) * out - 1j * math.sin(half) * (product @ out)
    return out


def _pauli(axis: tuple[float, float, float]) -> Array:
    x, y, z = axis
    return np.array([[z, x - 1j * y], [x + 1j * y, -z]])


def shortest(turns: Sequence[Turn], *, aligned: bool = False) -> list[Turn] | None:
    """Turns of the same unitary as these constant ones on one pair, with fewer entanglers; None if there are none.

    Args:
        turns: any; there is nothing shorter than one.
        aligned: turns that are as many as before will do: their axes are at right angles, which saves pulses.
    """
    if len(turns) < 2:
        return None
    pair = (turns[0].qubits[0], turns[0].qubits[1])
    before, angles, afterwards = canonical(matrix_of(turns, pair))
    number = sum(abs(math.remainder(angle, math.pi)) > CLOSE for angle in angles)
    if number > len(turns) - (not aligned):
        return None
    middle = [Turn(pair, (AXES["XYZ"[k]],) * 2, Angle.of(angles[k])) for k in range(3)]
    return [*_locals(pair, before), *middle, *_locals(pair, afterwards)]


def _locals(pair: tuple[int, int], gates: tuple[Local, Local]) -> list[Turn]:
    out = []
    for qubit, (w, *v) in zip(pair, gates, strict=True):
        size = math.hypot(*v)
        if size:
            axis = (v[0] / size, v[1] / size, v[2] / size)
            out.append(Turn((qubit,), (axis,), Angle.of(2 * math.atan2(size, w))))
    return out
