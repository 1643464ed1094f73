"""`q-store dashboard`: finds the run and a port, prints the link, serves until Ctrl-C."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType

import uvicorn
from rich.console import Console

from q_store.apps.dashboard.app import application
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.security import LOCAL, secret
from q_store.apps.history import EVENTS, History
from q_store.apps.progress import plain
from q_store.apps.run_folder import CONFIG, RUNS, RunFolder
from q_store.errors import ConfigError, RunError

PORT, HOST = 8080, "127.0.0.1"
OPEN = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # asked for
"""Hosts that stand for all addresses of this machine."""
OPTION = "--port "
TRIED = 100
"""Ports behind a taken one that are looked at for a free one."""


def dashboard(run: Path | None, host: str = HOST, port: int = PORT) -> None:
    """Run the command until it is interrupted.

    Raises RunError where there is no such run or its events are of another version, ConfigError for a port or a host
    that cannot be had.
    """
    folder = RunFolder.find(latest() if run is None else run).path
    _ = RunFolder(folder).config, History(folder).header  # says so here where another version wrote them
    console = Console()
    with closing(listen(host, port)) as listening:
        own = listening.getsockname()[1]
        token = secret()
        plain(console, f"{folder.name}: {link(host, own, token)}")
        plain(
            console,
            "Open the link in a browser; it holds the key to this page. Ctrl-C ends the dashboard, not the run.",
        )
        if host not in LOCAL:
            plain(
                console,
                f"Others reach it too, with the link and without encryption. It answers to the name {names(host)}.",
            )
        with suppress(KeyboardInterrupt):
            feed = Feed(folder)
            server(application(feed, token, host, own), feed).run(sockets=[listening])
    plain(console, "ended")


def latest(runs: Path = RUNS) -> Path:
    """The run that something happened in last. Raises RunError where there is none."""
    found = [each.parent for each in runs.glob(f"*/{CONFIG}")]
    if not found:
        raise RunError(f"expected a run below {runs}, got none; give the folder of one: q-store dashboard RUN")
    return max(found, key=lambda each: max(_changed(each / EVENTS), _changed(each / CONFIG)))


def link(host: str, port: int, token: str) -> str:
    """What the user opens."""
    shown = socket.gethostname() if host in OPEN else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/?token={token}"


def names(host: str) -> str:
    """What an open server may be called by those whom it answers, see `security.allowed`."""
    own = [each for each in dict.fromkeys((host, socket.gethostname(), "localhost")) if each not in OPEN]
    return ", ".join(own) + " or an address of this machine"


def listen(host: str, port: int, option: str = OPTION) -> socket.socket:
    """A listening socket. Raises ConfigError, which names the next free port where that one is taken.

    `option` is what the user gives a port with: `--port ` on a command line.
    """
    if not 0 <= port < 65_536:
        raise ConfigError(f"expected {option.rstrip(' =')} from 0 to 65535, got {port}; 0 takes any free one")
    try:
        return _opened(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            free = _free(host, port)
            remedy = f"the next free one: {option}{free}" if free else "choose another one, or 0 for any"
            raise ConfigError(f"expected a free port, got {port}, which another program uses; {remedy}") from None
        if error.errno == errno.EACCES:
            raise ConfigError(
                f"expected {option.rstrip(' =')} that you may open, got {port}; choose one above 1023"
            ) from None
        reason = error.strerror or error
        raise ConfigError(f"expected an address of this machine, got {host!r} ({reason}); use {LOCAL[0]}") from None


def _opened(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address, family=family)


def _free(host: str, port: int) -> int | None:
    for other in range(port + 1, min(port + TRIED, 65_536)):
        with suppress(OSError), _opened(host, other):
            return other
    return None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class _Server(uvicorn.Server):
    """Tells its readers that it ends."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._feed.end()
        super().handle_exit(sig, frame)


def server(app: object, feed: Feed) -> uvicorn.Server:
    """What serves the application: says nothing on its own; its readers hear of the end, and cannot put it off."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # its lines would hold the token
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, feed)
