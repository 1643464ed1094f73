"""Calls to the service: what may be repeated is, what may not is done once and its fate is said.

GET, PUT and DELETE are repeated until a deadline. POST goes out once (`Api.post`): the answer says whether the service
accepted, refused, surely never saw, or perhaps accepted it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import httpx
import numpy as np

from q_store.backends.ionq.client import failures
from q_store.backends.ionq.client.clock import ServiceClock
from q_store.backends.ionq.client.connections import Connections
from q_store.backends.ionq.client.pace import back_off, bucket, epoch, retry_after
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.tries import Hear
from q_store.errors import BackendError, QStoreError, ThrottledError, UnreachableError

T = TypeVar("T")
Params = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service took the request; `body` is what it answered."""

    body: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """The service surely did not take the request. `again`: repeating it may help, after `pause` seconds."""

    error: QStoreError
    again: bool
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """No usable answer: perhaps accepted, or surely so with an unreadable answer."""

    reason: str
    surely: bool


@dataclass(frozen=True, slots=True)
class _Call:
    """A request."""

    method: str
    path: str
    params: Params = ()
    content: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class _Failure:
    """A try without a usable answer."""

    error: QStoreError
    again: bool
    pause: float | None = None


class Api:
    """Calls of one backend, in the event loop that it was made in; `tried` hears of every try, see `Tries`."""

    def __init__(
        self,
        settings: IonQSettings,
        transport: httpx.AsyncBaseTransport | None = None,
        tried: Hear = lambda _error: None,
    ) -> None:
        self.settings = settings
        self._tried = tried
        self.clock = ServiceClock()
        self._random = np.random.default_rng(settings.jitter_seed)
        self._pace = bucket(settings.key, settings.url, settings.rate, settings.burst)
        self.reached = False
        """Whether a service ever answered: with JSON, or to say what is wrong."""
        self._connections = Connections(settings, transport)

    def jitter(self) -> float:
        """A random share in [0, 1)."""
        return float(self._random.random())

    async def get(
        self, path: str, params: Params = (), *, read: Callable[[Any], T], patience: float | None = None
    ) -> T:
        """GET a path, again and again if need be.

        Args:
            path: below the base URL.
            params: query; a name may occur more than once.
            read: makes something of the body; BackendError where it cannot be read counts as a broken reply.
            patience: seconds for all tries; None for `call_deadline`.

        Raises:
            AuthenticationError, NotFoundError, InputError, BackendError: as the service answers.
            UnreachableError: without a usable answer in time; ThrottledError where the last was 429.
        """
        return await self._repeated(_Call("GET", path, params), read, patience)

    async def change(self, method: str, path: str, body: Any = None, *, patience: float | None = None) -> Any:
        """A call that may be repeated as it says what shall be: PUT, DELETE, the end of a session. Raises as `get`."""
        content = None if body is None else json.dumps(body).encode()
        return await self._repeated(_Call(method, path, (), content), lambda reply: reply, patience)

    async def post(self, path: str, content: bytes) -> Accepted | Refused | Doubtful:
        """POST once."""
        await self._pace.take()
        call = _Call("POST", path, (), content)
        what = str(call)
        try:
            response = await self._send(call)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            failure = self._broken(error, what)
            if isinstance(error, failures.NEVER_SENT) or failures.is_permanent(error):
                return Refused(failure.error, failure.again)
            return Doubtful(str(failure.error), surely=False)
        if 200 <= response.status_code < 300:
            self.reached = True
            self._tried(None)
            return _taken(response, what)
        return _fate(response.status_code, self._declined(response, what))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def _repeated(self, call: _Call, read: Callable[[Any], T], patience: float | None) -> T:
        loop = asyncio.get_running_loop()
        end = loop.time() + (self.settings.call_deadline if patience is None else patience)
        attempt = 0
        while True:
            attempt += 1
            got = await self._once(call, read)
            if not isinstance(got, _Failure):
                return got
            hopeless = not self.reached and attempt >= self.settings.contact_tries
            if not got.again or hopeless:
                raise got.error
            delay = max(got.pause or 0.0, back_off(attempt, self.jitter()))
            if loop.time() + delay > end:
                _give_up(got, attempt)
            await asyncio.sleep(delay)

    async def _once(self, call: _Call, read: Callable[[Any], T]) -> T | _Failure:
        await self._pace.take()
        what = str(call)
        try:
            response = await self._send(call)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return self._broken(error, what)
        if not 200 <= response.status_code < 300:
            return self._declined(response, what)
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            text = f"expected JSON in answer to {what}, got {type(error).__name__} in {len(response.content)} bytes"
            return self._failed(_Failure(UnreachableError(f"{text}; check the url, or try again"), again=True))
        self.reached = True
        self._tried(None)
        try:
            return read(body)
        except BackendError as error:
            return _Failure(error, again=True)

    async def _send(self, call: _Call) -> httpx.Response:
        headers = {} if call.content is None else {"Content-Type": "application/json"}
        url, params = self.settings.url + call.path, httpx.QueryParams(tuple(call.params)) if call.params else None
        async with asyncio.timeout(self.settings.timeout):
            response = await self._connections.request(
                call.method, url, params=params, content=call.content, headers=headers
            )
        self.clock.note(epoch(response.headers.get("date")), asyncio.get_running_loop().time())
        return response

    def _broken(self, error: Exception, what: str) -> _Failure:
        again = self.reached or not failures.is_permanent(error)
        return self._failed(_Failure(failures.unreachable(error, what, self.settings.url), again=again))

    def _declined(self, response: httpx.Response, what: str) -> _Failure:
        self.reached = True
        status, pause = response.status_code, retry_after(response.headers)
        if status == failures.TOO_MANY:
            self._pace.throttled(asyncio.get_running_loop().time(), pause)
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            body = response.content[:1000].decode(errors="replace")
        error = failures.refused(status, body, what)
        secret = self.settings.key.get_secret_value()
        if secret in str(error):  # a service that repeats what it was sent
            error = type(error)(str(error).replace(secret, "…"))
        if isinstance(error, ThrottledError):
            error.pause = pause or 0.0
        return self._failed(_Failure(error, again=status in failures.RETRIED, pause=pause))

    def _failed(self, failure: _Failure) -> _Failure:
        """Say so; an answer that refuses is one."""
        self._tried(failure.error if isinstance(failure.error, UnreachableError) else None)
        return failure


def _taken(response: httpx.Response, what: str) -> Accepted | Doubtful:
    """A request that was accepted, if its answer can be read."""
    try:
        return Accepted(json.loads(response.content))
    except (ValueError, RecursionError):
        reason = f"the service answered {response.status_code} to {what} with something unreadable"
        return Doubtful(reason, surely=True)


def _fate(status: int, failure: _Failure) -> Refused | Doubtful:
    """What an answer of 300 or more says of a request that may not be repeated."""
    if status in failures.NOT_ACCEPTED:
        return Refused(failure.error, again=True, pause=failure.pause)
    if 300 <= status < 500 and status != 408:
        return Refused(failure.error, again=False)
    return Doubtful(str(failure.error), surely=False)


def _give_up(got: _Failure, tries: int) -> NoReturn:
    if type(got.error) is UnreachableError:
        raise UnreachableError(f"{got.error} ({tries} tries)")
    raise got.error
