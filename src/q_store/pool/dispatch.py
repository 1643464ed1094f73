"""The next slice of a batch: which waiting circuits, to whom. Reads the state, changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from q_store.pool import policy
from q_store.pool.batches import Batch
from q_store.pool.breaker import Health
from q_store.pool.members import Load, Member
from q_store.pool.settings import PoolSettings
from q_store.pool.slices import Flight, Parcel

_HEDGE = 0.7
"""A circuit is given to a second member that needs less than this share of the time it is still expected to take."""
_HELPING = 2
"""Slices of a member that may help: the second hides the latency."""
_GUESS = (0.0, 0.01)
"""Latency and pace where nothing is known of any member; only their ratios matter."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The first `size` circuits of a waiting parcel, for a member."""

    member: str
    parcel: Parcel
    size: int


@dataclass(frozen=True, slots=True)
class Hedge:
    """At most `size` circuits of a slice on its way, for a second member."""

    member: str
    flight: Flight
    size: int


def loads(batch: Batch, members: Mapping[str, Member], now: float) -> list[Load]:
    """How those stand that may work on the batch; who is on trial is not counted on."""
    working = [member for name, member in members.items() if name in batch.allowed and member.works]
    fits = [member.speed.fit() for member in working if member.speed.known]
    guess = _GUESS
    if fits:
        guess = sum(fit[0] for fit in fits) / len(fits), len(fits) / sum(1 / fit[1] for fit in fits)
    return [member.load(now, guess) for member in working]


def next_cut(
    batch: Batch, members: Mapping[str, Member], standing: Sequence[Load], now: float, settings: PoolSettings
) -> Cut | None:
    """The next slice from the waiting circuits; None: nothing more can or should be sent now.

    Args:
        batch: whose circuits.
        members: all of the pool.
        standing: `loads` of those that may work on the batch.
        now: the time.
        settings: figures of the decision.
    """
    if not batch.waits:
        return None
    trial = _trial(batch, members, now)
    if trial is not None:
        return trial
    for parcel, waiting in batch.parcels():
        able = [load for load in standing if load.spec.name not in parcel.failed_at]
        if not any(load.free for load in able):
            continue
        size, load = _best(batch, waiting, able, now, settings)
        if size:
            return Cut(load.spec.name, parcel, min(size, parcel.cap))
    return None


def _trial(batch: Batch, members: Mapping[str, Member], now: float) -> Cut | None:
    """A single circuit, one that failed least, for a member that a probe has just found alive."""
    for name, member in members.items():
        if member.breaker.health is Health.TRIAL and name in batch.allowed and member.free(now):
            for parcel, _ in reversed(list(batch.parcels())):
                if name not in parcel.failed_at:
                    return Cut(name, parcel, 1)
    return None


def _best(batch: Batch, waiting: int, able: Sequence[Load], now: float, settings: PoolSettings) -> tuple[int, Load]:
    """(circuits, load) of the member with a free place that begins first; 0 where all leave them to busy ones.

    What is less than half a circuit for everybody goes to the one that would end it soonest.
    """
    chosen = policy.preferred(waiting * batch.work, batch.total, able, batch.elapsed(now), settings)
    free = sorted((load for load in chosen if load.free), key=lambda load: (load.flights, load.ready, load.pace))
    if len(batch.allowed) == 1 and free:  # nobody to balance with
        return min(math.ceil(waiting / free[0].free), free[0].spec.max_slice), free[0]
    end = policy.level(waiting * batch.work, chosen)
    for load in free:
        share = (end - load.ready) / (load.pace * batch.work)
        fewest = batch.fewest.get(load.spec.name, 1)
        size = policy.size(waiting, batch.work, share, load, settings, fewest=fewest)
        if size:
            return size, load
    soonest = min(chosen, key=lambda load: load.ready + load.pace * batch.work)
    return int(soonest.free > 0 and (soonest.known or not soonest.flights)), soonest


