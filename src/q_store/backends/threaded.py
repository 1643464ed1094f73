"""Backends that compute in this process, behind the interface of a remote one: a slice runs in a worker thread.

Nothing here is charged and nothing outlives the process: a ticket that another process had is FAILED and its circuits
may be sent again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Answer, Found, Missing, Slice, Ticket, TicketState, nothing
from q_store.backends.distributions import Distributions, join
from q_store.backends.expansion import expand
from q_store.backends.local.sampling import sample
from q_store.errors import QStoreError
from q_store.jobs import Capabilities, Job, Outcome, Status

Ints = npt.NDArray[np.int64]
_REMEMBERED = 64
_GONE = "it was run by a process that has ended"
_CANCELED = "canceled"


class Stop:
    """Says that nobody wants an answer any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._actions: list[Callable[[], object]] = []
        self.is_set = False

    def set(self) -> None:
        """Say it, once."""
        with self._lock:
            first, self.is_set = not self.is_set, True
        for action in self._actions if first else ():
            action()

    def then(self, action: Callable[[], object]) -> None:
        """What to do at that moment, at once where it has come."""
        with self._lock:
            self._actions.append(action)
            late = self.is_set
        if late:
            action()


@dataclass(slots=True, eq=False)
class _Work:
    """A slice that was submitted."""

    part: Slice
    stop: Stop = field(default_factory=Stop)
    future: Future[Answer] = field(default_factory=Future)
    times: dict[str, float] = field(default_factory=dict)

    def ticket(self) -> Ticket:
        """How it stands."""
        state, reason = self._state()
        times = {**self.times, "seen": time.time()}
        retry = state in {TicketState.FAILED, TicketState.CANCELED}
        return Ticket(self.part.fingerprint, self.part.fingerprint, state, reason, retry, None, times)

    def _state(self) -> tuple[TicketState, str]:
        if self.stop.is_set and (not self.future.done() or self.future.cancelled() or self.future.result().missing):
            return TicketState.CANCELED, _CANCELED
        if not self.future.done():
            return TicketState.OPEN, ""
        missing = self.future.result().missing
        if len(missing) == self.part.size:
            return TicketState.FAILED, missing[0].reason
        return TicketState.FINISHED, ""


