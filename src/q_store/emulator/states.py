"""State vectors after a list of rotations: of few basis states among up to 36 qubits, or whole.

Sparse: an entry is one amplitude of one row; its key is row 2^n + state. So a rotation is the same few array operations
for all rows together, and the amplitudes of keys that meet are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from q_store.backends.distributions import Distributions
from q_store.backends.local.kernels import parity
from q_store.circuits.pauli import Pauli

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_NEGLIGIBLE = 1e-13


@dataclass(frozen=True, eq=False)
class Entries:
    """Amplitudes of T rows, ordered by row and then by state.

    Attributes:
        n_qubits: n.
        key: [N], row 2^n + state.
        amplitude: [N].
    """

    n_qubits: int
    key: Ints
    amplitude: Complex

    @staticmethod
    def ground(n_qubits: int, rows: int) -> Entries:
        """|0...0> in every row."""
        return Entries(n_qubits, np.arange(rows) << n_qubits, np.ones(rows, complex))

    @property
    def row(self) -> Ints:
        """[N], the row of each entry."""
        return self.key >> self.n_qubits

    def turned(self, pauli: Pauli, angle: Reals) -> Entries:
        """After exp(-i angle/2 P), angle[T] radians."""
        half = angle[self.row] / 2
        sign = 1.0 - 2.0 * (np.bitwise_count(self.key & pauli.z) & 1)
        if not pauli.x:
            return Entries(self.n_qubits, self.key, self.amplitude * np.exp(-1j * half * sign))
        # P |s> = i^|x & z| (-1)^|s & z| |s ^ x>
        power = (pauli.x & pauli.z).bit_count()
        moved = -1j * 1j**power * sign * np.sin(half) * self.amplitude
        key = np.concatenate([self.key, self.key ^ pauli.x])
        return self._merged(key, np.concatenate([np.cos(half) * self.amplitude, moved]))

    def _merged(self, key: Ints, amplitude: Complex) -> Entries:
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        total = np.add.reduceat(amplitude[order], first)
        there = np.abs(total) > _NEGLIGIBLE
        return Entries(self.n_qubits, key[first][there], total[there])

    def distributions(self, rows: int) -> Distributions:
        """Probabilities of the T rows."""
        start = np.searchsorted(self.key, np.arange(rows + 1) << self.n_qubits).astype(np.int64)
        return Distributions(self.n_qubits, start, self.key & ((1 << self.n_qubits) - 1), np.abs(self.amplitude) ** 2)


@dataclass(frozen=True, slots=True)
class Effort:
    """Entries handled in all, and at most at one time."""

    total: int
    peak: int


def evolve(n_qubits: int, paulis: Sequence[Pauli], angles: Reals, most: int) -> tuple[Entries, Effort] | None:
    """|0...0> after the rotations exp(-i a/2 P), for angles[T, R]; None once there are more than `most` entries."""
    entries = Entries.ground(n_qubits, len(angles))
    total = peak = 0
    for r, pauli in enumerate(paulis):
        entries = entries.turned(pauli, angles[:, r])
        size = len(entries.key)
        total, peak = total + size, max(peak, size)
        if size > most:
            return None
    return entries, Effort(total, peak)


def whole(n_qubits: int, paulis: Sequence[Pauli], angles: Reals) -> Reals:
    """Probabilities [2^n] after the rotations exp(-i a/2 P), for angles[R], from |0...0>."""
    masks = np.array([(p.x, p.z) for p in paulis], dtype=np.int64).reshape(-1, 2)
    psi = np.zeros(1 << n_qubits, complex)
    psi[0] = 1
    _rotate(psi, masks, np.cos(angles / 2), np.sin(angles / 2))
    return np.abs(psi) ** 2


def _run(psi: Complex, masks: Ints, cosines: Reals, sines: Reals) -> None:
    """Every rotation on psi[2^n]; masks are (x, z) of the strings."""
    powers = (1 + 0j, 1j, -1 + 0j, -1j)
    for r in range(len(masks)):
        x, z = masks[r]
        c, s = cosines[r], sines[r]
        if x == 0:
            for j in range(len(psi)):
                psi[j] *= complex(c, s if parity(j, z) else -s)
            continue
        power, both = 3, x & z  # of i, in -i sin P
        while both:
            power += 1
            both &= both - 1
        factor = s * powers[power & 3]
        low = (x & -x) - 1
        for i in range(len(psi) // 2):
            j = ((i & ~low) << 1) | (i & low)
            k = j ^ x
            a, b = psi[j], psi[k]
            psi[j] = c * a + (-factor if parity(k, z) else factor) * b
            psi[k] = c * b + (-factor if parity(j, z) else factor) * a


_rotate: Any = njit(_run, nogil=True, cache=True, error_model="numpy")
