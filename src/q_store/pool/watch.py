"""Waiting for slices: one poller for a member, each ticket looked at when it is due, all that are due with one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from q_store.backends.base import Backend, Ticket
from q_store.errors import QStoreError, ThrottledError, UnreachableError
from q_store.events import moment
from q_store.pool.contact import Contact

_LEAST, _MOST, _SHARE = 0.1, 5.0, 0.03
_SIGN, _OLD = 1.0, 0.01
"""At most so many seconds, or this share of its age where that is more, pass without a look at a ticket."""
_TOGETHER = 0.5
"""A ticket that has waited for this share of its interval is looked at with another one that is due."""
_QUARTER = 0.25
_MOMENT = 1e-6
"""A loop's timers may fire a little early: what is due so soon is due now, or two watches would keep time standing."""


@runtime_checkable
class Prompt(Protocol):
    """A backend that says by itself when a ticket is final: nothing is polled."""

    async def wait(self, ticket: Ticket) -> Ticket:
        """The final ticket."""


def interval(age: float, due: float | None) -> float:
    """Seconds until the next look at a ticket.

    A share of its age; less often while its predicted end is far, right behind that where it comes first, soon again,
    but ever later, once it is over. A look also shows that the backend lives: one a second while the ticket is young.

    Args:
        age: seconds since it was sent.
        due: seconds until its predicted end; None without a prediction.
    """
    by_age, most = max(_LEAST, _SHARE * age), min(_MOST, max(_SIGN, _OLD * age))
    if due is not None and 0 < due < 2 * by_age:
        return min(most, max(_LEAST, due))
    if due is not None:
        by_age = max(by_age, _QUARTER * due) if due > 0 else by_age
    return min(most, by_age)


@dataclass(eq=False)
class _Watched:
    """A ticket that somebody waits for; times of the loop's clock."""

    ticket: Ticket
    since: float
    last_look: float
    next_look: float
    progress: Callable[[Ticket], None]
    done: asyncio.Future[Ticket] = field(default_factory=asyncio.Future)

    def fail(self, error: Exception) -> None:
        """Whoever waits gets an error."""
        if not self.done.done():
            self.done.set_exception(error)


class Watch:
    """Polls the tickets of a backend.

    Args:
        backend: that they are of.
        contact: with it, for other calls to it too.
        patience: seconds without contact after which nobody waits any longer. Being throttled is contact.
    """

    def __init__(self, backend: Backend, contact: Contact, patience: float) -> None:
        self._backend = backend
        self.contact = contact
        self._watched: list[_Watched] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._patience = patience
        self.asked = 0.0
        """When the last look left, see `events.moment`."""

    async def final(self, ticket: Ticket, progress: Callable[[Ticket], None]) -> Ticket:
        """The ticket once it is final; `progress` hears each look that found it. Waits as long as it takes.

        Raises UnreachableError after `patience` seconds without contact.
        """
        if ticket.state.is_final:
            return ticket
        if isinstance(self._backend, Prompt):
            return await self._backend.wait(ticket)
        now = asyncio.get_running_loop().time()
        one = _Watched(ticket, now, now, now + interval(0.0, ticket.due), progress)
        self._watched.append(one)
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="q-store: watch tickets")
        try:
            return await one.done
        finally:
            self._watched.remove(one)
            self._changed.set()

    async def aclose(self) -> None:
        """Stop looking, and listening."""
        self.contact.close()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        try:
            await self._go_on()
        except Exception as error:  # noqa: BLE001  # whoever waits hears of it, a fault of ours included
            for one in self._watched:
                one.fail(error)

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while waiting := [one for one in self._watched if not one.done.done()]:
            self._changed.clear()
            now = loop.time()
            if any(one.next_look <= now + _MOMENT for one in waiting):
                await self._look([one for one in waiting if _joins(one, now)])
                continue
            try:
                async with asyncio.timeout_at(min(one.next_look for one in waiting)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _look(self, due: list[_Watched]) -> None:
        loop, self.asked = asyncio.get_running_loop(), moment()
        try:
            found = await self.contact.listen(self._backend.poll([one.ticket for one in due]))
        except QStoreError as error:
            self._unreached(due, error, loop.time())
            return
        self.contact.heard()
        now = loop.time()
        for one, ticket in zip(due, found, strict=True):
            one.ticket = ticket
            one.last_look, one.next_look = now, now + interval(now - one.since, ticket.due)
            one.progress(ticket)
            if ticket.state.is_final and not one.done.done():
                one.done.set_result(ticket)

    def _unreached(self, due: list[_Watched], error: QStoreError, now: float) -> None:
        if isinstance(error, ThrottledError):
            self.contact.throttled(error)
            lost = now
        else:
            lost = self.contact.unheard(str(error))
        for one in due:
            one.last_look, one.next_look = now, now + _MOST
            if now - max(lost, one.since) > self._patience:
                one.fail(UnreachableError(f"no contact for {now - lost:.0f} s: {error}"))


def _joins(one: _Watched, now: float) -> bool:
    return now - one.last_look >= _TOGETHER * (one.next_look - one.last_look)
