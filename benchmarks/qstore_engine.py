"""q-store through its public synchronous interface: `LocalBackend.run(job)`, nothing below it.

What is inside the clock is what a user pays: making the Job, checking it, running it, and for W2 the NumPy loss in the
pullback.
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()

import os  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from protocol import serve  # noqa: E402
from workloads import SHOTS, Case, operations  # noqa: E402

from q_store.backends.local import LocalBackend  # noqa: E402
from q_store.circuits import Circuit, Observables, cnot, prepare, ry, rz, theta  # noqa: E402
from q_store.jobs import Job, Output  # noqa: E402

Call = Callable[[np.ndarray, int], Any]


def circuit(n: int) -> Circuit:
    """The circuit of workloads.py; the input's 2^n amplitudes are its data columns."""
    make = {"ry": lambda a, b: ry(theta(b), a), "rz": lambda a, b: rz(theta(b), a), "cnot": cnot}
    return Circuit.build(n, [prepare(n), *(make[name](a, b) for name, a, b in operations(n))])


def workload_values(case: Case, backend: LocalBackend) -> Call:
    structure, z, data = circuit(case.n), Observables.local_z(case.n), case.inputs
    return lambda params, _seed: backend.run(Job(structure, data=data, params=params, observables=z)).values


def workload_gradient(case: Case, backend: LocalBackend) -> Call:
    structure, z, data = circuit(case.n), Observables.local_z(case.n), case.inputs

    def call(params: np.ndarray, _seed: int) -> tuple[list[float], np.ndarray]:
        losses: list[float] = []

        def pullback(values: np.ndarray) -> np.ndarray:
            loss, cotangents = case.loss(values)
            losses.append(loss)
            return cotangents

        job = Job(structure, data=data, params=params, observables=z, output=Output.VJP, pullback=pullback)
        return losses, backend.run(job).gradient

    return call


def workload_shifted(case: Case, backend: LocalBackend) -> Call:
    structure, z, data = circuit(case.n), Observables.local_z(case.n), case.inputs

    def call(params: np.ndarray, seed: int) -> np.ndarray:
        job = Job(structure, data=data, params=params, observables=z, output=Output.SHIFTED, shots=SHOTS, seed=seed)
        return backend.run(job).values

    return call


def workload_fisher(case: Case, backend: LocalBackend) -> Call:
    structure, data = circuit(case.n), case.inputs
    return lambda params, _seed: backend.run(Job(structure, data=data, params=params, output=Output.METRIC)).values


BUILD = {"W1": workload_values, "W2": workload_gradient, "W3": workload_shifted, "W4": workload_fisher}


class QStoreRunner:
    """One workload on one backend."""

    def __init__(self, case: Case, backend: LocalBackend) -> None:
        self._function = BUILD[case.workload](case, backend)

    def stage(self, theta: np.ndarray) -> Sequence[Any]:
        return [row[None, :].copy() for row in theta]

    def call(self, staged: Any, seed: int) -> Any:
        return self._function(staged, seed)

    def numbers(self, result: Any) -> np.ndarray:
        parts = result if isinstance(result, tuple) else (result,)
        return np.concatenate([np.asarray(part, dtype=float).reshape(-1) for part in parts])


class QStore:
    """The local backend on as many threads as the driver says."""

    name = "q-store"

    def __init__(self) -> None:
        self._backend = LocalBackend(threads=int(os.environ.get("BENCHMARK_THREADS", "1")))

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("q-store", "numba", "llvmlite")}

    def formulations(self, workload: str, n: int) -> list[str]:  # noqa: ARG002
        return ["run(job)"]

    def prepare(self, case: Case, formulation: str) -> QStoreRunner:  # noqa: ARG002
        return QStoreRunner(case, self._backend)


if __name__ == "__main__":
    serve(QStore(), _STARTED)
