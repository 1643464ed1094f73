"""What stands before the service: the way there and back, faults, and the check of the key."""

from __future__ import annotations

import json
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from q_store.backends.ionq.wire.limits import MAX_BYTES
from q_store.emulator.clock import Clock
from q_store.emulator.faults import Fault, Faults
from q_store.emulator.ledger import Ledger
from q_store.emulator.refusal import Refusal

BASE = "/v0.4"
OWN = "/emulator"
"""Paths of the emulator itself: no key, no faults, no delay."""
DROP = "q_store.drop"
"""ASGI extension: an async function that breaks the connection of a request."""
JSON = (b"content-type", b"application/json")
log = logging.getLogger(__name__)
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply."""

    status: int
    headers: Headers
    body: bytes

    @staticmethod
    def refusal(refusal: Refusal, *headers: tuple[bytes, bytes]) -> Reply:
        """The documented error body."""
        return Reply(refusal.status, [JSON, *headers], json.dumps(refusal.body).encode())


class Front:
    """An ASGI application around another one.

    Args:
        app: the service.
        clock: the emulator's.
        faults: what goes wrong.
        ledger: counts calls and faults.
        keys: accepted API keys; None: any.
        rtt: seconds of the way there and back.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        clock: Clock,
        faults: Faults,
        ledger: Ledger,
        keys: Collection[str] | None,
        rtt: float,
    ) -> None:
        self._app = app
        self._clock = clock
        self._faults = faults
        self._ledger = ledger
        self._keys = None if keys is None else [key.encode() for key in keys]
        self._rtt = rtt
        self._calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call."""
        if scope["type"] != "http" or scope["path"].startswith(OWN):
            await self._app(scope, receive, send)
            return
        number = self._calls
        self._calls += 1
        fault = self._faults.call(number)
        self._ledger.note("calls", *([fault.name] if fault else []))
        arrived = self._clock.now()
        await self._clock.sleep(self._rtt / 2)
        body = await _drained(receive)
        reply = None
        if fault is None or not fault.refuses:
            reply = await self._handled(scope, body)
        if fault:
            reply = self._spoilt(fault, reply)
        back = arrived + self._rtt + (fault.seconds if fault and fault.name == "slow" else 0.0)
        await self._clock.sleep(max(0.0, back - self._clock.now()))  # our own work is no part of the way
        if reply is None:
            await _drop(scope, number)
        else:
            await self._send(reply, send)

    async def _handled(self, scope: Scope, body: bytes | None) -> Reply:
        if body is None:
            return Reply.refusal(Refusal(413, f"expected a body of at most {MAX_BYTES} bytes, got more; split the job"))
        if not self._is_open(scope) and not self._is_key(scope):
            msg = "expected the header 'Authorization: apiKey <key>' with a key known here, got none or another one"
            return Reply.refusal(Refusal(401, msg))
        return await _called(self._app, scope, body)

    @staticmethod
    def _is_open(scope: Scope) -> bool:
        """Backends may be looked at without a key."""
        path = scope["path"].removeprefix(BASE)
        return scope["method"] in {"GET", "HEAD"} and (path == "/backends" or path.startswith("/backends/"))

    def _is_key(self, scope: Scope) -> bool:
        value = next((v for name, v in scope["headers"] if name == b"authorization"), b"")
        word, _, key = value.partition(b" ")
        if word != b"apiKey" or not key.strip():
            return False
        return self._keys is None or any(secrets.compare_digest(key.strip(), each) for each in self._keys)

    def _spoilt(self, fault: Fault, reply: Reply | None) -> Reply | None:
        """What the client gets; None: the connection breaks."""
        if fault.name.startswith("drop"):
            return None
        if fault.status is not None:
            return self._error(fault, fault.status)
        if reply is None or fault.name == "slow":
            return reply
        if fault.name == "truncated":
            return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
        return Reply(reply.status, reply.headers, b"<html><body>upstream sent an invalid header</body></html>")

    def _error(self, fault: Fault, status: int) -> Reply:
        if status >= 520:  # of the proxy in front of a service, which knows nothing of JSON
            return Reply(status, [(b"content-type", b"text/plain")], f"error code: {status}".encode())
        error = {429: "Too Many Requests", 500: "Internal Server Error"}.get(status, "")
        refusal = Refusal(status, f"fault '{fault.name}' of the emulator; try again", error=error)
        if fault.name != "429-retry-after":
            return Reply.refusal(refusal)
        wait = max(1, math.ceil(self._clock.real(fault.seconds)))
        return Reply.refusal(refusal, (b"retry-after", str(wait).encode()))

    async def _send(self, reply: Reply, send: Send) -> None:
        date = formatdate(self._clock.since_1970(), usegmt=True).encode()
        headers = [(name, value) for name, value in reply.headers if name not in {b"content-length", b"date"}]
        headers += [(b"content-length", str(len(reply.body)).encode()), (b"date", date)]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


async def _drained(receive: Receive) -> bytes | None:
    """The body of a call, read to its end so that the client sees the reply; None where it is too long."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BYTES:
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts) if size <= MAX_BYTES else None


async def _called(app: ASGIApp, scope: Scope, body: bytes) -> Reply:
    """What the application answers."""
    start: MutableMapping[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception:
        if not start:
            raise
        log.exception("a call failed: %s %s", scope["method"], scope["path"])  # its reply says so too
    return Reply(start["status"], list(start["headers"]), b"".join(parts))


async def _drop(scope: Scope, number: int) -> None:
    """Break the connection: in a server through its extension, in process by the exceptions that a client would see."""
    drop: Callable[[], Awaitable[None]] | None = (scope.get("extensions") or {}).get(DROP)
    if drop is not None:
        await drop()
        return
    if number % 2:
        raise httpx.ReadError("connection reset by peer")
    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
