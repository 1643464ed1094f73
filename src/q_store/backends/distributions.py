"""Measured distributions of many circuits: sparse, so that 30 qubits are as cheap as the states that were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Distributions:
    """Weights over measured states, one row a circuit.

    Attributes:
        n_qubits: n.
        start: [S + 1], row r has the entries start[r] to start[r + 1] - 1; a row without an answer has none.
        state: [N], measured states, qubit 0 the least significant bit; different within a row.
        weight: [N], probabilities or relative frequencies; those of a row add up to 1.
    """

    n_qubits: int
    start: Ints
    state: Ints
    weight: Reals

    def __len__(self) -> int:
        return len(self.start) - 1

    @staticmethod
    def of(rows: Sequence[Mapping[int, float]], n_qubits: int) -> Distributions:
        """From one {state: weight} a row, weights made to add up to 1."""
        sizes = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        start = np.concatenate([[0], np.cumsum(sizes)])
        state = np.fromiter(chain.from_iterable(rows), np.int64, start[-1])
        weight = np.fromiter(chain.from_iterable(row.values() for row in rows), np.float64, start[-1])
        total = np.bincount(np.repeat(np.arange(len(rows)), sizes), weight, minlength=len(rows))
        return Distributions(n_qubits, start, state, weight / np.repeat(np.where(total > 0, total, 1), sizes))

    @staticmethod
    def from_dense(weights: Reals) -> Distributions:
        """From weights[S, 2^n]; zeros are left out."""
        row, state = np.nonzero(weights)
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(weights)))])
        n_qubits = weights.shape[1].bit_length() - 1
        return Distributions(n_qubits, start.astype(np.int64), state.astype(np.int64), weights[row, state])

    @staticmethod
    def empty(rows: int, n_qubits: int) -> Distributions:
        """Rows without an answer."""
        return Distributions(n_qubits, np.zeros(rows + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))

    @property
    def row(self) -> Ints:
        """[N], the row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    def flipped(self, masks: Ints) -> Distributions:
        """With the bits of masks[S] inverted in every measured state."""
        return Distributions(self.n_qubits, self.start, self.state ^ masks[self.row], self.weight)

    def rows(self, first: int, last: int) -> Distributions:
        """Rows first to last - 1."""
        a, b = self.start[first], self.start[last]
        start = self.start[first : last + 1] - a
        return Distributions(self.n_qubits, start, self.state[a:b], self.weight[a:b])

    def sums(self, table: Reals) -> Reals:
        """[S, M]: the weighted sum of table[N, M], one row for each entry, over every row."""
        out = np.zeros((len(self), table.shape[1]))
        np.add.at(out, self.row, table * self.weight[:, None])
        return out

    def dense(self) -> Reals:
        """[S, 2^n]; for few qubits."""
        out = np.zeros((len(self), 2**self.n_qubits))
        out[self.row, self.state] = self.weight
        return out


def join(parts: Sequence[tuple[Ints, Distributions]], rows: int, n_qubits: int) -> Distributions:
    """One table of `rows` rows from parts whose row r goes to numbers[r]; rows that no part has are empty."""
    row = np.concatenate([np.zeros(0, np.int64), *(numbers[part.row] for numbers, part in parts)])
    state = np.concatenate([np.zeros(0, np.int64), *(part.state for _, part in parts)])
    weight = np.concatenate([np.zeros(0), *(part.weight for _, part in parts)])
    order = np.argsort(row, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]).astype(np.int64)
    return Distributions(n_qubits, start, state[order], weight[order])
