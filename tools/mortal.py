"""q-store commands in processes that die by SIGKILL, at any moment or at a boundary of what outlives them.

Processes are forks of this one, which has imported everything, loaded the kernels (`warm`) and opened nothing: they
share no state but the disk, and each costs its training alone, not seconds of imports. A fork of a process with threads
would inherit their locks without them: `Process` refuses that. A `fresh` process is a new interpreter and the command
line as it is; a fork differs in haste (`HASTE`, `LEASE`), as its service is near, and in pictures of one byte.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy starts threads when it is imported

import json
import re
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import matplotlib.figure  # noqa: F401  # commands import it, and some of the next line, when they need it
import numpy as np

from q_store.apps import assemble, emulate, far, measure, outlook, plots, record, remote  # noqa: F401
from q_store.apps.cli import main as q_store
from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.backends.local import LocalBackend
from q_store.emulator import Emulator
from q_store.emulator.clock import run_virtual
from q_store.files import write_whole
from q_store.jobs import Job
from q_store.models import zoo
from q_store.models.trained import encode
from q_store.pool import pool
from q_store.store import Store
from q_store.store.database import Database

PATIENCE = 300.0
"""Seconds after which a process that should have ended counts as hung."""
ENVIRONMENT = {"IONQ_API_KEY": "the-key-of-the-soak", "OTHER_KEY": "its-other-key", "NO_COLOR": "1", "COLUMNS": "300"}
HASTE = {"min_interval": 0.02, "rate": 1000.0, "burst": 1000, "settle": 3.0}
"""Of clients whose service is on this machine and lists a job when it has accepted it."""
LEASE, BEAT = 12.0, 2.0
"""Seconds after which tickets of a killed process are free for others; and between the signs of life of one."""


def warm(model: str, rows: np.ndarray[Any, Any]) -> None:
    """Load what a training of `model` and its service need, without a thread: forks have it at once."""
    definition = zoo.definition(model).fitting(rows)
    encoded = encode(definition.features.fit(rows), rows[:1])
    circuit, observables = definition.circuit, definition.observables
    LocalBackend(threads=1).warm_up(circuit, observables)
    job = Job(circuit, encoded.z, np.zeros(circuit.n_params), observables, shots=20)

    async def serve(options: dict[str, str]) -> None:
        client = IonQBackend(IonQSettings(key="a-key", **options), Emulator().transport())
        await client.run_async([job])
        await client.aclose()

    for options in ({"noise": "aria-1"}, {"backend": "qpu.forte-1"}):
        run_virtual(serve(options))


def hasten() -> None:
    """Let this process lose no time where nothing depends on it."""
    settings = remote.settings
    remote.settings = lambda *given, **more: settings(*given, **more).model_copy(update=HASTE)
    record.Store = partial(Store, lease=LEASE)  # type: ignore[misc,assignment]
    pool.BEAT = BEAT
    for name in ("confusion_png", "learning_curve_png"):
        setattr(plots, name, lambda path, *_: write_whole(path, lambda file: file.write(b"x")))


class Boundaries:
    """Counts the moments at which something that outlives the process is about to change or just has; kills at one."""

    def __init__(self, at: int | None) -> None:
        self.at, self.count = at, 0

    def tick(self, what: str) -> None:
        self.count += 1
        if self.count == self.at:
            Path("moment").write_text(what, encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Hook the writes, requests and renames of this process."""
        write, send, replace = Database.write, httpx.AsyncHTTPTransport.handle_async_request, Path.replace

        @contextmanager
        def watched_write(database: Database) -> Iterator[None]:
            outer = not database._depth  # noqa: SLF001  # savepoints are no boundary
            if outer:
                self.tick("before a transaction")
            with write(database):
                yield
                if outer:
                    self.tick("before a commit")
            if outer:
                self.tick("behind a commit")

        async def watched_send(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            costs = request.method != "GET"
            if costs:
                self.tick(f"before a {request.method}")
            response = await send(transport, request)
            if costs:
                self.tick(f"behind a {request.method}")
            return response

        def watched_replace(path: Path, target: Path) -> Path:
            self.tick("before a rename")
            done = replace(path, target)
            self.tick("behind a rename")
            return done

        Database.write = watched_write  # type: ignore[method-assign,assignment]
        httpx.AsyncHTTPTransport.handle_async_request = watched_send  # type: ignore[method-assign,assignment]
        Path.replace = watched_replace  # type: ignore[method-assign,assignment]


class Process:
    """A q-store command in a process of its own, in `folder`; its output is in NAME.out and NAME.err there.

    Args:
        at: the boundary to die at; None to live.
        fresh: whether it is a new interpreter, which has no boundaries.
    """

    def __init__(
        self, folder: Path, name: str, words: list[str], at: int | None = None, *, fresh: bool = False
    ) -> None:
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.began = time.perf_counter()
        self.code: int | None = None
        if threading.active_count() > 1:
            raise RuntimeError(f"expected one thread before a fork, got {threading.enumerate()}")
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._live(folder, words, at, fresh=fresh)

    def _live(self, folder: Path, words: list[str], at: int | None, *, fresh: bool) -> None:
        code = 70
        try:
            for path, descriptor in ((self.out, 1), (self.err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
            os.chdir(folder)
            os.environ.update(ENVIRONMENT)
            if fresh:
                os.execv(sys.executable, [sys.executable, "-m", "q_store", *words])  # noqa: S606  # no shell is wanted
            hasten()
            boundaries = Boundaries(at)
            boundaries.watch()
            code = q_store(words)
            Path("boundaries").write_text(str(boundaries.count), encoding="utf-8")
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def ended(self) -> bool:
        """Whether the process is gone; `code` is its exit code then, negative where a signal ended it."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, seconds: float = PATIENCE) -> bool:
        """Whether it ends within the time."""
        while not self.ended() and time.perf_counter() - self.began < seconds:
            time.sleep(0.005)
        return self.ended()

    def kill(self) -> None:
        """End it; harmless where it has ended."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            while not self.ended():
                time.sleep(0.001)


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """The address of an emulator that runs while the block does."""
    words = ["emulator", "--port", "0", "--circuit-seconds", "0.003", "--rtt", "0.002", "--slots", "2"]
    process = Process(folder, "emulator", words)
    try:
        while not (found := re.search(r"http://\S+?/v0\.4", process.out.read_text() if process.out.exists() else "")):
            if process.ended() or time.perf_counter() - process.began > PATIENCE:
                raise SystemExit(f"no emulator came up: {process.err.read_text()}")
            time.sleep(0.01)
        yield found.group(0)
    finally:
        process.kill()


def ledger(url: str) -> dict[str, Any]:
    """What the service has accepted and charged."""
    with urllib.request.urlopen(url.replace("/v0.4", "/emulator/ledger"), timeout=60) as reply:  # noqa: S310
        found: dict[str, Any] = json.load(reply)
        return found
