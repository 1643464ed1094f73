"""`MultiBackendOrchestrator` of v3.5: circuits as dicts, shared out among backends, answered in the order given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from q_store.apps.legacy.dicts import Given, jobs_of
from q_store.apps.legacy.foreign import ForeignBackend, QuantumBackend
from q_store.apps.legacy.results import ExecutionResult
from q_store.backends.base import Backend
from q_store.backends.local.backend import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.backends.threaded import ThreadedBackend
from q_store.errors import IncompleteError, InputError
from q_store.jobs import Executor, Job, Outcome
from q_store.pool.membership import Member
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings
from q_store.pool.state import Standing
from q_store.store import Store

SHOTS = 1000


class MultiBackendOrchestrator:
    """Runs circuits on several backends at once, each as many as it is fast; what one fails goes to the others.

    Args:
        backends: members of a pool, backends, or objects with `name` and `execute_batch` (`QuantumBackend`), which get
            their own names; all else equal, earlier ones are preferred.
        store: keeps what they bring, see `Pool`. settings: figures of the decisions.

    Raises:
        InputError: for something that is no backend. ConfigError: without backends, or with two of one name.
    """

    def __init__(
        self,
        backends: Sequence[Member | Backend | LocalBackend | QuantumBackend],
        store: Store | None = None,
        settings: PoolSettings | None = None,
    ) -> None:
        self.backends = list(backends)
        self.pool = Pool(members(backends), store, settings=settings)
        self._seeds = count()

    async def execute_distributed(self, circuits: Sequence[Given], shots: int = SHOTS) -> list[ExecutionResult]:
        """Run circuits; results in the order given.

        Args:
            circuits: `{"qubits": n, "circuit": [{"gate": "ry", "targets": [0], "rotation": 0.97}, ...]}` each, with the
                gates of IonQ's QIS set. Every one is run, also where it is there twice.
            shots: of each.

        Raises:
            CircuitError: for a circuit that cannot be read; says which and where.
            IncompleteError: where circuits have no answer. Others as `Pool.run_async`.
        """
        return await execute(self.pool, circuits, shots, next(self._seeds))

    @property
    def backend_stats(self) -> dict[str, dict[str, Any]]:
        """By name: health, circuits answered and failed, circuits in flight, work a second, latency in seconds."""
        return {each.name: _figures(each) for each in self.pool.standing()}

    async def aclose(self) -> None:
        """Cancel what is still on its way, and release connections."""
        await self.pool.aclose()


def _figures(each: Standing) -> dict[str, Any]:
    names = ("answered", "failed", "in_flight", "speed", "latency")
    return {"health": each.health.value, **{name: getattr(each, name) for name in names}}


def members(backends: Sequence[Any]) -> list[Member]:
    """A member for each backend. Raises InputError for what is none."""
    taken: set[str] = set()
    return [_member(each, taken) for each in backends]


async def execute(executor: Executor, circuits: Sequence[Given], shots: int, seed: int = 0) -> list[ExecutionResult]:
    """Results of circuits in the order given. Raises as `MultiBackendOrchestrator.execute_distributed`."""
    jobs, numbers = jobs_of(circuits, shots, seed)
    results: dict[int, ExecutionResult] = {}
    for job, outcome, own in zip(jobs, await executor.run_async(jobs), numbers, strict=True):
        results |= zip(own, _results(job, outcome, own), strict=True)
    return [results[k] for k in range(len(circuits))]


def _member(backend: Any, taken: set[str]) -> Member:
    """A member for a backend, under a name of its own."""
    if isinstance(backend, Member):
        taken.add(backend.name)
        return backend
    if hasattr(backend, "member"):  # one of those that `legacy.backends` hands out
        return _member(backend.member, taken)
    if isinstance(backend, LocalBackend):
        backend = LocalService(backend)
    if isinstance(backend, QuantumBackend):
        backend = ForeignBackend(backend)
    if not hasattr(backend, "submit"):
        raise InputError(
            f"expected backends with name and execute_batch, or members of a pool, got {type(backend).__name__}; see "
            "docs/backends.md"
        )
    name = backend.capabilities.name
    own = next(each for k in count(1) if (each := name if k == 1 else f"{name} {k}") not in taken)
    taken.add(own)
    here = isinstance(backend, ThreadedBackend | ForeignBackend)
    return Member(name=own, backend=backend, recorded=not here)


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
        row: Mapping[int, int] = counts[r] if isinstance(counts, list) else _sparse(counts[r])
        bits = {format(state, f"0{job.circuit.n_qubits}b"): times for state, times in row.items()}
        source = outcome.source if isinstance(outcome.source, str) else outcome.source[r]
        results.append(ExecutionResult.of(bits, backend=source, noise_id=outcome.noise_id))
    return results


def _sparse(counts: Any) -> dict[int, int]:
    return {int(state): int(counts[state]) for state in np.flatnonzero(counts)}
