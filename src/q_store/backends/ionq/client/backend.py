"""IonQ as a backend: jobs in, outcomes out, in between at most one charge for each circuit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import httpx

from q_store.backends.base import Answer, Found, Ints, Missing, Slice, Ticket, TicketState, nothing
from q_store.backends.ionq.client import records
from q_store.backends.ionq.client.link import Link
from q_store.backends.ionq.client.pace import unthrottled
from q_store.backends.ionq.client.plan import LEAST_DEBIASED, Planned, Planner
from q_store.backends.ionq.client.run import Run, is_open
from q_store.backends.ionq.client.service import Service, native_family
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.ionq.wire.texts import Texts
from q_store.backends.local.sampling import sample
from q_store.backends.tries import Tries
from q_store.blas import single_threaded
from q_store.errors import QStoreError
from q_store.jobs import EXACT_ONLY, Capabilities, Job, Outcome, Output, Status

_FORGOTTEN = 5.0
"""Seconds after which a job on the simulator that the service does not know is lost, at no cost."""
_BRIEFLY = 8.0
"""Seconds of repetitions of a call that a pool makes again by itself."""


class IonQBackend:
    """Runs jobs on IonQ's cloud, or on anything that speaks its API v0.4.

    Args:
        settings: key, backend, and how patient to be.
        transport: takes the place of the network, e.g. an emulator in this process.

    Use it in one event loop at a time; in another one it connects anew. `aclose` releases the connections.
    """

    def __init__(self, settings: IonQSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        name = settings.backend.removeprefix("qpu.") if not settings.is_simulator else settings.noise
        self.name = f"ionq {name}" if not settings.is_simulator else f"ionq {name} simulator"
        self.capabilities = Capabilities(
            self.name,
            frozenset(Output) - EXACT_ONLY,
            settings.max_qubits,
            exact=settings.is_exact,
            shots_matter=not settings.is_exact,
            noise_id=settings.noise_id,
            least_shots=LEAST_DEBIASED if settings.debiasing else 1,
        )
        self._transport = transport
        self._planner = Planner(settings, self.name)
        self.texts = Texts(settings.kept_structures, settings.kept_circuits)
        """Circuits that were written, and how often they were there already."""
        self.tries = Tries()
        """Tells of every try of a call."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._linked: Link | None = None
        self.service = Service(lambda: self._link().api)
        """Calls beside jobs: backends, prices, sessions."""
        self._family_known = settings.gateset != "native" or settings.is_simulator

    @property
    def account(self) -> str:
        """See `IonQSettings.account`."""
        return self.settings.account

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """The slices of a job; see `backends.base.Backend`.

        Raises:
            CapabilityError, InputError, CircuitError: for a job that cannot be run here; says what to change.
        """
        return self._planner.plan(job, numbers, shots).slices

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs; outcomes in the same order.

        Rows that failed for good or whose fate is unknown are said in the outcome. Cancelling the task cancels the
        remote jobs.

        Raises:
            CapabilityError, InputError: for a job that cannot be run here; nothing was sent then.
            BackendError: if the service accepted nothing at all: why.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        link = self._link()
        await self._learn_family(link)
        with single_threaded():  # threads of BLAS spin for longer than such products take
            planned = [self._planner.plan(job) for job in jobs]
        run = Run(link)
        slices = list(chain.from_iterable(plan.slices for plan in planned))
        carried = iter(await run.answers(slices))
        if run.errors and not run.accepted:
            raise run.errors[0]
        with single_threaded():
            return [
                self._outcome(plan, list(chain.from_iterable(next(carried) for _ in plan.slices)), loop.time() - start)
                for plan in planned
            ]

    async def submit(self, part: Slice) -> Ticket:
        """Send a slice, at most once in effect. Raises as `client.send.Sender.send`.

        Throttled, it gives up soon: who has others to ask should.
        """
        return await self._link().sender.send(part, throttled=_BRIEFLY)

    async def poll(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """The tickets as they stand now. Gives up soon, as it is called again. Raises as `Api.get`."""
        link = self._link()
        found = await link.reader.read([str(ticket.remote_id) for ticket in tickets if is_open(ticket)], _BRIEFLY)
        return [
            self._updated(link, ticket, found.get(ticket.remote_id or "")) if is_open(ticket) else ticket
            for ticket in tickets
        ]

    async def result(self, part: Slice, ticket: Ticket) -> Answer:
        """What a final ticket brought. Throttled, it waits: the results stay where they are."""
        if ticket.remote_id is None:
            return nothing(part, Missing(Status.UNCERTAIN, ticket.reason))
        link = self._link()
        job = ticket.remote_id

        async def collected() -> Answer:
            return await link.collector.collect(part, await link.reader.one(job))

        return await unthrottled(collected, self.settings.longest(part.size), link.api.jitter)

    async def find(self, fingerprint: str, since: float | None = None) -> Ticket | Found:
        """Look a slice up that was perhaps accepted; see `client.send.Sender.find`."""
        return await self._link().sender.find(fingerprint, since)

    async def cancel(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """Cancel what is open; the tickets as they stand then, UNCERTAIN where that could not be confirmed."""
        link = self._link()

        async def one(ticket: Ticket) -> Ticket:
            if not is_open(ticket):
                return ticket
            known = await link.cancel(str(ticket.remote_id))
            if known is None or not known.is_final:
                reason = f"job {ticket.remote_id} could not be canceled"
                return Ticket(ticket.fingerprint, ticket.remote_id, TicketState.UNCERTAIN, reason, times=ticket.times)
            return self._updated(link, ticket, known)

        return await asyncio.gather(*(one(ticket) for ticket in tickets))

    async def aclose(self) -> None:
        """Release connections; nothing is canceled."""
        link, self._linked = self._linked, None
        if link is not None and self._loop is asyncio.get_running_loop():
            await link.aclose()

    def _link(self) -> Link:
        loop = asyncio.get_running_loop()
        if self._linked is None or self._loop is not loop:
            self._loop, self._linked = loop, Link(self.settings, self._transport, self.texts, self.tries)
        return self._linked

    async def _learn_family(self, link: Link) -> None:
        """What the QPU itself says that it takes, once."""
        if self._family_known:
            return
        try:
            family = await native_family(link.api, self.settings.backend)
        except QStoreError:  # what is documented has to do; sending says what is wrong
            return
        self._planner.family = family or self._planner.family
        self._family_known = True

    def _updated(self, link: Link, ticket: Ticket, known: records.Record | None) -> Ticket:
        now = asyncio.get_running_loop().time()
        absent = link.absences.last(str(ticket.remote_id), now, known=known is not None)
        if known is None:
            if absent < _FORGOTTEN or not self.settings.is_simulator:  # what may be charged is waited for
                return ticket
            reason = f"the service has not known job {ticket.remote_id} for {absent:.0f} s: it has forgotten it"
            return replace(ticket, state=TicketState.FAILED, reason=reason, retry=True)
        at = link.api.clock.epoch(now, now)
        many = 2 if known.children or known.body.get("type") == "ionq.multi-circuit.v1" else 1
        return records.ticket(ticket.fingerprint, known, many, {**ticket.times, "seen": at}, at)

    def _outcome(self, plan: Planned, carried: list[tuple[Slice, Answer]], seconds: float) -> Outcome:
        return plan.expansion.gathered(
            carried,
            sampled=not self.settings.is_exact,
            sample=lambda probabilities, each, seed: sample(probabilities, each, seed, 1),
            source=self.name,
            noise_id=self.settings.noise_id,
            seconds=seconds,
        )
