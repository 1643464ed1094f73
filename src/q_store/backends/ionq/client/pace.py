"""How fast to call: back-off with full jitter, Retry-After, and one token bucket for each key.

Full jitter: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. Decisions take the time as an
argument; only `Bucket.take` waits.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from time import time
from typing import TypeVar
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from q_store.errors import ThrottledError

T = TypeVar("T")
FIRST_DELAY = 0.25
LONGEST_DELAY = 10.0
_LONGEST_PAUSE = 60.0
_RECOVERY = 0.05
_LEAST_SHARE = 1 / 32
_MOMENT = 1e-9


def back_off(attempt: int, share: float) -> float:
    """Seconds before try `attempt` (from 1), for a random `share` in [0, 1)."""
    ceiling: float = FIRST_DELAY * 2.0 ** min(attempt - 1, 30)
    return min(LONGEST_DELAY, ceiling) * share


async def unthrottled(call: Callable[[], Awaitable[T]], longest: float, jitter: Callable[[], float]) -> T:
    """What a call returns that may be repeated: again while it is throttled, which harms no job, `longest` seconds."""
    loop = asyncio.get_running_loop()
    end, attempt = loop.time() + longest, 0
    while True:
        attempt += 1
        try:
            return await call()
        except ThrottledError as error:
            delay = max(error.pause, back_off(attempt, 0.5 + 0.5 * jitter()))
            if loop.time() + delay > end:
                raise
        await asyncio.sleep(delay)


def epoch(date: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date; None if it is none."""
    if not date:
        return None
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the service asks to wait, given as a number or as a date; None if it does not ask.

    A date counts from the `Date` of the same reply, so that a wrong clock on either side does no harm.
    """
    text = headers.get("retry-after", "").strip()
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    moment = epoch(text)
    if moment is None:
        return None
    return max(0.0, moment - (epoch(headers.get("date")) or time()))


class Bucket:
    """A token bucket: `burst` calls at once, then `rate` a second; a 429 halves the rate, which recovers slowly.

    Belongs to one event loop.
    """

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.nominal = rate
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._at = now
        self._paused_until = now
        self._halved_at = float("-inf")
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait for a token; callers are served in order."""
        async with self._turn:
            while (wait := self.wait(asyncio.get_running_loop().time())) > 0:  # noqa: ASYNC110  # for a time, not an event
                await asyncio.sleep(wait)
            self._tokens -= 1

    def wait(self, now: float) -> float:
        """Seconds until a token is there."""
        passed = max(0.0, now - self._at)
        self._at = now
        self.rate = min(self.nominal, self.rate + _RECOVERY * self.nominal * passed)
        self._tokens = min(float(self.burst), self._tokens + self.rate * passed)
        wait = max(self._paused_until - now, (1 - self._tokens) / self.rate)
        return wait if wait > _MOMENT else 0.0

    def throttled(self, now: float, pause: float | None) -> None:
        """The service answered 429: half the rate (once for all calls of the same second), and the pause it asks."""
        self._paused_until = max(self._paused_until, now + min(pause or 0.0, _LONGEST_PAUSE))
        if now - self._halved_at < 1:
            return
        self._halved_at = now
        self.rate = max(self.rate / 2, self.nominal * _LEAST_SHARE)
        self._tokens = min(self._tokens, 1.0)

    def at_most(self, rate: float, burst: int) -> None:
        """Another user of the same key may want to go slower: the slower one counts."""
        self.nominal, self.burst = min(self.nominal, rate), min(self.burst, burst)


_buckets: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Bucket]] = WeakKeyDictionary()


def bucket(key: SecretStr, url: str, rate: float, burst: int) -> Bucket:
    """The bucket of this key at this service, one for all backends of the running event loop."""
    loop = asyncio.get_running_loop()
    own = _buckets.setdefault(loop, {})
    name = hashlib.sha256(f"{url} {key.get_secret_value()}".encode()).hexdigest()
    if name not in own:
        own[name] = Bucket(rate, burst, loop.time())
    own[name].at_most(rate, burst)
    return own[name]
