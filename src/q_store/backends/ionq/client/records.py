"""What the service says of a job, read tolerantly: a field that is missing or odd says nothing, and is no failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from q_store.backends.base import Ticket, TicketState
from q_store.backends.ionq.client.clock import seconds
from q_store.errors import BackendError

COMPLETED, FAILED, CANCELED = "completed", "failed", "canceled"
FINAL = frozenset({COMPLETED, FAILED, CANCELED})
NAME = "q-store-"
METADATA = "q_store"
LASTING = frozenset(
    {
        "CompilationError",
        "ContractExpiredError",
        "DebiasingError",
        "InvalidInput",
        "NotEnoughQubits",
        "OptimizationError",
        "QuantumCircuitComplexityError",
        "QuotaExhaustedError",
        "SimulationTimeout",
        "TooLongPredictedExecutionTime",
        "TooManyControls",
        "TooManyGates",
        "TooManyShots",
        "UnknownBillingError",
        "UnsupportedGate",
    }
)
"""Failure codes that come back when the same is sent again; all others may pass (how often is bounded)."""


@dataclass(frozen=True, slots=True)
class Record:
    """A job of the service.

    Attributes:
        id: its name there. status: as the service says, perhaps a state that is not documented.
        parent: id of the multi-circuit job that it is a child of.
        children: ids of its children; None where the service does not list them.
        fingerprint: of our slice, if the job is ours.
        submitted, started, finished: seconds since 1970, by the service's clock.
        wait, run: predicted seconds in the queue and in execution.
        code, reason: of its failure.
        body: the whole.
    """

    id: str
    status: str
    parent: str | None
    children: tuple[str, ...] | None
    fingerprint: str | None
    submitted: float | None
    started: float | None
    finished: float | None
    wait: float | None
    run: float | None
    code: str | None
    reason: str
    body: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether its state can change no more, but for a cancellation."""
        return self.status in FINAL

    @property
    def passing(self) -> bool:
        """Whether sending the same again may help."""
        return self.code not in LASTING

    def due(self, now: float) -> float | None:
        """Seconds from `now` (the service's clock) to the predicted finish; negative where it is overdue."""
        if self.run is None:
            return None
        if self.started is not None:
            return self.started + self.run - now
        if self.wait is None or self.submitted is None:
            return None
        return self.submitted + self.wait + self.run - now


def record(body: Any) -> Record:
    """The record in a reply. Raises BackendError if it has no id or no status."""
    if not isinstance(body, Mapping) or not isinstance(body.get("id"), str) or not isinstance(body.get("status"), str):
        raise BackendError(f"expected a job with an id and a status, got {str(body)[:100]}; try again")
    children, failure = body.get("child_job_ids"), body.get("failure")
    named = isinstance(children, list) and all(isinstance(c, str) for c in children)
    failed = failure if isinstance(failure, Mapping) else {}
    status = body["status"].lower()
    return Record(
        id=body["id"],
        status=CANCELED if status == "cancelled" else status,
        parent=_text(body.get("parent_job_id")),
        children=tuple(children) if named and children else None,
        fingerprint=_fingerprint(body),
        submitted=seconds(body.get("submitted_at")),
        started=seconds(body.get("started_at")),
        finished=seconds(body.get("completed_at")),
        wait=_milliseconds(body.get("predicted_wait_time_ms")),
        run=_milliseconds(body.get("predicted_execution_duration_ms")),
        code=_text(failed.get("code")),
        reason=_text(failed.get("message")) or _text(failed.get("error")) or "",
        body=body,
    )


def page(body: Any) -> tuple[list[Record], str | None]:
    """The jobs of one page of a list, and the cursor of the next. Raises BackendError for anything else."""
    jobs = body.get("jobs") if isinstance(body, Mapping) else None
    if not isinstance(jobs, list):
        raise BackendError(f"expected a page of jobs, got {str(body)[:100]}; try again")
    return [record(job) for job in jobs], _text(body.get("next"))


def ticket(fingerprint: str, known: Record, circuits: int, times: Mapping[str, float], now: float) -> Ticket:
    """The ticket of a slice of so many circuits whose job stands like this; `now` by the service's clock.

    A failed job of several circuits counts as FINISHED: some of its children may have run to their end.
    """
    stamps = {"accepted": known.submitted, "started": known.started, "finished": known.finished}
    times = {**times, **{name: at for name, at in stamps.items() if at is not None}}
    due = known.due(now)
    waiting = None if due is None else max(0.0, due)
    if not known.is_final:
        return Ticket(fingerprint, known.id, due=waiting, times=times)
    state = {COMPLETED: TicketState.FINISHED, CANCELED: TicketState.CANCELED}.get(known.status, TicketState.FAILED)
    if state is TicketState.FAILED and circuits > 1:
        state = TicketState.FINISHED
    return Ticket(fingerprint, known.id, state, why(known), retry=known.passing, times=times)


def why(known: Record) -> str:
    """Why a job did not complete, in a sentence; empty if it did."""
    if known.status == COMPLETED:
        return ""
    said = ": ".join(part for part in (known.code, known.reason) if part)
    return f"job {known.id} {known.status}{f' ({said})' if said else ''}"


def _fingerprint(body: Mapping[str, Any]) -> str | None:
    metadata, name = body.get("metadata"), _text(body.get("name"))
    marked = _text(metadata.get(METADATA)) if isinstance(metadata, Mapping) else None
    if marked:
        return marked
    return name.removeprefix(NAME) if name and name.startswith(NAME) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _milliseconds(value: object) -> float | None:
    return value / 1000 if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
