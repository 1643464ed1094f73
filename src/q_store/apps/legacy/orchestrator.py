"""`MultiBackendOrchestrator` of v3.5: circuits as dicts, shared out among backends, answered in the order given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from q_store.backends.base import Backend
from q_store.backends.ionq.wire.gate_reader import GateReader
from q_store.backends.ionq.wire.refusal import WireError
from q_store.backends.local.backend import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.backends.threaded import ThreadedBackend
from q_store.circuits.circuit import Circuit
from q_store.errors import CircuitError, IncompleteError, InputError
from q_store.jobs import Job, Outcome, Output
from q_store.pool.membership import Member
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings
from q_store.store import Store

SHOTS = 1000


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What one circuit came to.

    Attributes:
        counts: how often each state was measured, by its bits; the last character is qubit 0.
        total_shots: the sum of the counts. backend: who ran it.
        metadata: `noise_id` of the backend.
    """

    counts: dict[str, int]
    total_shots: int
    backend: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def probabilities(self) -> dict[str, float]:
        """Relative frequencies, by bits."""
        return {bits: times / self.total_shots for bits, times in self.counts.items()}


class MultiBackendOrchestrator:
    """Runs circuits on several backends at once, each as many as it is fast; what one fails goes to the others.

    Args:
        backends: members of a pool, or backends, which get their own names; all else equal, earlier ones are preferred.
        store: keeps what they bring, see `Pool`. settings: figures of the decisions.

    Raises:
        InputError: for something that is no backend. ConfigError: without backends, or with two of one name.
    """

    def __init__(
        self,
        backends: Sequence[Member | Backend | LocalBackend],
        store: Store | None = None,
        settings: PoolSettings | None = None,
    ) -> None:
        taken: set[str] = set()
        self.pool = Pool([_member(each, taken) for each in backends], store, settings=settings)
        self._seeds = count()

    async def execute_distributed(
        self, circuits: Sequence[Mapping[str, Any]], shots: int = SHOTS
    ) -> list[ExecutionResult]:
        """Run circuits; results in the order given.

        Args:
            circuits: `{"qubits": n, "circuit": [{"gate": "ry", "targets": [0], "rotation": 0.97}, ...]}` each, with the
                gates of IonQ's QIS set. Every one is run, also where it is there twice.
            shots: of each.

        Raises:
            CircuitError: for a circuit that cannot be read; says which and where.
            IncompleteError: where circuits have no answer. Others as `Pool.run_async`.
        """
        jobs, numbers = _jobs(circuits, shots, next(self._seeds))
        results: dict[int, ExecutionResult] = {}
        for job, outcome, own in zip(jobs, await self.pool.run_async(jobs), numbers, strict=True):
            results |= zip(own, _results(job, outcome, own), strict=True)
        return [results[k] for k in range(len(circuits))]

    @property
    def backend_stats(self) -> dict[str, dict[str, Any]]:
        """By name: health, circuits answered and failed, circuits in flight, work a second, latency in seconds."""
        return {
            each.name: {
                "health": each.health.value,
                "answered": each.answered,
                "failed": each.failed,
                "in_flight": each.in_flight,
                "speed": each.speed,
                "latency": each.latency,
            }
            for each in self.pool.standing()
        }

    async def aclose(self) -> None:
        """Cancel what is still on its way, and release connections."""
        await self.pool.aclose()


def _member(backend: Any, taken: set[str]) -> Member:
    """A member for a backend, under a name of its own."""
    if isinstance(backend, Member):
        taken.add(backend.name)
        return backend
    if isinstance(backend, LocalBackend):
        backend = LocalService(backend)
    if not hasattr(backend, "submit"):
        raise InputError(f"expected backends or members of a pool, got {type(backend).__name__}; see docs/backends.md")
    name = backend.capabilities.name
    own = next(each for k in count(1) if (each := name if k == 1 else f"{name} {k}") not in taken)
    taken.add(own)
    return Member(name=own, backend=backend, recorded=not isinstance(backend, ThreadedBackend))


def _jobs(circuits: Sequence[Mapping[str, Any]], shots: int, seed: int) -> tuple[list[Job], list[list[int]]]:
    """A job for each structure, and the places of its rows in the list."""
    reader = GateReader(native=False)
    rows: dict[tuple[int, tuple[int, ...]], tuple[list[int], list[list[float]]]] = {}
    for k, given in enumerate(circuits):
        structure, angles, width = _read(reader, given, k)
        numbers, values = rows.setdefault((width, structure), ([], []))
        numbers.append(k)
        values.append(angles)
    jobs = []
    for (width, structure), (_, values) in rows.items():
        circuit: Circuit = reader.circuit(structure, width)
        params = np.array(values, dtype=np.float64).reshape(len(values), -1)
        jobs.append(Job(circuit, params=params, output=Output.COUNTS, shots=shots, seed=seed, reuse=False))
    return jobs, [numbers for numbers, _ in rows.values()]


def _read(reader: GateReader, given: Mapping[str, Any], number: int) -> tuple[tuple[int, ...], list[float], int]:
    gates = given.get("circuit") if isinstance(given, Mapping) else None
    if not isinstance(gates, list) or not gates:
        raise CircuitError(
            f"circuit {number}: expected {{'qubits': n, 'circuit': [gates]}} with a gate or more, got {given!r:.100}"
        )
    try:
        structure, angles = reader.read(gates)
    except WireError as error:
        raise CircuitError(f"circuit {number}: {error}") from None
    used = reader.width(structure)
    width = given.get("qubits", used)
    if not isinstance(width, int) or width < used:
        raise CircuitError(f"circuit {number}: expected qubits of {used} or more, got {width!r}")
    return structure, angles, width


def _results(job: Job, outcome: Outcome, numbers: Sequence[int]) -> list[ExecutionResult]:
    if not outcome.complete:
        first = min(outcome.status)
        raise IncompleteError(
            f"expected an answer to each of {outcome.rows} circuits, got none to {len(outcome.status)}; circuit "
            f"{numbers[first]}: {outcome.error[first]}"
        )
    results = []
    counts: Any = outcome.counts
    for r in range(job.rows):
        row: dict[int, int] = counts[r] if isinstance(counts, list) else _sparse(counts[r])
        bits = {format(state, f"0{job.circuit.n_qubits}b"): times for state, times in row.items()}
        source = outcome.source if isinstance(outcome.source, str) else outcome.source[r]
        results.append(ExecutionResult(bits, sum(row.values()), source, {"noise_id": outcome.noise_id}))
    return results


def _sparse(counts: Any) -> dict[int, int]:
    return {int(state): int(counts[state]) for state in np.flatnonzero(counts)}
