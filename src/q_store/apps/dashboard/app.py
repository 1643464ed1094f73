"""The addresses of the dashboard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import get_args

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from q_store.apps.control import Wanted, ask
from q_store.apps.dashboard.facts import held
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.security import Guard
from q_store.apps.run_folder import CIRCUIT
from q_store.errors import QStoreError
from q_store.events.wording import plain

PAGE = files("q_store.apps.dashboard") / "page"
DRAWING = "default-src 'none'; style-src 'unsafe-inline'"
"""What the drawing of a circuit may do: have its own colours."""
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def application(folder: Path, token: str, host: str, port: int) -> ASGIApp:
    """The dashboard of the run in `folder`, for those who have the token."""
    feed = Feed(folder)

    async def events(_request: Request) -> Response:
        return StreamingResponse(feed.messages(), media_type="text/event-stream")

    async def control(request: Request) -> Response:
        return await _control(folder, request)

    async def circuit(_request: Request) -> Response:
        try:
            drawing = await asyncio.to_thread((folder / CIRCUIT).read_bytes)
        except OSError:
            return PlainTextResponse("no drawing of the circuit\n", 404)
        return Response(drawing, media_type=TYPES[".svg"], headers={"content-security-policy": DRAWING})

    @asynccontextmanager
    async def watched(_app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.ensure_future(feed.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    routes = [
        Route("/", _file("index.html")),
        *(Route(f"/{each.name}", _file(each.name)) for each in PAGE.iterdir() if Path(each.name).suffix in TYPES),
        Route(f"/{CIRCUIT}", circuit),
        Route("/events", events),
        Route("/control", control, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, lifespan=watched), token, host, port)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    content, kind = (PAGE / name).read_bytes(), TYPES[Path(name).suffix]

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return answer


async def _control(folder: Path, request: Request) -> Response:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    except ClientDisconnect:
        return PlainTextResponse("too much\n", 413)
    wanted = body.get("wanted") if isinstance(body, dict) else None
    if not isinstance(wanted, str) or wanted not in get_args(Wanted):
        return PlainTextResponse('expected {"wanted": "run"}, "pause" or "stop", got something else\n', 400)
    if held(folder) is False:
        return PlainTextResponse("expected a run that trains, got one that has ended\n", 409)
    try:
        await asyncio.to_thread(ask, folder, wanted)
    except QStoreError as error:
        return PlainTextResponse(plain(error) + "\n", 503)
    return JSONResponse({"wanted": wanted})
