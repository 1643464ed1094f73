"""Adds up whole jobs, so that thousands a second make a few events."""

from __future__ import annotations

from collections import Counter

from q_store.events.announcer import Announcer
from q_store.events.clock import moment
from q_store.events.pool import JobsRun

EVERY = 0.2
"""Seconds between two events."""


class JobSum:
    """Tells `JobsRun`; false when nobody listens. Not for several threads at a time.

    Args:
        announce: tells. every: seconds between two events at least; `flush` tells what is left.

    Attributes:
        rows: answered so far, by member; also where nobody listens.
    """

    def __init__(self, announce: Announcer, every: float = EVERY) -> None:
        self._announce, self._every = announce, every
        self._sums: dict[str, tuple[int, int, float, float, float]] = {}
        self._due = 0.0
        self.rows: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._announce)

    def ran(self, member: str, rows: int, seconds: float) -> None:
        """A job has just ended that took so many seconds."""
        self.rows[member] += rows
        if not self:
            return
        now = moment()
        jobs, before, took, began, _ = self._sums.get(member, (0, 0, 0.0, now - seconds, now))
        self._sums[member] = jobs + 1, before + rows, took + seconds, began, now
        if now >= self._due:
            self.flush()
            self._due = now + self._every

    def flush(self) -> None:
        """Tell what was added up."""
        sums, self._sums = self._sums, {}
        for member, added in sums.items():
            self._announce(JobsRun(member, *added))
