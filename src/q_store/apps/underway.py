"""How far a command is that takes long: a bar on a terminal, a line every ten seconds elsewhere; always on stderr."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from q_store.apps.progress import REFRESH, clock_time, plain

EVERY = 10.0
"""Seconds between two lines."""
BYTES = "bytes"


class Tell(Protocol):
    """Takes in how much is done, and how much there is once that is known."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """So much is done, of so much."""


class Underway:
    """How far something is; any thread may look.

    Args:
        what: is done. unit: of what is counted. total: of it, None while it is not known.
        clock: seconds.

    Attributes:
        show: called with the count when it changes.
    """

    def __init__(
        self, what: str, unit: str = "", total: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.what, self.unit, self.total, self.done = what, unit, total, 0
        self._clock, self._began = clock, clock()
        self.show: Callable[[Underway], object] = lambda _count: None

    def __call__(self, done: int, total: int | None = None) -> None:
        """See `Tell`; where less is done than before, another part has begun."""
        if done < self.done:
            self._began = self._clock()
        self.done, self.total = done, self.total if total is None else total
        self.show(self)

    @property
    def said(self) -> str:
        """`300 of 1,000 rows, 150/s, 0:05 left`; before anything is counted `0:03`, the time it has taken."""
        seconds = self._clock() - self._began
        if not self.done:
            return clock_time(seconds)
        pace = self.done / max(seconds, 1e-9)
        of = "" if self.total is None else f" of {self._amount(self.total)}"
        parts = [f"{self._amount(self.done)}{of}{self._named}", f"{self._amount(round(pace))}/s"]
        if self.total is not None and self.total > self.done:
            parts.append(f"{clock_time((self.total - self.done) / pace)} left")
        return ", ".join(parts)

    @property
    def _named(self) -> str:
        return "" if self.unit in {"", BYTES} else f" {self.unit}"

    def _amount(self, count: int) -> str:
        return decimal(count) if self.unit == BYTES else f"{count:,}"


class _Said(ProgressColumn):
    """What the count says of itself."""

    def __init__(self, count: Underway) -> None:
        super().__init__()
        self._count = count

    def render(self, task: Task) -> Text:
        """See `ProgressColumn`."""
        del task
        return Text(self._count.said)


@contextmanager
def underway(what: str, unit: str = "", total: int | None = None, console: Console | None = None) -> Iterator[Tell]:
    """Show that `what` is being done while the block lasts, and how far it is; nothing of it stays on a terminal.

    Args:
        what: is done, as in `reading x.csv`.
        unit: of what is counted, `BYTES` for those.
        total: of it, where it is known.
        console: where to show it, in place of stderr.
    """
    count, shown = Underway(what, unit, total), console or Console(stderr=True)
    with _bar(count, shown) if shown.is_terminal else _lines(count, shown):
        yield count


@contextmanager
def _bar(count: Underway, console: Console) -> Iterator[None]:
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=28), _Said(count)
    with Progress(*columns, console=console, transient=True, refresh_per_second=REFRESH) as progress:
        task = progress.add_task(count.what, total=count.total)
        count.show = lambda now: progress.update(task, total=now.total, completed=now.done)
        yield


@contextmanager
def _lines(count: Underway, console: Console) -> Iterator[None]:
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(EVERY):
            with suppress(OSError, ValueError):  # nobody reads any more
                plain(console, f"{count.what}: {count.said}")

    thread = threading.Thread(target=tell, name="q-store underway", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
