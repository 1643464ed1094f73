"""Driving the dashboard in a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MARKS = [
    pytest.mark.browser,
    pytest.mark.socket,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium"),
]
LONG = 90_000
"""Milliseconds that something may take on a busy machine before the test fails."""
FIRST = "Number(document.querySelector('#figures dd').firstChild?.data.replaceAll(',', ''))"
"""The first figure: the step."""


def until(page, expression, argument=None):
    page.wait_for_function(expression, arg=argument)


def says(page, selector, text):
    """Wait until an element says it."""
    until(page, "([s, t]) => document.querySelector(s)?.textContent.includes(t)", [selector, text])


def number(page, name):
    """A figure at the top."""
    return float(page.locator(f"dt:text-is('{name}') + dd").inner_text().split()[0].replace(",", ""))


@contextmanager
def training(out, *options, **environment):
    command = [sys.executable, "-m", "q_store", "train", *map(str, options), "--out", str(out), "--no-control"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            while not (out / "events.jsonl").is_file():
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


class Wire:
    """Between browser and dashboard; can be cut."""

    def __init__(self, port):
        self._target, self._open = port, []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port, self.whole = self._door.getsockname()[1], True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                if not self.whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, target):
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.whole = False
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open = []

    def close(self):
        self.cut()
        self._door.close()
