"""From the body of POST /jobs to what the service keeps of it, and what it computes with."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from q_store.backends.ionq.wire.gates import is_native
from q_store.backends.ionq.wire.parse import KEPT_INPUT, MULTI, Received, read_job
from q_store.backends.ionq.wire.refusal import WireError
from q_store.emulator.catalogue import MACHINES, NOISE_QUBITS
from q_store.emulator.ledger import Hashes, digest, distinguish, row_digests
from q_store.emulator.records import Failure, Request
from q_store.emulator.refusal import Refusal
from q_store.errors import suggestion

FAILS_LATER = frozenset({"UnsupportedGate", "TooManyControls", "NotEnoughQubits", "QuantumCircuitComplexityError"})
"""Codes of jobs that are accepted and then fail; everything else that is wrong with a body is refused at once."""
DEBIASING_SHOTS = 500
WIRE_NAMES = {"nzz": "zz"}
CLONED = ("backend", "dry_run", "metadata", "name", "noise", "session_id", "settings", "shots")


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """A job that may be accepted.

    Attributes:
        request: what is kept.
        contents: [S], see `Ledger.charge`.
        received: what is computed; None where it fails at once.
        failure: why it does.
    """

    request: Request
    contents: Hashes
    received: Received | None
    failure: Failure | None = None


def take_in(body: bytes) -> Intake:
    """Read a body.

    Raises:
        Refusal: 400 or 413.
    """
    try:
        with _no_collection():
            received = read_job(body)
    except WireError as error:
        if error.code in FAILS_LATER:
            return _failing(json.loads(body), Failure(error.code, error.message))
        raise Refusal(error.status, error.message, error.keys, error=error.error) from None
    _check_backend(received.backend)
    model = received.noise_model
    if model is not None and model not in NOISE_QUBITS:
        raise Refusal(400, f"expected a noise model, got {model!r}{suggestion(model, NOISE_QUBITS)}", ["noise.model"])
    kept = body if len(body) <= KEPT_INPUT else None
    return Intake(_request(received, kept), _contents(received), received, _obstacle(received))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the garbage collector: among the dicts of 150,000 gates it takes two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def changed(body: bytes | None, changes: Mapping[str, Any]) -> bytes:
    """The body of a clone.

    Args:
        body: of the job; None where it was too large to be kept.
        changes: fields that replace those of the job.
    """
    if body is None:
        raise Refusal(400, f"expected a job of at most {KEPT_INPUT} bytes to clone, got a larger one; send it again")
    job = json.loads(body)
    job.update({key: changes[key] for key in CLONED if key in changes})
    return json.dumps(job).encode()


def _check_backend(backend: str) -> None:
    if backend not in MACHINES:
        raise Refusal(400, f"expected a backend, got {backend!r}{suggestion(backend, MACHINES)}", ["backend"])


def _obstacle(received: Received) -> Failure | None:
    """Why the backend cannot run the job."""
    machine = MACHINES[received.backend]
    most = machine.qubits if machine.timing else NOISE_QUBITS[received.noise_model or "ideal"]
    if max(received.n_qubits) > most:
        where = f"{machine.name} with the noise model {received.noise_model}" if received.noise_model else machine.name
        message = f"expected at most {most} qubits on {where}, got {max(received.n_qubits)}"
        return Failure("NotEnoughQubits", message)
    used = {WIRE_NAMES.get(op.gate, op.gate) for group in received.groups for op in group.circuit.ops if is_native(op)}
    foreign = sorted(used - set(machine.native))
    if foreign:
        message = f"expected native gates of {machine.name}, {', '.join(machine.native)}, got {', '.join(foreign)}"
        return Failure("UnsupportedGate", message)
    if received.debiasing and machine.timing and received.shots < DEBIASING_SHOTS:
        message = f"expected at least {DEBIASING_SHOTS} shots with debiasing, got {received.shots}; ask for more"
        return Failure("DebiasingError", message)
    return None


def _request(received: Received, body: bytes | None) -> Request:
    return Request(
        type=received.type,
        backend=received.backend,
        name=received.name,
        metadata=received.metadata,
        shots=received.shots,
        session=received.session_id,
        dry_run=received.dry_run,
        settings=received.settings,
        noise_model=received.noise_model,
        noise_seed=received.noise_seed,
        qubits=np.array(received.n_qubits, dtype=np.int64),
        names=tuple(received.names),
        one_qubit=received.gate_counts[0],
        two_qubit=received.gate_counts[1],
        body=body,
    )


def _contents(received: Received) -> Hashes:
    out = np.zeros(received.size, dtype=np.uint64)
    for group in received.groups:
        where = f"{received.backend}/{received.noise_model or 'ideal'}/{received.shots}/{group.circuit.digest}/"
        out[group.numbers] = row_digests(where, group.angles + 0.0)  # -0 = 0
    return distinguish(out)


def _failing(job: dict[str, Any], failure: Failure) -> Intake:
    """A job that was read far enough to be accepted, and fails."""
    _check_backend(job["backend"])
    size = len(job["input"]["circuits"]) if job["type"] == MULTI else 1
    none = np.zeros(size, dtype=np.int64)
    shots, metadata = str(job.get("shots")), job.get("metadata")
    request = Request(
        type=job["type"],
        backend=job["backend"],
        name=job.get("name"),
        metadata=metadata if isinstance(metadata, dict) else None,
        shots=int(shots) if re.fullmatch("[0-9]{1,7}", shots) else 100,
        session=None,
        dry_run=False,
        settings=job["settings"] if isinstance(job.get("settings"), dict) else {},
        noise_model=None,
        noise_seed=None,
        qubits=none + 1,
        names=(None,) * size,
        one_qubit=none,
        two_qubit=none,
    )
    contents = np.array([digest(failure.message, i) for i in range(size)], dtype=np.uint64)
    return Intake(request, contents, None, failure)
