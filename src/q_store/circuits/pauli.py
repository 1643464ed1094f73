"""Pauli strings as bit masks, and their products.

A string is i^phase X^x Z^z with bit q of a mask for qubit q (Aaronson and Gottesman, Phys. Rev. A 70, 052328); Y =
i X Z, so a string written with letters has phase = (number of Y) mod 4 and sign +1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from q_store.errors import CircuitError

_BITS = {"I": (0, 0), "X": (1, 0), "Y": (1, 1), "Z": (0, 1)}
_LETTERS = {(0, 0): "I", (1, 0): "X", (1, 1): "Y", (0, 1): "Z"}


@dataclass(frozen=True, slots=True)
class Pauli:
    """i^phase X^x Z^z.

    Attributes:
        x, z: masks, bit q for qubit q.
        phase: power of i, modulo 4. Hermitian strings have phase = popcount(x & z) (sign +) or that + 2 (sign -).
    """

    x: int
    z: int
    phase: int = 0

    @staticmethod
    def of(letters: str, qubits: Sequence[int]) -> Pauli:
        """The string with `letters[k]` on `qubits[k]`.

        Raises:
            CircuitError: for another letter than IXYZ, a length that differs from the number of qubits, or a repeated
                qubit.
        """
        different = len(set(qubits)) == len(qubits) and min(qubits, default=0) >= 0
        if not different or len(letters) != len(qubits) or set(letters) - set(_BITS):
            msg = f"expected letters of IXYZ, one for each of some different qubits, got {letters!r} on {[*qubits]}"
            raise CircuitError(msg)
        x = z = 0
        for letter, qubit in zip(letters, map(int, qubits), strict=True):  # NumPy integers overflow at 63
            bx, bz = _BITS[letter]
            x |= bx << qubit
            z |= bz << qubit
        return Pauli(x, z, (x & z).bit_count() & 3)

    @property
    def sign(self) -> int:
        """+1 or -1 in front of the letters; the string must be Hermitian."""
        return 1 - ((self.phase - (self.x & self.z).bit_count()) & 3)

    @property
    def qubits(self) -> tuple[int, ...]:
        """Qubits on which the string is not the identity, ascending."""
        support = self.x | self.z
        return tuple(q for q in range(support.bit_length()) if support >> q & 1)

    def letters(self, qubits: Sequence[int]) -> str:
        """The letters on the given qubits, without the sign."""
        return "".join(_LETTERS[(self.x >> q & 1, self.z >> q & 1)] for q in qubits)

    def commutes(self, other: Pauli) -> bool:
        """Whether the two strings commute."""
        return not ((self.x & other.z).bit_count() + (self.z & other.x).bit_count()) & 1

    def __matmul__(self, other: Pauli) -> Pauli:
        phase = self.phase + other.phase + 2 * (self.z & other.x).bit_count()
        return Pauli(self.x ^ other.x, self.z ^ other.z, phase & 3)

    def times_i(self, power: int) -> Pauli:
        """i^power times the string."""
        return Pauli(self.x, self.z, (self.phase + power) & 3)

    def __str__(self) -> str:
        body = " ".join(f"{self.letters((q,))}{q}" for q in self.qubits) or "I"
        return body if self.sign > 0 else f"-{body}"
