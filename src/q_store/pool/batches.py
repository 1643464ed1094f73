"""Circuits of a batch: which wait, which are with a member, which are settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

import numpy as np

from q_store.backends.base import Missing
from q_store.jobs import Status
from q_store.pool.events import Asked
from q_store.pool.slices import Flight, Ints, Parcel


class Batch:
    """The circuits 0 ... count - 1. Waiting ones lie in parcels, those that failed most often first."""

    def __init__(self, asked: Asked) -> None:
        self.name = asked.batch
        self.work = asked.work
        self.members = asked.members
        self.fewest = asked.fewest
        self.barred: dict[str, str] = {}
        self.total = asked.count * asked.work
        self.starving = False
        self.look_again = np.inf
        self.open = asked.count
        self.settled = np.zeros(asked.count, dtype=bool)
        self._begun: float | None = None
        self._copies = np.zeros(asked.count, dtype=np.int8)
        self._waiting = {Parcel(0, frozenset(), asked.count): np.arange(asked.count)}

    @property
    def allowed(self) -> frozenset[str]:
        """Who may still run its circuits."""
        return self.members - self.barred.keys()

    @property
    def waits(self) -> int:
        """How many circuits wait."""
        return sum(len(numbers) for numbers in self._waiting.values())

    def parcels(self) -> Iterator[tuple[Parcel, int]]:
        """(parcel, number of circuits), those that failed most often first; may be changed on the way."""
        for parcel in sorted(self._waiting, key=lambda p: (-p.tries, p.cap, p.bought, sorted(p.failed_at))):
            yield parcel, len(self._waiting[parcel])

    def add(self, parcel: Parcel, numbers: Ints) -> None:
        """Let circuits wait, before those that wait already: they have waited longer."""
        if len(numbers):
            earlier = self._waiting.get(parcel)
            self._waiting[parcel] = numbers if earlier is None else np.concatenate([numbers, earlier])

    def cut(self, parcel: Parcel, size: int | None = None) -> Ints:
        """Take the first circuits of a parcel (None: all) out of the queue."""
        numbers = self._waiting.pop(parcel)
        if size is not None and size < len(numbers):
            numbers, self._waiting[parcel] = numbers[:size], numbers[size:]
        return numbers

    def single(self, flight: Flight) -> Ints:
        """Circuits of a slice that are not settled and nowhere else."""
        numbers = flight.numbers
        alone: Ints = numbers[~self.settled[numbers] & (self._copies[numbers] == 1)]
        return alone

    def left(self, flight: Flight) -> int:
        """How many circuits of a slice are not settled."""
        return len(flight.numbers) - int(np.count_nonzero(self.settled[flight.numbers]))

    def elapsed(self, now: float) -> float:
        """Seconds since the first circuits went out."""
        return 0.0 if self._begun is None else now - self._begun

    def out(self, numbers: Ints, now: float) -> None:
        """Circuits go to a member."""
        self._begun = now if self._begun is None else self._begun
        self._copies[numbers] += 1

    def back(self, numbers: Ints) -> None:
        """Circuits come back from a member, answered or not."""
        self._copies[numbers] -= 1

    def lost(self, numbers: Ints) -> Ints:
        """Those that are neither settled nor with another member."""
        lost: Ints = numbers[~self.settled[numbers] & (self._copies[numbers] == 0)]
        return lost

    def settle(self, numbers: Ints) -> None:
        """Circuits are kept or given up; none of them was settled."""
        self.settled[numbers] = True
        self.open -= len(numbers)


class Fate(NamedTuple):
    """What becomes of circuits without an answer: `again` elsewhere, `unknown`: perhaps paid; else nothing."""

    again: bool
    unknown: bool
    reason: str


def by_fate(missing: Mapping[int, Missing], *, paid: bool) -> Iterator[tuple[Fate, list[int]]]:
    """Places by their fate: those that nobody knows of are not simply run again where that could be paid twice."""

    def fate(entry: tuple[int, Missing]) -> Fate:
        gap = entry[1]
        uncertain = gap.status is Status.UNCERTAIN
        again = not paid if uncertain else gap.retry
        return Fate(again, uncertain and paid, "" if again else gap.reason)

    for each, entries in groupby(sorted(missing.items(), key=fate), key=fate):
        yield each, [place for place, _ in entries]
