"""Observables: Pauli sums and marginal probabilities, and how to measure them.

A list of observables gives M values a row: a Pauli sum gives one, a marginal over k qubits gives 2^k.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from q_store.circuits.pauli import Pauli
from q_store.errors import CircuitError

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PauliSum:
    """sum_k c_k P_k; one value.

    Attributes:
        terms: (coefficient, Hermitian string with sign +) pairs.
    """

    terms: tuple[tuple[float, Pauli], ...]

    @staticmethod
    def of(*terms: tuple[float, str, Sequence[int]]) -> PauliSum:
        """`PauliSum.of((0.5, "ZZ", (0, 1)), (-1.0, "X", (0,)))`."""
        if not all(math.isfinite(c) for c, _, _ in terms):
            msg = f"expected finite coefficients, got {[c for c, _, _ in terms]}"
            raise CircuitError(msg)
        return PauliSum(tuple((float(c), Pauli.of(letters, qubits)) for c, letters, qubits in terms))

    @property
    def is_diagonal(self) -> bool:
        """Whether only I and Z occur."""
        return not any(p.x for _, p in self.terms)


@dataclass(frozen=True, slots=True)
class Marginal:
    """Probabilities of the 2^k outcomes of some qubits; the first listed is the outcome's least significant bit."""

    qubits: tuple[int, ...]


Observable = PauliSum | Marginal


def z(*qubits: int) -> PauliSum:
    """The product of Z on these qubits."""
    return PauliSum.of((1.0, "Z" * len(qubits), qubits))


@dataclass(frozen=True)
class Observables:
    """An ordered list of observables.

    Attributes:
        items: the observables; values appear in this order, a marginal's outcomes in ascending order.
    """

    items: tuple[Observable, ...]

    @staticmethod
    def of(*items: Observable) -> Observables:
        """From single observables."""
        return Observables(tuple(items))

    @staticmethod
    def local_z(n_qubits: int) -> Observables:
        """Z on every qubit."""
        return Observables(tuple(z(q) for q in range(n_qubits)))

    @property
    def size(self) -> int:
        """M, the number of values a row."""
        return sum(1 if isinstance(o, PauliSum) else 2 ** len(o.qubits) for o in self.items)

    @property
    def is_diagonal(self) -> bool:
        """Whether one measurement in the computational basis gives all values."""
        return all(isinstance(o, Marginal) or o.is_diagonal for o in self.items)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the list, hexadecimal."""
        return hashlib.sha256(repr(self.items).encode()).hexdigest()

    @cached_property
    def strings(self) -> tuple[Pauli, ...]:
        """Every string that the values depend on; for a marginal the Z on its qubits (products commute alike)."""
        seen: dict[Pauli, None] = {}
        for item in self.items:
            if isinstance(item, PauliSum):
                seen.update(dict.fromkeys(p for _, p in item.terms if p.x | p.z))
            else:
                seen.update(dict.fromkeys(Pauli(0, 1 << q) for q in item.qubits))
        return tuple(seen)

    def check(self, n_qubits: int) -> None:
        """Raise CircuitError unless every qubit is in 0..n_qubits-1 and marginals have different qubits."""
        for item in self.items:
            qubits = item.qubits if isinstance(item, Marginal) else tuple(q for _, p in item.terms for q in p.qubits)
            bad = [q for q in qubits if not 0 <= q < n_qubits]
            if bad or (isinstance(item, Marginal) and (len(set(qubits)) != len(qubits) or not qubits)):
                msg = f"expected observables on different qubits in 0..{n_qubits - 1}, got {qubits}"
                raise CircuitError(msg)

    def table(self, n_qubits: int) -> Reals:
        """D[2^n, M] with values = probabilities @ D, for diagonal observables.

        Raises:
            CircuitError: if an observable is not diagonal.
        """
        columns = [diagonal_values(item, np.arange(2**n_qubits)) for item in self.items]
        return np.concatenate(columns, axis=1) if columns else np.zeros((2**n_qubits, 0))

    def groups(self) -> list[MeasurementGroup]:
        """Qubit-wise commuting groups that together hold every string, found greedily; the diagonal one first.

        A value that needs several groups is the sum of its parts.
        """
        groups: list[dict[int, str]] = [{}] if any(isinstance(o, Marginal) or o.is_diagonal for o in self.items) else []
        diagonal = bool(groups)
        for string in sorted(self.strings, key=lambda p: p.x != 0):
            letters = {q: string.letters((q,)) for q in string.qubits}
            for k, group in enumerate(groups):
                if all(group.get(q, "Z" if diagonal and not k else v) == v for q, v in letters.items()):
                    group.update(letters)
                    break
            else:
                groups.append(letters)
        return [MeasurementGroup(tuple(sorted((q, b) for q, b in g.items() if b != "Z"))) for g in groups]


@dataclass(frozen=True, slots=True)
class MeasurementGroup:
    """A measurement basis: Z on every qubit but the listed (qubit, "X" or "Y") ones."""

    basis: tuple[tuple[int, str], ...]

    def holds(self, pauli: Pauli) -> bool:
        """Whether a string is diagonal in this basis."""
        turned = dict(self.basis)
        return all(pauli.letters((q,)) == turned.get(q, "Z") for q in pauli.qubits)


def diagonal_values(item: Observable, states: npt.NDArray[np.int64]) -> Reals:
    """What each measured state [U] gives for a diagonal observable, [U, 1]; [U, 2^k] for a marginal.

    Raises:
        CircuitError: if it is not diagonal.
    """
    if isinstance(item, Marginal):
        outcome = sum((states >> q & 1) << k for k, q in enumerate(item.qubits))
        return np.asarray(np.eye(2 ** len(item.qubits))[outcome], dtype=float)
    if not item.is_diagonal:
        msg = "expected observables of Z and I for a table over measured states, got X or Y; measure them in groups()"
        raise CircuitError(msg)
    column = np.zeros(len(states))
    for coefficient, string in item.terms:
        column += coefficient * (1 - 2.0 * (np.bitwise_count(states & string.z) & 1))
    return column[:, None]


def collect(items: Iterable[Observable] | Observables) -> Observables:
    """The list as `Observables`."""
    return items if isinstance(items, Observables) else Observables(tuple(items))
