"""Whether a member may work: a circuit breaker.

    CLOSED --failures--> OPEN --pause is over--> PROBING --ok--> TRIAL --answered--> CLOSED
                          ^-------------- not ok, or the trial failed: the pause doubles --'

One probe at a time, then one slice on trial.
"""

from __future__ import annotations

import enum
import math
from collections import deque

from q_store.pool.settings import PoolSettings

_OFTEN = 3


class Health(enum.Enum):
    """Of a member."""

    CLOSED = "working"
    DOUBTED = "failing"
    """Of a member, not of its breaker, which is closed still: see `events.Doubted`."""
    OPEN = "paused"
    PROBING = "probing"
    TRIAL = "on trial"
    BARRED = "barred"
    """For good."""


class Breaker:
    """The breaker of one member; `until` is when an OPEN one probes, `since` when a TRIAL began."""

    def __init__(self, settings: PoolSettings) -> None:
        self.health = Health.CLOSED
        self.until = 0.0
        self.since = 0.0
        self.reason = ""
        self._settings = settings
        self._in_a_row = self._opened = 0
        self._closed = -math.inf
        self._returns = 0
        """Times in a row that it opened soon after it had closed: one that comes and goes is asked ever less often."""
        self._recent: deque[bool] = deque(maxlen=settings.recent)

    def succeeded(self, now: float) -> None:
        """A slice was answered. Late answers do not close an open breaker: probing does."""
        if self.health is Health.TRIAL:
            self.health, self._closed, self.reason = Health.CLOSED, now, ""
            self._recent.clear()
        self._in_a_row = 0
        self._recent.append(False)

    def failed(self, now: float, reason: str) -> None:
        """A slice brought nothing, and the member is to blame."""
        self._in_a_row += 1
        self._recent.append(True)
        share = sum(self._recent) * 2 >= self._settings.recent
        if self.health is Health.TRIAL or self._in_a_row >= self._settings.failures or share:
            self.trip(now, reason)

    def trip(self, now: float, reason: str) -> None:
        """Open at once; nothing happens to one that is open already, or that is being probed."""
        if self.health in {Health.CLOSED, Health.TRIAL}:
            self._open(now, reason)

    def _open(self, now: float, reason: str) -> None:
        if self.health is Health.CLOSED:
            soon = now - self._closed <= self._settings.longest_pause
            self._opened, self._returns = (self._opened, self._returns + 1) if soon else (0, 0)
        self.until = now + min(self._settings.pause * 2.0**self._opened, self._settings.longest_pause)
        self.health, self.reason = Health.OPEN, reason
        self._opened = min(self._opened + 1, 64)
        self._in_a_row = 0

    def bar(self, reason: str) -> None:
        """Close the door for good."""
        self.health, self.reason = Health.BARRED, reason

    def probe(self, now: float) -> bool:
        """Whether a probe is to be sent now; then it is under way."""
        due = self.health is Health.OPEN and now >= self.until
        if due:
            self.health = Health.PROBING
        return due

    def probed(self, now: float, reason: str, *, ok: bool) -> None:
        """The answer to the probe under way; any other is ignored. Without a reason the one before holds."""
        if self.health is not Health.PROBING:
            return
        if ok:
            self.health, self.since = Health.TRIAL, now
        else:
            self._open(now, reason or self.reason)

    def hurry(self, now: float) -> None:
        """The provider says that it is back: an open breaker probes at once, unless that was said often in vain."""
        if self.health is Health.OPEN and self._returns < _OFTEN:
            self.until = now
