"""Jobs as the service shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from q_store.emulator.ledger import digest
from q_store.emulator.records import COMPLETED, Failure, Record, State, child_id, child_ids
from q_store.emulator.sessions import PROJECT, USER

Generation = Literal["both", "url", "artifact"]
GENERATIONS: tuple[Generation, ...] = ("both", "url", "artifact")
UNKNOWN_WORD = "calibrating"
PROBABILITIES = "ionq.result.probabilities.json.v1"
AGGREGATE = "ionq.result.probabilities-aggregate.json.v1"
FORMATS = {
    PROBABILITIES: "probabilities",
    AGGREGATE: "probabilities-aggregate",
    "ionq.result.probabilities.json.v2": "probabilities-v2",
    "ionq.result.histogram.json.v1": "histogram",
    "ionq.result.histogram.json.v2": "histogram-v2",
    "ionq.result.shots.json.v1": "shots",
    "ionq.result.shots.json.v2": "shots-v2",
}
"""Formats of results and the aliases that serve as ids of their artifacts."""


def iso(seconds: float) -> str:
    """ISO 8601 of seconds since 1970, to the millisecond, with Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def word(record: Record, child: int | None, now: float) -> str:
    """The state as the service writes it."""
    if child is not None:
        return State(record.states(now)[child]).word
    return UNKNOWN_WORD if now < record.unknown_until else record.state(now).word


def entry(record: Record, child: int | None, now: float, epoch: float, generation: Generation) -> dict[str, Any]:
    """A job as lists show it.

    Args:
        record: the job.
        child: number of the child that is meant; None: the job itself.
        now: seconds on the emulator's clock.
        epoch: seconds since 1970 at the clock's zero.
        generation: how results are announced.
    """
    request = record.request
    which = slice(None) if child is None else slice(child, child + 1)
    state = record.state(now) if child is None else State(record.states(now)[child])
    name = record.id if child is None else child_id(record.id, child)
    failure = _failure(record, child) if state is State.FAILED else None
    out: dict[str, Any] = {
        "id": name,
        "status": word(record, child, now),
        "type": request.type if child is None else "ionq.circuit.v1",
        "backend": request.backend,
        "dry_run": request.dry_run,
        "submitter_id": USER,
        "project_id": PROJECT,
        "parent_job_id": None if child is None else record.id,
        "session_id": request.session,
        "metadata": request.metadata if child is None else None,
        "name": request.name if child is None else request.names[child],
        "submitted_at": iso(epoch + record.submitted),
        **_times(record, which, state, now, epoch),
        "failure": failure and {"code": failure.code, "message": failure.message, "error": failure.message},
        "output": _output(request.settings),
        "settings": request.settings,
        "stats": {
            "qubits": int(request.qubits[which].max()),
            "circuits": len(request.qubits[which]),
            "gate_counts": {"1q": int(request.one_qubit[which].sum()), "2q": int(request.two_qubit[which].sum())},
        },
        "results": _results(record, child, name, now, generation),
    }
    ideal = request.backend == "simulator" and request.noise_model in {None, "ideal"}
    if not ideal:
        out["shots"] = request.shots
    if request.backend == "simulator":
        seed = {} if request.noise_seed is None else {"seed": request.noise_seed}
        out["noise"] = {"model": request.noise_model or "ideal", **seed}
    else:
        out["cost_model"] = "2QGE_operations"
    return out


def detail(record: Record, child: int | None, now: float, epoch: float, generation: Generation) -> dict[str, Any]:
    """A job as GET /jobs/{id} shows it."""
    out = entry(record, child, now, epoch, generation)
    out["child_job_ids"] = child_ids(record.id, record.size) if child is None and record.request.multi else None
    return out


def _failure(record: Record, child: int | None) -> Failure:
    if child is not None:
        return record.failures[child]
    first = record.failures[min(record.failures)]
    if not record.request.multi or len(record.failures) == record.size:
        return first
    count = f"{len(record.failures)} of {record.size} circuits failed"
    return Failure(first.code, f"{count}, the first of them: {first.message}")


def _times(record: Record, which: slice, state: State, now: float, epoch: float) -> dict[str, Any]:
    """started_at, completed_at and the durations. A canceled circuit that never ran has no times."""
    if record.request.dry_run:
        at = iso(epoch + record.submitted)
        return {"started_at": at, "completed_at": at, **_durations(0, 0, 0)}
    starts, ends = record.booking.starts[which], record.ends[which]
    canceled = record.canceled[which]
    ran = starts <= np.minimum(canceled, now)
    first = float(starts[ran].min(initial=np.inf))
    finished = float(np.minimum(ends, canceled).max())
    live = np.isinf(canceled)
    start = float(starts[live].min(initial=np.inf))
    planned = float(record.booking.ends[which][live].max(initial=-np.inf)) - start
    return {
        "started_at": iso(epoch + first) if ran.any() else None,
        "completed_at": iso(epoch + finished) if state.is_final else None,
        **_durations(
            max(0.0, start - now) if live.any() else 0,
            planned if live.any() else 0,
            (finished - first if ran.any() else 0) if state.is_final else None,
        ),
    }


