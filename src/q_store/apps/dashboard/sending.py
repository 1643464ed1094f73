"""How the page and its messages go out: compressed, files only where the browser lacks them, readers counted."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from q_store.apps.dashboard.feed import Feed

READERS = 32
"""Pages that are told what is new, at a time."""
STREAM = "text/event-stream"
LEVEL = 6
_WINDOW = 31
"""Of zlib: 32 KiB, as gzip."""


def constant(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Answers with a file that does not change while we run."""
    packed = gzip.compress(content, mtime=0)
    mark = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"cache-control": "no-cache", "etag": mark, "vary": "accept-encoding"}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == mark:
            return Response(status_code=304, headers=headers)
        if _takes_gzip(request):
            return Response(packed, media_type=kind, headers={**headers, "content-encoding": "gzip"})
        return Response(content, media_type=kind, headers=headers)

    return answer


def stream(feed: Feed) -> Callable[[Request], Awaitable[Response]]:
    """Answers with what a feed tells; with 503 where too many are told it already."""
    readers: set[_Messages] = set()

    async def answer(request: Request) -> Response:
        if len(readers) >= READERS:
            return PlainTextResponse(
                f"expected at most {READERS} open pages of this dashboard, got one more; close one, then reload\n", 503
            )
        if request.method == "HEAD":
            return Response(media_type=STREAM)
        packed = _takes_gzip(request)
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"} if packed else {}
        messages = feed.messages()
        return _Messages(readers, _packed(messages) if packed else messages, headers)

    return answer


class _Messages(StreamingResponse):
    """A stream that counts as a reader while it lasts."""

    def __init__(
        self, readers: set[_Messages], messages: AsyncIterator[str] | AsyncIterator[bytes], headers: dict[str, str]
    ) -> None:
        super().__init__(messages, media_type=STREAM, headers=headers)
        self._readers = readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._readers.add(self)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._readers.discard(self)


async def _packed(messages: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Each message can be read when it is there."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _WINDOW)
    async for message in messages:
        yield packer.compress(message.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")
