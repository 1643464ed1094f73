"""`python -m q_store.apps.dashboard FD`: the page beside a training, see `beside`; ends when its input does."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from q_store.apps.dashboard.app import application
from q_store.apps.dashboard.beside import ENDING
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.serve import server


def main(descriptor: int) -> None:
    """Serve at the socket of that descriptor what the first line of the input names."""
    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_until_the_end, daemon=True).start()
    feed = Feed(Path(given["folder"]), beside=True)
    app = application(feed, given["token"], given["host"], given["port"])
    with socket.socket(fileno=descriptor) as listening:
        server(app, feed).run(sockets=[listening])


def _until_the_end() -> None:
    sys.stdin.read()
    time.sleep(ENDING)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]))
