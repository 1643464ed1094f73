"""The pool decides: events and the time in, actions out. No clock, no I/O, no coroutine; see `q_store.pool`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from q_store.backends.base import Missing
from q_store.errors import ConfigError, InputError, suggestion
from q_store.pool import dispatch
from q_store.pool.actions import Action, BuyAgain, Finished, GiveUp, Keep, Probe, Send, Starve, Wake
from q_store.pool.batches import Batch, by_fate
from q_store.pool.breaker import Health
from q_store.pool.dispatch import Cut, Hedge
from q_store.pool.events import (
    Accepted,
    Answered,
    Asked,
    Break,
    Broke,
    Doubted,
    Event,
    Probed,
    Reported,
    Tick,
    Withdrawn,
)
from q_store.pool.flights import Flights
from q_store.pool.members import Load, Member, MemberSpec, Needs, Standing, choose
from q_store.pool.quota import Quota
from q_store.pool.settings import PoolSettings
from q_store.pool.slices import Flight, Ints, Parcel
from q_store.pool.whole import at_once

__all__ = ["PoolState", "Standing"]

Assigned = list[tuple[frozenset[str], str | None]]
_LATE = 3.0
"""A slice whose circuits a second member answered first counts as failed beyond this many times the expected time."""
_CUT = 4
"""Circuits of a slice that failed as a whole go out again in pieces of this part of it."""


class PoolState:
    """What the pool knows. Not thread-safe; the time of an event is never before that of the one before.

    Args:
        members: in order of preference, all else equal.
        settings: figures of the decisions.

    Raises:
        ConfigError: without members, or with two of one name.
    """

    def __init__(self, members: Sequence[MemberSpec], settings: PoolSettings | None = None) -> None:
        names = [spec.name for spec in members]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"expected members of different names, got {', '.join(names) or 'none'}; rename one")
        self.settings = settings or PoolSettings()
        self._members = {spec.name: Member(spec, self.settings) for spec in members}
        self._batches: dict[int, Batch] = {}
        self._flights = Flights(self._members)
        self._quota = Quota(self.settings.quota, self.settings.refill)
        self._slices = self._events = 0
        self._assigned: dict[tuple[Any, ...], Assigned] = {}
        """What `assign` has said since the last event, by how many there were."""
        self._actions: list[Action] = []
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            Asked: self._asked,
            Accepted: self._accepted,
            Answered: self._answered,
            Broke: self._broke,
            Probed: self._probed,
            Doubted: self._doubted,
            Reported: self._reported,
            Tick: lambda _event, _now: None,
            Withdrawn: self._withdrawn,
        }

    def choose(self, jobs: Sequence[Needs], noise_id: str | None = None) -> list[frozenset[str]]:
        """Who may run each job of a call: members of one noise domain, unless mixing is allowed.

        Args:
            jobs: of the call.
            noise_id: of a run that is resumed: that domain and no other.

        Raises:
            CapabilityError: when no domain can run all of them; says what each member can do.
        """
        specs = [member.spec for member in self._members.values() if member.breaker.health is not Health.BARRED]
        score = {name: float(member.works) for name, member in self._members.items()}
        specs = specs or [member.spec for member in self._members.values()]
        return choose(specs, jobs, score, noise_id, mixed=self.settings.allow_mixed)

    def assign(self, jobs: Sequence[Needs], now: float) -> Assigned:
        """For each job of a call who may run it, and who of them runs it as a whole, in the caller (None: `Asked`).

        For any thread: it reads. Raises as `choose`.
        """
        call = (self._events, *jobs)
        found = self._assigned.get(call)
        if found is not None:
            return found
        found = []
        for job, names in zip(jobs, self.choose(jobs), strict=True):
            found.append((names, at_once(job, [self._members[name] for name in self._members if name in names], now)))
        if all(whole for _, whole in found):  # time does not change that, events may
            self._assigned[call] = found
        return found

    def handle(self, event: Event, now: float) -> list[Action]:
        """What to do about an event at time `now`, in this order. Events of slices that ended are ignored.

        Raises:
            InputError: for an unknown member, a batch asked for twice or of no circuits, or members that would be mixed
                though they must not. Nothing has changed then.
        """
        actions: list[Action] = []
        self._actions = actions
        try:
            self._handlers[type(event)](event, now)
            for batch in list(self._batches.values()):
                self._serve(batch, now)
        finally:
            self._events += 1
            self._assigned.clear()
        wake = dispatch.wake(self._batches.values(), self._members, now)
        if wake is not None:
            actions.append(Wake(wake))
        return actions

    def standing(self, now: float) -> list[Standing]:
        """All members at a glance."""
        return [member.standing(now) for member in self._members.values()]

    # ------------------------------------------------------------------------------------------------------- events

    def _asked(self, event: Asked, _now: float) -> None:
        for name in event.members:
            self._member(name)
        if event.batch in self._batches or event.count < 1 or not event.members or not event.work > 0:
            raise InputError(f"expected a fresh batch of 1 circuit or more, of work above 0, for somebody, got {event}")
        domains = sorted({self._members[name].spec.noise_id for name in event.members})
        if len(domains) > 1 and not self.settings.allow_mixed:
            msg = (
                f"expected members of one noise domain, got {', '.join(domains)}; choose the members of one, or set "
                "allow_mixed"
            )
            raise InputError(msg)
        batch = self._batches[event.batch] = Batch(event)
        for name in event.members:
            if self._members[name].breaker.health is Health.BARRED:
                batch.barred[name] = self._members[name].breaker.reason

    def _accepted(self, event: Accepted, now: float) -> None:
        self._flights.accepted(event.slice, now, event.due)

    def _answered(self, event: Answered, now: float) -> None:
        flight, batch = self._land(event.slice)
        if flight is None:
            return
        member = self._members[flight.member]
        size = len(flight.numbers)
        answered = np.ones(size, dtype=bool)
        answered[list(event.missing)] = False
        count = int(answered.sum())
        member.ended(flight, now, answered=count)
        if count * 2 > size:
            member.breaker.succeeded(now)
            self._quota.succeeded()
        elif not flight.canceled:
            member.breaker.failed(now, next(iter(event.missing.values())).reason)
        if batch is not None:
            places = np.flatnonzero(answered & ~batch.settled[flight.numbers])
            if len(places):
                self._actions.append(Keep(flight.name, batch.name, places, flight.numbers[places]))
                batch.settle(flight.numbers[places])
            self._missing(batch, flight, event.missing, whole=not count)
            self._drop_losers(batch, now)

    def _broke(self, event: Broke, now: float) -> None:
        flight, batch = self._land(event.slice)
        if flight is None:
            return
        member = self._members[flight.member]
        member.ended(flight, now, answered=0)
        self._blame(member, self._batches.get(flight.batch), event, now, canceled=member.outlived(flight))
        if batch is None:
            return
        lost = batch.lost(flight.numbers)
        if event.kind is Break.UNCERTAIN and member.spec.price:
            self._unknown(batch, flight, lost, event.reason)
        elif event.kind in {Break.FAILED, Break.CANCELED, Break.UNCERTAIN}:  # what is free may run twice
            self._fail(batch, flight, lost, whole=event.kind is Break.FAILED)
        else:
            batch.add(flight.parcel, lost)

    def _blame(self, member: Member, batch: Batch | None, event: Broke, now: float, *, canceled: bool) -> None:
        """What a broken slice says about its member."""
        reason = event.reason or event.kind.value
        if event.kind is Break.THROTTLED:
            member.throttled(now, event.pause, reason)
        elif event.kind is Break.UNREACHABLE:
            member.breaker.trip(now, reason)
        elif event.kind is Break.BARRED:
            member.breaker.bar(reason)
            for each in self._batches.values():
                each.barred[member.spec.name] = reason
        elif event.kind is Break.REFUSED:
            if batch is not None:
                batch.barred[member.spec.name] = reason
        elif not canceled:
            member.breaker.failed(now, reason)

    def _probed(self, event: Probed, now: float) -> None:
        self._member(event.member).probed(now, event.reason, ok=event.ok)

    def _doubted(self, event: Doubted, _now: float) -> None:
        self._member(event.member).doubt = event.reason

    def _reported(self, event: Reported, now: float) -> None:
        member = self._member(event.member)
        member.silent = None if event.available else now if member.silent is None else member.silent
        member.unreachable = not event.available and not event.throttled
        if event.throttled:
            member.throttled(now, event.pause, event.reason)
        elif event.available:
            member.breaker.hurry(now)
        else:
            member.breaker.trip(now, event.reason or "reported as not available")

    def _withdrawn(self, event: Withdrawn, _now: float) -> None:
        if self._batches.pop(event.batch, None) is not None:
            for flight in self._flights.of(event.batch):
                self._actions += self._flights.cancel(flight)

    # ------------------------------------------------------------------------------------------------------ circuits

    def _member(self, name: str) -> Member:
        if name not in self._members:
            raise InputError(f"expected a member of the pool, got {name!r}{suggestion(name, self._members)}")
        return self._members[name]

    def _land(self, name: int) -> tuple[Flight | None, Batch | None]:
        """A slice that ended, and the batch that waits for it; None for one that is not known (any more)."""
        flight = self._flights.pop(name)
        batch = None if flight is None or flight.forgone else self._batches.get(flight.batch)
        if flight is not None and batch is not None:
            batch.back(flight.numbers)
        return flight, batch

    def _missing(self, batch: Batch, flight: Flight, missing: Mapping[int, Missing], *, whole: bool) -> None:
        """Circuits of an answered slice that have no answer: elsewhere, or nowhere."""
        for fate, places in by_fate(missing, paid=self._members[flight.member].spec.price > 0):
            lost = batch.lost(flight.numbers[places])
            if fate.again:
                self._fail(batch, flight, lost, whole=whole)
            elif fate.unknown:
                self._unknown(batch, flight, lost, fate.reason)
            else:
                self._give_up(batch, lost, fate.reason)

    def _unknown(self, batch: Batch, flight: Flight, lost: Ints, reason: str) -> None:
        """Circuits of a paid slice that perhaps ran: given up, or bought again where that is wanted and possible."""
        if self._others(batch, flight):
            self._buy_again(batch, flight, lost, reason)
        else:
            self._give_up(batch, lost, reason, uncertain=True)

    def _others(self, batch: Batch, flight: Flight) -> bool:
        """Whether circuits that are perhaps lost are bought again, and somebody else can run them."""
        if self.settings.patience_of_buyers is None:
            return False
        return any(self._members[name].works for name in batch.allowed - {flight.member})

    def _buy_again(self, batch: Batch, flight: Flight, lost: Ints, reason: str) -> None:
        if len(lost):
            self._actions.append(BuyAgain(flight.name, batch.name, flight.member, np.sort(lost), reason))
            self._fail(batch, flight, lost, whole=False, bought=1)

    def _let_go(self, batch: Batch, now: float) -> float:
        """Buy again what paid members have that are silent for too long; the next time to look."""
        silent, then = dispatch.to_buy_again(self._flights.of(batch.name), self._members, now, self.settings)
        for flight, reason in silent:
            if self._others(batch, flight):
                self._actions += self._flights.forgo(batch, flight)
                self._buy_again(batch, flight, batch.lost(flight.numbers), reason)
        return then

    def _move(self, batch: Batch) -> None:
        """Circuits of free members that are or were out of reach wait again; they are not to blame."""
        for flight in self._flights.stranded(batch):
            self._actions += self._flights.forgo(batch, flight)
            batch.add(flight.parcel, batch.lost(flight.numbers))

    def _fail(self, batch: Batch, flight: Flight, lost: Ints, *, whole: bool, bought: int = 0) -> None:
        """Circuits that a member failed wait for the others; in smaller slices where all of a slice failed."""
        if flight.canceled:
            cap, tries = len(flight.numbers), flight.parcel.tries
        else:
            cap, tries = len(flight.numbers) // (_CUT if whole else 1), flight.parcel.tries + 1
            self._members[flight.member].failed += len(lost)
        cap = 1 << max(cap, 1).bit_length() - 1  # a power of two, so that few parcels differ
        batch.add(Parcel(tries, flight.parcel.failed_at | {flight.member}, cap, flight.parcel.bought + bought), lost)

    def _give_up(self, batch: Batch, numbers: Ints, reason: str, *, uncertain: bool = False) -> None:
        if len(numbers):
            batch.settle(numbers)
            self._actions.append(GiveUp(batch.name, np.sort(numbers), reason, uncertain))

    def _drop_losers(self, batch: Batch, now: float) -> None:
        """Cancel slices whose circuits were all answered elsewhere; being very late speaks against a member."""
        for flight in self._flights.of(batch.name):
            if flight.hedged and not batch.left(flight) and not flight.canceled:
                self._actions += self._flights.cancel(flight)
                if now - flight.sent > _LATE * flight.expected:
                    self._members[flight.member].breaker.failed(now, "does not answer in time")

    # ------------------------------------------------------------------------------------------------------ dispatch

    def _serve(self, batch: Batch, now: float) -> None:
        """Everything that can be done for a batch now."""
        self._probe(batch, now)
        lost_at = self._let_go(batch, now)
        self._move(batch)
        self._go_round(batch)
        members, standing = self._members, dispatch.loads(batch, self._members, now)
        while (cut := dispatch.next_cut(batch, members, standing, now, self.settings)) is not None:
            self._send(batch, cut, batch.cut(cut.parcel, cut.size), standing, now)
            standing = dispatch.loads(batch, members, now)
        timed = dispatch.etas(batch, members, standing, now)
        canceled = [flight for flight in self._flights.of(batch.name) if flight.canceled]
        late = [*timed, *((flight, np.inf) for flight in canceled)]  # perhaps for ever
        free = [entry for entry in late if self.settings.hedge and not members[entry[0].member].spec.price]
        while (hedge := dispatch.next_hedge(batch, standing, free, now, self.settings)) is not None:
            hedge.flight.hedged = True
            self._send(batch, hedge, batch.single(hedge.flight)[: hedge.size], standing, now)
            standing = dispatch.loads(batch, members, now)
        slow, then = dispatch.to_recall(standing, timed, now, self.settings)
        for flight in slow:
            self._recall(batch, flight, now)
        batch.look_again = min(then, lost_at, dispatch.look_again(standing, now, self.settings))
        if slow:
            self._serve(batch, now)
        elif not batch.open:
            del self._batches[batch.name]
            self._actions.append(Finished(batch.name))

    def _probe(self, batch: Batch, now: float) -> None:
        """Probe who is due; say it once when nobody is left to work."""
        healths = {name: self._members[name].breaker.health for name in batch.allowed}
        for name in self._members:
            if name in healths and self._members[name].breaker.probe(now):
                self._actions.append(Probe(name))
        able = any(health in {Health.CLOSED, Health.TRIAL} for health in healths.values())
        if not able and not batch.starving and batch.open and healths:
            reasons = "; ".join(f"{name}: {self._members[name].breaker.reason}" for name in sorted(healths))
            self._actions.append(Starve(batch.name, f"no backend works ({reasons}); waiting for one to return"))
        batch.starving = Health.CLOSED not in healths.values() and (batch.starving or not able)

    def _go_round(self, batch: Batch) -> None:
        """Circuits that everybody who works has failed: once more to all, or given up."""
        if not batch.allowed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(batch.barred.items()))
            for parcel, _ in list(batch.parcels()):
                self._give_up(batch, batch.cut(parcel), f"no backend is left that may run it ({reasons})")
            return
        working = {name for name in batch.allowed if self._members[name].works} or batch.allowed
        for parcel, _ in list(batch.parcels()):
            if not working <= parcel.failed_at:
                continue
            numbers = batch.cut(parcel)
            if parcel.tries < self.settings.tries and self._quota.take():
                batch.add(Parcel(parcel.tries, frozenset(), parcel.cap, parcel.bought), numbers)
            else:
                self._give_up(batch, numbers, f"failed {parcel.tries} times, on {', '.join(sorted(parcel.failed_at))}")

    def _send(self, batch: Batch, to: Cut | Hedge, numbers: Ints, standing: Sequence[Load], now: float) -> None:
        name, hedged = to.member, isinstance(to, Hedge)
        parcel = to.flight.parcel if isinstance(to, Hedge) else to.parcel
        work = len(numbers) * batch.work
        expected = sum(each.ready + each.latency + work * each.pace for each in standing if each.spec.name == name)
        flight = Flight(self._slices, name, batch.name, numbers, parcel, work, now, expected, hedged)
        self._slices += 1
        batch.out(numbers, now)
        self._flights.add(flight)
        self._actions.append(Send(flight.name, name, batch.name, numbers, hedged, parcel.bought))

    def _recall(self, batch: Batch, flight: Flight, now: float) -> None:
        """Cancel a slice; the circuits of a free member need not wait for the confirmation, nor for its answer."""
        self._members[flight.member].breaker.failed(now, "does not answer in time")
        if self._members[flight.member].spec.price:
            self._actions += self._flights.cancel(flight)
        else:
            self._actions += self._flights.forgo(batch, flight)
            self._fail(batch, flight, batch.lost(flight.numbers), whole=False)
