"""A quota of retries, so that circuits that fail everywhere do not become a storm."""

from __future__ import annotations


class Quota:
    """Tokens: one is taken when circuits are sent to members that failed them all, answered slices bring some back.

    The first try at each member is free. gRPC's retry throttling (gRFC A6) does the same for requests.
    """

    def __init__(self, capacity: float, refill: float) -> None:
        self._capacity, self._refill, self._tokens = capacity, refill, capacity

    def take(self) -> bool:
        """Take a token; False when there is none."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def succeeded(self) -> None:
        """A slice was answered."""
        self._tokens = min(self._capacity, self._tokens + self._refill)
