"""A backend that counts: seconds in its kernels, and rows of training data that went through them."""

from __future__ import annotations

import time
from dataclasses import replace

from q_store.events import JobSum
from q_store.jobs import Array, Capabilities, Job, Outcome, SyncExecutor


class Meter:
    """Passes jobs on to `backend`.

    `kernel_seconds` is the backend's own time, less the time of pullbacks (readout and loss, which run in the middle
    of a job but outside the kernels); `samples` are the rows of jobs with a pullback: those that trained something.
    """

    def __init__(self, backend: SyncExecutor) -> None:
        self._backend = backend
        self.jobs: JobSum | None = None
        """Hears of every job, where somebody watches."""
        self.kernel_seconds = 0.0
        self.samples = 0

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend."""
        return self._backend.capabilities

    def run(self, job: Job) -> Outcome:
        """Run one job, and count it."""
        pullback = job.pullback
        if pullback is None:
            outcome = self._backend.run(job)
            self._count(outcome, outcome.seconds)
            return outcome
        outside = 0.0

        def timed(values: Array) -> Array:
            nonlocal outside
            start = time.perf_counter()
            cotangents = pullback(values)
            outside += time.perf_counter() - start
            return cotangents

        outcome = self._backend.run(replace(job, pullback=timed))
        self._count(outcome, outcome.seconds - outside)
        self.samples += outcome.rows
        return outcome

    def _count(self, outcome: Outcome, seconds: float) -> None:
        self.kernel_seconds += seconds
        if self.jobs:
            self.jobs.ran(self.capabilities.name, outcome.rows, seconds)
