"""A run of five steps and an epoch; a browser, and dashboards for it."""

import re
import subprocess
import sys
from contextlib import ExitStack

import pytest
from dashboard_browser import CHROMIUM, FLAGS, LONG
from dashboard_runs import OPENING, folder_of_run, rounds, step, write

from q_store.events import EpochDone, ProcessEnded, RunFinished


@pytest.fixture
def run(tmp_path):
    """Five steps and an epoch of ten steps."""
    folder = folder_of_run(tmp_path / "compact-mine")
    epoch = EpochDone(1, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5, train_accuracy=0.7)
    write(folder, *OPENING, *map(step, range(1, 6)), epoch)
    return folder


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'q-store[dev]'")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def dashboard():
    """Starts a dashboard of a folder: its process and its link."""
    with ExitStack() as stack:

        def start(folder):
            command = [sys.executable, "-m", "q_store", "dashboard", str(folder), "--port", "0"]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            return process, re.search(r"http://\S+", process.stdout.readline()).group()

        yield start


@pytest.fixture
def opened(chromium, dashboard):  # noqa: ARG001  # whose pages are closed before it is
    """Opens a link in a new page; at the end nothing was complained about, and nobody else was asked anything."""
    contexts, trouble = [], []

    def visit(url, prepare=None, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LONG)
        page.on("console", lambda said: trouble.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        own = url.split("/?")[0]
        page.on("request", lambda asked: None if asked.url.startswith(own) else trouble.append(asked.url))
        if prepare is not None:
            prepare(context, page)
        page.goto(url)
        return page

    visit.cut = False  # the browser complains of a connection that breaks
    yield visit
    for context in contexts:
        context.close()
    assert [each for each in trouble if not (visit.cut and "Failed to load resource" in each)] == []


@pytest.fixture(scope="session")
def long(tmp_path_factory):
    """More than 100,000 events of all kinds."""
    folder = folder_of_run(tmp_path_factory.mktemp("long") / "long")
    for first in range(0, 6_400, 3_200):  # no more than may wait to be written
        write(folder, *(OPENING if not first else ()), *rounds(first + 1, first + 3_200))
    write(folder, EpochDone(1, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5, train_accuracy=0.7))
    write(folder, RunFinished(2, "completed", 1, 1, 9.0), ProcessEnded("completed"))
    return folder
