"""What every backend did in time: a lane each, in a bounded number of equal pieces of time."""

from __future__ import annotations

from collections.abc import Sequence

STATES = ("sending", "queued", "running", "failed", "paused")
"""Seconds of jobs that were on their way to or from a backend, queued there, running; number that failed; seconds for
which it was out of reach. In a piece where all are 0 the backend was idle."""
WIDTH = 0.125
CAPACITY = 512
LaneMark = tuple[int, int]
"""What a reader has: a generation, and a count of changes in it."""
UNSEEN: LaneMark = (-1, 0)


class Lanes:
    """Pieces of `width` seconds from `began` on; where there are too many, two become one.

    Args:
        capacity: most pieces, an even number.
        width: of the first pieces.
    """

    def __init__(self, capacity: int = CAPACITY, width: float = WIDTH) -> None:
        self.began: float | None = None
        self.width = width
        self._capacity = capacity
        self._lanes: dict[str, list[list[float]]] = {}
        self._stamps: dict[str, list[int]] = {}
        self._changes, self._generation = 0, 0

    def add(self, member: str, state: str, begin: float, end: float, weight: float = 1.0) -> None:
        """Seconds from begin to end, each `weight` times."""
        lane, first, last = self._reached(member, begin, end)
        for k in range(first, last + 1):
            low = (self.began or 0.0) + k * self.width
            lane[k][STATES.index(state)] += weight * max(0.0, min(end, low + self.width) - max(begin, low))

    def count(self, member: str, state: str, at: float) -> None:
        """Something that takes no time."""
        lane, first, _ = self._reached(member, at, at)
        lane[first][STATES.index(state)] += 1

    def _reached(self, member: str, begin: float, end: float) -> tuple[list[list[float]], int, int]:
        """The lane, long enough, with its first and last piece between two times, which change."""
        if self.began is None:
            self.began = begin
        begin, end = max(begin, self.began), max(end, self.began)
        while end - self.began >= self._capacity * self.width:
            self._halve()
        lane, stamps = self._lanes.setdefault(member, []), self._stamps.setdefault(member, [])
        first, last = int((begin - self.began) / self.width), int((end - self.began) / self.width)
        while len(lane) <= last:
            lane.append([0.0] * len(STATES))
            stamps.append(0)
        self._changes += 1
        stamps[first : last + 1] = [self._changes] * (last + 1 - first)
        return lane, first, last

    def since(self, mark: LaneMark) -> tuple[dict[str, list[list[float]]], bool, LaneMark]:
        """(pieces, all, mark): what changed for somebody who has `mark`, `[k, seconds...]` by member; `all` if all."""
        generation, seen = mark
        everything = generation != self._generation
        found = {
            member: [
                [k, *(round(value, 4) for value in piece)]
                for k, (piece, stamp) in enumerate(zip(lane, self._stamps[member], strict=True))
                if stamp and (everything or stamp > seen)
            ]
            for member, lane in self._lanes.items()
        }
        changed = {member: pieces for member, pieces in found.items() if pieces}
        return changed, everything, (self._generation, self._changes)

    def _halve(self) -> None:
        self.width *= 2
        self._generation += 1
        for member, lane in self._lanes.items():
            stamps = self._stamps[member]
            if len(lane) % 2:
                lane.append([0.0] * len(STATES))
                stamps.append(0)
            self._lanes[member] = [_sum(a, b) for a, b in zip(lane[::2], lane[1::2], strict=True)]
            self._stamps[member] = [max(a, b) for a, b in zip(stamps[::2], stamps[1::2], strict=True)]


def _sum(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [a + b for a, b in zip(one, other, strict=True)]
