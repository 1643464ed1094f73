"""A run of five steps and an epoch; a browser, and dashboards for it."""

import base64
import json
import re
import subprocess
import sys
from contextlib import ExitStack

import pytest
from dashboard_browser import CHROMIUM, FLAGS, LONG
from dashboard_runs import OPENING, folder_of_run, rounds, step, write

from q_store.apps.run_folder import RunFolder
from q_store.circuits.draw import svg
from q_store.events import (
    BudgetSet,
    Decided,
    EpochDone,
    MemberChanged,
    ProcessEnded,
    ProcessStarted,
    RecipeChosen,
    RecipeStarted,
    RunFinished,
    StageStarted,
)
from q_store.models import zoo


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


@pytest.fixture
def rich(tmp_path):
    """A run that fills every part of the page, with names and reasons as long as they come; it trains."""
    asked = {"model": "lean", "data": "/x/fashion-mnist-of-the-second-half.npz", "recipe": "refine", "noise": "aria-1"}
    path = folder_of_run(tmp_path / "lean-on-three-machines-of-two-providers-seed17", **asked)
    cap = {"currency": "USD", "shots": None, "circuits": None, "seconds": None}
    machine = "qpu.forte-enterprise-1_of_the_other_team"
    reason = (
        "3 failures in a row, the last: connection to api.example.com/v0.4/jobs/" + "0123456789abcdef" * 2 + " refused"
    )
    write(
        path,
        ProcessStarted("0.1.0"),
        RecipeChosen("refine", "auto", "no backend here can simulate it: " + "the circuit has 24 qubits, " * 4),
        RecipeStarted("refine", 132, 117, 50_000, 10_000, 2_000, 300, 300, 2_000),
        StageStarted("refining"),
        BudgetSet(None, **{**cap, "money": 12_500.5, "shots": 90_000_000, "circuits": 90_000, "seconds": 86_400.0}),
        BudgetSet("ionq", **{**cap, "money": 5.0}),
        *rounds(1, 60),
        MemberChanged(machine, 1_790_000_900.0, "paused", reason, 1.0, 2.0, 3, 4, 0.0, 5, 6),
        Decided("breaker opened", machine, 1_790_000_900.0, reason),
        EpochDone(1, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5, train_accuracy=0.7),
    )  # fmt: skip
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    grey = base64.b64encode(bytes(range(256)) * 3 + bytes(16)).decode()
    images = [{"truth": k % 10, "predicted": (k + k // 7) % 10, "pixels": grey} for k in range(24)]
    counts = [[900 if i == j else 11 for j in range(10)] for i in range(10)]
    (path / "tested.json").write_text(
        json.dumps({"classes": names, "counts": counts, "shape": [28, 28], "images": images})
    )
    (path / "circuit.svg").write_text(svg(zoo.definition("lean").circuit))
    held = RunFolder.find(path)
    held.lock()
    yield path
    held.close()
