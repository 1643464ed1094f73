"""Watching a recipe: circuits bought of those planned, what it does, what the looks said; a line each elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from q_store.apps.bought import Bought
from q_store.apps.progress import REFRESH, Lines, Progress, plain, sparkline
from q_store.events import (
    Event,
    Looked,
    RecipeStarted,
    RunFinished,
    RunStarted,
    Sink,
    StageStarted,
    StepDone,
)

LOCAL = frozenset({"epochs", "finish"})
"""Stages of a training on this machine."""
WORDS = {
    "local training": "training on this machine",
    "training": "training on bought circuits",
    "refining": "refining on bought circuits",
    "buying": "buying circuits",
    "fitting": "fitting the readout",
    "looking": "measuring held-out training rows",
    "measuring": "measuring the test rows",
}
"""Stages of a recipe."""


class RecipeProgress:
    """A sink that keeps the state of the display; also of the pool's events."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.local = Progress(title)
        self.planned, self.stage, self.loss = 0, "", ""
        self.looks: list[Looked] = []
        self._bought = Bought()
        self._ended = False

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RecipeStarted():
                self.planned = event.training + event.validation + event.test
                self.looks.clear()
            case StageStarted():
                self.stage = event.stage
            case StepDone() if self.stage not in LOCAL:
                self.loss = f"step {event.step:,}   loss {event.loss:.4f}"
                self._bought.told(event.circuits)
            case Looked():
                self.looks.append(event)
                self._bought.told(event.circuits)
            case RunFinished():
                self._ended = True
                self._bought.told(event.circuits)
            case _:
                pass
        if self.stage in LOCAL or isinstance(event, RunStarted):
            self.local(event)

    def pool(self, event: Event) -> None:
        """Take in an event of the pool, in its thread."""
        if type(event).__name__ in {"CircuitsKnown", "JobEnded", "CircuitsDone"}:
            self._bought.take(type(event).__name__, asdict(event))

    def render(self) -> RenderableType:
        """How far, and how good; while it trains on this machine, of that."""
        if self.stage in LOCAL:
            return self.local.render()
        bought, planned = self._bought.circuits, max(self.planned, 1)
        top = Table.grid(padding=(0, 2))
        top.add_row(
            Text(self.title, style="bold"),
            ProgressBar(total=planned, completed=planned if self._ended else min(bought, planned), width=28),
            f"{bought:,} of {self.planned:,} circuits",
            Text("trained" if self._ended else WORDS.get(self.stage, self.stage), style="dim"),
        )
        rows = Table.grid()
        rows.add_row(top)
        rows.add_row(Text(self._figures()))
        return rows

    def _figures(self) -> str:
        parts = [self.loss] if self.loss else []
        if self.looks:
            last = self.looks[-1]
            alike = [each.accuracy for each in self.looks if each.on == last.on]
            parts.append(f"{look(last)}  {sparkline(alike)}")
            if last.cost:
                parts.append(f"charged {last.cost:,.2f}")
        return "   ".join(parts)


class RecipeLines:
    """A sink that prints a line for each stage when it comes first, each epoch, and each look."""

    def __init__(self, console: Console, progress: RecipeProgress) -> None:
        self._console, self._lines = console, Lines(console, progress.local)
        self._said: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Print the line; when nobody reads any more, go on in silence."""
        self._lines(event)
        with suppress(BrokenPipeError):
            if isinstance(event, StageStarted) and event.stage in WORDS and event.stage not in self._said:
                self._said.add(event.stage)
                plain(self._console, f"{WORDS[event.stage]} ...")
            if isinstance(event, Looked):
                plain(self._console, f"{event.circuits:,} circuits  {look(event)}")


def look(event: Looked) -> str:
    """`72.0 % of 1,000 held-out training rows`."""
    kind = "held-out" if event.on == "held_out" else "bought"
    return f"{100 * event.accuracy:.1f} % of {event.rows:,} {kind} training rows"


@contextmanager
def shown(console: Console, title: str, pool: list[Sink]) -> Iterator[list[Sink]]:
    """The sinks that show a recipe on `console` while the block lasts: live on a terminal, else lines.

    One is added to `pool`, which hear the pool.
    """
    progress = RecipeProgress(title)
    pool.append(progress.pool)
    try:
        if not console.is_terminal:
            yield [progress, RecipeLines(console, progress)]
            return
        with Live(console=console, get_renderable=progress.render, refresh_per_second=REFRESH):
            yield [progress]
    finally:
        pool.remove(progress.pool)
