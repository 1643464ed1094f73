"""The slices on their way, and what becomes of those that nobody waits for any longer."""

from __future__ import annotations

from collections.abc import Mapping

from q_store.pool.actions import Cancel
from q_store.pool.batches import Batch
from q_store.pool.breaker import Health
from q_store.pool.members import Member
from q_store.pool.slices import Flight

_AWAY = frozenset({Health.OPEN, Health.PROBING})


class Flights:
    """By name; each is also with its member."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._flights: dict[int, Flight] = {}

    def add(self, flight: Flight) -> None:
        """A slice leaves."""
        self._flights[flight.name] = self._members[flight.member].flights[flight.name] = flight

    def get(self, name: int) -> Flight | None:
        """A slice that is on its way."""
        return self._flights.get(name)

    def pop(self, name: int) -> Flight | None:
        """A slice that has come to its end."""
        return self._flights.pop(name, None)

    def of(self, batch: int) -> list[Flight]:
        """Those of a batch that somebody waits for."""
        return [flight for flight in self._flights.values() if flight.batch == batch and not flight.forgone]

    def stranded(self, batch: Batch) -> list[Flight]:
        """Slices of free members that are out of reach, where somebody else works: their circuits need not wait."""
        away = {name for name, member in self._members.items() if member.unreachable and not member.spec.price}
        away = {name for name in away if self._members[name].breaker.health in _AWAY}
        if not away or not any(self._members[name].works for name in batch.allowed - away):
            return []
        return [flight for flight in self.of(batch.name) if flight.member in away]

    def cancel(self, flight: Flight) -> list[Cancel]:
        """What is to be done so that a slice ends."""
        if flight.canceled:
            return []
        flight.canceled, flight.work = True, 0.0
        return [Cancel(flight.name, flight.forgone)]

    def forgo(self, batch: Batch, flight: Flight) -> list[Cancel]:
        """Nobody waits for a slice any more."""
        flight.forgone = True
        batch.back(flight.numbers)
        return self.cancel(flight)
