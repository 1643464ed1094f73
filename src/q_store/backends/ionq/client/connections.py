"""Connections to the service.

httpcore's pool asks every connection of its own about every other one at each request and at its end, so its time grows
with the square of their number. Several clients with a few connections each keep it small.
"""

from __future__ import annotations

import ssl
from collections.abc import Generator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx
from pydantic import SecretStr

from q_store.backends.ionq.settings import IonQSettings

_LONGEST_CONNECT = 10.0
_KEPT_ALIVE = 30.0
_TOGETHER = 4
"""Connections of one client."""


class Connections:
    """At most `settings.connections` connections, kept alive between calls."""

    def __init__(self, settings: IonQSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._trust: ssl.SSLContext | None = None
        self._left = settings.connections
        self._open: dict[httpx.AsyncClient, int] = {}  # clients, with the requests that each has under way

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """A request, by the client that has the least to do. Raises as httpx does."""
        client = self._client()
        self._open[client] += 1
        try:
            return await client.request(method, url, **options)
        finally:
            self._open[client] -= 1

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._open:
            await client.aclose()

    def _client(self) -> httpx.AsyncClient:
        """One with a connection to spare; a new one while there may be more; else the one with the least to do."""
        least = min(self._open, key=self._open.__getitem__, default=None)
        if least is None or (self._left and self._open[least] >= _TOGETHER):
            least = self._new()
            self._open[least] = 0
        return least

    def _new(self) -> httpx.AsyncClient:
        most = self._left if self._transport else min(_TOGETHER, self._left)
        self._left -= most
        if self._trust is None and self._transport is None:  # made once: reading the certificates takes long
            self._trust = httpx.create_ssl_context()
        settings = self._settings
        return httpx.AsyncClient(
            auth=_KeyAuth(settings.key),
            headers={"User-Agent": f"q-store/{_version()}", "Accept": "application/json"},
            timeout=httpx.Timeout(settings.timeout, connect=min(_LONGEST_CONNECT, settings.timeout), pool=None),
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=_KEPT_ALIVE),
            transport=self._transport,
            verify=self._trust or True,
        )


class _KeyAuth(httpx.Auth):
    """Puts the key into a request as it leaves, so that no client object holds it in the clear."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"apiKey {self._key.get_secret_value()}"
        yield request


def _version() -> str:
    try:
        return version("q-store")
    except PackageNotFoundError:
        return "unknown"
