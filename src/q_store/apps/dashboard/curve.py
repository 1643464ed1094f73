"""A curve of any length in a bounded number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Number = float | None
Kept = Literal["mean", "last"]
Mark = tuple[int, int]
"""How much of a curve somebody has: its generation, and so many rows of that."""
NOTHING: Mark = (-1, 0)
CAPACITY = 1024


class Curve:
    """Rows `[x, value, ...]`, x rising; where there are too many, two neighbours become one, and so on.

    Args:
        columns: what becomes of the values of a column where rows become one; an x becomes the last one.
        capacity: most rows, an even number.
    """

    def __init__(self, columns: Mapping[str, Kept], capacity: int = CAPACITY) -> None:
        self.names = tuple(columns)
        self.rows: list[list[Number]] = []
        self._kept = tuple(columns.values())
        self._capacity = capacity
        self._width, self._filled = 1, 0
        self._counts = [0] * len(self._kept)
        """How many values each column of the last row is the mean of."""
        self._generation = 0

    def add(self, x: float, values: Sequence[Number]) -> None:
        """Add a point."""
        if not self.rows or self._filled >= self._width:
            if len(self.rows) >= self._capacity:
                self._halve()
            self.rows.append([x, *([None] * len(self._kept))])
            self._filled, self._counts = 0, [0] * len(self._kept)
        row = list(self.rows[-1])
        row[0] = x
        for k, value in enumerate(values):
            if value is not None:
                self._counts[k] += 1
                before = row[k + 1]
                mean = before is not None and self._kept[k] == "mean"
                row[k + 1] = before + (value - before) / self._counts[k] if mean and before is not None else value
        self.rows[-1] = row
        self._filled += 1

    def drop_after(self, x: float) -> None:
        """Take away what lies behind `x`: a run that goes on does it again."""
        kept = [row for row in self.rows if (row[0] or 0.0) <= x]
        if len(kept) < len(self.rows):
            self.rows, self._filled = kept, self._width
            self._generation += 1

    def since(self, mark: Mark) -> tuple[int, list[list[Number]], Mark]:
        """(k, rows, mark): `rows` replace all from row k on, for somebody who has `mark`."""
        generation, count = mark
        first = max(0, count - 1) if generation == self._generation else 0
        return first, self.rows[first:], (self._generation, len(self.rows))

    def _halve(self) -> None:
        pairs = zip(self.rows[::2], self.rows[1::2], strict=True)
        self.rows = [self._one(left, right) for left, right in pairs]
        self._width *= 2
        self._generation += 1

    def _one(self, left: Sequence[Number], right: Sequence[Number]) -> list[Number]:
        row = [right[0]]
        for kept, before, after in zip(self._kept, left[1:], right[1:], strict=True):
            if before is None or after is None:
                row.append(before if after is None else after)
            else:
                row.append((before + after) / 2 if kept == "mean" else after)
        return row
