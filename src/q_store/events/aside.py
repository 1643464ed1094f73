"""Hands events on in a thread of its own: who tells them pays for putting them into a queue, and never waits."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from q_store.events.announcer import Event
from q_store.events.clock import moment
from q_store.events.training import StepDone

Timed = tuple[float, Event]
"""An event, and when it was told, see `moment`."""
EVERY = 0.2
"""Seconds between two looks at the queue."""
BETWEEN = 0.02
"""Seconds between two steps that are handed on, at least."""
LIMIT = 65_536
"""Events that wait, at most."""


class Aside:
    """Takes events in any thread; `write` gets them in order, in one thread at a time.

    Of steps that come quicker than `between` one in that time is handed on, and the last one before anything else.

    Args:
        write: takes events with their times; False: not now, they come again.
        end: called behind the last ones.
        clock: seconds since 1970.
        every: seconds between two looks. between: seconds between two steps that are handed on, at least.
        limit: events that wait at most; further ones are lost. most: that `write` gets at a time.
        name: of the thread.
    """

    def __init__(
        self,
        write: Callable[[list[Timed]], bool],
        *,
        end: Callable[[], None] | None = None,
        clock: Callable[[], float] = moment,
        every: float = EVERY,
        between: float = BETWEEN,
        limit: int = LIMIT,
        most: int = LIMIT,
        name: str = "q-store events",
    ) -> None:
        self.lost = 0
        """Events that were not handed on."""
        self._write, self._end, self._clock = write, end, clock
        self._every, self._between, self._limit, self._most, self._name = every, between, limit, most, name
        self._skipped: Timed | None = None
        self._next = -math.inf
        self._queue: deque[Timed] = deque()
        self._starting, self._writing = threading.Lock(), threading.Lock()
        self._ended, self._left = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        at = self._clock()
        if type(event) is StepDone:
            if at < self._next:
                self._skipped = at, event
                return
            self._next, self._skipped = at + self._between, None
        self._unskip()
        self.add(at, event)

    def add(self, at: float, event: Event) -> None:
        """Take in an event of another time."""
        if len(self._queue) >= self._limit:
            self.lost += 1
            return
        self._queue.append((at, event))
        if self._thread is None and not self._ended.is_set():
            self._start()

    def flush(self) -> None:
        """Hand on what waits, in this thread."""
        with self._writing:
            while self._queue and not self._left.is_set():
                some: list[Timed] = []
                with suppress(IndexError):  # no more there
                    while len(some) < self._most:
                        some.append(self._queue.popleft())
                if not self._write(some):
                    self._queue.extendleft(reversed(some))
                    return

    def close(self, patience: float | None = None) -> bool:
        """Hand on what waits, and end; whether that was done within `patience` seconds (None: however long it takes).

        What is left behind counts as lost.
        """
        self._unskip()
        if self._thread is None and self._end is not None and not self._ended.is_set():
            self._start()
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(patience)
        done = thread is None or not thread.is_alive()
        if done:
            self.flush()
        else:
            self._left.set()
        self.lost += len(self._queue)
        self._queue.clear()
        return done

    def _unskip(self) -> None:
        skipped, self._skipped = self._skipped, None
        if skipped is not None:
            self.add(*skipped)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name=self._name, daemon=True)
                self._thread.start()

    def _live(self) -> None:
        while not self._ended.wait(self._every):
            self.flush()
        if self._end is not None:
            self.flush()
            if not self._left.is_set():
                self._end()
