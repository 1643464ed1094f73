"""The addresses of the dashboard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import get_args

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from q_store.apps.control import Wanted, ask
from q_store.apps.dashboard.facts import held
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.prometheus import metrics
from q_store.apps.dashboard.security import Guard
from q_store.apps.dashboard.sending import constant, stream
from q_store.apps.run_folder import CIRCUIT
from q_store.errors import QStoreError
from q_store.events.wording import plain

PAGE = files("q_store.apps.dashboard") / "page"
DRAWING = "default-src 'none'; style-src 'unsafe-inline'"
"""What the drawing of a circuit may do: have its own colours."""
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def application(feed: Feed, token: str, host: str, port: int) -> ASGIApp:
    """The dashboard of the run that a feed is of, for those who have the token."""
    folder = feed.folder

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

    found = [each for each in PAGE.iterdir() if Path(each.name).suffix in TYPES]
    pages = {each.name: constant(each.read_bytes(), TYPES[Path(each.name).suffix]) for each in found}
    routes = [
        Route("/", pages["index.html"]),
        *(Route(f"/{name}", answer) for name, answer in pages.items()),
        Route(f"/{CIRCUIT}", circuit),
        Route("/events", stream(feed)),
        Route("/metrics", metrics(feed)),
        Route("/control", control, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, lifespan=watched), token, host, port)


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
