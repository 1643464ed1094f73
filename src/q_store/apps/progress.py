"""Watching a training run: a live display on a terminal, one line an epoch elsewhere, and the metrics of the folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from rich import progress as bars
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from q_store.apps.run_folder import RunFolder
from q_store.errors import StorageError
from q_store.events import (
    CircuitChosen,
    EarlyStopped,
    EpochDone,
    Event,
    Looked,
    RecipeStarted,
    RunFinished,
    RunStarted,
    Sink,
    StageStarted,
    StepDone,
)

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK = 24
"""The sparkline shows so many of the last epochs."""
REFRESH = 8
"""Redraws a second: smooth enough, and below a hundredth of one core."""
FINISH = "finish"
LOOK = "look"
"""Number of a look, in the metrics of a recipe."""


class MetricsWriter:
    """A sink that appends every epoch to the metrics of a run folder, and every look of a recipe.

    A disk that refuses does not stop the training: `complete` writes again what is missing.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._looks: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        """Write an epoch or a look; what a run that goes on is about to repeat is dropped first."""
        match event:
            case RunStarted():
                done = event.first_step * event.epochs // max(1, event.steps)
                self._keep(lambda row: row.get("epoch", 0) <= done)  # a finish, which all epochs are behind, stays
            case StageStarted(stage=stage) if stage == FINISH:
                self._keep(lambda row: row.get("stage") != FINISH)
            case RecipeStarted():
                self._keep(lambda row: LOOK not in row)
            case EpochDone():
                self._append(asdict(event))
            case Looked():
                self._looks.append({LOOK: len(self._looks) + 1, **asdict(event)})
                self._append(self._looks[-1])
            case _:
                pass

    def _keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        rows = self._folder.metrics()
        kept = [row for row in rows if wanted(row)]
        with suppress(StorageError):
            if kept != rows:
                self._folder.keep_metrics(kept)

    def _append(self, row: Mapping[str, Any]) -> None:
        with suppress(StorageError):
            self._folder.append_metrics(row)

    def complete(self, history: Iterable[EpochDone]) -> None:
        """Make the file agree with the whole `history`, where the disk refused a line or a resumed run had no more.

        Raises StorageError when the disk refuses again.
        """
        rows = [asdict(record) for record in history]
        if self._folder.metrics() != rows:
            self._folder.keep_metrics(rows)

    def complete_looks(self) -> None:
        """The same for the looks that were told."""
        rows = self._folder.metrics()
        whole = [*(row for row in rows if LOOK not in row), *self._looks]
        if rows != whole:
            self._folder.keep_metrics(whole)


