"""One poller for all jobs of a backend: each is looked at when it is due, all that are due with one call."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from q_store.backends.ionq.client.api import Api
from q_store.backends.ionq.client.looking import Reader
from q_store.backends.ionq.client.records import Record
from q_store.backends.ionq.settings import IonQSettings
from q_store.errors import AuthenticationError, BackendError

_EARLY = 1e-6
"""Timers fire up to a nanosecond early: what is due in a microsecond is due, or virtual time would stand still."""
_TOGETHER = 0.5
"""A job that has waited for this share of its interval is looked at with another one that is due."""
_QUARTER = 0.25
_LONGEST_DUE = 7 * 86_400.0
"""Seconds up to which a prediction is believed."""


def interval(settings: IonQSettings, age: float, due: float | None, share: float) -> float:
    """Seconds until the next look at a job.

    A share of its age within the limits; less often while its predicted finish is far, right behind the predicted
    finish when that comes first, and soon again, but ever later, once that is over.

    Args:
        settings: with the limits.
        age: of the job.
        due: seconds until its predicted finish; None if there is no prediction.
        share: random, in [0, 1).
    """
    least, most = settings.min_interval, settings.longest_interval
    by_age = max(least, settings.poll_share * age)
    if due is not None and 0 < due < 2 * by_age:
        return min(most, max(least, due + 0.1 * least * share))
    if due is not None:
        by_age = max(by_age, _QUARTER * due) if due > 0 else min(by_age, -due)
    return max(least, min(most, by_age) * (0.9 + 0.1 * share))


@dataclass(eq=False)
class _Watched:
    """A job that somebody waits for; times of the loop's clock."""

    id: str
    longest: float
    since: float
    last_look: float
    next_look: float
    limit: float
    seen: float
    last: Record | None = None
    done: asyncio.Future[Record | None] = field(default_factory=asyncio.Future)

    def joins(self, now: float) -> bool:
        """Whether it is looked at where another one is due."""
        return now - self.last_look >= _TOGETHER * (self.next_look - self.last_look)

    def end(self, known: Record | None) -> None:
        if not self.done.done():
            self.done.set_result(known)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Watch:
    """Waits for jobs to finish."""

    def __init__(self, api: Api, reader: Reader) -> None:
        self._api = api
        self._reader = reader
        self._watched: dict[str, _Watched] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looks: set[asyncio.Task[None]] = set()

    async def final(self, job: str, circuits: int) -> Record | None:
        """The record of a job once it is final, or when it has made no progress for too long.

        None: the service does not know the job (any more). Raises AuthenticationError; without a usable answer it goes
        on looking until the job's deadline, then raises UnreachableError or BackendError.
        """
        now = asyncio.get_running_loop().time()
        longest = self._api.settings.longest(circuits)
        first = interval(self._api.settings, 0.0, None, self._api.jitter())
        one = _Watched(job, longest, now, now, now + first, now + longest, now)
        self._watched[job] = one
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="q-store: watch IonQ jobs")
        try:
            return await one.done
        finally:
            self._watched.pop(job, None)
            self._changed.set()

    async def aclose(self) -> None:
        """Stop looking; who still waits gets a BackendError."""
        for one in self._watched.values():
            one.fail(BackendError(f"expected to wait for job {one.id}, got a client that is closed; look it up again"))
        tasks = {*self._looks, *([self._task] if self._task else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._watched:
            self._changed.clear()
            now = loop.time() + _EARLY
            waiting = [one for one in self._watched.values() if not one.done.done()]
            if any(one.next_look <= now for one in waiting):
                self._start([one for one in waiting if one.joins(now)])
            else:
                await self._pause()

    def _start(self, due: list[_Watched]) -> None:
        """Look at these jobs; others that become due meanwhile do not wait for the answer."""
        for one in due:
            one.next_look = math.inf
        look = asyncio.create_task(self._look(due))
        self._looks.add(look)
        look.add_done_callback(self._looked)

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._looks.discard(look)
        self._changed.set()

    async def _pause(self) -> None:
        """Until the next look is due, or another job is watched."""
        due = min((one.next_look for one in self._watched.values() if not one.done.done()), default=math.inf)
        try:
            async with asyncio.timeout_at(None if math.isinf(due) else due):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _look(self, due: list[_Watched]) -> None:
        try:
            known = await self._reader.read([one.id for one in due])
        except Exception as error:  # noqa: BLE001  # whoever waits hears of it, a fault of ours included
            self._unseen(due, error)
            return
        now = asyncio.get_running_loop().time()
        for one in due:
            self._update(one, known.get(one.id), now)

    def _unseen(self, due: list[_Watched], error: Exception) -> None:
        """An answer of no use may be followed by a better one; what was accepted is waited for until its deadline."""
        now = asyncio.get_running_loop().time()
        passing = isinstance(error, BackendError) and not isinstance(error, AuthenticationError)
        for one in due:
            wait = interval(self._api.settings, now - one.since, None, self._api.jitter())
            one.last_look, one.next_look = now, now + wait
            if not passing or now > one.limit:
                one.fail(error)

    def _update(self, one: _Watched, known: Record | None, now: float) -> None:
        settings, clock = self._api.settings, self._api.clock
        left = None
        if known is not None:
            if one.last is None:  # submitted before we began to wait
                clock.note(known.submitted, one.since)
            left = known.due(clock.epoch(now, now))
            one.seen = now
            if one.last is None or one.last.status != known.status:  # progress: the patience begins anew
                one.limit = now + min(max(0.0, left or 0.0), _LONGEST_DUE) + one.longest
            one.last = known
            if known.is_final:
                one.end(known)
        elif now - one.seen > settings.call_deadline:
            one.end(None)
        if now > one.limit:
            one.end(known)
        one.last_look, one.next_look = now, now + interval(settings, now - one.since, left, self._api.jitter())
