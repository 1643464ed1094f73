"""What trackers share: a thread of their own, and that nothing they do reaches the training."""

from __future__ import annotations

import atexit
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from q_store.events import Event
from q_store.events.aside import BETWEEN, LIMIT, Aside, Timed
from q_store.trackers.series import Series

PATIENCE = 10.0
"""Seconds that the end of a training waits for a tracker."""
LONGEST = 300
"""Characters of a foreign message that are shown."""
_SECRET = re.compile(r"//[^\s'\"]*@")


def hidden(text: object) -> str:
    """In one line, without user and password of the addresses in it."""
    return _SECRET.sub("//***@", " ".join(str(text).split()))[:LONGEST]


class Tracker(ABC):
    """A sink that writes elsewhere; close it, or use it in `with`.

    When it fails, it says so once and takes nothing more. When it is too slow, what does not fit into its queue is
    counted and said at the end. Without `close` it ends with the program.

    Args:
        name: in messages.
        tell: says something to the user; None for a RuntimeWarning. Always in the thread of the training.
        between: seconds between two steps that it gets, at least. most: events that it gets at a time.
        limit: events that wait at most. patience: seconds that `close` waits.
    """

    def __init__(
        self,
        name: str,
        *,
        tell: Callable[[str], None] | None = None,
        between: float = BETWEEN,
        most: int = 1_000,
        limit: int = LIMIT,
        patience: float = PATIENCE,
    ) -> None:
        self.name = hidden(name)
        self.failure = ""
        """Why it gave up; empty while it works."""
        self._tell, self._patience, self._most = tell or _warn, patience, most
        self._told = self._closed = False
        self._series = Series()
        self._aside = Aside(
            self._hand, end=self._finish, between=between, most=most, limit=limit, name=f"q-store {self.name}"
        )
        atexit.register(self.close)

    @abstractmethod
    def write(self, told: Sequence[Timed]) -> None:
        """Write down events, with their times; called in the thread of the tracker."""

    def end(self) -> None:  # noqa: B027  # nothing more to do, for most
        """What is left to do behind the last event; in the same thread."""

    @property
    def lost(self) -> int:
        """Events that were not written."""
        return self._aside.lost

    def __call__(self, event: Event) -> None:
        """Take in one event; never raises, never waits."""
        if self.failure:
            self._say_failure()
        elif not self._closed:
            self._aside(event)

    def replay(self, told: Sequence[Timed]) -> Iterator[int]:
        """Write down events of an earlier time, all of them, in the thread that asks for how many are done."""
        for first in range(0, len(told), self._most):
            some = list(told[first : first + self._most])
            self._hand(some)
            yield first + len(some)

    def recall(self, events: Iterable[Event]) -> None:
        """Know what earlier processes of the run have told already; nothing of it is written again."""
        for event in events:
            self._series.take(event)

    def flush(self) -> None:
        """Write what waits."""
        self._aside.flush()

    def close(self) -> None:
        """Write what waits, and end; says what is lost."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        done = self._aside.close(self._patience)
        if self.failure:
            self._say_failure()
        elif not done:
            self._tell(
                f"{self.name} is left behind: it did not take everything within {self._patience:g} s, "
                f"{self.lost} events are lost"
            )
        elif self.lost:
            self._tell(f"{self.name} is too slow: {self.lost} events are lost")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand(self, told: list[Timed]) -> bool:
        self._try(lambda: self.write(told), type(told[0][1]).__name__)
        return True

    def _finish(self) -> None:
        self._try(self.end, "the end")

    def _try(self, do: Callable[[], None], what: str) -> None:
        if self.failure:
            return
        try:
            do()
        except BaseException as error:  # noqa: BLE001  # also SystemExit: nothing of it may reach the training
            self.failure = hidden(f"failed on {what}: {type(error).__name__}: {error}")

    def _say_failure(self) -> None:
        if not self._told:
            self._told = True
            self._tell(f"{self.name} {self.failure}; it gets no further events, the training goes on")


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)
