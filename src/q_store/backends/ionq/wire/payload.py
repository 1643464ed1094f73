"""Bodies of POST /jobs: how many circuits fit into one, and its text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Literal

from q_store.backends.ionq.wire.limits import MAX_BYTES, Limits
from q_store.errors import CapabilityError

HEAD_BYTES = 128_000
"""Kept free for what stands before the circuits: metadata above all."""
WRAPPER_BYTES = 64
"""Kept free around each circuit: its braces, and a name of up to 40 characters."""
_COMPACT = (",", ":")


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What all circuits of a job share.

    Attributes:
        backend: the service's name for it, e.g. `simulator` or `qpu.forte-1`.
        gateset: of every circuit.
        shots: measurements of each; None leaves it to the service (the ideal simulator ignores them).
        noise: noise model of the simulator; None for none.
        noise_seed: of the noise model.
        debiasing: error mitigation; always sent, because the service switches it on by itself from 500 shots.
        session: session to run in.
        dry_run: check and price the job only.
    """

    backend: str
    gateset: Literal["qis", "native"] = "qis"
    shots: int | None = None
    noise: str | None = None
    noise_seed: int | None = None
    debiasing: bool = False
    session: str | None = None
    dry_run: bool = False


def pack(gates: int, lengths: Sequence[int], limits: Limits | None = None) -> list[range]:
    """Consecutive circuits that fit into one job each, as few jobs as possible.

    Args:
        gates: number of gates of each circuit.
        lengths: bytes of each circuit's gate list.
        limits: of one job; the service's where None.

    Raises:
        CapabilityError: for a circuit that does not fit into a job alone.
    """
    allowed = limits or Limits()
    room = allowed.bytes - HEAD_BYTES
    most = min(allowed.circuits, allowed.gates // gates) if gates else allowed.circuits
    out: list[range] = []
    first = used = 0
    for k, length in enumerate(lengths):
        size = length + WRAPPER_BYTES
        if most < 1 or size > room:
            raise CapabilityError(
                f"expected circuits of at most {allowed.gates} gates and {room} bytes, got {gates} gates and "
                f"{length} bytes; use fewer layers or qubits"
            )
        if k - first == most or used + size > room:
            out.append(range(first, k))
            first, used = k, 0
        used += size
    if lengths:
        out.append(range(first, len(lengths)))
    return out


def body(
    circuits: Sequence[bytes],
    n_qubits: int,
    settings: JobSettings,
    name: str,
    metadata: Mapping[str, str],
    *,
    names: Sequence[str] | None = None,
) -> bytes:
    """The body of a job: `ionq.circuit.v1` for one circuit, else `ionq.multi-circuit.v1`.

    Args:
        circuits: gate lists, as `Template.write` writes them.
        n_qubits: of every circuit.
        settings: of the job.
        name: of the job.
        metadata: strings that the service keeps and gives back.
        names: of the circuits; one circuit has the job's name.

    Raises:
        CapabilityError: for a body above the service's limit, see `pack`.
    """
    kind = "ionq.circuit.v1" if len(circuits) == 1 else "ionq.multi-circuit.v1"
    head = json.dumps(_head(kind, settings, name, metadata), separators=_COMPACT)
    entrance = json.dumps({"gateset": settings.gateset, "qubits": n_qubits}, separators=_COMPACT)
    if len(circuits) == 1:
        content = b'"circuit":' + circuits[0]
    else:
        content = b'"circuits":[' + b",".join(_wrapped(circuits, names)) + b"]"
    text = b'%s,"input":%s,%s}}' % (head[:-1].encode(), entrance[:-1].encode(), content)
    if len(text) > MAX_BYTES:
        raise CapabilityError(
            f"expected a job of at most {MAX_BYTES} bytes, got {len(text)}; shorten names and metadata, or split it"
        )
    return text


def _wrapped(circuits: Sequence[bytes], names: Sequence[str] | None) -> list[bytes]:
    if names is None:
        return [b'{"circuit":%s}' % circuit for circuit in circuits]
    pairs = zip(names, circuits, strict=True)
    return [b'{"name":%s,"circuit":%s}' % (quoted(name).encode(), circuit) for name, circuit in pairs]


def _head(kind: str, settings: JobSettings, name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    head: dict[str, Any] = {"type": kind, "backend": settings.backend, "name": name, "metadata": dict(metadata)}
    if settings.shots is not None:
        head["shots"] = settings.shots
    if settings.session is not None:
        head["session_id"] = settings.session
    if settings.dry_run:
        head["dry_run"] = True
    if settings.noise is not None:
        head["noise"] = {"model": settings.noise}
        if settings.noise_seed is not None:
            head["noise"]["seed"] = settings.noise_seed
    head["settings"] = {"error_mitigation": {"debiasing": settings.debiasing}}
    return head