class ThreadedBackend(ABC):
    """What such backends share: all of `backends.base.Backend` but `plan`, and both fronts of an executor.

    Args:
        capabilities: of the backend.
        workers: threads; 0: slices run within `submit`.
    """

    def __init__(self, capabilities: Capabilities, workers: int = 1) -> None:
        self.capabilities = capabilities
        self._workers = workers
        self._threads: ThreadPoolExecutor | None = None
        self._works: dict[str, _Work] = {}
        self._fetched: OrderedDict[str, None] = OrderedDict()

    @abstractmethod
    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """See `backends.base.Backend`."""

    @abstractmethod
    def step(self, part: Slice) -> int:
        """How many circuits of a slice run at a time: between two steps it can be stopped, and a failure ends one."""

    @abstractmethod
    def measure(self, part: Slice, stop: Stop) -> Distributions:
        """Frequencies of `part.shots` measurements of each circuit, or probabilities where that is None.

        Any exception counts as the failure of these circuits.
        """

    def run(self, job: Job) -> Outcome:
        """Run a job in the caller. Raises as `plan`."""
        start = time.perf_counter()
        parts = self.plan(job)
        return self._outcome(job, [(part, self._answer(part, Stop())) for part in parts], start)

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs; outcomes in the same order. Cancelling the task stops the work. Raises as `plan`."""
        start = time.perf_counter()
        planned = [self.plan(job) for job in jobs]
        tickets = [[await self.submit(part) for part in parts] for parts in planned]
        try:
            answers = [
                [(part, await self.result(part, ticket)) for part, ticket in zip(parts, own, strict=True)]
                for parts, own in zip(planned, tickets, strict=True)
            ]
        except asyncio.CancelledError:
            await self.cancel([ticket for own in tickets for ticket in own])
            raise
        return [self._outcome(job, carried, start) for job, carried in zip(jobs, answers, strict=True)]

    async def submit(self, part: Slice) -> Ticket:
        """Start a slice; the ticket it has if that was done before."""
        work = self._works.get(part.fingerprint)
        if work is None:
            now = time.time()
            work = self._works[part.fingerprint] = _Work(part, times={"sent": now, "accepted": now})
            if self._workers:
                self._threads = self._threads or ThreadPoolExecutor(self._workers, self.capabilities.name)
                self._threads.submit(self._carry_out, work)
            else:
                self._carry_out(work)
        return work.ticket()

    async def poll(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """The tickets as they stand now."""
        return [self._standing(ticket) for ticket in tickets]

    async def wait(self, ticket: Ticket) -> Ticket:
        """The ticket when it is final; sooner than polling would show it."""
        work = self._works.get(ticket.fingerprint)
        if work is not None and not work.future.done():
            await asyncio.wait({asyncio.wrap_future(work.future)})
        return self._standing(ticket)

    async def result(self, part: Slice, ticket: Ticket) -> Answer:
        """What a ticket brought, waiting for it to be final; of a canceled one what was done before."""
        work = self._works.get(ticket.fingerprint)
        if work is None:
            return nothing(part, Missing(Status.FAILED, _GONE, retry=True))
        await self.wait(ticket)
        self._forget(ticket.fingerprint)
        return work.future.result()

    async def find(self, fingerprint: str, since: float | None = None) -> Ticket | Found:  # noqa: ARG002
        """The ticket of a slice of this process; all others are gone."""
        work = self._works.get(fingerprint)
        return Found.ABSENT if work is None else work.ticket()

    async def cancel(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """Stop what is open, after the step that it is at."""
        for ticket in tickets:
            work = self._works.get(ticket.fingerprint)
            if work is not None and not work.future.done():
                work.stop.set()
        return await self.poll(tickets)

    async def aclose(self) -> None:
        """Stop what nobody waits for any more, which costs nothing, and let the threads go."""
        for work in self._works.values():
            work.stop.set()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def _standing(self, ticket: Ticket) -> Ticket:
        work = self._works.get(ticket.fingerprint)
        if work is not None:
            return work.ticket()
        if ticket.state.is_final:
            return ticket
        return replace(ticket, state=TicketState.FAILED, reason=_GONE, retry=True)

    def _forget(self, fingerprint: str) -> None:
        """What was fetched long ago; a caller may have lost an answer and ask again soon."""
        self._fetched[fingerprint] = None
        if len(self._fetched) > _REMEMBERED:
            self._works.pop(self._fetched.popitem(last=False)[0], None)

    def _carry_out(self, work: _Work) -> None:
        work.times["started"] = time.time()
        answer = self._answer(work.part, work.stop)
        work.times["finished"] = time.time()
        work.future.set_result(answer)

    def _answer(self, part: Slice, stop: Stop) -> Answer:
        parts: list[tuple[Ints, Distributions]] = []
        missing: dict[int, Missing] = {}
        step = max(1, self.step(part))
        for first in range(0, part.size, step):
            places = np.arange(first, min(first + step, part.size))
            try:
                if not stop.is_set:
                    parts.append((places, self.measure(_some(part, places), stop)))
                    continue
                reason = _CANCELED
            except Exception as error:  # noqa: BLE001  # of other people's simulators, and told with the circuit
                reason = str(error) if isinstance(error, QStoreError) else f"{type(error).__name__}: {error}"
            missing |= dict.fromkeys(places.tolist(), Missing(Status.FAILED, reason, retry=True))
        measured = join(parts, part.size, part.circuit.n_qubits)
        if part.flips is not None:
            measured = measured.flipped(part.flips)
        sampled = part.shots is not None
        return Answer(measured, sampled, missing, (part.size - len(missing)) * (part.shots or 0))

    def _outcome(self, job: Job, carried: list[tuple[Slice, Answer]], start: float) -> Outcome:
        return expand(job, self.capabilities.name).gathered(
            carried,
            sampled=all(answer.sampled for _, answer in carried),
            sample=lambda probabilities, each, seed: sample(probabilities, each, seed, 1),
            source=self.capabilities.name,
            noise_id=self.capabilities.noise_id,
            seconds=time.perf_counter() - start,
        )


def _some(part: Slice, places: Ints) -> Slice:
    """Some circuits of a slice, to be measured."""
    return part if len(places) == part.size else replace(part, angles=part.angles[places], numbers=part.numbers[places])
