"""Carrying slices to their answers, again where a circuit failed for a passing reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from q_store.backends.base import Answer, Missing, Slice, Ticket, TicketState, fingerprint, nothing
from q_store.backends.ionq.client.link import Link
from q_store.backends.ionq.client.pace import back_off, unthrottled
from q_store.backends.ionq.client.records import Record
from q_store.errors import CapabilityError, QStoreError
from q_store.jobs import Status

FAREWELL = 15.0
"""Seconds that a canceled run takes at most to cancel its jobs."""


class Run:
    """The slices of one call, in flight together."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._few = asyncio.Semaphore(link.settings.in_flight)
        self._sending: set[asyncio.Task[Ticket]] = set()
        self._open: dict[str, Ticket] = {}
        self._stopped = False
        self.accepted = 0
        """How many slices were accepted, perhaps or surely."""
        self.errors: list[QStoreError] = []
        """Why slices were not accepted."""

    async def answers(self, slices: Sequence[Slice]) -> list[list[tuple[Slice, Answer]]]:
        """What every slice came to: the slices that were sent for it, with their answers.

        Cancelling it cancels the remote jobs, before it ends.
        """
        tasks = [asyncio.create_task(self._carry(part)) for part in slices]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            self._stopped = True
            for task in tasks:
                task.cancel()
            farewell = asyncio.create_task(self._abandon(tasks))
            await asyncio.wait({farewell}, timeout=FAREWELL)
            farewell.cancel()
            raise

    async def _carry(self, part: Slice) -> list[tuple[Slice, Answer]]:
        out: list[tuple[Slice, Answer]] = []
        attempts = self._link.settings.attempts
        for attempt in range(1, attempts + 1):
            try:
                async with self._few:
                    answer = await self._once(part)
            except CapabilityError:  # too large, whatever the documented limits say
                half = part.size // 2
                for places in (range(half), range(half, part.size)):
                    out += await self._carry(_some(part, places))
                return out
            again = sorted(k for k, gap in answer.missing.items() if gap.retry and gap.status is Status.FAILED)
            if not again or attempt == attempts:
                out.append((part, answer))
                break
            left = {k: gap for k, gap in answer.missing.items() if k not in again}
            out.append((part, replace(answer, missing=left)))
            part = _some(part, again)
            await asyncio.sleep(back_off(attempt, self._link.api.jitter()))
        return out

    async def _once(self, part: Slice) -> Answer:
        """What one sending of a slice comes to. Raises CapabilityError for one that is refused as too large."""
        sending = asyncio.create_task(self._link.sender.send(part, lambda: self._stopped))
        self._sending.add(sending)
        try:
            ticket = await asyncio.shield(sending)  # cancelled or not, what was accepted will be known
        except QStoreError as error:
            self._sending.discard(sending)
            if isinstance(error, CapabilityError) and part.size > 1:
                raise
            self.errors.append(error)
            return nothing(part, Missing(Status.FAILED, str(error)))
        self._sending.discard(sending)
        self.accepted += 1
        if ticket.remote_id is None:
            return nothing(part, Missing(Status.UNCERTAIN, ticket.reason))
        self._open[ticket.remote_id] = ticket
        try:
            answer = await self._accepted(part, ticket)
        except QStoreError as error:
            answer = nothing(part, Missing(Status.UNCERTAIN, f"job {ticket.remote_id} was accepted; then: {error}"))
        del self._open[ticket.remote_id]
        return answer if not ticket.reason else replace(answer, proof=(*answer.proof, f"warning: {ticket.reason}"))

    async def _accepted(self, part: Slice, ticket: Ticket) -> Answer:
        """What an accepted job comes to."""
        job = ticket.remote_id or ""
        known = await self._link.watch.final(job, part.size)
        if known is None:
            return nothing(
                part, Missing(Status.UNCERTAIN, f"job {job} was accepted, and the service no longer knows it")
            )
        if not known.is_final:
            state = known.status
            known = await self._link.cancel(job)
            if known is None or not known.is_final:
                return nothing(part, Missing(Status.UNCERTAIN, f"job {job} stays {state}, and could not be canceled"))
            answer = await self._collected(part, known)
            return _explained(answer, f"canceled, as it stayed {state} without progress for too long")
        return await self._collected(part, known)

    async def _collected(self, part: Slice, known: Record) -> Answer:
        link = self._link
        return await unthrottled(
            lambda: link.collector.collect(part, known), link.settings.longest(part.size), link.api.jitter
        )

    async def _abandon(self, tasks: Sequence[asyncio.Task[list[tuple[Slice, Answer]]]]) -> None:
        """Cancel what is open, jobs included that are being sent."""
        await asyncio.gather(*tasks, return_exceptions=True)
        sending = set(self._sending)
        if sending:
            await asyncio.wait(sending, timeout=FAREWELL / 2)
        for task in sending:
            if not task.done():
                task.cancel()
            elif not task.cancelled() and task.exception() is None and task.result().remote_id is not None:
                self._open[str(task.result().remote_id)] = task.result()
        await asyncio.gather(*(self._link.cancel(job) for job in self._open), return_exceptions=True)


def _explained(answer: Answer, reason: str) -> Answer:
    """An answer that also says why its job was given up."""
    missing = {
        place: replace(gap, reason=f"{gap.reason} ({reason})") if gap.status is Status.FAILED else gap
        for place, gap in answer.missing.items()
    }
    return replace(answer, missing=missing)


def _some(part: Slice, places: Sequence[int]) -> Slice:
    """A new slice of some circuits of another."""
    rows = np.array(places)
    flips = None if part.flips is None else part.flips[rows]
    return replace(part, angles=part.angles[rows], numbers=part.numbers[rows], flips=flips, fingerprint=fingerprint())


def is_open(ticket: Ticket) -> bool:
    """Whether there is anything to wait for."""
    return ticket.state is TicketState.OPEN and ticket.remote_id is not None
