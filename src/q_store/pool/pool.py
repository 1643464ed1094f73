"""The pool: many backends, a store, one ordered answer to each job."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from q_store.backends.base import Missing
from q_store.backends.binding import Binder, check
from q_store.backends.expansion import expand
from q_store.errors import InputError, PausedError, StorageError, StoreError
from q_store.events import Announcer, JobSum, Sink
from q_store.jobs import Capabilities, Job, Outcome
from q_store.pool.attach import Attachment
from q_store.pool.books import BEAT, Books, Unwritten, Written
from q_store.pool.contents import Contents, digest
from q_store.pool.delivery import Order, take_over
from q_store.pool.driver import FAREWELL, Clock, Driver
from q_store.pool.membership import Member, together
from q_store.pool.settings import PoolSettings
from q_store.pool.state import Assigned, PoolState, Standing
from q_store.pool.telling import done, known
from q_store.pool.whole import needs_of
from q_store.pool.work import Paid, Work
from q_store.store import Caps, Domain, Store
from q_store.waiting import wait

PATIENCE = 900.0


class _Call(NamedTuple):
    """A call of a pool: its jobs, see `PoolState.assign`, and the jobs' ordinals in the run."""

    jobs: Sequence[Job]
    assigned: Assigned
    ordinals: Sequence[int]


