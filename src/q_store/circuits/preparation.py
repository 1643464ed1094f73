"""Real amplitudes as RY and CNOT, for all rows of a data set at once.

Exact: a tree of uniformly controlled RY, from the highest qubit down; m controls cost 2^m CNOT in Gray-code order
(Möttönen et al., Quantum Inf. Comput. 5, 467), 2^n - 2 in all.

Matrix-product state of bond 2: a staircase of two-qubit gates from the highest qubit down (Ran, Phys. Rev. A 101,
032310). The first one acts on |00> and costs 1 CNOT; each of the other n - 2 is a real isometry, completed to SO(4),
and costs 2:

    O = RY(b1) RY(c1) . CNOT . RY(a) RY(b) . CNOT . RY(b0) RY(c0)

because CNOT turns the inner pair into exp(-i/2 (a YX + b ZY)), a Cartan subgroup of SO(4) beside the local RY RY. SO(4)
is SU(2) x SU(2) with generators {YI, XY, ZY} and {IY, YX, YZ}, so the angles are two sets of Euler angles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import x
from q_store.circuits.circuit import Op, cnot, op
from q_store.circuits.gates import PAULI_MATRICES

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gates:
    """A preparation: operations with the angles x_0..x_{A-1}, and angles[B, A] for the rows."""

    ops: tuple[Op, ...]
    angles: Reals

    @property
    def n_angles(self) -> int:
        """A."""
        return int(self.angles.shape[1])


class _Builder:
    """Collects RY and CNOT; consecutive RY on a qubit are one."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.ops: list[Op] = []
        self.columns: list[Reals] = []
        self.pending: dict[int, Reals] = {}

    def ry(self, qubit: int, angles: Reals) -> None:
        self.pending[qubit] = self.pending[qubit] + angles if qubit in self.pending else angles

    def cnot(self, control: int, target: int) -> None:
        self._flush(control)
        self._flush(target)
        self.ops.append(cnot(control, target))

    def finish(self) -> Gates:
        for qubit in sorted(self.pending):
            self._flush(qubit)
        angles = np.stack(self.columns, axis=1) if self.columns else np.zeros((self.n_rows, 0))
        return Gates(tuple(self.ops), angles)

    def _flush(self, qubit: int) -> None:
        if qubit in self.pending:
            self.ops.append(op("ry", qubit, angles=[x(len(self.columns))]))
            self.columns.append(self.pending.pop(qubit))


def tree_gates(amplitudes: Reals, number: int) -> Gates:
    """The exact preparation of unit rows that are zero from column `number` on: 2^k - 2 CNOT, k = log2(number)."""
    n = max(1, (number - 1).bit_length())  # the qubits above stay |0>
    out = _Builder(len(amplitudes))
    level, angles = amplitudes[:, : 2**n], []
    for _ in range(n):
        angles.append(2 * np.arctan2(level[:, 1::2], level[:, ::2]))
        level = np.hypot(level[:, ::2], level[:, 1::2])
    for m, values in enumerate(reversed(angles)):
        _uniformly_controlled(out, n - 1 - m, values)
    return out.finish()


def _uniformly_controlled(out: _Builder, target: int, angles: Reals) -> None:
    """RY(angles[:, j]) on the target where the qubits above it read j."""
    size = angles.shape[1]
    steps = np.arange(size)
    gray = steps ^ steps >> 1
    signs = 1.0 - 2.0 * (np.bitwise_count(steps[:, None] & gray) & 1)
    turns = angles @ signs / size
    for i in range(size):
        out.ry(target, turns[:, i])
        if size > 1:
            flipped = int(gray[i] ^ gray[(i + 1) % size])  # one bit
            out.cnot(target + flipped.bit_length(), target)


def mps(amplitudes: Reals) -> tuple[Reals, list[Reals]]:
    """The truncated right-canonical form of unit rows [B, 2^n], n >= 2.

    Returns:
        The core [B, 2, 2] over (qubit n-1, bond), whose norm squared is the fidelity, and for the qubits n-2..1 in this
        order the isometries [B, 4, 2] from the bond above to (qubit, bond below), the qubit the more significant.
    """
    rows = len(amplitudes)
    rest = amplitudes.reshape(rows, -1, 2)
    isometries: list[Reals] = []
    while rest.shape[1] > 2:
        pair = rest.reshape(rows, -1, 4)
        _, vectors = np.linalg.eigh(np.swapaxes(pair, 1, 2) @ pair)
        kept = vectors[:, :, :1:-1]  # the two largest Schmidt weights
        isometries.append(kept)
        rest = pair @ kept
    return rest, isometries[::-1]


