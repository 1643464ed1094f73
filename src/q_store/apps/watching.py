"""What stands around a training in its folder: the history that is written, and the control that is heeded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from q_store import __version__
from q_store.apps.control import Control, Heeding
from q_store.apps.history import HistoryWriter
from q_store.apps.meter import Meter
from q_store.apps.run_folder import RunFolder
from q_store.errors import BudgetError, PausedError
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
from q_store.store import Caps
from q_store.training.recipes import Sites


@dataclass(frozen=True)
class Watching:
    """Those who watch a training, as long as it lasts.

    Attributes:
        history: writes everything down. control: holds and stops. jobs: adds up what runs in this process.
    """

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

    def heeding(self, sites: Sites) -> Sites:
        """The sites of a recipe, which tells no steps: held and stopped between its jobs."""
        pool, local = (None if each is None else Heeding(each, self.control) for each in (sites.pool, sites.local))
        return replace(sites, pool=pool, local=local)


@contextmanager
def watched(folder: RunFolder, console: Console) -> Iterator[Watching]:
    """Watch what happens in the block: it works on the run in `folder`. How it ends is told too."""
    with HistoryWriter(folder.path) as history:
        history(ProcessStarted(__version__))
        jobs = JobSum(Announcer([history]))
        try:
            with Control(folder.path, [history, _said(console)]) as control:
                yield Watching(history, control, jobs)
        except BaseException as error:
            jobs.flush()
            history(ProcessEnded(_status(error), str(error)))
            raise
        jobs.flush()
        history(ProcessEnded("completed"))


@contextmanager
def shown(folder: RunFolder, port: int | None, console: Console) -> Iterator[None]:
    """Serve the dashboard of the run while the block lasts, where there is a port for it. Raises ConfigError."""
    if port is None:
        yield
        return
    from q_store.apps.dashboard.beside import beside

    with beside(folder.path, port, console):
        yield


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
