"""q-store commands in processes that die by SIGKILL, at any moment or at a boundary of what outlives them.

Processes are forks of this one, which has imported everything and opened nothing: they share no state but the disk.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from q_store.apps import assemble, far, measure, outlook  # noqa: F401  # the commands import them when they run
from q_store.apps.cli import main as q_store
from q_store.store.database import Database

PATIENCE = 300.0
"""Seconds after which a process that should have ended counts as hung."""
ENVIRONMENT = {"IONQ_API_KEY": "the-key-of-the-soak", "OTHER_KEY": "its-other-key", "NO_COLOR": "1", "COLUMNS": "300"}


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
    """A q-store command in a process of its own, in `folder`; its output is in NAME.out and NAME.err there."""

    def __init__(self, folder: Path, name: str, words: list[str], at: int | None = None) -> None:
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.began = time.perf_counter()
        self.code: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._live(folder, words, at)

    def _live(self, folder: Path, words: list[str], at: int | None) -> None:
        code = 70
        try:
            for path, descriptor in ((self.out, 1), (self.err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
            os.chdir(folder)
            os.environ.update(ENVIRONMENT)
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
