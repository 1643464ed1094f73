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

    def accepted(self, name: int, now: float, due: float | None) -> None:
        """The service has a slice, and is ready in `due` seconds where it says so."""
        flight = self._flights.get(name)
        if flight is not None:
            flight.accepted = True
            flight.expected = flight.expected if due is None else now - flight.sent + due

    def pop(self, name: int) -> Flight | None:
        """A slice that has come to its end."""
        return self._flights.pop(name, None)

    def of(self, batch: int) -> list[Flight]:
        """Those of a batch that somebody waits for."""
        return [flight for flight in self._flights.values() if flight.batch == batch and not flight.forgone]

    def stranded(self, batch: Batch) -> list[Flight]:
        """Slices of free members whose circuits need not wait for them.

        Of one that is out of reach all, where somebody else works. Of one that has come back those that were being sent
        when it went: finding out whether they arrived takes longer than to send them again.
        """
        free = {name: member for name, member in self._members.items() if not member.spec.price}
        away = {name for name, each in free.items() if each.unreachable and each.breaker.health in _AWAY}
        if not any(self._members[name].works for name in batch.allowed - away):
            away = set()
        back = {name for name, each in free.items() if each.breaker.health is Health.TRIAL}
        own = [flight for flight in self.of(batch.name) if not flight.canceled] if away or back else []
        return [flight for flight in own if flight.member in away or (flight.member in back and self._in_doubt(flight))]

    def _in_doubt(self, flight: Flight) -> bool:
        return not flight.accepted and self._members[flight.member].outlived(flight)

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
