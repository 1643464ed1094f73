"""One slice on its way: sent, waited for, fetched and written down, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Missing, Ticket, TicketState
from q_store.errors import (
    AuthenticationError,
    CapabilityError,
    InputError,
    QStoreError,
    ThrottledError,
    UnreachableError,
)
from q_store.events import Announcer
from q_store.jobs import Status
from q_store.pool.books import Books, Sending
from q_store.pool.events import Break
from q_store.pool.lives import Life
from q_store.pool.watch import Watch
from q_store.store import Measured

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_EACH = 0.01
"""Seconds more that a circuit may take to be sent."""
_ELSEWHERE = "its circuits were sent to others before it was accepted"
_KINDS = (
    (AuthenticationError, Break.BARRED),
    (CapabilityError, Break.REFUSED),
    (InputError, Break.REFUSED),
    (ThrottledError, Break.THROTTLED),
    (UnreachableError, Break.UNREACHABLE),
)


@dataclass(frozen=True, slots=True, eq=False)
class Fate:
    """What became of a slice.

    Attributes:
        numbers: [S], its circuits.
        measured: a row for each circuit; None where it brought nothing, for the reason and of the kind given.
        missing: of an answered slice, by place.
        proof: see `Answer`. shots, cost: what was charged.
        error: where it was refused.
    """

    numbers: Ints
    measured: Measured | None = None
    missing: Mapping[int, Missing] = field(default_factory=dict)
    kind: Break | None = None
    reason: str = ""
    proof: tuple[str, ...] = ()
    shots: int = 0
    cost: float = 0.0
    error: QStoreError | None = None

    @property
    def pause(self) -> float:
        """Seconds that the service asks to wait, where it throttles."""
        return self.error.pause if isinstance(self.error, ThrottledError) else 0.0


def broke(numbers: Ints, kind: Break, reason: str) -> Fate:
    """Circuits that got nothing."""
    return Fate(numbers, kind=kind, reason=reason)


@dataclass(eq=False)
class Carriage:
    """Takes a slice to its end.

    Attributes:
        sending: the slice. books: where its steps are written. watch: of its member.
        fresh: whether each circuit still has no answer. accepted: hears of progress, with the seconds it will take.
        canceled: set when the slice is not wanted any more.
        leave: whether a slice whose cancel is not confirmed may be left to be taken up again later.
        life: of the slice.
        forgone: set when others get the circuits: what costs nothing is then not waited for until it is accepted.
    """

    sending: Sending
    books: Books
    watch: Watch
    fresh: Callable[[], Flags]
    accepted: Callable[[float | None], None] = lambda _due: None
    canceled: asyncio.Event = field(default_factory=asyncio.Event)
    leave: Callable[[], bool] = lambda: False
    life: Life | None = None
    forgone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.now = self.life or Life(self.sending, Announcer())

    async def send(self) -> Fate:
        """Send the slice, whose intent is written, and bring it to its end."""
        part, backend = self.sending.part, self.sending.member.backend
        self.now.mark("sent")
        try:
            ticket = await self._unless_forgone(self.watch.contact.listen(backend.submit(part), _EACH * part.size))
        except QStoreError as error:  # surely not accepted
            self.books.nothing(part.fingerprint, str(error), self.now.stored)
            kind = next((kind for each, kind in _KINDS if isinstance(error, each)), Break.FAILED)
            return replace(broke(part.numbers, kind, str(error)), error=error)
        if ticket is None:
            self.books.nothing(part.fingerprint, _ELSEWHERE, self.now.stored)
            return broke(part.numbers, Break.CANCELED, _ELSEWHERE)
        self.watch.contact.heard()
        if ticket.remote_id is None:
            self.books.uncertain(part.fingerprint, ticket.reason, self.now.stored)
            return broke(part.numbers, Break.UNCERTAIN, ticket.reason)
        self.now.accepted(ticket)
        self.books.sent(replace(ticket, times={**ticket.times, **self.now.stored}))
        self.accepted(ticket.due)
        return await self.bring(ticket)

    async def bring(self, ticket: Ticket) -> Fate:
        """Wait for a slice that was accepted, and fetch what it brought."""
        part, books = self.sending.part, self.books
        try:
            final = await self._final(ticket)
            if final is None:
                return broke(
                    part.numbers, Break.CANCELED, f"job {ticket.remote_id} was left; a resumed run takes it up"
                )
            self.now.final(final)
            if final.state is TicketState.FAILED:
                books.nothing(part.fingerprint, final.reason, self._times)
                return broke(part.numbers, Break.FAILED if final.retry else Break.REFUSED, final.reason)
            if final.state is not TicketState.UNCERTAIN:
                return await self._fetched(final)
            reason = final.reason
        except UnreachableError as error:
            reason = f"job {ticket.remote_id} was accepted; then: {error}"
        books.uncertain(part.fingerprint, reason, self._times)
        return broke(part.numbers, Break.UNCERTAIN, reason)

    def ended(self, fate: Fate) -> None:
        """Tell what became of the slice."""
        state = {None: "done", Break.UNCERTAIN: "uncertain", Break.CANCELED: "canceled"}.get(fate.kind, "failed")
        if fate.kind is Break.CANCELED and "seen" not in self.now.times:
            state = "left"
        answered = 0 if fate.kind is not None else len(fate.numbers) - len(fate.missing)
        self.now.ended(state, fate.reason, answered, shots_paid=fate.shots, cost=fate.cost, proof=fate.proof)

    @property
    def _times(self) -> dict[str, float]:
        """Of the life so far, for the store."""
        return {**self.now.provider, **self.now.stored}

    async def _fetched(self, final: Ticket) -> Fate:
        part, backend = self.sending.part, self.sending.member.backend
        try:
            answer = await self.watch.contact.listen(backend.result(part, final), _EACH * part.size)
            self.watch.contact.heard()
            self.now.mark("fetched")
        except QStoreError as error:
            reason = f"job {final.remote_id} ended, and its results cannot be had: {error}"
            self.books.uncertain(part.fingerprint, reason, self._times)
            return broke(part.numbers, Break.UNCERTAIN, reason)
        gaps = list(answer.missing.values())
        if len(gaps) == part.size and all(gap.status is Status.UNCERTAIN for gap in gaps):
            self.books.uncertain(part.fingerprint, gaps[0].reason, self._times)
            return broke(part.numbers, Break.UNCERTAIN, gaps[0].reason)
        canceled = final.state is TicketState.CANCELED
        self.now.mark("merged")
        measured = self.books.answered(self.sending, answer, self.fresh(), canceled=canceled, times=self._times)
        missing = {
            place: replace(gap, retry=gap.retry or (canceled and gap.status is Status.FAILED))
            for place, gap in answer.missing.items()
        }
        if canceled and len(missing) == part.size and all(gap.retry for gap in missing.values()):
            return broke(part.numbers, Break.CANCELED, final.reason or "canceled")
        said = (*answer.proof, *([f"warning: {final.reason}"] if final.reason and not canceled else []))
        return Fate(part.numbers, measured, missing, proof=said, shots=answer.shots_paid, cost=answer.cost)

    async def _final(self, ticket: Ticket) -> Ticket | None:
        """The final ticket, UNCERTAIN past its deadline; None: it was canceled, and that is not confirmed."""
        loop = asyncio.get_running_loop()
        deadline = self.sending.member.deadline(self.sending.part.size)
        patience = _Patience(loop.time() + deadline, deadline)

        def progress(seen: Ticket) -> None:
            self.now.looked(seen, self.watch.asked)
            if patience.saw(seen, loop.time()):
                self.accepted(seen.due)

        ended = asyncio.create_task(self.watch.final(ticket, progress))
        stop = asyncio.create_task(self.canceled.wait())
        waiting = {ended, stop}
        try:
            while True:
                left = max(0.0, patience.limit - loop.time())
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    return ended.result()
                late = loop.time() >= patience.limit
                if not stop.done() and not late:
                    continue
                known = await self._cancel(ticket)
                if known.state.is_final and (known.state is not TicketState.UNCERTAIN or late):
                    return known
                if self.leave():
                    return None
                waiting.discard(stop)
        finally:
            for task in (ended, stop):
                task.cancel()
            await asyncio.wait({ended, stop})
            if not ended.cancelled():
                ended.exception()

    async def _unless_forgone(self, sending: Coroutine[Any, Any, Ticket]) -> Ticket | None:
        if self.sending.member.price.typical:
            return await sending
        sent, forgone = asyncio.ensure_future(sending), asyncio.ensure_future(self.forgone.wait())
        try:
            await asyncio.wait({sent, forgone}, return_when=asyncio.FIRST_COMPLETED)
            return sent.result() if sent.done() else None
        finally:
            sent.cancel()
            forgone.cancel()
            await asyncio.wait({sent, forgone})
            if not sent.cancelled():
                sent.exception()

    async def _cancel(self, ticket: Ticket) -> Ticket:
        if self.leave() and self.watch.contact.is_lost:
            return replace(ticket, state=TicketState.UNCERTAIN, reason="cannot be reached")
        try:
            return (await self.sending.member.backend.cancel([ticket]))[0]
        except QStoreError as error:
            return replace(ticket, state=TicketState.UNCERTAIN, reason=f"cannot be canceled: {error}")


@dataclass(slots=True)
class _Patience:
    """Until when a slice is waited for: begins anew with every progress."""

    limit: float
    deadline: float
    stage: tuple[str, ...] = ()

    def saw(self, ticket: Ticket, now: float) -> bool:
        """Whether the ticket has got further."""
        stage = tuple(sorted(set(ticket.times) - {"seen"}))
        if stage == self.stage:
            return False
        self.stage, self.limit = stage, now + max(0.0, ticket.due or 0.0) + self.deadline
        return True
