"""The driver's side: a virtual environment and a process for each engine, all pinned to the same cores."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from workloads import Case

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Script:
    """How to start an engine: a script here, and its environment's requirements (None: the driver's interpreter)."""

    name: str
    path: str
    requirements: str | None


OURS = Script("q-store", "qstore_engine.py", None)
PEERS = {
    "tensorcircuit": Script("tensorcircuit", "peers/tensorcircuit_jax.py", "peers/requirements-tensorcircuit.txt"),
    "lightning": Script("lightning", "peers/lightning_peer.py", "peers/requirements-lightning.txt"),
    "qulacs": Script("qulacs", "peers/qulacs_peer.py", "peers/requirements-qulacs.txt"),
}


class EngineError(RuntimeError):
    """An engine refused a request or died."""


def interpreter(script: Script, folder: Path) -> str:
    """The Python of the script's environment below `folder`, which is made or renewed if its requirements changed."""
    if script.requirements is None:
        return sys.executable
    requirements = HERE / script.requirements
    home = folder / script.name
    python = str(home / "bin" / "python")
    stamp, wanted = home / "requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {script.name} into {home} ...", file=sys.stderr, flush=True)
    venv.create(home, with_pip=True, clear=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", str(requirements)], check=True)
    stamp.write_text(wanted)
    return python


def environment(threads: int) -> dict[str, str]:
    """Variables that hold every numerical library to `threads` threads."""
    count = str(threads)
    eigen = "true" if threads > 1 else "false"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "BENCHMARK_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, count),
        "OMP_WAIT_POLICY": "passive",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen}",
        "PYTHONPATH": str(HERE),
    }


def cores(threads: int) -> list[int]:
    """The last `threads` cores that this process may use (the first one serves most interrupts)."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < threads:
        raise SystemExit(f"expected {threads} cores for {threads} threads, got {allowed}; ask for fewer threads")
    return allowed[-threads:]


class Worker:
    """An engine in a process of its own."""

    def __init__(self, script: Script, python: str, threads: int, extra: dict[str, str] | None = None) -> None:
        self.script = script
        chosen = cores(threads)
        self._process = subprocess.Popen(
            [python, str(HERE / script.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCHMARK_VERBOSE") else None,
            env={**environment(threads), **(extra or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, chosen),  # noqa: PLW1509  # the driver has no threads
            text=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise EngineError(f"{script.name}: no pipes")
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """One request and its reply; EngineError if the engine reports one or has died."""
        try:
            self._requests.write(json.dumps({"op": op, **fields}) + "\n")
            self._requests.flush()
            line = self._replies.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            ended = f"{self.script.name}: the engine ended with exit status {code} during {op} {fields}"
            raise EngineError(f"{ended}; BENCHMARK_VERBOSE=1 shows why")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise EngineError(f"{self.script.name}: {op} {fields}: {reply['error']}")
        return reply

    def prepare(self, case: Case, formulation: str) -> dict[str, Any]:
        return self.ask("prepare", workload=case.workload, n=case.n, batch=case.batch, formulation=formulation)