class Pool:
    """Runs jobs on whichever members can, and keeps what they bring in a store.

    Samples of a circuit that the store has are not bought again (`Job.reuse`); what a run has received it never buys
    again, whatever happened to the process. Use it in one event loop at a time, in `async with`, or call `aclose`.

    Args:
        members: in order of preference, all else equal.
        store: keeps tickets, samples and the journal; None: nothing is kept. It stays open.
        run: id of a run of the store that the jobs belong to; None: a new one.
        settings: figures of the decisions; `allow_mixed` lets members of several noise domains answer one call.
        budget: caps of the run, or by provider (None: of the run). Needs no store, but is forgotten without one.
        first_job: ordinal of the first job in the run: for a resumed run what `next_job` was at its checkpoint.
        patience: seconds to wait, when no member works, for one to return.
        sinks: hear what the pool does, see `q_store.events`; in the thread of its event loop, or of the caller.

    Raises:
        ConfigError: without members, or with two of one name. RunError: for a run that the store does not have.
        InputError: for a run without a store.
    """

    def __init__(
        self,
        members: Sequence[Member],
        store: Store | None = None,
        run: str | None = None,
        *,
        settings: PoolSettings | None = None,
        budget: Caps | Mapping[str | None, Caps] | None = None,
        first_job: int = 0,
        patience: float = PATIENCE,
        sinks: Sequence[Sink] = (),
    ) -> None:
        if store is None and run is not None:
            raise InputError(f"expected a store with the run {run!r}, got none; give the store that has it")
        specs = [member.spec for member in members]
        self._state = PoolState(specs, settings)
        self._members = {member.name: member for member in members}
        self._books = _books(store, run, budget)
        unwritten = Unwritten()
        self._book_of: dict[str, Books] = {
            member.name: self._books if self._books is not None and member.recorded else unwritten for member in members
        }
        self.capabilities: Capabilities = together(members)
        self.next_job = first_job
        """The ordinal of the next job; a checkpoint must hold it."""
        self._patience = patience
        self._announce = Announcer(sinks)
        self._whole = JobSum(self._announce)
        self._clock = Clock()
        self._binder = Binder()
        self._driver: Driver | None = None
        self._batches = self._calls = 0
        self._lock = threading.Lock()  # of the numbers of jobs: callers of `run_all` have threads of their own
        self._attached = False
        self._gaps: dict[int, dict[int, Missing]] = {}
        self._broken: dict[int, bytes] = {}
        """Digests of jobs of failed calls, by ordinal: asked again they go on, others get ordinals of their own."""
        self._others: asyncio.Task[None] | None = None

    @property
    def run_id(self) -> str | None:
        """The run that jobs belong to; None without a store."""
        return None if self._books is None else self._books.run

    def standing(self) -> list[Standing]:
        """All members at a glance; in the event loop of the pool."""
        whole, now = self._whole.rows, self._clock.now()
        return [replace(each, answered=each.answered + whole[each.name]) for each in self._state.standing(now)]

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs; outcomes in the same order.

        Rows that failed everywhere or whose fate is unknown are said in the outcome. Cancelling the task cancels what
        it has sent; what had been finished is kept.

        Raises:
            CapabilityError: for a job that no member can run; says what each can do. InputError: for one that cannot
                be run at all.
            BudgetError: where a cap leaves no room; what was bought is kept. PausedError: no member works for
                `patience` seconds. RunError: the run asked something else as this job before, or another process is at
                work on it.
            StoreError, StorageError: the store cannot be used; nothing that was sent is lost.
            BackendError: nothing was accepted by any member: why.
        """
        call = self._begin(jobs, self._clock.now())
        try:
            return await self._finish(call)
        except BaseException:
            self._back(call)
            raise

    def run_all(self, jobs: Sequence[Job]) -> list[Outcome]:
        """`run_async` for a caller that is no coroutine: jobs that run as a whole need no event loop.

        The others run in that of `q_store.waiting`. Raises as `run_async`, and RuntimeError in a coroutine of it.
        """
        call = self._begin(jobs, self._clock.last)  # a loop that may run here is not the pool's
        try:
            if all(whole for _, whole in call.assigned):
                return list(self._compute(call).values())
            return wait(self._finish(call))
        except BaseException:
            self._back(call)
            raise

    async def aclose(self) -> None:
        """Cancel what is still on its way, and release connections; the store stays open."""
        self._whole.flush()
        others, self._others = self._others, None
        if others is not None:
            others.cancel()
            await asyncio.wait({others})
        driver, self._driver = self._driver, None
        if driver is not None and driver.loop is asyncio.get_running_loop():
            await driver.aclose()
        for member in self._members.values():
            await member.backend.aclose()
        if self._books is not None:
            with suppress(StoreError, StorageError):
                self._books.keep_time()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -------------------------------------------------------------------------------------------------------- a call

    def _number(self, job: Job) -> int:
        """The ordinal of a job."""
        while self.next_job in self._broken and self._broken[self.next_job] != digest(job):
            self.next_job += 1
        self.next_job += 1
        return self.next_job - 1

    def _back(self, call: _Call) -> None:
        """The jobs of a failed call keep their ordinals, for when they are asked again."""
        with self._lock:
            if self._books is not None:
                self._broken |= {ordinal: digest(job) for ordinal, job in zip(call.ordinals, call.jobs, strict=True)}
            if self.next_job == call.ordinals[-1] + 1:
                self.next_job = call.ordinals[0]

    def _begin(self, jobs: Sequence[Job], now: float) -> _Call:
        """Who may run the jobs, who of them as a whole, and their ordinals; in any thread."""
        needs = [needs_of(job) for job in jobs]
        with self._lock:
            return _Call(jobs, self._state.assign(needs, now), [self._number(job) for job in jobs])

    def _compute(self, call: _Call) -> dict[int, Outcome]:
        """Run what runs as a whole, by place."""
        outcomes: dict[int, Outcome] = {}
        for k, (_, name) in enumerate(call.assigned):
            if name is not None and (executor := self._members[name].at_once) is not None:
                if self._books is not None:
                    self._books.on_time()
                outcome = outcomes[k] = executor.run(call.jobs[k])
                object.__setattr__(outcome, "source", name)  # it is new; a copy would take as long as all the rest here
                self._whole.ran(name, outcome.rows, outcome.seconds)
                if self._books is not None and not self._calls:  # they count the time themselves
                    self._books.worked(outcome.seconds)
        return outcomes

    async def _finish(self, call: _Call) -> list[Outcome]:
        outcomes = self._compute(call)
        rest = [k for k in range(len(call.jobs)) if k not in outcomes]
        if rest:
            jobs, ordinals = [call.jobs[k] for k in rest], [call.ordinals[k] for k in rest]
            found = await self._together(jobs, ordinals, [call.assigned[k][0] for k in rest])
            outcomes |= zip(rest, found, strict=True)
        return [outcomes[k] for k in range(len(call.jobs))]

    async def _together(
        self, jobs: Sequence[Job], ordinals: Sequence[int], chosen: Sequence[frozenset[str]]
    ) -> list[Outcome]:
        """The outcomes of jobs that members share."""
        start, driver = self._clock.now(), self._drive()
        orders: list[Order] = []
        try:
            async with self._at_work(driver):
                for job, ordinal, names in zip(jobs, ordinals, chosen, strict=True):
                    orders.append(self._order(job, ordinal, names))
                for order in orders:
                    self._place(driver, order)
                await asyncio.gather(*(order.done for order in orders))
        except BaseException as error:
            await self._leave(driver, orders, error)
            raise
        finally:
            done(self._announce, [order.job for order in orders])
        return [self._outcome(order, self._clock.now() - start) for order in orders]

    def _order(self, job: Job, ordinal: int, names: frozenset[str]) -> Order:
        """A job with all that is known of it already, and what it still lacks."""
        members = [self._members[name] for name in self._members if name in names]
        check(job, "the pool", self.capabilities.max_qubits, exact=True)
        expansion = expand(job, "the pool")
        recorded = [member for member in members if member.recorded]
        contents = Contents(expansion, self._binder) if recorded else None
        first = np.arange(expansion.size)
        if contents is not None and job.reuse:
            first = contents.first(recorded[0].shared)
        work = Work(job, expansion, first)
        if self._books is not None and contents is not None:
            names = self._recall(self._books, work, contents, ordinal, names)
        self._batches += 1
        return Order(self._batches, ordinal, work, work.lacking(), contents, names)

    def _recall(
        self, books: Written, work: Work, contents: Contents, ordinal: int, names: frozenset[str]
    ) -> frozenset[str]:
        """Read the journal, then the samples; who may run the rest of the job."""
        job, own = work.job, digest(work.job)
        replay = books.begin(ordinal, own, work.n_qubits)
        for source in dict.fromkeys(replay.sources):
            rows = np.array([k for k, each in enumerate(replay.sources) if each == source])
            work.receive(replay.numbers[rows], replay.measured.take(rows), source)
        for number, gap in self._gaps.get(ordinal, {}).items():
            work.give_up(np.array([number]), gap)
        if (domains := work.noise_ids) and not self._state.settings.allow_mixed:
            (names,) = self._state.choose([needs_of(job)], domains[0])
        if job.reuse:
            _from_samples(books, ordinal, work, contents, [self._members[name] for name in sorted(names)])
        return names

    def _place(self, driver: Driver, order: Order) -> None:
        size = len(order.lacking.numbers)
        known(self._announce, order.job, order.work.expansion.size, size)
        if not size:
            order.done.set_result(None)
            return
        gates = len(order.work.job.circuit.ops) if order.contents is None else order.contents.gates
        shots = 1.0 if order.lacking.shots is None else float(order.lacking.shots.mean())
        circuit = order.work.expansion.plan.settings[0].circuit
        fewest = {name: self._members[name].price.fewest(circuit, int(shots)) for name in order.members}
        driver.place(order, max(1, gates) * shots, fewest)

    def _outcome(self, order: Order, seconds: float) -> Outcome:
        """Raises the BudgetError that left circuits without an answer, or the error of a job that nobody accepted."""
        work = order.work
        answered = work.settled[work.first]
        if not answered.all() and order.refusal is not None:
            raise order.refusal
        if not answered.any() and order.errors:
            raise order.errors[0]
        proof = tuple(dict.fromkeys([*(line for fate in order.fates for line in fate.proof), *order.remarks]))
        shots, cost = sum(fate.shots for fate in order.fates), sum(fate.cost for fate in order.fates)
        if self._books is not None and order.contents is not None:
            shots, cost = self._books.paid(order.job)
        return work.outcome(Paid(shots, cost, proof), seconds)

    async def _leave(self, driver: Driver, orders: Sequence[Order], error: BaseException) -> None:
        """Tidy up after a call that failed. What cannot be waited for is left to be taken up by a resumed run."""
        self._attached = False
        leave = self._books is not None and isinstance(error, PausedError | StoreError | StorageError)
        farewell = asyncio.create_task(driver.abandon(orders, leave=leave))
        await asyncio.wait({farewell}, timeout=2 * FAREWELL)
        farewell.cancel()

    # ------------------------------------------------------------------------------------------------- around calls

    def _drive(self) -> Driver:
        """What drives the state in the running event loop."""
        loop = asyncio.get_running_loop()
        if self._driver is None or self._driver.loop is not loop:
            for event in [] if self._driver is None else self._driver.lost():
                self._state.handle(event, self._clock.now())
            self._calls, self._others = 0, None
            self._driver = Driver(
                self._state,
                self._clock,
                members=self._members,
                books=self._book_of,
                patience=self._patience,
                announce=self._announce,
            )
        return self._driver

    @asynccontextmanager
    async def _at_work(self, driver: Driver) -> AsyncIterator[None]:
        """While a call lasts: what was left is taken up first, leases are renewed, and the time is counted."""
        books = self._books
        if books is None:
            yield
            return
        self._calls += 1
        beating = asyncio.create_task(self._beat(books, driver), name="q-store: leases")
        try:
            if not self._attached and self._calls == 1:
                await self._attach(books, driver)
            yield
        finally:
            self._calls -= 1
            beating.cancel()
            await asyncio.wait({beating})

    async def _attach(self, books: Written, driver: Driver) -> None:
        how = self._patience, driver.busy, self._state.settings.patience_of_buyers, self._announce
        attachment = books.carer = Attachment(books, self._members, driver.watches, *how)
        self._gaps = await attachment.own()
        self._attached = True
        if self._others is None:
            self._others = asyncio.create_task(_others(attachment, driver), name="q-store: tickets of other runs")

    async def _beat(self, books: Written, driver: Driver) -> None:
        """Signs of life, and the wall time; the last one when the call ends."""
        last = driver.loop.time()
        try:
            while True:
                await asyncio.sleep(BEAT)
                books.beat(driver.loop.time() - last)
                last = driver.loop.time()
        except (StoreError, StorageError) as error:
            driver.fail(error)
        finally:
            if self._calls == 0:
                with suppress(StoreError, StorageError):  # the call has heard of it already
                    books.beat(driver.loop.time() - last)


async def _others(attachment: Attachment, driver: Driver) -> None:
    try:
        await attachment.others()
    except (StoreError, StorageError) as error:
        driver.fail(error)


def _books(store: Store | None, run: str | None, budget: Caps | Mapping[str | None, Caps] | None) -> Written | None:
    """The books of a run, with its caps."""
    if store is None and budget is None:
        return None
    kept = Store(None) if store is None else store
    books = Written(kept, run if run is not None else kept.runs.start("pool", {}).id)
    caps = {None: budget} if isinstance(budget, Caps) else budget or {}
    for provider, each in caps.items():
        kept.budget.set(each, run=books.run, provider=provider)
    return books


def _from_samples(books: Written, ordinal: int, work: Work, contents: Contents, members: Sequence[Member]) -> None:
    """Take what the store has of circuits that have nothing yet; no circuit gets samples of two noise domains."""
    by_noise: dict[str, dict[Domain, float | None]] = {}
    for member in members:
        if member.recorded:
            by_noise.setdefault(member.shared.noise_id, {})[member.shared] = member.max_age
    for noise_id, domains in by_noise.items():
        lacking = work.lacking()
        bare = lacking.take(np.flatnonzero(lacking.have == 0)).numbers
        if len(bare):
            found = books.known(contents, domains, bare, work.n_qubits)
            take_over(books, ordinal, work, bare, found, noise_id=noise_id)
