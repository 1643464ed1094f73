"""Who may see the page, and what it may do: Host, token, origin, sizes, and the headers of every answer.

A page of another site, open in the same browser, can send requests here. It reads no answer (nothing here allows other
origins), and changes nothing: it does not know the token, its cookie is not sent along (`SameSite=Strict`), and what
changes something must be a POST of JSON from this very page. A name that somebody else's DNS points at this machine is
no name of this host, and refused.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from q_store.errors import ConfigError

LARGEST = 1024
"""Bytes of a request's body."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
LOCAL = ("127.0.0.1", "localhost", "::1")
TOKEN = "Q_STORE_DASHBOARD_TOKEN"  # noqa: S105  # the name of a variable
"""A token that stays the same, for programs that come again and again."""
_FIXED = re.compile(r"[A-Za-z0-9_-]{24,200}")


def secret() -> str:
    """The token of a dashboard: a new one, or that of the environment.

    Raises ConfigError for one that is short, or does not fit into a link.
    """
    fixed = os.environ.get(TOKEN)
    if not fixed:
        return secrets.token_urlsafe(24)
    if not _FIXED.fullmatch(fixed):
        raise ConfigError(
            f"expected {TOKEN} of 24 to 200 letters, digits, '-' and '_', got something else; make one with: python -c "
            "'import secrets; print(secrets.token_urlsafe(24))'"
        )
    return fixed


class Guard:
    """An ASGI application that lets through what may pass.

    Args:
        app: behind it.
        token: secret of the link.
        host: that the port was opened on. port: its number.
    """

    def __init__(self, app: ASGIApp, token: str, host: str, port: int) -> None:
        self._app, self._token, self._host, self._port = app, token, host, port
        self._cookie = f"q-store-{port}"  # a browser shares cookies between the ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        if answer is None:
            await self._app(scope, _limited(receive), headed)
        else:
            await answer(scope, receive, headed)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that may not pass, or that brings the token of the link."""
        headers, method = Headers(scope=scope), scope["method"]
        if not allowed(headers.get("host", ""), self._host):
            return _say(
                f"expected a request to {self._host}:{self._port}, got one to another host; open the link that "
                "'q-store dashboard' printed",
                421,
            )
        if method not in {"GET", "HEAD", "POST"}:
            return _say(f"expected GET, HEAD or POST, got {method}", 405)
        if _length(headers) > LARGEST:
            return _say(f"expected at most {LARGEST:,} bytes, got more", 413)
        brought = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if brought and method == "GET" and scope["path"] == "/" and self._right(brought[0]):
            return self._welcome()
        if not self._known(headers):
            return _say(
                "expected the token of this dashboard, got "
                + ("another one" if brought or "cookie" in headers or "authorization" in headers else "none")
                + "; open the whole link that 'q-store dashboard' printed",
                401,
            )
        return _foreign(headers) if method == "POST" else None

    def _right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _known(self, headers: Headers) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._right(bearer.strip()):
            return True
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return found is not None and self._right(found.value)

    def _welcome(self) -> Response:
        """To the page, with the token in a cookie, so that neither history nor bookmarks of the page hold it."""
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return answer


def allowed(header: str, host: str) -> bool:
    """Whether a Host header names this server: with an open `host` any address, or this machine's name, does.

    The port may be another one, as at the end of a tunnel; what counts is whose name it is.
    """
    name = _name(header)
    if name == host.lower() or (host in LOCAL and name in LOCAL):
        return True
    if host in LOCAL:
        return False
    if name in {*LOCAL, socket.gethostname().lower()}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True  # only a name can be pointed here by somebody else


def _name(header: str) -> str:
    """Of a Host header, without the port."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _foreign(headers: Headers) -> Response | None:
    """The answer to a POST that is not from the page."""
    origin = headers.get("origin")
    if origin not in {None, f"http://{headers['host']}"} or headers.get("sec-fetch-site", "same-origin") not in {
        "same-origin",
        "none",
    }:
        return _say("expected a request of this page, got one of another site", 403)
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _say("expected JSON, got something else", 415)
    return None


def _length(headers: Headers) -> int:
    given = headers.get("content-length", "0")
    return int(given) if given.isdecimal() and len(given) < 10 else LARGEST + 1


def _limited(receive: Receive) -> Receive:
    """Ends the request where its body is longer than it said, or said nothing of its length."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= LARGEST else {"type": "http.disconnect"}

    return limited


def _say(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status, headers={"connection": "close"})
