"""One event loop in a thread of its own, for callers that are not coroutines.

Connections of a client belong to the loop that made them: a loop for each call would open them anew every time. A
notebook, which has a running loop of its own, can wait here too.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Loop:
    """The loop and its thread; they start with the first call and end with the interpreter."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self.thread = threading.Thread(target=asyncio.run, args=(self._live(),), name="q-store waiting", daemon=True)
        self.thread.start()
        self._ready.wait()

    async def _live(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._end.wait()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self.thread.join()


_lock = threading.Lock()
_started: list[_Loop] = []


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end in that loop and return its result, or raise what it raised.

    Interrupted (Ctrl-C), it cancels the coroutine and returns when that has cleaned up; a second interrupt does not
    wait. Raises RuntimeError inside a coroutine of that loop, which would wait for itself.
    """
    own = _running()
    if threading.current_thread() is own.thread:
        coroutine.close()
        raise RuntimeError("expected a caller outside q-store's own event loop, got a coroutine in it; await instead")
    tasks: list[asyncio.Task[T]] = []
    done = threading.Event()

    def start() -> None:
        tasks.append(own.loop.create_task(coroutine))
        tasks[0].add_done_callback(lambda _: done.set())

    def cancel() -> None:
        if tasks:
            tasks[0].cancel()
        else:  # the loop keeps the order: interrupted before `start` was called for
            coroutine.close()
            done.set()

    try:
        own.loop.call_soon_threadsafe(start)
        done.wait()
    except BaseException:
        own.loop.call_soon_threadsafe(cancel)
        done.wait()
        raise
    return tasks[0].result()


def launch(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Start the coroutine in that loop; `cancel` of the future cancels it there."""
    return asyncio.run_coroutine_threadsafe(coroutine, _running().loop)


def _running() -> _Loop:
    with _lock:
        if not _started:
            _started.append(_Loop())
        return _started[0]


def _stop() -> None:
    with _lock:
        while _started:
            _started.pop().close()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_started.clear)  # the thread stays behind in the parent
