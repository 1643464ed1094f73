"""Threads that compute in the background and never keep a process from ending."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable


class Workers:
    """Runs functions in the order they came. An executor of the standard library would be waited for at the exit.

    Args:
        count: threads; they start with the first function.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, function: Callable[[], None]) -> None:
        """Have it called soon."""
        self._waiting.put(function)
        while len(self._threads) < self._count:
            thread = threading.Thread(
                target=_work, args=(self._waiting,), name=f"emulator-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Call nothing more; what runs already ends by itself. New functions may be submitted again."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)
        self._waiting, self._threads = queue.SimpleQueue(), []


def _work(waiting: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (function := waiting.get()) is not None:
        function()
