"""Any Python callable as a tracker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from q_store.events import Sink
from q_store.events.aside import LIMIT, Timed
from q_store.trackers.tracker import PATIENCE, Tracker


class Calls(Tracker):
    """Calls a function with every event, in a thread of its own, one call at a time.

    Args:
        function: takes an event of `q_store.events`; what it returns is not looked at.
        name: in messages; None for its own.
        tell, limit, patience: as `Tracker`.
    """

    def __init__(
        self,
        function: Sink,
        name: str | None = None,
        *,
        tell: Callable[[str], None] | None = None,
        limit: int = LIMIT,
        patience: float = PATIENCE,
    ) -> None:
        own = getattr(function, "__qualname__", type(function).__name__)
        super().__init__(name or own, tell=tell, between=0.0, most=1, limit=limit, patience=patience)
        self._function = function

    def write(self, told: Sequence[Timed]) -> None:
        """Call the function."""
        for _, event in told:
            self._function(event)
