"""Pause, go on, stop: what somebody wants of a run, in `control.json` of its folder.

    {"wanted": "run"}   or "pause", or "stop"

Whoever may write into the folder may write the file (a dashboard does). The process that trains looks at most five
times a second, in a thread; between two steps, or before the next job of a recipe, it waits while a pause is wanted,
and ends as with Ctrl-C where a stop is: the run can be resumed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from q_store.errors import ConfigError, RunError, suggestion
from q_store.events import Event, RunHeld, RunReleased, RunStopped, Sink, StepDone
from q_store.files import write_text
from q_store.jobs import AnyExecutor, Capabilities, Job, Outcome, run_all

CONTROL = "control.json"
EVERY = 0.2
"""Seconds between two looks."""
GRACE = 1.0
"""Seconds that a step may go on after a stop was wanted; then it is interrupted, whatever it waits for."""
_LARGEST = 4096
Wanted = Literal["run", "pause", "stop"]
RUN, PAUSE, STOP = get_args(Wanted)


def ask(folder: Path, wanted: str) -> None:
    """Ask the run in `folder` to go on, to wait, or to stop.

    Raises ConfigError for anything else, RunError without such a folder, StorageError when the disk refuses.
    """
    if wanted not in get_args(Wanted):
        raise ConfigError(f"expected run, pause or stop, got {wanted!r}{suggestion(wanted, get_args(Wanted))}")
    if not folder.is_dir():
        raise RunError(f"expected the folder of a run at {folder}, got nothing there; 'q-store runs' lists runs")
    write_text(folder / CONTROL, json.dumps({"wanted": wanted}) + "\n")


def asked(folder: Path) -> Wanted:
    """What is wanted of the run in `folder`; `run` where nobody said anything that can be read."""
    try:
        with (folder / CONTROL).open("rb") as file:
            found = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return "run"
    wanted = found.get("wanted") if isinstance(found, dict) else None
    return next((each for each in get_args(Wanted) if each == wanted), "run")


class Control:
    """A sink that lets a run be held and stopped, while its block lasts.

    Args:
        folder: of the run. What was wanted of an earlier process is forgotten.
        sinks: hear `RunHeld`, `RunReleased` and `RunStopped`.
        every: seconds between two looks. grace: see `GRACE`; only where the block is in the main thread.
        cancel: ends a step that takes long where no signal can: in an event loop that has its own way with signals.

    Attributes:
        stopped: whether the run was ended by a stop.
    """

    def __init__(
        self,
        folder: Path,
        sinks: Sequence[Sink] = (),
        *,
        every: float = EVERY,
        grace: float = GRACE,
        cancel: Callable[[], None] | None = None,
    ) -> None:
        self._folder, self._sinks, self._cancel = folder, tuple(sinks), cancel
        self._every, self._grace = every, grace
        self._wanted: Wanted = "run"
        self._changed, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._main = False
        self.stopped = False

    def __enter__(self) -> Self:
        if asked(self._folder) != RUN:
            ask(self._folder, RUN)
        self._main = threading.current_thread() is threading.main_thread()
        self._thread = threading.Thread(target=self._look, name="q-store control", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, event: Event) -> None:
        """Wait or stop behind a step. Raises KeyboardInterrupt."""
        if self._wanted != RUN and isinstance(event, StepDone):
            self.heed()

    def heed(self) -> None:
        """Wait while a pause is wanted; raise KeyboardInterrupt where a stop is."""
        if self._wanted == PAUSE:
            self._hold()
        self._stop_if_wanted()

    async def heeded(self) -> None:
        """The same in a coroutine, beside which others of its event loop go on."""
        if self._wanted == PAUSE:
            began = time.monotonic()
            self._tell(RunHeld())
            while self._wanted == PAUSE and not self._ended.is_set():  # noqa: ASYNC110  # another thread looks
                await asyncio.sleep(self._every)
            self._tell(RunReleased(time.monotonic() - began))
        self._stop_if_wanted()

    def _stop_if_wanted(self) -> None:
        if self._wanted == STOP:
            self._say_stopped()
            raise KeyboardInterrupt

    def _hold(self) -> None:
        began = time.monotonic()
        self._tell(RunHeld())
        while self._wanted == PAUSE and not self._ended.is_set():
            self._changed.wait()
            self._changed.clear()
        self._tell(RunReleased(time.monotonic() - began))

    def _say_stopped(self) -> None:
        if not self.stopped:
            self.stopped = True
            self._tell(RunStopped())

    def _tell(self, event: Event) -> None:
        for sink in self._sinks:
            sink(event)

    def _look(self) -> None:
        while not self._ended.wait(self._every):
            wanted = asked(self._folder)
            if wanted != self._wanted:
                self._wanted = wanted
                self._changed.set()
            if wanted == STOP:
                self._interrupt()
                return
        self._changed.set()

    def _interrupt(self) -> None:
        """End a step that takes long, as Ctrl-C would."""
        if self._ended.wait(self._grace) or self.stopped:
            return
        handled = (signal.SIGINT, signal.SIGTERM)  # a shell may have started us with SIGINT ignored
        number = next((each for each in handled if signal.getsignal(each) is signal.default_int_handler), None)
        if self._main and number is not None:
            self._say_stopped()
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        elif self._cancel is not None:
            self._say_stopped()
            self._cancel()


class Heeding:
    """An executor that heeds a `Control` before every call, for jobs that are behind no step."""

    def __init__(self, executor: AnyExecutor, control: Control) -> None:
        self._executor, self._control = executor, control

    @property
    def capabilities(self) -> Capabilities:
        """Those of the executor."""
        return self._executor.capabilities

    def run_all(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs in the caller, after having waited or stopped. Raises KeyboardInterrupt."""
        self._control.heed()
        return run_all(self._executor, jobs)

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The same in a coroutine."""
        await self._control.heeded()
        either: Any = self._executor
        if hasattr(either, "run"):  # computation: others of the loop get their turn in between
            await asyncio.sleep(0)
            return [either.run(job) for job in jobs]
        found: list[Outcome] = await either.run_async(jobs)
        return found
