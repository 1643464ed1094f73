"""Drives a recipe against two executors, by the site of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from q_store.blas import single_threaded
from q_store.errors import ConfigError
from q_store.jobs import AnyExecutor, Job, Outcome, Steps, T, complete, run_all
from q_store.training.recipes.task import LOCAL, POOL, TEST, VALIDATION


@dataclass(frozen=True, eq=False)
class Sites:
    """Executors by site.

    Attributes:
        pool: what is waited and paid for.
        local: exact, on this machine; None where the circuit cannot be simulated.
        watch: validates and tests in place of the pool, for studies that count the circuits of training alone.
    """

    pool: AnyExecutor | None = None
    local: AnyExecutor | None = None
    watch: AnyExecutor | None = None

    def of(self, job: Job) -> AnyExecutor:
        """Who runs the job. Raises ConfigError where there is nobody."""
        if job.site == POOL and self.watch is not None and job.tag in {VALIDATION, TEST}:
            return self.watch
        found = {LOCAL: self.local, POOL: self.pool}.get(job.site)
        if found is None:
            missing = "an exact simulation (local=...)" if job.site == LOCAL else "a pool (pool=...)"
            raise ConfigError(f"expected {missing} for a job of the site {job.site!r}, got none; choose another recipe")
        return found


def drive_sites(steps: Steps[T], sites: Sites) -> T:
    """Run a recipe to its end, in this thread; also inside a running event loop."""
    with single_threaded(), closing(steps):
        try:
            jobs = next(steps)
            while True:
                outcomes = [run_all(executor, some) for executor, some in _shares(jobs, sites)]
                jobs = steps.send(_in_order(jobs, sites, outcomes))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


async def drive_sites_async(steps: Steps[T], sites: Sites) -> T:
    """The same for a coroutine; synchronous executors run in its thread."""
    with single_threaded(), closing(steps):
        try:
            jobs = next(steps)
            while True:
                outcomes = [await _asked(executor, some) for executor, some in _shares(jobs, sites)]
                jobs = steps.send(_in_order(jobs, sites, outcomes))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


async def _asked(executor: AnyExecutor, jobs: Sequence[Job]) -> list[Outcome]:
    either: Any = executor
    if hasattr(executor, "run"):
        return [either.run(job) for job in jobs]
    return await either.run_async(jobs)  # type: ignore[no-any-return]


def _shares(jobs: Sequence[Job], sites: Sites) -> list[tuple[AnyExecutor, list[Job]]]:
    """Executors with their jobs, in the order of their first job."""
    found: dict[int, tuple[AnyExecutor, list[Job]]] = {}
    for job in jobs:
        executor = sites.of(job)
        found.setdefault(id(executor), (executor, []))[1].append(job)
    return list(found.values())


def _in_order(jobs: Sequence[Job], sites: Sites, outcomes: list[list[Outcome]]) -> list[Outcome]:
    """The outcomes of `_shares`, in the order of the jobs. Raises IncompleteError for rows without an answer."""
    own = {id(executor): iter(some) for (executor, _), some in zip(_shares(jobs, sites), outcomes, strict=True)}
    return complete([next(own[id(sites.of(job))]) for job in jobs])