Timed = Sequence[tuple[Flight, float]]
"""(slice, when it should end)"""


def etas(batch: Batch, members: Mapping[str, Member], standing: Sequence[Load], now: float) -> Timed:
    """When the slices of a batch should end, canceled ones apart; never where the member does not work."""
    known = {load.spec.name: load for load in standing}
    found: list[tuple[Flight, float]] = []
    for name, member in members.items():
        load = known.get(name)
        timed = [(flight, math.inf) for flight in member.flights.values()]
        if load is not None:
            timed = member.etas(now, load.latency, load.pace)
        found += [(flight, eta) for flight, eta in timed if flight.batch == batch.name and not flight.canceled]
    return found


def next_hedge(
    batch: Batch, standing: Sequence[Load], timed: Timed, now: float, settings: PoolSettings
) -> Hedge | None:
    """Circuits of a late free member for another one that would be done much sooner, of `timed` slices of free ones.

    A member of unknown speed is asked for a single circuit, and not before `settings.hush` is at stake.
    """
    helping = [load for load in standing if load.free and not load.spec.price and load.flights < _HELPING]
    for flight, eta in sorted(timed, key=lambda entry: -entry[1]) if helping else ():
        helpers = [load for load in helping if load.spec.name not in flight.parcel.failed_at | {flight.member}]
        left = len(batch.single(flight)) if helpers else 0
        for load in sorted(helpers, key=lambda load: load.pace) if left else ():
            size = min(math.ceil(left / len(helpers)), load.spec.max_slice) if load.known else 1
            sooner = load.ready + size * batch.work * load.pace < _HEDGE * (eta - now)
            if sooner and (load.known or eta - now > settings.hush):
                return Hedge(load.spec.name, flight, size)
    return None


def to_recall(standing: Sequence[Load], timed: Timed, now: float, settings: PoolSettings) -> tuple[list[Flight], float]:
    """(Slices that take far too long while somebody else is idle, the next time at which there may be one)."""
    idle = {load.spec.name for load in standing if not load.flights and load.free}
    slow, then = [], math.inf
    for flight, _ in timed if idle else ():
        if idle - {flight.member}:
            at = flight.sent + settings.recall * flight.expected + settings.recall_after
            if at <= now:
                slow.append(flight)
            else:
                then = min(then, at)
    return slow, then


def to_buy_again(
    flights: Sequence[Flight], members: Mapping[str, Member], now: float, settings: PoolSettings
) -> tuple[list[tuple[Flight, str]], float]:
    """(Slices of paid members that have given no answer for too long, and why; the next time when there may be one)."""
    patience = settings.patience_of_buyers
    silent, then = [], math.inf
    for flight in flights if patience is not None else ():
        member = members[flight.member]
        if member.spec.price and member.silent is not None:
            at = member.silent + (patience or 0.0)
            reason = f"no answer from {flight.member} for {now - member.silent:.0f} s: {member.breaker.reason}"
            if at <= now:
                silent.append((flight, reason))
            else:
                then = min(then, at)
    return silent, then


def look_again(standing: Sequence[Load], now: float, settings: PoolSettings) -> float:
    """When to look again whether somebody idle should help with what is late."""
    if not any(load.free and not load.flights for load in standing):
        return math.inf
    spans = [max(load.ready, load.waited) for load in standing if load.flights]
    return now + max(settings.grain, max(spans) / 8) if spans else math.inf


def wake(batches: Iterable[Batch], members: Mapping[str, Member], now: float) -> float | None:
    """When something may be to do without an event."""
    times = []
    for batch in batches:
        allowed = [members[name] for name in batch.allowed]
        times += [member.breaker.until for member in allowed if member.breaker.health is Health.OPEN]
        if batch.waits:
            times += [member.paused_until for member in allowed]
        times.append(batch.look_again)
    return min((time for time in times if now < time < math.inf), default=None)
