"""A small classification problem on the local backend, and executors of a few lines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Marginal, Observables, cnot, ry, theta, x
from q_store.training import CheckpointFile, CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch):
    """A flush takes 10 ms on a busy disk, and the tests save hundreds of checkpoints."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(scope="session")
def backend():
    return LocalBackend(threads=1, precision="float64")


class AsyncExecutor:
    """An executor whose answers take a turn of the event loop."""

    def __init__(self, backend):
        self.backend = backend
        self.capabilities = backend.capabilities
        self.calls = 0
        self.third = asyncio.Event()

    async def run_async(self, jobs):
        self.calls += 1
        if self.calls == 3:
            self.third.set()
        await asyncio.sleep(0)
        return [self.backend.run(job) for job in jobs]


@pytest.fixture
def async_executor(backend):
    return AsyncExecutor(backend)


class Interrupted(BaseException):
    """What a kill looks like from inside: no handler of Exception sees it."""


def xor(rows: int, seed: int):
    """Two features; the class is whether their signs agree."""
    data = np.random.default_rng(seed).uniform(-1, 1, (rows, 2))
    return data, (data[:, 0] * data[:, 1] > 0).astype(int)


@dataclass
class Small:
    objective: Objective
    train: tuple
    validation: tuple
    backend: LocalBackend

    def fit(self, *, sinks=(), checkpoints=None, validation=True, resume=False, start=None, **options):
        options = {"epochs": 3, "batch_size": 8, "learning_rate": 0.1, **options}
        trainer = Trainer(
            self.objective, TrainingSettings(**options), self.backend, sinks=sinks, checkpoints=checkpoints
        )
        return trainer.fit(self.train, self.validation if validation else None, resume=resume, start=start)

    def broken_off(self, folder, stop_at, **options):
        """What `fit` comes to that is interrupted at an event and resumed."""
        seen = []

        def sink(event):
            seen.append(event)
            if len(seen) == stop_at:
                raise Interrupted

        path = CheckpointFile(folder / f"{stop_at}")
        with pytest.raises(Interrupted):
            self.fit(sinks=[sink], checkpoints=path, **options)
        return self.fit(checkpoints=path, resume=True, **options)


@pytest.fixture
def small(backend):
    """20 rows, 4 circuit parameters and 4 readout weights: 3 steps an epoch at batches of 8."""
    circuit = Circuit.build(
        2, [ry(x(0) * theta(0) + theta(1), 0), ry(x(1) * theta(2), 1), cnot(0, 1), ry(theta(3), 1), cnot(1, 0)]
    )
    objective = Objective(
        circuit, Observables.of(Marginal((0, 1))), LinearReadout(4, 2, bias=False, zero_last=True), CrossEntropy()
    )
    return Small(objective, xor(20, 1), xor(10, 2), backend)


@pytest.fixture
def interrupted():
    return Interrupted
