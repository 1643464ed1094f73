"""Time that jumps: an event loop in which an hour of waiting takes no time.

Everything asynchronous here and in the client asks `asyncio.get_running_loop().time()` and waits with `asyncio.sleep`.
Under `run_virtual` that time is a number that moves to the next timer whenever nothing else is left to do; so tests
of queues, retries and deadlines are exact and quick. Nothing outside the loop can be waited for there: no threads and
no sockets.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
MONTH = 30 * 86_400.0


class DeadlockError(RuntimeError):
    """Every task of a virtual loop waits for something that no timer will bring."""


class _Jump(selectors.DefaultSelector):
    """A selector that moves the time of its loop instead of waiting."""

    now = 0.0
    limit = MONTH

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready already; else time moves by `timeout` seconds."""
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None:
            msg = (
                f"expected a timer to wait for at {self.now:g} s of virtual time, got none: every task waits for "
                "another one, for a thread or for a socket; only asyncio's own waiting works in virtual time"
            )
            raise DeadlockError(msg)
        self.now += timeout
        if self.now > self.limit:
            msg = f"expected an end within {self.limit:g} s of virtual time, got none; does something poll for ever?"
            raise TimeoutError(msg)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0.

    Args:
        limit: virtual seconds after which a TimeoutError leaves the loop, so that endless polling ends.
    """

    def __init__(self, limit: float = MONTH) -> None:
        self._jump = _Jump()
        self._jump.limit = limit
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jump.now

    def run_in_executor(self, *_args: Any) -> NoReturn:  # type: ignore[override]
        """Refused: virtual time cannot know how long a thread takes."""
        msg = "expected no thread in virtual time, got a call of run_in_executor; call the function in the loop"
        raise RuntimeError(msg)


def is_virtual() -> bool:
    """Whether the running loop has virtual time."""
    return isinstance(asyncio.get_running_loop(), VirtualLoop)


def run_virtual(coroutine: Coroutine[Any, Any, T], limit: float = MONTH) -> T:
    """The result of the coroutine, run in virtual time.

    Args:
        coroutine: what to run; its `asyncio.sleep(3600)` returns at once, timers fire in the order of their times.
        limit: virtual seconds it may take.

    Raises:
        DeadlockError: nothing is left to run and no timer to wait for.
        TimeoutError: it takes longer than `limit`.
        RuntimeError: a thread was asked for, or a loop runs already.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(limit)) as runner:
        return runner.run(coroutine)


class Clock:
    """The emulator's time: that of the running event loop, `scale` times as fast; it never runs backwards.

    Args:
        scale: emulated seconds in a second of the loop.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._loop: asyncio.AbstractEventLoop | None = None
        self._zero = 0.0
        self._last = 0.0
        self.epoch = time.time()

    def now(self) -> float:
        """Emulated seconds; goes on where it was when another loop takes over.

        A thread without a loop sees what the last loop shows; virtual time stands still when its loop is gone.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if isinstance(self._loop, VirtualLoop) or self._loop is None:
                return self._last
            time_now = time.monotonic()  # the clock of asyncio's loops
        else:
            time_now = loop.time()
            if loop is not self._loop:
                self._loop, self._zero = loop, time_now - self._last / self._scale
        self._last = max(self._last, (time_now - self._zero) * self._scale)
        return self._last

    def since_1970(self) -> float:
        """The same in seconds since 1970."""
        return self.epoch + self.now()

    def real(self, seconds: float) -> float:
        """Seconds of the loop in so many emulated ones."""
        return seconds / self._scale

    async def sleep(self, seconds: float) -> None:
        """Wait for emulated seconds."""
        if seconds > 0:
            await asyncio.sleep(self.real(seconds))
