"""Where the wall time of a run went, by its ledger, piece by piece as the run goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from q_store.apps.history import Entry
from q_store.ledger import SHARES, ledger

SMALLEST = 250
"""Events of a piece at least: adding up costs something too."""
LARGEST = 4_000
"""Events of a piece: then it is settled though jobs are on their way."""


class Split:
    """Takes in events; what is settled is added up, the rest is counted anew each time.

    A piece ends where no job is on its way and no circuits wait: with a step, or where jobs in this process are told,
    with that, as they span several steps.
    """

    def __init__(self) -> None:
        self._piece: list[Entry] = []
        self._sums: dict[str, dict[str, float]] = {}
        self._open: set[tuple[str, Any]] = set()
        self._ends = "StepDone"

    def take(self, entry: Entry) -> None:
        """Take in an event."""
        self._piece.append(entry)
        values = entry.values
        match entry.kind:
            case "JobBuilt":
                self._open.add(("slice", values["slice"]))
            case "JobEnded":
                self._open.discard(("slice", values["slice"]))
            case "CircuitsKnown":
                self._open.add(("job", values["job"]))
            case "CircuitsDone":
                self._open.discard(("job", values["job"]))
            case "ProcessStarted":
                self._open.clear()
            case "JobsRun":
                self._ends = entry.kind
        count = len(self._piece)
        if (entry.kind == self._ends and not self._open and count >= SMALLEST) or count >= LARGEST:
            self._sums = self._added()
            self._piece = [entry]  # the next piece begins where this one ends

    def section(self) -> dict[str, Any]:
        """Seconds of every share, in all and by backend, as JSON."""
        sums = self._added()
        whole = {share: math.fsum(own[share] for own in sums.values()) for share in SHARES}
        return {
            "shares": {share: round(seconds, 3) for share, seconds in whole.items()},
            "backends": {
                name: {share: round(seconds, 3) for share, seconds in own.items()} for name, own in sorted(sums.items())
            },
        }

    def _added(self) -> dict[str, dict[str, float]]:
        sums = {name: dict(own) for name, own in self._sums.items()}
        for part in ledger(self._piece).backends if len(self._piece) > 1 else ():
            _add(sums.setdefault(part.name, dict.fromkeys(SHARES, 0.0)), part.seconds)
        return sums


def _add(sums: dict[str, float], seconds: Mapping[str, float]) -> None:
    for share, own in seconds.items():
        sums[share] += own
