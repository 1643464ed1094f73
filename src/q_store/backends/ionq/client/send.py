"""Sending a slice so that it is accepted at most once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from q_store.backends.base import Found, Slice, Ticket, TicketState
from q_store.backends.ionq.client.api import Accepted, Api, Doubtful, Refused
from q_store.backends.ionq.client.looking import Acceptances
from q_store.backends.ionq.client.pace import back_off
from q_store.backends.ionq.client.records import METADATA, NAME, Record
from q_store.backends.ionq.client.search import Search, Sending
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.ionq.wire import payload
from q_store.backends.ionq.wire.texts import Texts
from q_store.errors import BackendError, QStoreError, ThrottledError, UnreachableError

_REMEMBERED = 4096


def content(part: Slice, settings: IonQSettings, texts: Texts | None = None) -> bytes:
    """The body of a slice's job; `texts` has what was written before."""
    native = settings.gateset == "native"
    shared = payload.JobSettings(
        backend=settings.backend,
        gateset=settings.gateset,
        shots=part.shots,
        noise=settings.noise if settings.is_simulator else None,
        noise_seed=None if settings.is_exact or not settings.is_simulator else part.seed,
        debiasing=settings.debiasing,
        session=settings.session,
    )
    return payload.body(
        (texts or Texts()).write(part.circuit, part.angles, native=native),
        part.circuit.n_qubits,
        shared,
        NAME + part.fingerprint,
        {METADATA: part.fingerprint},
        names=[str(place) for place in range(part.size)],
    )


class Sender:
    """Sends slices, and looks up those of which it is not known whether they arrived."""

    def __init__(self, api: Api, acceptances: Acceptances, search: Search, texts: Texts | None = None) -> None:
        self._api = api
        self._texts = texts
        self._acceptances = acceptances
        self._search = search
        self._sendings: OrderedDict[str, Sending] = OrderedDict()

    async def send(self, part: Slice, stopped: Callable[[], bool] = bool, *, throttled: float | None = None) -> Ticket:
        """Send a slice until it is accepted or surely cannot be.

        Args:
            part: the slice.
            stopped: asked before each sending.
            throttled: seconds to try where the service only says that there are too many requests; None: as otherwise.

        Returns:
            A ticket, OPEN or UNCERTAIN.

        Raises:
            AuthenticationError, InputError, CapabilityError, BackendError: the service refuses it.
            UnreachableError: it was surely not accepted in spite of all tries; ThrottledError where the last was 429.
        """
        settings, loop = self._api.settings, asyncio.get_running_loop()
        body = content(part, settings, self._texts)
        begun = written = loop.time()
        tries = 0
        while not stopped():
            tries += 1
            before = loop.time()
            got: Accepted | Refused | Doubtful | Ticket = await self._api.post("/jobs", body)
            if isinstance(got, Accepted):
                got = self._accepted(part, got, before, written)
            if isinstance(got, Ticket):
                return got
            if isinstance(got, Refused):
                await self._again(got, tries, begun, throttled)
            else:
                found = await self._look_up(self._doubtful(part.fingerprint, before, surely=got.surely), got.reason)
                if found is not None:
                    return found
                begun, tries = loop.time(), 0
        raise BackendError("expected to send a job, got a cancellation before it left; run it again")

    async def find(self, fingerprint: str, since: float | None = None) -> Ticket | Found:
        """Look a slice up that was perhaps accepted.

        Args:
            fingerprint: of the slice.
            since: seconds since 1970 of a moment before its first sending, if this process did not send it itself; the
                whole list is read without it.
        """
        now = asyncio.get_running_loop().time()
        sending = self._sendings.get(fingerprint) or Sending(fingerprint, None, now, since)
        found = await self._search.find(sending)
        return found if isinstance(found, Found) else await self._adopt(sending, found)

    def _accepted(self, part: Slice, got: Accepted, before: float, written: float) -> Ticket | Doubtful:
        job = got.body.get("id") if isinstance(got.body, dict) else None
        if not isinstance(job, str) or not job:
            return Doubtful("the service accepted a job without saying its id", surely=True)
        self._acceptances.add(job, before)
        clock, now = self._api.clock, asyncio.get_running_loop().time()
        at = {"written": written, "sent": before, "accepted": now}
        times = {name: clock.epoch(each, now) for name, each in at.items()}
        return Ticket(part.fingerprint, job, times=times)

    def _doubtful(self, fingerprint: str, before: float, *, surely: bool) -> Sending:
        """Remember a sending that went wrong."""
        now = asyncio.get_running_loop().time()
        sending = self._sendings.get(fingerprint)
        if sending is None:
            sending = self._sendings[fingerprint] = Sending(fingerprint, before, now, times=0)
            if len(self._sendings) > _REMEMBERED:
                self._sendings.popitem(last=False)
        sending.last = now
        sending.times += 1
        sending.surely |= surely
        return sending

    async def _look_up(self, sending: Sending, reason: str) -> Ticket | None:
        """The ticket of a doubtful sending; None: it surely did not arrive and may be sent again."""
        found = await self._search.find(sending)
        if isinstance(found, list):
            return await self._adopt(sending, found)
        if found is Found.UNKNOWN:
            said = "accepted with an unreadable reply" if sending.surely else "perhaps accepted"
            text = f"{said}, and not found in the list of jobs: {reason}; look for {NAME}{sending.fingerprint}"
            return Ticket(sending.fingerprint, None, TicketState.UNCERTAIN, text)
        if sending.times > self._api.settings.resends:
            raise UnreachableError(f"expected a job to be accepted, got {sending.times} failures; the last: {reason}")
        return None

    async def _adopt(self, sending: Sending, found: list[Record]) -> Ticket:
        """The ticket of the job that was found; others of the same slice are canceled."""
        first, *others = found
        now = asyncio.get_running_loop().time()
        at = sending.last if sending.first is None else sending.first
        self._acceptances.add(first.id, at)
        said = [await self._canceled(other) for other in others]
        reason = f"accepted {len(found)} times: {'; '.join(said)}" if said else ""
        clock = self._api.clock
        times = {"sent": clock.epoch(at, now), "accepted": first.submitted or clock.epoch(now, now)}
        return Ticket(sending.fingerprint, first.id, reason=reason, times=times)

    async def _canceled(self, other: Record) -> str:
        """Cancel a job that should not be, and what became of it."""
        try:
            await self._api.change("PUT", f"/jobs/{other.id}/status/cancel")
        except QStoreError as error:
            return f"job {other.id} could not be canceled: {error}"
        return f"job {other.id} was canceled, {other.status} before"

    async def _again(self, got: Refused, tries: int, begun: float, throttled: float | None) -> None:
        """Wait until a refused sending may be repeated; raises its error where that is of no use."""
        settings, now = self._api.settings, asyncio.get_running_loop().time()
        delay = max(got.pause or 0.0, back_off(tries, self._api.jitter()))
        hopeless = not self._api.reached and tries >= settings.contact_tries
        patience = (
            throttled if throttled is not None and isinstance(got.error, ThrottledError) else settings.call_deadline
        )
        if not got.again or hopeless or now + delay - begun > patience:
            raise got.error
        await asyncio.sleep(delay)
