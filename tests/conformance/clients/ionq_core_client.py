"""ionq-core, driven line by line: jobs as any client runs them, and every reply held against its strict models."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from typing import Any

from ionq_core import IonQClient, SessionManager, iter_jobs, iter_session_jobs, models, wait_for_job
from ionq_core.api.backends import get_backend, get_backends
from ionq_core.api.characterizations import get_characterization, get_characterizations_for_backend
from ionq_core.api.default import (
    cancel_job,
    cancel_jobs,
    clone_job,
    create_job,
    delete_job,
    delete_jobs,
    estimate_job_cost,
    get_job,
    get_job_artifact,
    get_job_cost,
    get_job_probabilities,
    get_jobs,
    get_session,
    get_sessions,
)
from ionq_core.api.schemas import get_format_schema
from ionq_core.api.usage import get_usages
from ionq_core.api.whoami import get_whoami
from lines import serve
from strict import problems

Json = Any
POLL = 0.02  # seconds
PROBABILITIES = "ionq.result.probabilities.json.v1"
AGGREGATE = "ionq.result.probabilities-aggregate.json.v1"
PAYLOADS = {"ionq.circuit.v1": models.CircuitJobCreationPayload, "ionq.multi-circuit.v1": models.JSONMultiCircuitJob}


def client_of(url: str) -> Any:
    # without the flag a status that the description does not list would look like an empty answer
    return IonQClient(base_url=url, max_retries=1, raise_on_unexpected_status=True)


def gate(name: str, qubits: list[int], angles: list[float], controls: list[int]) -> Any:
    chosen = {"controls": controls} if controls else {}
    if name in ("gpi", "gpi2"):
        return models.GateNativeGate(gate=name, target=qubits[0], phase=angles[0])
    if name == "ms":
        return models.GateNativeGate(gate="ms", targets=qubits, phases=angles[:2], angle=angles[2])
    if name == "nzz":
        return models.GateNativeGate(gate="zz", targets=qubits, angle=angles[0])
    if angles:
        chosen["rotation"] = angles[0]
    return models.GateQisGate(gate="z" if name == "p" else name, targets=qubits, **chosen)


def payload(  # noqa: PLR0917
    circuits: Json,
    backend: str,
    shots: int,
    batch: bool,
    gateset: str,
    noise: str | None,
    seed: int | None,
    **more: Any,
) -> Any:
    if noise:
        more["noise"] = models.Noise(model=noise, **({} if seed is None else {"seed": seed}))
    gates = [[gate(*each) for each in plain["gates"]] for plain in circuits]
    if batch:
        kind = models.NativeCircuit if gateset == "native" else models.QISCircuit
        entries = [kind(circuit=each, qubits=plain["qubits"]) for each, plain in zip(gates, circuits, strict=True)]
        wrapped = models.JsonMultiCircuitInput(gateset=gateset, circuits=entries)
        return models.JSONMultiCircuitJob(
            backend=backend, type_="ionq.multi-circuit.v1", input_=wrapped, shots=shots, **more
        )
    kind = models.NativeCircuitInput if gateset == "native" else models.QisCircuitInput
    wrapped = kind(gateset=gateset, circuit=gates[0], qubits=circuits[0]["qubits"])
    return models.CircuitJobCreationPayload(
        backend=backend, type_="ionq.circuit.v1", input_=wrapped, shots=shots, **more
    )


def artifact(client: Any, job: Any, name: str) -> Json:
    """The body of one result, by its descriptor; where both generations are sent, results stay a plain dictionary."""
    results = job.results if isinstance(job.results, dict) else job.results.to_dict()
    reply = get_job_artifact.sync_detailed(uuid=job.id, artifact_id=results[name]["id"], client=client)
    return json.loads(reply.content)


def answer(client: Any, job: Any, shots: int, *, exact: bool) -> Json:
    if job.type_ == "ionq.multi-circuit.v1":
        merged = artifact(client, job, AGGREGATE)
        maps = [merged[child] for child in job.child_job_ids]
        assert set(merged) == set(job.child_job_ids)
    else:
        maps = [artifact(client, job, PROBABILITIES)]
        assert maps[0] == get_job_probabilities.sync(uuid=job.id, client=client).to_dict()
    counts = [{int(k): v * shots for k, v in each.items()} for each in maps]
    return {"job": job.id, "counts": counts, "probabilities": maps if exact else None}


def run(  # noqa: PLR0917
    url: str,
    backend: str,
    circuits: Json,
    shots: int,
    batch: bool = False,
    native: str | None = None,
    noise: str | None = None,
    seed: int | None = None,
) -> Json:
    client = client_of(url)
    body = payload(circuits, backend, shots, batch, "native" if native else "qis", noise, seed)
    sent = create_job.sync(client=client, body=body)
    job = wait_for_job(client, sent.id, poll_interval=POLL, timeout=30)
    return answer(client, job, shots, exact=backend == "simulator" and noise in (None, "ideal"))


def cancel(url: str, backend: str, circuits: Json, shots: int) -> Json:
    client = client_of(url)
    sent = create_job.sync(client=client, body=payload(circuits, backend, shots, False, "qis", None, None))
    reply = cancel_job.sync(uuid=sent.id, client=client)
    job = wait_for_job(client, sent.id, poll_interval=POLL, timeout=30)
    assert reply.id == sent.id
    return {"job": job.id, "status": job.status, "text": reply.status}


def send(url: str, backend: str, circuits: Json, shots: int = 100, **more: Any) -> str:
    """A job that nobody waits for: its id."""
    batch = len(circuits) > 1
    body = payload(circuits, backend, shots, batch, "qis", None, None, **more)
    return create_job.sync(client=client_of(url), body=body).id


def wait(url: str, job: str) -> str:
    return wait_for_job(client_of(url), job, poll_interval=POLL, timeout=30, raise_on_failure=False).status


def inspect(url: str, jobs: list[str]) -> Json:
    """Each job as it is now: its class here, its state, where it leaves the declared types, a few of its fields."""
    client = client_of(url)
    out = []
    for each in jobs:
        job = get_job.sync(uuid=each, client=client)
        found = list(problems(job, type(job)))
        failure = job.failure.to_dict() if job.failure else None
        out.append({
            "status": job.status, "model": type(job).__name__, "problems": found, "failure": failure,
            "results": job.results is not None, "stats": job.stats.to_dict(), "children": job.child_job_ids,
            "parent": job.parent_job_id, "times": [job.submitted_at, job.started_at, job.completed_at],
            "metadata": job.metadata.to_dict() if job.metadata else None, "name": job.name,
        })  # fmt: skip
    return out


def pages(url: str, limit: int, **chosen: Any) -> list[str]:
    """The ids of every job, page after page."""
    return [job.id for job in iter_jobs(client_of(url), limit=limit, **chosen)]


def listed(url: str, jobs: list[str]) -> list[str]:
    """The ids that one page shows when these are asked for."""
    return [job.id for job in get_jobs.sync(client=client_of(url), ids=jobs).jobs]


def cancel_many(url: str, jobs: list[str]) -> Json:
    client = client_of(url)
    reply = cancel_jobs.sync(client=client, body=models.JobsBulkOperationRequest(ids=jobs))
    return {"reply": list(reply.ids), "status": [get_job.sync(uuid=each, client=client).status for each in jobs]}


def delete_many(url: str, jobs: list[str]) -> Json:
    client = client_of(url)
    first = delete_job.sync(uuid=jobs[0], client=client)
    rest = delete_jobs.sync(client=client, body=models.JobsBulkOperationRequest(ids=jobs[1:]))
    left = []
    for each in jobs:
        try:
            left.append(get_job.sync(uuid=each, client=client).id)
        except Exception as error:  # noqa: BLE001 - its type is the answer
            left.append(type(error).__name__)
    return {"reply": [first.id, *rest.ids], "status": [first.status, rest.status], "left": left}


def clone(url: str, job: str, name: str, shots: int) -> Json:
    client = client_of(url)
    sent = clone_job.sync(uuid=job, client=client, body=models.CloneJobPayload(name=name, shots=shots))
    copy = wait_for_job(client, sent.id, poll_interval=POLL, timeout=30)
    return {"id": copy.id, "name": copy.name, "shots": copy.shots, **answer(client, copy, shots, exact=False)}


def session(url: str, backend: str, circuits: Json) -> Json:
    """A session with one job in it, read while it is open and behind its end."""
    client = client_of(url)
    with SessionManager(client, backend, max_jobs=3, max_time=5, max_cost=50.0) as manager:
        inside = get_session.sync(session_id=manager.session_id, client=client)
        job = send(url, backend, circuits, session_id=manager.session_id)
        wait(url, job)
        jobs = [each.id for each in iter_session_jobs(client, manager.session_id)]
    after = get_session.sync(session_id=manager.session_id, client=client)
    every = get_sessions.sync(client=client)
    found = [
        *problems(inside, models.Session),
        *problems(after, models.Session),
        *problems(every, models.SessionsResponse),
    ]
    return {
        "problems": found, "active": [inside.active, after.active], "status": [inside.status, after.status],
        "limit": inside.settings.job_count_limit, "jobs": jobs, "sent": job,
        "all": [each.id for each in every.sessions], "id": manager.session_id,
    }  # fmt: skip


def services(url: str, qpu: str, jobs: list[str]) -> Json:
    """Every other reply: {what was asked: problems}, and a few values."""
    client = client_of(url)
    organization = get_sessions.sync(client=client).organization_id
    today = dt.datetime.now(tz=dt.UTC).date()
    backends = get_backends.sync(client=client)
    shown = get_characterizations_for_backend.sync(backend=qpu, client=client, limit=2)
    estimate = estimate_job_cost.sync(
        client=client, backend=qpu, qubits=5, shots=1000, field_1q_gates=20, field_2q_gates=10
    )
    whoami = get_whoami.sync(client=client)
    replies: dict[str, tuple[Any, Any]] = {
        "backends": (backends, list[models.Backend]),
        "backend": (get_backend.sync(backend=qpu, client=client), models.Backend),
        "characterizations": (shown, models.GetCharacterizationsForBackendResponse200),
        "characterization": (
            get_characterization.sync(backend=qpu, uuid=shown.characterizations[0].id, client=client),
            models.Characterization,
        ),
        "estimate": (estimate, models.GetJobEstimateResponse),
        "cost": ([get_job_cost.sync(uuid=each, client=client) for each in jobs], list[models.GetJobCostResponse]),
        "list": (get_jobs.sync(client=client), models.GetJobsResponse),
        "whoami": (whoami, models.Whoami),
        "schema": (get_format_schema.sync(format_=PROBABILITIES, client=client), models.FormatSchemaDocument),
        "usage": (
            get_usages.sync(
                organization_id=organization, client=client, start_date=today, end_date=today, group_by="project",
                modality="daily",
            ),
            models.Usages,
        ),
    }  # fmt: skip
    return {
        "problems": {name: list(problems(reply, kind)) for name, (reply, kind) in replies.items()},
        "backends": {each.backend: each.to_dict() for each in backends},
        "estimate": estimate.to_dict(),
        "costs": [each.to_dict() for each in replies["cost"][0]],
    }


def payloads(url: str, bodies: list[str]) -> Json:
    """Where job payloads of others leave the models: parsed, held against the types, written again and compared."""
    del url
    out = []
    for text in bodies:
        body = json.loads(text)
        kind = PAYLOADS[body["type"]]
        parsed = kind.from_dict(body)
        found = list(problems(parsed, kind))
        if parsed.to_dict() != body:
            found.append(f"written again: {json.dumps(parsed.to_dict())[:300]} from {text[:300]}")
        out.append(found)
    return out


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*does not use HTTPS.*")
    serve(run, cancel, send, wait, inspect, pages, listed, cancel_many, delete_many, clone, session, services, payloads)
