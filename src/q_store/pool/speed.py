"""How fast a member is: seconds of a slice = latency + pace * work, fitted to the slices it answered."""

from __future__ import annotations

_MEMORY = 0.8
"""Weight of all earlier slices against the next one: about five count."""
_RIDGE = 1e-3
"""Share of the diagonal added: one slice alone is half latency, half work."""
_LEAST = 0.01
"""The pace is at least this share of what it were without latency: noise must not make a member infinitely fast."""
_TOGETHER = 0.25
"""A slice that took less than this share of what its work suggests ran beside the one before it."""

_Sums = tuple[float, float, float, float, float]
_Seen = tuple[float, float, float]
"""1 where the latency shows, else 0; work; seconds."""


class Speed:
    """Decayed least squares in (latency, pace); the variance of a time is taken to grow with the work.

    A slice that was sent while another ran shows no latency: it was ready when its turn came. Slices that a service
    runs side by side end together and count as one, so that the pace is that of all of them.

    Attributes:
        error: |foretold - seen| relative to the larger of both, decayed mean; 1 before anything was foretold.
    """

    def __init__(self) -> None:
        self._sums: _Sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        self._last: _Seen | None = None
        self.error = 1.0

    @property
    def known(self) -> bool:
        """Whether a slice was ever answered."""
        return self._last is not None

    def saw(self, work: float, seconds: float, *, queued: bool) -> None:
        """Count a slice.

        Args:
            work: of its circuits together.
            seconds: since it was sent, or since the slice before it was answered, if that was later.
            queued: whether it was sent before that.
        """
        seconds = max(seconds, 1e-9)
        if self._last is not None:
            latency, pace = self.fit()
            foretold = work * pace + (0.0 if queued else latency)
            self.error += (1 - _MEMORY) * (abs(foretold - seconds) / max(foretold, seconds) - self.error)
            shown, before, took = self._last
            if queued and seconds * before < _TOGETHER * took * work:
                self._last = shown, before + work, took + seconds
                return
            self._sums = _added(self._sums, self._last)
        self._last = float(not queued), work, seconds

    def fit(self) -> tuple[float, float]:
        """(latency in seconds, pace in seconds per unit of work); only where `known`."""
        if self._last is None:
            raise RuntimeError("expected a slice to have been answered, got none")
        latency2, cross, work2, latency1, work1 = _added(self._sums, self._last)
        plain = work1 / work2
        latency2, work2 = latency2 * (1 + _RIDGE), work2 * (1 + _RIDGE)
        determinant = latency2 * work2 - cross**2
        latency = (work2 * latency1 - cross * work1) / determinant if latency2 else 0.0
        if latency <= 0:
            return 0.0, plain
        return latency, max((latency2 * work1 - cross * latency1) / determinant, _LEAST * plain)


def _added(sums: _Sums, seen: _Seen) -> _Sums:
    """The sums of the normal equations with one more slice, of weight 1 / work."""
    shown, work, seconds = seen
    return (
        _MEMORY * sums[0] + shown / work,
        _MEMORY * sums[1] + shown,
        _MEMORY * sums[2] + work,
        _MEMORY * sums[3] + shown * seconds / work,
        _MEMORY * sums[4] + seconds,
    )
