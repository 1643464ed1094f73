"""What stands around a training in its folder: the history that is written, and the control that is heeded."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from q_store import __version__
from q_store.apps.control import Control, Heeding
from q_store.apps.history import HistoryWriter
from q_store.apps.machine import machine
from q_store.apps.meter import Meter
from q_store.apps.progress import plain
from q_store.apps.run_folder import PROGRAM, RESULT, RUNS, RunFolder, fresh
from q_store.apps.tracking import described, tracked
from q_store.circuits.circuit import Circuit
from q_store.circuits.draw import svg
from q_store.errors import BudgetError, PausedError, RunError
from q_store.events import (
    Announcer,
    BudgetSet,
    Event,
    JobSum,
    ProcessEnded,
    ProcessStarted,
    RunHeld,
    RunReleased,
    RunStopped,
    Sink,
)
from q_store.jobs import AnyExecutor
from q_store.store import Caps
from q_store.trackers.choice import chosen
from q_store.training.recipes import Sites


@dataclass(frozen=True)
class Watching:
    """Those who watch a training, as long as it lasts.

    Attributes:
        folder: of the run. history: writes everything down. control: holds and stops. jobs: adds up what runs in this
            process.
    """

    folder: RunFolder
    history: HistoryWriter
    control: Control
    jobs: JobSum

    @property
    def sinks(self) -> list[Sink]:
        """Of the training: written down before it is held."""
        return [self.history, self.control]

    def budget(self, caps: Mapping[str | None, Caps]) -> None:
        """Tell what may be spent."""
        for provider, each in caps.items():
            limits = each.money, each.currency, each.shots, each.circuits, each.seconds
            self.history(BudgetSet(provider, *limits))

    def meter(self, meter: Meter) -> None:
        """Hear of the jobs that a meter counts."""
        meter.jobs = self.jobs

    def draw(self, circuit: Circuit) -> None:
        """Show this circuit."""
        self.folder.write_circuit(svg(circuit))

    def executor(self, executor: AnyExecutor) -> AnyExecutor:
        """The executor, held and stopped before its jobs, for what awaits them; counted where it computes here."""
        if not hasattr(executor, "run") or isinstance(executor, Meter):
            return Heeding(executor, self.control)
        own: Any = executor
        meter = Meter(own)
        self.meter(meter)
        return Heeding(meter, self.control)

    def heeding(self, sites: Sites) -> Sites:
        """The sites of a recipe: held and stopped between its jobs, most of which are behind no step."""
        pool, local = (None if each is None else self.executor(each) for each in (sites.pool, sites.local))
        return replace(sites, pool=pool, local=local)


@contextmanager
def watched(
    folder: RunFolder,
    console: Console,
    cancel: Callable[[], None] | None = None,
    trackers: Sequence[Sink] = (),
) -> Iterator[Watching]:
    """Watch what happens in the block: it works on the run in `folder`. How it ends is told too.

    `cancel` is that of `Control`; `trackers` hear what the history does.
    """
    with HistoryWriter(folder.path, beside=trackers) as history:
        history(ProcessStarted(__version__))
        jobs = JobSum(Announcer([history]))
        try:
            with Control(folder.path, [history, _said(console)], cancel=cancel) as control:
                yield Watching(folder, history, control, jobs)
        except BaseException as error:
            jobs.flush()
            history(ProcessEnded(_status(error), str(error)))
            raise
        jobs.flush()
        history(ProcessEnded("completed"))


@contextmanager
def shown(folder: RunFolder, port: int | None, console: Console, option: str = "--port ") -> Iterator[None]:
    """Serve the dashboard of the run while the block lasts, where there is a port for it.

    Raises ConfigError for a port that cannot be had; `option` is what the user gives it with.
    """
    if port is None:
        yield
        return
    from q_store.apps.dashboard.beside import beside

    with beside(folder.path, port, console, option):
        yield


@contextmanager
def watch(
    run: str | os.PathLike[str] | None = None,
    *,
    dashboard: bool = False,
    port: int = 8080,
    track: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    option: str = "port=",
) -> Iterator[Watching]:
    """Keep a training of this program in a run folder, as `q-store train` does, and show it in the browser.

        with q_store.watch("runs/mine", dashboard=True) as watching:
            model.fit(x, y, sinks=watching.sinks)

    The link goes to stderr. On the page the training is paused, and stopped: that is a KeyboardInterrupt here. The page
    is there as long as the block lasts; `q-store dashboard RUN` and `q-store report RUN` show the folder later.

    Args:
        run: the folder, new or one of an earlier call, to which what happens is added; None: a new one below `runs`.
        dashboard: whether to serve the page.
        port: of the page, 0 takes any free one.
        track: trackers that are told too, by the names of `q-store train --track`: docs/trackers.md.
        about: what the page says of the run: `model`, `seed`, `epochs`, `batch_size`, `shots`, `backend`, ...
        option: how a message names the port.

    Raises:
        ConfigError: for a port that is taken; names the next free one. For a tracker that cannot be had.
        RunError: for a folder that another process works in, that `q-store train` has finished, or that is no run.
        StorageError: when the disk refuses.
    """
    wanted = [chosen(each) for each in track]
    console = Console(stderr=True)
    folder, new = _folder(run, about or {})
    begun = False
    try:
        with (
            shown(folder, port if dashboard else None, console, option),
            tracked(folder, wanted, console) as trackers,
            watched(folder, console, _cancelling(), trackers) as watching,
            _interrupting(watching.control),
        ):
            begun = True
            watching.history(described(folder, folder.config))
            plain(console, f"run: {folder.path}")
            yield watching
    finally:
        if new and not begun:
            folder.discard()
        folder.close()


def _folder(run: str | os.PathLike[str] | None, about: Mapping[str, Any]) -> tuple[RunFolder, bool]:
    """The folder of a program's run, held, and whether it was made here."""
    program = Path(sys.argv[0]).name or "python"
    config = {"q_store": __version__, "machine": machine(), PROGRAM: program, "request": dict(about)}
    if run is None:
        return RunFolder.create(fresh(RUNS, f"{about.get('model', 'python')}-seed{about.get('seed', 0)}"), config), True
    path = Path(run)
    if not path.exists():
        return RunFolder.create(path, config), True
    folder = RunFolder.find(path)
    if folder.finished:
        raise RunError(f"expected a folder of a run that goes on, got {path}, which has its {RESULT}; take another one")
    folder.lock()
    folder.sweep()
    folder.write_config({**folder.config, **config})
    return folder, False


def _cancelling() -> Callable[[], None] | None:
    """Cancels the task that this is called in; None outside of an event loop."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    if task is None:
        return None
    loop = task.get_loop()

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    return cancel


@contextmanager
def _interrupting(control: Control) -> Iterator[None]:
    """A task that was cancelled by a stop ends as everything does that is stopped. Raises KeyboardInterrupt."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if control.stopped and task is not None:
            task.uncancel()
            raise KeyboardInterrupt from None
        raise


def _status(error: BaseException) -> str:
    if isinstance(error, BudgetError | PausedError):
        return "paused"
    return "failed" if isinstance(error, Exception) else "stopped"


def _said(console: Console) -> Sink:
    """Says on the console that the run is held, goes on, or is stopped by somebody else; also above a live display."""

    def say(event: Event) -> None:
        if isinstance(event, RunHeld):
            console.print(Text("paused, as somebody asked; it goes on when asked to"), soft_wrap=True)
        if isinstance(event, RunReleased):
            console.print(Text(f"going on after {event.seconds:.0f} s"), soft_wrap=True)
        if isinstance(event, RunStopped):
            console.print(Text("stopping, as somebody asked"), soft_wrap=True)

    return say
