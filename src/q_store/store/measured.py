"""Measured distributions together with the shots behind each, and how several become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from q_store.backends.distributions import Distributions, join
from q_store.errors import ShapeError

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
EXACT = -1
"""In place of shots: probabilities without sampling noise."""
_WHOLE, _LAST_BITS = 1e-6, 1e-15


@dataclass(frozen=True, eq=False)
class Measured:
    """Distributions of S circuits. Build it with `of`, which makes it canonical: equal contents are equal arrays.

    Attributes:
        distributions: states ascending within a row, weights not zero; the weight of k of N shots is k / N.
        shots: [S], shots behind each row; `EXACT` for probabilities, 0 for a row without an answer.
    """

    distributions: Distributions
    shots: Ints

    def __len__(self) -> int:
        return len(self.shots)

    @staticmethod
    def of(distributions: Distributions, shots: npt.ArrayLike) -> Measured:
        """Canonical; `shots` is one number or [S].

        Raises:
            ShapeError: for another number of shots than rows, or a row that has shots and no states.
        """
        wide = np.broadcast_to(np.asarray(shots, dtype=np.int64), (len(distributions),))
        own = _sorted(distributions)
        empty = np.diff(own.start) == 0
        given = np.ndim(shots) > 0
        if (given and (wide[empty] != 0).any()) or ((wide[~empty] < 1) & (wide[~empty] != EXACT)).any():
            raise ShapeError("expected shots of 1 or more (EXACT for probabilities) where a row has states, else 0")
        out = Measured(own, np.where(empty, 0, wide))
        row, weight = own.row, own.weight
        times = np.where(out.counted, out.shots, 1)[row]
        whole = np.where(out.counted[row], np.rint(weight * times) / times, weight)
        return Measured(Distributions(own.n_qubits, own.start, own.state, whole), out.shots)

    @staticmethod
    def none(rows: int, n_qubits: int) -> Measured:
        """Rows without an answer."""
        return Measured(Distributions.empty(rows, n_qubits), np.zeros(rows, np.int64))

    @cached_property
    def counted(self) -> Flags:
        """[S], whether a row is counts: weight * shots are whole and add up. Not so for mitigated results."""
        own = self.distributions
        row = own.row
        counts = own.weight * np.maximum(self.shots, 0)[row]
        whole = np.rint(counts)
        near = np.abs(counts - whole) <= _WHOLE + _LAST_BITS * counts
        odd = np.bincount(row, ~near | (whole < 0), minlength=len(own)) > 0
        return np.asarray(~odd & (np.bincount(row, whole, minlength=len(own)) == self.shots) & (self.shots > 0))

    def take(self, rows: Ints) -> Measured:
        """Some of the rows, in this order; a row may come more than once."""
        own = self.distributions
        size = np.diff(own.start)[rows]
        start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        entry = np.repeat(own.start[:-1][rows] - start[:-1], size) + np.arange(start[-1])
        return Measured(Distributions(own.n_qubits, start, own.state[entry], own.weight[entry]), self.shots[rows])

    def only(self, kept: Flags) -> Measured:
        """The same rows, those not in kept[S] without an answer."""
        own = self.distributions
        entry = kept[own.row]
        start = np.concatenate([[0], np.cumsum(np.where(kept, np.diff(own.start), 0))]).astype(np.int64)
        return Measured(
            Distributions(own.n_qubits, start, own.state[entry], own.weight[entry]), np.where(kept, self.shots, 0)
        )


def pooled(parts: Sequence[tuple[Ints, Measured]], rows: int, n_qubits: int) -> Measured:
    """Parts whose row r goes to numbers[r]: shots add up, weights are averaged by shots, EXACT wins over any sample."""
    number = np.concatenate([np.zeros(0, np.int64), *(numbers for numbers, _ in parts)])
    shots = np.concatenate([np.zeros(0, np.int64), *(part.shots for _, part in parts)])
    places = np.flatnonzero(shots == EXACT)
    chosen = places[np.unique(number[places], return_index=True)[1]]
    exact = np.zeros(rows, bool)
    exact[number[chosen]] = True
    share = np.where(exact[number], 0, shots)
    share[chosen] = 1
    total = np.bincount(number, share, minlength=rows).astype(np.int64)
    scaled, first = [], 0
    for numbers, part in parts:
        own = part.distributions
        factor = share[first : first + len(part)] / np.maximum(total[numbers], 1)
        first += len(part)
        scaled.append((numbers, Distributions(n_qubits, own.start, own.state, own.weight * factor[own.row])))
    return Measured.of(_summed(join(scaled, rows, n_qubits)), np.where(exact, EXACT, total))


def _sorted(own: Distributions) -> Distributions:
    keep = own.weight != 0
    row, state, weight = own.row[keep], own.state[keep], own.weight[keep]
    if (np.diff(state)[np.diff(row) == 0] <= 0).any():
        order = np.lexsort((state, row))
        row, state, weight = row[order], state[order], weight[order]
    start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(own)))]).astype(np.int64)
    return Distributions(own.n_qubits, start, state, weight)


def _summed(own: Distributions) -> Distributions:
    """Entries of one state in one row become one."""
    order = np.lexsort((own.state, own.row))
    row, state = own.row[order], own.state[order]
    new = np.ones(len(row), bool)
    new[1:] = (np.diff(row) != 0) | (np.diff(state) != 0)
    first = np.flatnonzero(new)
    weight = np.add.reduceat(own.weight[order], first) if len(first) else np.zeros(0)
    start = np.concatenate([[0], np.cumsum(np.bincount(row[first], minlength=len(own)))]).astype(np.int64)
    return Distributions(own.n_qubits, start, state[first], weight)
