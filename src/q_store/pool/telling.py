"""What a pool tells of its members and decisions, read off what its state was told and what it said to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from q_store.events import Announcer, CircuitsDone, CircuitsKnown, Decided, MemberChanged, moment
from q_store.pool.actions import Action, Cancel, GiveUp, Send
from q_store.pool.breaker import Health
from q_store.pool.events import Answered, Asked, Break, Broke, Event
from q_store.pool.members import Standing
from q_store.pool.slices import Ints
from q_store.pool.state import PoolState

_TURNS = {
    Health.CLOSED: "breaker closed",
    Health.OPEN: "breaker opened",
    Health.TRIAL: "on trial",
    Health.BARRED: "barred",
}
_NO_TURNS = frozenset(
    {(health, health) for health in Health} | {(Health.DOUBTED, Health.CLOSED), (Health.PROBING, Health.OPEN)}
)
"""A probe that fails decides nothing."""
_AWAY = frozenset({Health.OPEN, Health.PROBING, Health.BARRED})
_UNTOLD = -1
_MOMENT = 1e-3
"""A timer may fire a little early."""
_STAYS = 1.0
"""Seconds for which a member is told to fail at least: one whose calls fail now and then would be news all the time."""


class Telling:
    """Remembers who had which circuits, and how the members stood.

    Args:
        state: of the pool. announce: is told.
        again: asked to tell of a `Tick` after so many seconds.
    """

    def __init__(self, state: PoolState, announce: Announcer, again: Callable[[float], object]) -> None:
        self._state, self._announce, self._again = state, announce, again
        self._last: dict[str, Standing] = {}
        """As they were told."""
        self._doubted: dict[str, float] = {}
        """When it was told that they fail."""
        self._held: set[str] = set()
        """Of whom it is not told yet that they do not."""
        self._work: float | None = None
        """Of a circuit of the latest batch."""
        self._owners: dict[int, Ints] = {}
        """For each circuit of a batch, the slice that had it last."""
        self._slices: dict[int, tuple[str, int]] = {}
        """Member and batch of a slice."""
        self._reasons: dict[int, str] = {}
        """Why a slice brought less than was asked."""

    def tell(self, event: Event, actions: Sequence[Action], now: float) -> None:
        """Tell what came of an event at time `now` of the pool's clock."""
        if isinstance(event, Asked):
            self._owners[event.batch] = np.full(event.count, _UNTOLD)
            self._work = event.work
        if isinstance(event, Broke | Answered):
            self._ended(event)
        self._members(now)
        for action in actions:
            if isinstance(action, Send):
                self._sent(action)
            elif isinstance(action, Cancel):
                self._recalled(action)
            elif isinstance(action, GiveUp):
                self._say("given up", "", action.reason, circuits=len(action.numbers))

    def forget(self, batch: int) -> None:
        """A batch is over."""
        self._owners.pop(batch, None)
        for name in [name for name, (_, own) in self._slices.items() if own == batch]:
            del self._slices[name]
            self._reasons.pop(name, None)

    def _ended(self, event: Broke | Answered) -> None:
        if isinstance(event, Broke):
            reason = event.reason or event.kind.value
        else:
            reason = next((gap.reason for gap in event.missing.values()), "")
        if not (isinstance(event, Broke) and event.kind is Break.CANCELED):  # that was decided for another reason
            self._reasons[event.slice] = reason
        if isinstance(event, Broke) and event.kind is Break.REFUSED and event.slice in self._slices:
            self._say("refused", self._slices[event.slice][0], reason)

    def _sent(self, action: Send) -> None:
        owners = self._owners.get(action.batch)
        if owners is None:
            return
        before = owners[action.numbers]
        for name, count in zip(*np.unique(before[before != _UNTOLD], return_counts=True), strict=True):
            member = self._slices[int(name)][0]
            what, why = self._moved(member, action, self._reasons.get(int(name), ""))
            self._say(what, member, why, to=action.member, circuits=int(count))
        self._slices[action.slice] = action.member, action.batch
        owners[action.numbers] = action.slice

    def _recalled(self, action: Cancel) -> None:
        """Nobody is called back who does not work; that is told already."""
        member, _ = self._slices.get(action.slice, ("", 0))
        if member and self._last[member].health not in _AWAY:
            self._say("recalled", member, self._reasons.get(action.slice, ""))

    def _moved(self, member: str, action: Send, reason: str) -> tuple[str, str]:
        """What a sending is of circuits that a member had, and why. Should it answer first after all, that counts."""
        standing = self._last[member]
        silent = standing.health in _AWAY | {Health.DOUBTED}
        if action.hedge and not silent:
            return "hedged", reason or f"{member} is expected to take longer"
        why = standing.reason if silent or standing.health is Health.TRIAL else ""
        return "moved" if member != action.member else "sent again", why or reason or "it does not answer in time"

    def _members(self, now: float) -> None:
        for standing in self._state.standing(now):
            before = self._last.get(standing.name)
            if before is not None and self._stays(before, standing, now):
                continue
            self._last[standing.name] = standing
            self._held.discard(standing.name)
            if before is None or _figures(before) != _figures(standing):
                self._announce(self._changed(standing))
            health = before.health if before is not None else Health.CLOSED
            if standing.health in _TURNS and (health, standing.health) not in _NO_TURNS:
                self._say(_TURNS[standing.health], standing.name, standing.reason)

    def _stays(self, before: Standing, standing: Standing, now: float) -> bool:
        """Whether it is told to fail although it does not any more, for now."""
        if standing.health is Health.DOUBTED and before.health is not Health.DOUBTED:
            self._doubted[standing.name] = now
        if before.health is not Health.DOUBTED or standing.health is not Health.CLOSED:
            return False
        left = self._doubted[standing.name] + _STAYS - now
        if left <= _MOMENT or _figures(before)[1:] != _figures(standing)[1:]:
            return False
        if standing.name not in self._held:
            self._held.add(standing.name)
            self._again(left)
        return True

    def _changed(self, standing: Standing) -> MemberChanged:
        rate = None if standing.speed is None or not self._work else standing.speed / self._work
        return MemberChanged(
            standing.name,
            moment(),
            standing.health.value,
            standing.reason,
            rate,
            standing.latency,
            standing.in_flight,
            standing.window,
            standing.paused,
            standing.answered,
            standing.failed,
        )

    def _say(self, what: str, member: str, reason: str, *, to: str | None = None, circuits: int = 0) -> None:
        self._announce(Decided(what, member, moment(), reason, to, circuits))


def _figures(standing: Standing) -> tuple[object, ...]:
    """What is told when it changes; the rate only with the circuits that it is known by."""
    paused = standing.paused > 0
    return standing.health, standing.in_flight, standing.window, paused, standing.answered, standing.failed


def known(announce: Announcer, job: int, circuits: int, lacking: int) -> None:
    """Tell how many circuits of a job are left to run."""
    if announce:
        announce(CircuitsKnown(job, circuits, lacking, moment()))


def done(announce: Announcer, jobs: Sequence[int]) -> None:
    """Tell that nothing more comes of jobs."""
    for job in jobs if announce else ():
        announce(CircuitsDone(job, moment()))
