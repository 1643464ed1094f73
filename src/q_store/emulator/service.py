"""The service without its HTTP: jobs, sessions and the ledger as functions of calls and of the time, an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from q_store.emulator import listing, views
from q_store.emulator.faults import Faults
from q_store.emulator.ledger import Hashes, Ledger, digest
from q_store.emulator.records import (
    COMPLETED,
    Failure,
    Ints,
    Reals,
    Record,
    Request,
    State,
    child_id,
    child_number,
    job_id,
)
from q_store.emulator.refusal import Refusal, no_job
from q_store.emulator.schedule import Booking, Schedule, SlotPer
from q_store.emulator.sessions import Sessions

Prices = Callable[[str, Ints, Ints, int], Reals]
"""[S] in USD, from the backend, the gates on one and on two qubits [S] and the shots."""
FAILED_JOB = Failure("QuantumComputerError", "the quantum computer failed while it ran the job; try again")
FAILED_CHILD = Failure("InternalError", "an internal error stopped this circuit; try again")


@dataclass(frozen=True, slots=True)
class Rules:
    """How the service behaves.

    Attributes:
        circuit_seconds: a circuit's time.
        slots: how many circuits (or jobs, see slot_per) each backend runs at a time.
        slot_per: see `Schedule`.
        results: the generation of result announcements: 'both', 'url' or 'artifact'.
        seed: of ids.
        keep_jobs, keep_bytes: beyond these the oldest finished jobs are forgotten; the ledger's sums stay.
    """

    circuit_seconds: float = 0.0
    slots: int = 1
    slot_per: SlotPer = "circuit"
    results: views.Generation = "both"
    seed: int = 0
    keep_jobs: int = 10_000
    keep_bytes: int = 128_000_000


@dataclass(eq=False)
class Service:
    """Jobs from acceptance to oblivion.

    Attributes:
        rules: how it behaves.
        backends: names of the backends.
        prices: of circuits.
        faults: what goes wrong.
        epoch: seconds since 1970 at zero of the clock.
    """

    rules: Rules
    backends: Sequence[str]
    prices: Prices
    faults: Faults = field(default_factory=Faults)
    epoch: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        rules = self.rules
        self.sessions = Sessions(rules.seed)
        self._records: dict[str, Record] = {}  # by the first 24 characters of the id, oldest first
        self._open: dict[str, Record] = {}
        self._finished: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._serial = 0
        self._place = 0
        self._replies = 0
        self._since_settled = 0
        self._schedules = {name: Schedule(rules.slots, rules.circuit_seconds, rules.slot_per) for name in self.backends}

    # ------------------------------------------------------------------------------------------------- coming and going

    def accept(self, request: Request, contents: Hashes, now: float, failure: Failure | None = None) -> Record:
        """Take a job; `computed` must be called for it unless it fails at once or is a dry run.

        Args:
            request: what is asked.
            contents: [S], see `Ledger.charge`.
            now: seconds.
            failure: why it fails at once.

        Raises:
            Refusal: of the session.
        """
        prices = self.prices(request.backend, request.one_qubit, request.two_qubit, request.shots)
        if request.session is not None:
            self.sessions.admit(request.session, request.backend, float(prices.sum()), now)
        runs = failure is None and not request.dry_run
        schedule = self._schedules[request.backend]
        booking = schedule.add(request.size, now) if runs else Booking.at_once(request.size, now)
        name = job_id(self.rules.seed, self._serial)
        record = Record(self._place, self._serial, name, request, now, booking, prices, contents)
        self._serial += 1
        self._place += 1 + request.size * request.multi
        if failure:
            record.fail(range(request.size), failure)
        if runs:
            self._afflict(record, now)
        else:
            record.computed = now
        self.ledger.accept(request.size)
        self._records[name[:24]] = self._open[name[:24]] = record
        self._since_settled += 1
        if self._since_settled > max(16, len(self._open) // 4):
            self.settle(now)
        return record

    @staticmethod
    def computed(record: Record, outcome: list[bytes] | Failure, now: float) -> None:
        """The physics of a job is done: results of its circuits as JSON, or why there are none."""
        if isinstance(outcome, Failure):
            record.fail(range(record.size), outcome)
        else:
            record.rows = outcome
        record.computed = now  # last: calls in other threads see all or nothing

    def cancel(self, names: Iterable[str], now: float) -> list[str]:
        """Cancel what is unfinished among jobs and children; the names of all that are there.

        Raises:
            Refusal: 404 when none of them is.
        """
        items = self._existing(names)
        by_schedule: dict[str, list[tuple[Booking, np.ndarray[Any, np.dtype[np.bool_]]]]] = {}
        for _, record, child in items:
            mask = record.states(now) < COMPLETED
            if child is not None:
                mask &= np.arange(record.size) == child
            record.canceled[mask] = now
            by_schedule.setdefault(record.request.backend, []).append((record.booking, mask))
        for backend, masks in by_schedule.items():
            self._schedules[backend].cancel(masks, now)
        return [name for name, _, _ in items]

    def delete(self, names: Iterable[str], now: float) -> list[str]:
        """Cancel and forget jobs; what completed before stays charged.

        Raises:
            Refusal: 404 when none of them is there.
        """
        names = self.cancel(names, now)
        self.settle(now)
        for name, record, child in self._existing(names):
            if child is None:
                self._forget(name[:24])
            else:
                record.deleted[child] = True
        return names

    # ---------------------------------------------------------------------------------------------------------- looking

    def find(self, name: str) -> listing.Item:
        """A job, and the number of the child that is meant.

        Raises:
            Refusal: 404.
        """
        record = self._records.get(name[:24])
        if record is None or len(name) != 36:
            raise no_job(name)
        if name == record.id:
            return record, None
        try:
            child = child_number(record.id, name)
        except ValueError:
            raise no_job(name) from None
        if (
            not record.request.multi
            or child >= record.size
            or child_id(record.id, child) != name
            or record.deleted[child]
        ):
            raise no_job(name)
        return record, child

    def known(self, names: Iterable[str]) -> list[listing.Item]:
        """Those that are there."""
        return [(record, child) for _, record, child in self._existing(names, strict=False)]

    def jobs(self, query: listing.Query, now: float) -> dict[str, Any]:
        """The reply of GET /jobs."""
        items, after = listing.page(reversed(self._records.values()), query, now)
        return {"jobs": [views.entry(*item, now, self.epoch, self.rules.results) for item in items], "next": after}

    def detail(self, name: str, now: float) -> dict[str, Any]:
        """The reply of GET /jobs/{id}."""
        return views.detail(*self.find(name), now, self.epoch, self.rules.results)

    def aggregate(self, name: str, now: float) -> bytes:
        """Probabilities of the finished children of a job."""
        record, child = self._with_results(name, now)
        if child is not None or not record.request.multi:
            raise Refusal(404, f"expected a multi-circuit job, got {name}; its results are at results/probabilities")
        self._replies += 1
        source = self.faults.shuffle(self._replies)
        if source is None:
            return views.aggregate(record, now)
        self.ledger.note("unordered")
        return views.aggregate(record, now, source.shuffle)

    def result(self, name: str, form: str, now: float) -> bytes:
        """One circuit's result in a format of `views.FORMATS`."""
        if form == views.AGGREGATE:
            return self.aggregate(name, now)
        record, child = self._with_results(name, now)
        if child is None and record.request.multi:
            msg = f"expected a job of one circuit, got {name}; read results/probabilities/aggregated, or its children"
            raise Refusal(404, msg)
        return views.result(record, child or 0, form)

    def cost(self, name: str, now: float) -> dict[str, Any]:
        """The reply of GET /jobs/{id}/cost."""
        record, child = self.find(name)
        self._charge(record, now)
        which = slice(None) if child is None else slice(child, child + 1)
        out: dict[str, Any] = {
            "dry_run": record.request.dry_run,
            "estimated_cost": {"value": float(record.prices[which].sum()), "unit": "usd"},
        }
        state = record.state(now) if child is None else State(record.states(now)[child])
        if state.is_final and not record.request.dry_run:
            paid = float(record.prices[which][record.charged[which]].sum())
            out["cost"] = {"value": paid, "unit": "usd"}
        return out

    def wait(self, backend: str, now: float) -> float:
        """Seconds until a circuit that arrives now would start."""
        return self._schedules[backend].wait(now)

    def summary(self, now: float, *, jobs: bool = False) -> dict[str, Any]:
        """The reply of GET /emulator/ledger."""
        self.settle(now)
        return self.ledger.summary(self._lines(now) if jobs else None)

    # --------------------------------------------------------------------------------------------------------- charging

    def settle(self, now: float) -> None:
        """Charge what completed, and forget old jobs beyond the limits."""
        self._since_settled = 0
        for key, record in list(self._open.items()):
            self._charge(record, now)
            if record.state(now).is_final:
                del self._open[key]
                size = record.memory
                self._finished.append((key, size))
                self._bytes += size
        while len(self._finished) > self.rules.keep_jobs or self._bytes > self.rules.keep_bytes:
            key, size = self._finished.popleft()
            self._bytes -= size
            self._records.pop(key, None)

    def _charge(self, record: Record, now: float) -> None:
        if record.request.dry_run:
            return
        done = (record.states(now) == COMPLETED) & ~record.charged
        if done.any():
            record.charged |= done
            request = record.request
            fingerprint = digest(request.name, sorted((request.metadata or {}).items()))
            self.ledger.charge(record.contents[done], fingerprint, float(record.prices[done].sum()))

    def _lines(self, now: float) -> Iterator[dict[str, Any]]:
        for record in self._records.values():
            yield {
                "id": record.id,
                "name": record.request.name,
                "backend": record.request.backend,
                "status": record.state(now).word,
                "circuits": record.size,
                "charged_circuits": int(record.charged.sum()),
                "charges_usd": float(record.prices[record.charged].sum()),
                "submitted_at": views.iso(self.epoch + record.submitted),
                "fault": record.fault,
            }

    # ---------------------------------------------------------------------------------------------------------- helpers

    def _afflict(self, record: Record, now: float) -> None:
        """Draw the job's fate."""
        if record.request.multi:
            failing = np.flatnonzero(self.faults.children(record.serial, record.size)).tolist()
            record.fail(failing, FAILED_CHILD)
            self.ledger.note(*["failed-child"] * len(failing))
        fault = self.faults.job(record.serial)
        if fault is None:
            return
        record.fault = fault.name
        self.ledger.note(fault.name)
        if fault.name == "failed-job":
            record.fail(range(record.size), FAILED_JOB)
        elif fault.name == "stuck":
            record.stuck = True
        elif fault.name == "unknown-state":
            record.unknown_until = now + fault.seconds
        else:
            record.listed_from = now + fault.seconds

    def _with_results(self, name: str, now: float) -> listing.Item:
        record, child = self.find(name)
        if not views.has_results(record, child, now):
            word = views.word(record, child, now)
            raise Refusal(404, f"expected a completed job, got {name}, which is {word}: it has no results")
        return record, child

    def _existing(self, names: Iterable[str], *, strict: bool = True) -> list[tuple[str, Record, int | None]]:
        """Those that are there. Raises Refusal (404) when strict and there is none."""
        found, first = [], None
        for name in names:
            try:
                found.append((name, *self.find(name)))
            except Refusal as refusal:
                first = first or refusal
        if strict and first and not found:
            raise first
        return found

    def _forget(self, key: str) -> None:
        self._records.pop(key, None)
        self._open.pop(key, None)
