"""The engine's side of the benchmark: one JSON object a line on stdin, one on stdout.

    {"op": "hello"}                                             -> {"engine", "versions", "import_s"}
    {"op": "formulations", "workload", "n"}                     -> {"names": [...]}
    {"op": "prepare", "workload", "n", "batch", "formulation"}  -> {"handle", "compile_s", "call_s", "check": [...]}
    {"op": "time", "handle", "repetition", "calls"}             -> {"seconds", "cpu_seconds"} of all calls
    {"op": "release", "handle"}                                 -> {}

Every reply may instead be {"error": text}. Only `calls` calls run inside the clock: the parameters, fresh for every
call, are staged in the engine's own form before it, and every call ends with its result complete in memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from workloads import Case

ESTIMATE_CALLS = 50
ESTIMATE_S = 0.2
"""The rough time of a call is the fastest of so many, or of as many as fit into so many seconds."""


class Runner(Protocol):
    """One workload, compiled for one size."""

    def stage(self, theta: np.ndarray) -> Sequence[Any]:
        """Untimed: theta[calls, P] in the engine's own form, one item a call."""

    def call(self, staged: Any, seed: int) -> Any:
        """Timed: one evaluation, complete when it returns. `seed` matters to W3 only."""

    def numbers(self, result: Any) -> np.ndarray:
        """Untimed: the result in the order of workloads.py (W2: loss, then gradient)."""


class Engine(Protocol):
    """A simulator that can run the workloads."""

    name: str

    def versions(self) -> dict[str, str]: ...

    def formulations(self, workload: str, n: int) -> list[str]:
        """Different ways to write the workload with this engine, the customary one first; empty: not supported."""

    def prepare(self, case: Case, formulation: str) -> Runner: ...


class Session:
    """Answers requests for one engine."""

    def __init__(self, engine: Engine, import_s: float) -> None:
        self._engine = engine
        self._import_s = import_s
        self._prepared: dict[int, tuple[Case, Runner]] = {}
        self._next = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        reply: dict[str, Any] = getattr(self, "_" + request.pop("op"))(**request)
        return reply

    def _hello(self) -> dict[str, Any]:
        versions = {"python": sys.version.split()[0], "numpy": np.__version__, **self._engine.versions()}
        return {"engine": self._engine.name, "versions": versions, "import_s": self._import_s}

    def _formulations(self, workload: str, n: int) -> dict[str, Any]:
        return {"names": self._engine.formulations(workload, n)}

    def _prepare(self, workload: str, n: int, batch: int, formulation: str) -> dict[str, Any]:
        case = Case(workload, n, batch)
        _ = case.inputs, case.labels, case.readout
        started = time.perf_counter()
        runner = self._engine.prepare(case, formulation)
        result = runner.call(runner.stage(case.parameters(0, 1))[0], 0)
        first_s = time.perf_counter() - started
        handle, self._next = self._next, self._next + 1
        self._prepared[handle] = (case, runner)
        calls: list[float] = []
        while sum(calls) < ESTIMATE_S and len(calls) < ESTIMATE_CALLS:
            calls.append(self._time(handle, 0, 1)["seconds"])
        call_s = min(calls)
        check = np.asarray(runner.numbers(result), dtype=float).reshape(-1).tolist()
        return {"handle": handle, "compile_s": max(0.0, first_s - call_s), "call_s": call_s, "check": check}

    def _time(self, handle: int, repetition: int, calls: int) -> dict[str, Any]:
        case, runner = self._prepared[handle]
        staged = runner.stage(case.parameters(repetition, calls))
        call, seeds = runner.call, range(repetition << 20, (repetition << 20) + calls)
        started, cpu = time.perf_counter(), time.process_time()
        for item, seed in zip(staged, seeds, strict=True):
            call(item, seed)
        return {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}

    def _release(self, handle: int) -> dict[str, Any]:
        del self._prepared[handle]
        return {}


def serve(engine: Engine, imported_since: float) -> None:
    """Answer requests until stdin closes. Anything that a library prints goes to stderr, never into the protocol."""
    session = Session(engine, time.perf_counter() - imported_since)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            reply = session.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001  # the driver decides what an error means
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
