"""The emulator behind a port of this machine: in a thread for a context manager, or until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from q_store.emulator.front import BASE, DROP
from q_store.errors import ConfigError

BACKLOG = 1_024
log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: address or name of this machine.
        port: 0 for any free one.

    Raises:
        ConfigError: for a port that is taken or not allowed, or a host that is not this machine.
    """
    if not 0 <= port < 65_536:
        msg = f"expected a port from 0 to 65535, got {port}; 0 takes any free one"
        raise ConfigError(msg)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(_reason(host, port, error)) from None


def _reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"expected a free port, got {port}, which another program uses; choose another one, or 0 for any"
    if error.errno == errno.EACCES:
        return f"expected a port that you may open, got {port}; choose one above 1023, or 0 for any"
    return f"expected an address of this machine, got {host!r} ({error.strerror or error}); use 127.0.0.1"


def address(listening: socket.socket) -> str:
    """The API's URL at a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{BASE}"


class _Droppable:
    """Gives the application the means to break the connection of a call."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.connections: set[Any] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def drop() -> None:
            for each in self.connections:
                if each.client == scope["client"]:
                    each.transport.abort()
            while (await receive())["type"] != "http.disconnect":
                pass

        extended = {**scope, "extensions": {**(scope.get("extensions") or {}), DROP: drop}}
        try:
            await self._app(extended, receive, send)
        except asyncio.CancelledError:  # the server stops; its log shall not show that as an error
            await drop()
        except Exception:
            log.exception("a call failed")
            raise


def _server(app: ASGIApp) -> uvicorn.Server:
    droppable = _Droppable(app)
    config = uvicorn.Config(
        droppable,
        loop="asyncio",  # its time is the monotonic clock, which threads can read
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # errors are logged here, and by the service
        access_log=False,  # lines of a log must not hold keys, and an hour of load not fill a disk
        date_header=False,  # the emulator has a clock of its own
        server_header=False,
        proxy_headers=False,  # the client of a connection is the one that it is dropped by
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)
    droppable.connections = server.server_state.connections
    return server


class Background:
    """A server in a thread.

    Args:
        app: what it serves.
        host, port: where; 0 takes any free port.

    Raises:
        ConfigError: see `listen`.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = listen(host, port)
        self.url = address(self._socket)
        self._server = _server(app)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="emulator-server", daemon=True)
        self._thread.start()
        self._ready.wait()

    def call(self, function: Callable[[], Any]) -> Any:
        """What the function returns, called between two steps of the server's loop."""
        loop = self._loop
        assert loop is not None  # noqa: S101 - the constructor waited for it

        async def step() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(step(), loop).result()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells in no other way
            await asyncio.sleep(0.005)
        self._ready.set()
        await serving


def serve(app: ASGIApp, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: what to serve.
        host: address or name of this machine.
        port: 0 takes any free one.
        started: called with the URL once the port is open.

    Raises:
        ConfigError: see `listen`.
        KeyboardInterrupt: it was interrupted.
    """
    with contextlib.closing(listen(host, port)) as listening:
        started(address(listening))
        _server(app).run(sockets=[listening])