class Progress:
    """A sink that keeps the state of the display."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows = self.epochs = self.steps = self.done = self.epoch = 0
        self.stage, self.loss, self.rate = "epochs", float("nan"), 0.0
        self.validation: list[float] = []
        self.form = ""
        self.ended = False
        self._began = self._last = time.perf_counter()
        self._first = 0

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RunStarted():
                self.rows, self.epochs, self.steps = event.rows, event.epochs, event.steps
                self.done = self._first = event.first_step
                self._began = self._last = time.perf_counter()
            case StageStarted():
                self.stage, self.done = event.stage, self.done if event.stage != FINISH else 0
            case StepDone():
                self.done = event.step
                self.epoch, self.loss = event.epoch, event.loss
                self.form = form(event)
            case EpochDone():
                self._epoch(event)
            case RunFinished():
                self.ended = True
            case _:
                pass

    def _epoch(self, event: EpochDone) -> None:
        now = time.perf_counter()
        self.epoch, self.loss = event.epoch, event.train_loss
        if event.stage != FINISH:
            self.rate = self.rows / max(now - self._last, 1e-9)
        self._last = now
        accuracy = event.validation_accuracy if event.trained_accuracy is None else event.trained_accuracy
        if accuracy is not None:
            self.validation.append(accuracy)

    @property
    def seconds_left(self) -> float | None:
        """Of the epochs, by the pace so far; None before the first step."""
        fresh = self.done - self._first
        if fresh <= 0 or self.stage == FINISH:
            return None
        return (self.steps - self.done) * (time.perf_counter() - self._began) / fresh

    def render(self) -> RenderableType:
        """Two lines: how far, and how good."""
        finishing = self.stage == FINISH and not self.ended
        steps = max(self.steps, 1)
        bar = ProgressBar(
            total=None if finishing else steps, completed=steps if self.ended else self.done, width=28, pulse=finishing
        )
        top = Table.grid(padding=(0, 2))
        top.add_row(Text(self.title, style="bold"), bar, self._where(), Text(self._left(), style="dim"))
        rows = Table.grid()
        rows.add_row(top)
        rows.add_row(Text(self._figures()))
        return rows

    def _where(self) -> str:
        if self.ended:
            return "trained"
        if self.stage == FINISH:
            return f"polishing, evaluation {self.done}"
        return f"epoch {min(self.epoch, self.epochs)}/{self.epochs}"

    def _left(self) -> str:
        left = self.seconds_left
        return "" if left is None or self.ended else f"{clock_time(left)} left"

    def _figures(self) -> str:
        parts = [] if math.isnan(self.loss) else [f"loss {self.loss:.4f}"]
        if self.validation:
            parts.append(f"validation {100 * self.validation[-1]:.1f} %  {sparkline(self.validation)}")
        if self.rate:
            parts.append(f"{self.rate:,.0f} rows/s")
        if self.form:
            parts.append(self.form)
        return "   ".join(parts)


class Lines:
    """A sink that prints one line an epoch."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress

    def __call__(self, event: Event) -> None:
        """Print the line, after `progress` has taken in the event; when nobody reads any more, go on in silence."""
        with suppress(BrokenPipeError):
            self._print(event)

    def _print(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            plain(self._console, "  ".join(self._epoch(event)))
        if isinstance(event, CircuitChosen):
            plain(self._console, chosen(event))
        if isinstance(event, EarlyStopped):
            plain(self._console, f"stopped early: the best {event.monitor} was in epoch {event.best_epoch}")

    def _epoch(self, event: EpochDone) -> list[str]:
        shown = self._progress
        width = len(str(shown.epochs))
        what = "polished   " if event.stage == FINISH else f"epoch {event.epoch:{width}d}/{shown.epochs}"
        parts = [what, f"loss {event.train_loss:.4f}"]
        if event.train_accuracy is not None:
            parts.append(f"training {100 * event.train_accuracy:.1f} %")
        if event.validation_accuracy is not None:
            full = "" if event.trained_accuracy is None else f" ({100 * event.trained_accuracy:.1f} % as trained)"
            parts.append(f"validation {100 * event.validation_accuracy:.1f} %{full}")
        if event.stage != FINISH:
            parts += [f"{shown.rate:,.0f} rows/s", *([shown.form] if shown.form else [])]
        return parts


def form(event: StepDone) -> str:
    """`3 layers, 500 shots`, as far as a step says it."""
    layers = "" if event.depth is None else f"{event.depth} layer{'s' * (event.depth != 1)}"
    shots = "" if event.shots_each is None else f"{event.shots_each:,} shots"
    return ", ".join(part for part in (layers, shots) if part)


def chosen(event: CircuitChosen) -> str:
    """The line that says which circuit is trained from now on."""
    before, after = event.before, event.after
    sizes = [
        f"{after[key]} of {before[key]} {title}"
        for key, title in (("gates", "gates"), ("two_qubit", "two-qubit gates"), ("depth", "levels"))
    ]
    layers = "" if event.depth is None else f"{event.depth} layer{'s' * (event.depth != 1)}, "
    pruned = "" if event.fidelity is None else f", fidelity {event.fidelity:.4f} (at least {event.bound:g})"
    return f"from epoch {event.epoch}: {layers}{', '.join(sizes)}{pruned}"


@contextmanager
def display(console: Console, title: str) -> Iterator[list[Sink]]:
    """The sinks that show a run on `console` while the block lasts: live on a terminal, else lines."""
    progress = Progress(title)
    if not console.is_terminal:
        yield [progress, Lines(console, progress)]
        return
    with Live(console=console, get_renderable=progress.render, refresh_per_second=REFRESH):
        yield [progress]


@contextmanager
def busy(console: Console, what: str) -> Iterator[None]:
    """Say what takes a moment: a spinner and the time it takes on a terminal, else a line."""
    if console.is_terminal:
        text = bars.TextColumn("{task.description}", markup=False)
        columns = bars.SpinnerColumn(), text, bars.TimeElapsedColumn()
        with bars.Progress(*columns, console=console, transient=True, refresh_per_second=REFRESH) as shown:
            shown.add_task(what, total=None)
            yield
    else:
        plain(console, f"{what} ...")
        yield


def plain(console: Console, line: str) -> None:
    """One line as it is: no markup, no colour, no wrapping; not while the display is live."""
    console.file.write(f"{line}\n")
    console.file.flush()


def sparkline(values: list[float]) -> str:
    """The last values as block characters, from the smallest to the largest of them."""
    shown = values[-SPARK:]
    low, span = min(shown), max(shown) - min(shown)
    return "".join(BLOCKS[round((value - low) / span * (len(BLOCKS) - 1)) if span else 0] for value in shown)


def clock_time(seconds: float) -> str:
    """`0:07`, `2:03:04`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
