"""Whether a member answers, as the calls to it show.

Three things are told. Doubt: the latest try of a call got no usable answer, or a call has none for long; it ends with
the next answer. Loss: that has gone on for so long that others should have the work. And that it answers again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from q_store.backends.base import Backend
from q_store.backends.tries import Trying
from q_store.errors import QStoreError, ThrottledError

SLOW = 3.0
"""Seconds without an answer after which a member is in doubt."""
SILENCE = 10.0
"""Seconds without an answer after which a member counts as out of reach, until it answers after all."""
FAILING = 0.8
"""The same where every try of a call fails at once, as where nobody listens any more: with the back-off of the clients
in this project that is three tries in a row at least."""
T = TypeVar("T")
Tell = Callable[[str, ThrottledError | None], None]


def _unsaid(*_said: object) -> None:
    """To nobody."""


class Contact:
    """With one member, in one event loop.

    Args:
        backend: of the member.
        tell: hears why it cannot be reached (and whether it only throttles), and an empty text when it can again.
        doubt: hears why it is in doubt, and an empty text when it is not.
        failing: seconds of tries that fail at once after which it is out of reach.
    """

    def __init__(
        self, backend: Backend, tell: Tell = _unsaid, doubt: Callable[[str], None] = _unsaid, failing: float = SILENCE
    ) -> None:
        self._tell, self._doubt, self._patience = tell, doubt, failing
        self._trying = backend.tries if isinstance(backend, Trying) else None
        if self._trying is not None:
            self._trying.listen(self._tried)
        self.failing = self._doubted = ""
        """Why the latest try failed, and what was told of that."""
        self._slow = 0
        """Calls that have no answer for long."""
        self._answered = self._back = 0.0
        """When it answered last, and when it did so first after a loss."""
        self._away = False
        self._timer: asyncio.TimerHandle | None = None
        self.lost: float | None = None
        """Since when there is no contact."""
        self._throttled = False
        self._useless: float | None = None
        """Since when there is no usable answer."""

    @property
    def is_lost(self) -> bool:
        """Whether the backend does not answer."""
        return self.lost is not None or self._throttled

    @property
    def silence(self) -> float:
        """Seconds without a usable answer."""
        return 0.0 if self._useless is None else asyncio.get_running_loop().time() - self._useless

    async def listen(self, call: Coroutine[Any, Any, T], longer: float = 0.0) -> T:
        """What a call to the backend returns; says so when it takes long, `longer` than is usual for a call."""
        loop, task, slow = asyncio.get_running_loop(), asyncio.ensure_future(call), False
        begun = loop.time()
        try:
            done, _ = await asyncio.wait({task}, timeout=SLOW + longer)
            if not done:
                slow = self._answered <= begun
                self._slow += slow
                self._consider()
                done, _ = await asyncio.wait({task}, timeout=SILENCE - SLOW)
            while not done and self._back > begun:  # it has waited for a service that was away
                begun = self._back
                done, _ = await asyncio.wait({task}, timeout=begun + SILENCE + longer - loop.time())
            if not done:
                self.unheard(f"no answer for {SILENCE + longer:.0f} s")
            return await task
        finally:
            self._slow -= slow
            self._consider()
            task.cancel()

    def heard(self) -> None:
        """The backend answers."""
        if self.is_lost:
            self.lost, self._useless, self._throttled = None, None, False
            self._tell("", None)

    def unheard(self, reason: str) -> float:
        """The backend does not answer; since when."""
        now = asyncio.get_running_loop().time()
        self.lost = now if self.lost is None else self.lost
        self._useless = now if self._useless is None else self._useless
        self._away = True
        self._tell(reason, None)
        return self.lost

    def throttled(self, error: ThrottledError) -> None:
        """The backend answers that it wants to be left alone: that is contact."""
        self.lost, self._throttled = None, True
        self._useless = asyncio.get_running_loop().time() if self._useless is None else self._useless
        self._tell(str(error), error)

    def close(self) -> None:
        """Tell nothing more of tries."""
        self._stop()
        if self._trying is not None:
            self._trying.forget(self._tried)
            self._trying = None

    def _tried(self, error: QStoreError | None) -> None:
        if error is None or isinstance(error, ThrottledError):
            self._answered = asyncio.get_running_loop().time()
            if self._away:
                self._away, self._back = False, self._answered
            self.failing = ""
            self._stop()
        else:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._patience, self._fails)
            self.failing = str(error)
        self._consider()

    def _fails(self) -> None:
        """No try has been answered for long."""
        self._timer = None
        self.unheard(self.failing)

    def _consider(self) -> None:
        """Tell where the doubt begins and ends."""
        reason = self.failing or (f"slow to answer: nothing for {SLOW:.0f} s" if self._slow else "")
        if bool(reason) != bool(self._doubted):
            self._doubted = reason
            self._doubt(reason)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
