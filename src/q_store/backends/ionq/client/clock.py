"""The service's clock, as far as its replies show it. Ours may be wrong; times of jobs are compared by theirs."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from time import time

MARGIN = 60.0
"""How far the clocks of the service's machines may be apart."""


class ServiceClock:
    """Maps times of the event loop to the service's seconds since 1970.

    A stamp made before a moment t of the loop's clock shows that the service's clock was at least there by t: stamp - t
    is a lower bound of the distance between the clocks. The least bound seen is used where too early is safe, the
    greatest where closest is best.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._greatest: float | None = None

    def note(self, stamp: float | None, at: float) -> None:
        """A time stamp of the service, seconds since 1970, that was made before `at` of the loop's clock."""
        if stamp is None:
            return
        bound = stamp - at
        self._least = bound if self._least is None else min(self._least, bound)
        self._greatest = bound if self._greatest is None else max(self._greatest, bound)

    def earliest(self, at: float) -> float | None:
        """A service time that is surely not after `at`; None if nothing is known."""
        return None if self._least is None else at + self._least - MARGIN

    def epoch(self, at: float, now: float) -> float:
        """Seconds since 1970 at `at`, by the service's clock, by ours if nothing is known; both of the loop's clock."""
        return at + (time() - now if self._greatest is None else self._greatest)


def seconds(text: object) -> float | None:
    """Seconds since 1970 of an ISO 8601 time, or of a number; None if it is neither."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text) if math.isfinite(text) else None
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