def _durations(wait: float, planned: float, took: float | None) -> dict[str, int | None]:
    return {
        "predicted_wait_time_ms": round(1000 * wait),
        "predicted_execution_duration_ms": round(1000 * planned),
        "execution_duration_ms": None if took is None else round(1000 * took),
    }


def _output(settings: dict[str, Any]) -> dict[str, Any]:
    mitigation = settings.get("error_mitigation") or {}
    asked = bool(mitigation.get("debiasing"))
    note = {"debiasing": {"variants": [], "aggregation_method": "average"}} if asked else {}
    return {"compilation": {}, "error_mitigation": note}


def has_results(record: Record, child: int | None, now: float) -> bool:
    """Whether there are some: of a final job whose circuits, or some of them, completed."""
    if record.request.dry_run or record.rows is None:
        return False
    states = record.states(now)
    if child is not None:
        return bool(states[child] == COMPLETED)
    return bool((states >= COMPLETED).all() and (states == COMPLETED).any())


def artifact_id(name: str, form: str, generation: Generation) -> str:
    """The id of a result: an alias, or a UUID where there is nothing but artifacts."""
    if generation != "artifact":
        return FORMATS[form]
    text = f"{digest(name, form):016x}{digest(form, name):016x}"
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-8{text[17:20]}-{text[20:]}"


def artifact_format(name: str, artifact: str, generation: Generation) -> str | None:
    """The format of the artifact with this id or alias; None: there is no such thing."""
    known = {artifact_id(name, form, generation): form for form in FORMATS}
    return known.get(artifact) or {alias: form for form, alias in FORMATS.items()}.get(artifact)


def _results(record: Record, child: int | None, name: str, now: float, generation: Generation) -> dict[str, Any] | None:
    if not has_results(record, child, now):
        return None
    parent = child is None and record.request.multi
    out: dict[str, Any] = {}
    if generation != "artifact":
        base = f"/v0.4/jobs/{name}/results"
        out["probabilities"] = {"url": f"{base}/probabilities" + ("/aggregated" if parent else "")}
        if not parent:
            out["histogram"] = {"url": f"{base}/histogram"}
            out["shots"] = {"url": f"{base}/shots"}
    if generation != "url":
        for form in [AGGREGATE] if parent else [each for each in FORMATS if each != AGGREGATE]:
            found = artifact_id(name, form, generation)
            out[form] = {"id": found, "format": form, "media_type": "application/json"}
    return out


Shuffle = Callable[[list[int]], None]


def aggregate(record: Record, now: float, shuffle: Shuffle | None = None) -> bytes:
    """{child id: probabilities} of the children that completed, in the order of submission unless shuffled."""
    assert record.rows is not None  # noqa: S101 - has_results was asked
    names = child_ids(record.id, record.size)
    done = np.flatnonzero(record.states(now) == COMPLETED).tolist()
    if shuffle:
        shuffle(done)
    return b"{" + b",".join(b'"%s":%s' % (names[i].encode(), record.rows[i]) for i in done) + b"}"


def result(record: Record, child: int, form: str) -> bytes:
    """One circuit's result in a format of `FORMATS`."""
    assert record.rows is not None  # noqa: S101 - has_results was asked
    row = record.rows[child]
    if form == PROBABILITIES:
        return row
    probabilities = {int(state): p for state, p in json.loads(row).items()}
    return json.dumps(_other_form(record, child, form, probabilities), separators=(",", ":")).encode()


def _other_form(record: Record, child: int, form: str, probabilities: dict[int, float]) -> Any:
    n, shots = int(record.request.qubits[child]), record.request.shots
    bits = {state: f"{state:0{n}b}" for state in probabilities}
    if form == "ionq.result.probabilities.json.v2":
        return {"probabilities": {"registers": {"output_all": {bits[s]: p for s, p in probabilities.items()}}}}
    counts = round_counts(probabilities, shots)
    if form == "ionq.result.histogram.json.v1":
        return {str(state): count for state, count in counts.items()}
    if form == "ionq.result.histogram.json.v2":
        return {"histogram": {"registers": {"output_all": {bits[s]: count for s, count in counts.items()}}}}
    order = np.random.default_rng(digest(record.id, child)).permutation(shots)
    states = np.repeat(list(counts), list(counts.values()))[order].tolist()
    if form == "ionq.result.shots.json.v1":
        return [str(state) for state in states]
    return {"shots": [{"registers": {"output_all": [state >> q & 1 for q in range(n)]}} for state in states]}


def round_counts(probabilities: dict[int, float], shots: int) -> dict[int, int]:
    """Whole counts that add up to `shots`: those of a sampled job exactly, else by largest remainder."""
    weights = np.fromiter(probabilities.values(), float, len(probabilities))
    exact = weights / weights.sum() * shots
    counts = np.floor(exact + 1e-6).astype(np.int64)
    missing = shots - int(counts.sum())
    if missing > 0:
        counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return {state: int(count) for state, count in zip(probabilities, counts, strict=True) if count}
