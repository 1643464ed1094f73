"""What a run was charged, in all and by account, beside the caps on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from q_store.apps.history import Entry

COUNTS = ("circuits", "shots", "seconds")
NANO = 10**9
UNKNOWN = "?"
"""The account of jobs that an earlier version told of."""


class Spend:
    """Takes in what a pool tells.

    Circuits and shots are those that somebody charged: not what is computed here, which a cap does not count, nor what
    the store had. Seconds are those during which circuits of a job were out, as a budget counts them.
    """

    def __init__(self) -> None:
        self._caps: dict[str, Mapping[str, Any]] = {}
        self._money: dict[str, dict[str, int]] = {}
        """By account and currency, in nano-units as in the store: they add up exactly."""
        self._counts: dict[str, dict[str, int]] = {}
        self._open: set[Any] = set()
        self._since, self._seconds = 0.0, 0.0
        self._last = 0.0

    def take(self, entry: Entry) -> None:
        """Take in an event."""
        values = entry.values
        match entry.kind:
            case "BudgetSet":
                self._caps[str(values["provider"] or "")] = values
            case "JobEnded":
                self._ended(values)
            case "CircuitsKnown":
                if not self._open:
                    self._since = float(values["at"])
                self._open.add(values["job"])
            case "CircuitsDone":
                self._open.discard(values["job"])
                if not self._open:
                    self._close(float(values["at"]))
            case "ProcessStarted" | "ProcessEnded":  # what was out may be another process' now
                self._open.clear()
                self._close(self._last if entry.kind == "ProcessStarted" else entry.time)
        self._last = entry.time

    def section(self) -> dict[str, Any]:
        """As JSON: what was charged in all, and for each cap `[account, unit, spent, cap]`."""
        every = {currency for own in self._money.values() for currency in own}
        return {
            "costs": {currency: self._cost(None, currency) for currency in sorted(every)},
            "circuits": self._count(None, "circuits"),
            "shots_paid": self._count(None, "shots"),
            "caps": [row for account, cap in self._caps.items() for row in self._rows(account or None, cap)],
        }

    def _rows(self, account: str | None, cap: Mapping[str, Any]) -> list[list[Any]]:
        limits = [(cap["currency"], cap["money"]), *((name, cap[name]) for name in COUNTS)]
        spent = {name: self._count(account, name) for name in ("circuits", "shots")} | {"seconds": self._worked}
        return [
            [account, unit, spent[unit] if unit in spent else self._cost(account, unit), limit]
            for unit, limit in limits
            if limit is not None
        ]

    @property
    def _worked(self) -> float:
        return round(self._seconds + (max(0.0, self._last - self._since) if self._open else 0.0), 3)

    def _close(self, at: float) -> None:
        if self._since:
            self._seconds += max(0.0, at - self._since)
        self._since = 0.0

    def _ended(self, values: Mapping[str, Any]) -> None:
        account, cost = values.get("account", UNKNOWN), float(values.get("cost", 0.0))
        if cost and math.isfinite(cost):
            own, currency = self._money.setdefault(account, {}), values.get("currency", "")
            own[currency] = own.get(currency, 0) + round(cost * NANO)
        if account:
            counts = self._counts.setdefault(account, {"circuits": 0, "shots": 0})
            counts["circuits"] += int(values.get("answered", 0))
            counts["shots"] += int(values.get("shots_paid", 0))

    def _cost(self, account: str | None, currency: str) -> float:
        return sum(own.get(currency, 0) for name, own in self._money.items() if account in {None, name}) / NANO

    def _count(self, account: str | None, unit: str) -> int:
        return sum(own[unit] for name, own in self._counts.items() if account in {None, name})
