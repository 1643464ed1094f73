"""The emulator in process, for httpx: no socket, and the time of the running loop."""

from __future__ import annotations

import asyncio

import httpx
from starlette.types import ASGIApp


class InProcess(httpx.AsyncBaseTransport):
    """Hands calls to an ASGI application, as a network would.

    A call goes on when its client has given up, as in a server; so what was accepted stays accepted. The client's read
    timeout holds: httpx's own in-process transport knows none.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app=app)
        self._calls: set[asyncio.Task[httpx.Response]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call the application.

        Raises:
            httpx.ReadTimeout: no reply within the request's read timeout.
            httpx.ReadError, httpx.RemoteProtocolError: the connection broke, by a fault.
        """
        await request.aread()
        call = asyncio.ensure_future(self._inner.handle_async_request(request))
        self._calls.add(call)
        call.add_done_callback(self._ended)
        seconds = (request.extensions.get("timeout") or {}).get("read")
        try:
            return await asyncio.wait_for(asyncio.shield(call), seconds)
        except TimeoutError:
            msg = f"no reply within {seconds:g} s"
            raise httpx.ReadTimeout(msg, request=request) from None

    def _ended(self, call: asyncio.Task[httpx.Response]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # seen: nobody may wait for it any more
