"""A remote executor that counts: jobs, circuits, shots, money, seconds, and what the service says it ran."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from q_store.backends.expansion import expand
from q_store.jobs import Capabilities, Executor, Job, Outcome, run_all

MOST_PROOF = 5
"""Sentences of proof that are kept: they are nearly the same for every step."""


class Tally:
    """Passes jobs on to `backend` and adds up what their outcomes say."""

    def __init__(self, backend: Executor) -> None:
        self._backend = backend
        self.circuits = self.rows = self.shots = 0
        self.seconds = self.cost = 0.0
        self.proof: list[str] = []
        self._noise: dict[str, None] = {}

    @property
    def capabilities(self) -> Capabilities:
        """Those of the backend."""
        return self._backend.capabilities

    @property
    def noise_id(self) -> str:
        """Noise domains that have answered: a pool may have more."""
        return ", ".join(self._noise)

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs, and count them."""
        started = time.perf_counter()
        return self._counted(jobs, await self._backend.run_async(jobs), started)

    def run_all(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The same for a caller that is no coroutine."""
        started = time.perf_counter()
        return self._counted(jobs, run_all(self._backend, jobs), started)

    def _counted(self, jobs: Sequence[Job], outcomes: list[Outcome], started: float) -> list[Outcome]:
        self.seconds += time.perf_counter() - started
        for job, outcome in zip(jobs, outcomes, strict=True):
            self.circuits += expand(job, self.capabilities.name).size
            self.rows += outcome.rows
            self.shots += outcome.shots_paid
            self.cost += outcome.cost
            self._noise |= dict.fromkeys(filter(None, outcome.noise_id.split(", ")))
            self.proof += [line for line in outcome.proof if line not in self.proof]
        return outcomes

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "circuits": self.circuits,
            "shots_total": self.shots,
            "seconds": round(self.seconds, 3),
            "cost": round(self.cost, 6),
            "proof": self.proof[-MOST_PROOF:],
        }