def mps_gates(amplitudes: Reals, number: int) -> Gates:
    """The staircase of the bond-2 state of unit rows that are zero from column `number` on.

    2 k - 3 CNOT on k = log2(number) qubits (none for k = 1).
    """
    n = (number - 1).bit_length()  # the qubits above stay |0>
    if n < 2:
        return tree_gates(amplitudes, number)
    core, isometries = mps(amplitudes[:, : 2**n])
    out = _Builder(len(amplitudes))
    _first_pair(out, core, n - 1)
    for k, isometry in enumerate(isometries):
        _so4(out, _completed(isometry), n - 2 - k)
    return out.finish()


def _first_pair(out: _Builder, core: Reals, qubit: int) -> None:
    """sum core[s, a] |s>|a> / norm on (qubit, qubit - 1), by its Schmidt form U diag(cos, sin) V, U and V rotations."""
    u, weights, v = np.linalg.svd(core)
    sine = weights[:, 1] * np.sign(np.linalg.det(u)) * np.sign(np.linalg.det(v))  # a reflection becomes a sign
    out.ry(qubit, 2 * np.arctan2(sine, weights[:, 0]))
    out.cnot(qubit, qubit - 1)
    out.ry(qubit, 2 * np.arctan2(u[:, 1, 0], u[:, 0, 0]))
    out.ry(qubit - 1, 2 * np.arctan2(v[:, 0, 1], v[:, 0, 0]))


def _completed(isometry: Reals) -> Reals:
    """SO(4) matrices [B, 4, 4] whose columns 0 and 2 (lower qubit in |0>) are the isometry's."""
    full = np.linalg.svd(isometry)[0]
    out = np.stack([isometry[:, :, 0], full[:, :, 2], isometry[:, :, 1], full[:, :, 3]], axis=2)
    out[:, :, 3] *= np.sign(np.linalg.det(out))[:, None]
    return out


def _so4(out: _Builder, matrices: Reals, qubit: int) -> None:
    """SO(4) matrices [B, 4, 4] on (qubit, qubit - 1), the qubit the more significant."""
    coefficients = np.einsum("ijkl,bkl->bij", _PRODUCTS, matrices) / 4
    # coefficients = left x right of two unit quaternions: read the right one off the largest row
    norms = np.linalg.norm(coefficients, axis=2)
    rows = np.arange(len(matrices))
    largest = norms.argmax(axis=1)
    right = coefficients[rows, largest] / norms[rows, largest, None]
    left = np.einsum("bij,bj->bi", coefficients, right)
    upper, lower = _euler(left), _euler(right)
    out.ry(qubit, upper[0])
    out.ry(qubit - 1, lower[0])
    out.cnot(qubit, qubit - 1)
    out.ry(qubit, lower[1])  # becomes YX between the CNOT
    out.ry(qubit - 1, upper[1])  # becomes ZY
    out.cnot(qubit, qubit - 1)
    out.ry(qubit, upper[2])
    out.ry(qubit - 1, lower[2])


def _euler(quaternion: Reals) -> tuple[Reals, Reals, Reals]:
    """(t0, t1, t2) with exp(-i t2/2 E1) exp(-i t1/2 E2) exp(-i t0/2 E1) = sum_i quaternion_i B_i of `_basis`."""
    q0, q1, q2, q3 = quaternion.T
    middle = 2 * np.arctan2(np.hypot(q2, q3), np.hypot(q0, q1))
    half_sum, half_difference = np.arctan2(q1, q0), np.arctan2(q3, q2)
    return half_sum - half_difference, middle, half_sum + half_difference


def _basis(first: str, second: str) -> Reals:
    """1, -i E1, -i E2, E2 E1 for anticommuting strings, first letter on the more significant qubit; real, [4, 4, 4]."""
    e1, e2 = (np.kron(PAULI_MATRICES[p[0]], PAULI_MATRICES[p[1]]) for p in (first, second))
    return np.stack([np.eye(4), -1j * e1, -1j * e2, e2 @ e1]).real


_PRODUCTS = np.einsum("iab,jbc->ijac", _basis("YI", "ZY"), _basis("IY", "YX"))
