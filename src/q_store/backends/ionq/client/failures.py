"""What can go wrong between us and the service, as errors of q-store with a remedy."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from q_store.errors import (
    AuthenticationError,
    BackendError,
    CapabilityError,
    InputError,
    QStoreError,
    ThrottledError,
    UnreachableError,
)

TOO_MANY = 429
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 530)})
"""Answers after which a call that changes nothing, or changes the same thing again, is repeated."""
NOT_ACCEPTED = frozenset({409, 425, 429})
"""Answers after which a job was surely not accepted and may be sent again."""
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Failures before the first byte of a request left."""
_SHOWN = 300


class NotFoundError(BackendError):
    """The service does not know what was asked for."""


def text_of(body: Any) -> str:
    """What an error body says, one line; the service and its gateways write it in several ways."""
    if isinstance(body, Mapping):
        inner = body.get("error")
        if isinstance(inner, Mapping):
            return text_of(inner)
        said = [str(body[k]) for k in ("message", "error", "code") if body.get(k)][:1]
        validation = body.get("validation")
        keys = validation.get("keys") if isinstance(validation, Mapping) else None
        if isinstance(keys, list) and keys:
            said.append(f"({', '.join(map(str, keys))})")
        body = " ".join(said) if said or not body else json.dumps(body, default=str)
    return _line(str(body)) if body else "no reason given"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def refused(status: int, body: Any, what: str) -> QStoreError:
    """The error for an answer of `status`, 300 or more, to `what` (method and path)."""
    said = f"got {status}: {text_of(body)}"
    if status in {401, 403}:
        return AuthenticationError(f"expected the service to accept the API key for {what}, {said}; check IONQ_API_KEY")
    if status == 404:
        return NotFoundError(
            f"expected an answer to {what}, {said}; check the name and the url, and the key: the service also says 404 "
            "to a key that may not see something"
        )
    if status == 413:
        return CapabilityError(f"expected a request that the service takes, {said}; send fewer circuits a job")
    if status in {400, 422}:
        return InputError(f"expected the service to accept {what}, {said}; change what it names")
    if status in RETRIED or status >= 500:
        kind = ThrottledError if status == TOO_MANY else UnreachableError
        return kind(f"expected an answer to {what}, {said}; try again later, see status.ionq.co")
    return BackendError(f"expected an answer to {what}, {said}; check the url")


def unreachable(error: Exception, what: str, url: str) -> QStoreError:
    """The error for a call without an answer."""
    causes = _causes(error)
    if any(isinstance(c, ssl.SSLCertVerificationError) for c in causes):
        remedy = "its certificate is not trusted: check the host and the clock, or set SSL_CERT_FILE to its authority"
    elif any(isinstance(c, ssl.SSLError) for c in causes):
        remedy = "the TLS connection fails: check http or https, the port, and proxies in between"
    elif any(isinstance(c, socket.gaierror) for c in causes):
        remedy = "its name cannot be resolved: check the spelling and the network"
    elif isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        remedy = "nothing answers there: check the address and port, and that the service runs"
    elif isinstance(error, httpx.TimeoutException | TimeoutError):
        remedy = "it takes too long: check the network, or raise `timeout`"
    elif isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return InputError(f"expected a url that can be called, got {url}: {_line(str(error))}; check IONQ_API_URL")
    else:
        remedy = "the connection broke: check http or https, the port and the network, and try again"
    reason = _line(str(error)) or type(error).__name__
    return UnreachableError(f"expected an answer to {what} from {url}, got none ({reason}); {remedy}")


def is_permanent(error: Exception) -> bool:
    """Whether repeating a call cannot help: a broken certificate or address."""
    return isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError) or any(
        isinstance(c, ssl.SSLError) and isinstance(error, httpx.ConnectError) for c in _causes(error)
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error, what it comes from, and what that comes from."""
    out: list[BaseException] = []
    while error is not None and error not in out:
        out.append(error)
        error = error.__cause__ or error.__context__
    return out
