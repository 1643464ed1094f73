"""A dashboard beside a training: a process of its own, on a port opened here, as long as the training lasts."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from q_store.apps.dashboard.security import secret
from q_store.apps.dashboard.serve import HOST, OPTION, link, listen
from q_store.apps.progress import plain

ENDING = 1.0
"""Seconds that the page has to hear how the training ended."""


@contextmanager
def beside(folder: Path, port: int, console: Console, option: str = OPTION) -> Iterator[None]:
    """Serve the page of the run in `folder` while the block lasts. Raises as `listen`."""
    with closing(listen(HOST, port, option)) as listening:
        child, url = _started(listening, folder)
    try:
        plain(console, f"dashboard: {url}")
        yield
    finally:
        with suppress(OSError):
            _close(child)  # which is how it hears that the training has ended


def _started(listening: socket.socket, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The process, and the link to its page."""
    token, port = secret(), listening.getsockname()[1]
    child = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", "q_store.apps.dashboard", str(listening.fileno())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[listening.fileno()],
        start_new_session=True,  # Ctrl-C is for the training, and the page shows what comes of it
    )
    given = json.dumps({"folder": str(folder.resolve()), "token": token, "host": HOST, "port": port})
    with suppress(OSError):  # a page that cannot be shown stops no training
        _tell(child, given)
    return child, link(HOST, port, token)


def _tell(child: subprocess.Popen[bytes], line: str) -> None:
    assert child.stdin is not None  # noqa: S101  # it is a pipe
    child.stdin.write(line.encode() + b"\n")
    child.stdin.flush()


def _close(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None  # noqa: S101  # it is a pipe
    child.stdin.close()
    try:
        child.wait(ENDING + 2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
