"""Backends that die under a live training, as somebody sees it who looks at the page; timed from the kill."""

import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from dashboard_browser import FIRST, LONG, MARKS, number, says, training, until

from q_store.apps.history import History

pytestmark = MARKS
NAMES = ("aria", "forte", "harmony")
EPOCHS, MANY = 4, 100
ROW = "[...document.querySelectorAll('#members tr')].find((row) => row.cells[0].textContent === name)"
"""The backend's row in the table; its cells: name, health, rate, latency, in flight, ..."""
DEAD = f"(name) => /^(failing|paused|probing)/.test({ROW}?.cells[1].textContent) && Date.now() / 1000"
HATCHED = """(lane) => {
  const canvas = document.querySelector("#lanes"), ratio = devicePixelRatio || 1;
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const wide = 12, high = Math.round(34 * ratio);
  copy.drawImage(canvas, canvas.width - wide, Math.round(lane * 42 * ratio), wide, high, 0, 0, wide, high);
  const { data } = copy.getImageData(0, 0, wide, high);
  copy.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--failed").trim();
  copy.fillRect(0, 0, 1, 1);
  const [r, g, b] = copy.getImageData(0, 0, 1, 1).data;
  let found = 0;
  for (let k = 0; k < data.length; k += 4) {
    found += Math.abs(data[k] - r) + Math.abs(data[k + 1] - g) + Math.abs(data[k + 2] - b) < 60;
  }
  return found > data.length / 4 / 20;
}"""
"""Whether the present of a lane is hatched: at its right end there are strokes of that colour, a twentieth at least."""


class Service:
    """An emulator in a process of its own, which can be killed."""

    def __init__(self, port=0):
        options = ["emulator", "--port", str(port), "--circuit-seconds", "0.02", "--rtt", "0.02"]
        self.process = subprocess.Popen([sys.executable, "-m", "q_store", *options], stdout=subprocess.PIPE, text=True)
        self.url = next(filter(None, map(re.compile(r"http://\S+/v0\.4").search, self.process.stdout))).group()

    def again(self):
        return Service(re.search(r":(\d+)/", self.url).group(1))

    def kill(self):
        """When it was killed."""
        self.process.send_signal(signal.SIGKILL)
        at = time.time()
        self.process.wait()
        self.process.stdout.close()
        return at


@pytest.fixture
def services():
    """Three, by name."""
    with ExitStack() as stack:
        found = {}
        for name in NAMES:
            found[name] = Service()
            stack.callback(lambda name=name: found[name].process.poll() is None and found[name].kill())
        yield found


@pytest.fixture
def remote(services, tmp_path):
    """A live training on them: what `training` gives, and the folder."""
    members = "".join(
        f'[[member]]\nname = "{name}"\nprovider = "ionq"\naccount = "{name}"\nurl = "{each.url}"\nkey_env = "ANY"\n'
        "max_slice = 10\n"
        for name, each in services.items()
    )
    (tmp_path / "pool.toml").write_text(f'[budget]\nrun = "90000circuits"\n{members}')
    out = tmp_path / "remote"
    options = ["--pool", tmp_path / "pool.toml", "--rows", 4, "--epochs", EPOCHS, "--store", tmp_path / "s.db"]
    with training(out, "lean", *options, ANY="x") as process:
        yield process, out


def at_work(page, out, name):
    """Wait until the page shows a step, and amid another one many circuits wait, and some are with a backend."""
    page.wait_for_selector("#members tr:nth-child(3)")
    until(page, f"() => {FIRST} > 0")
    end = time.monotonic() + LONG / 1000
    while time.monotonic() < end:
        waiting, there = 0, set()
        for entry in History(out).read():
            match entry.kind:
                case "CircuitsKnown":
                    waiting = entry.values["lacking"]
                case "CircuitsDone":
                    waiting = 0
                case "JobBuilt":
                    waiting -= entry.values["circuits"]
                    there |= {entry.values["slice"]} if entry.values["member"] == name else set()
                case "JobEnded":
                    there.discard(entry.values["slice"])
        if waiting > MANY and len(there) > 1:
            return
        time.sleep(0.1)
    pytest.fail(f"{name} was never at work amid a step")


def seen_dead(page, name, killed):
    """Seconds from the kill until the page said so."""
    return page.wait_for_function(DEAD, arg=name).json_value() - killed


def test_a_backend_that_is_killed(opened, dashboard, services, remote):
    """Its death is on the page within two seconds, its circuits move, and the others train to the end."""
    process, out = remote
    page = opened(dashboard(out)[1])
    at_work(page, out, "forte")
    killed = services["forte"].kill()
    assert seen_dead(page, "forte", killed) < 2
    row = page.locator("#members tr", has_text="forte")
    assert "got none" in row.inner_text()
    until(page, HATCHED, NAMES.index("forte"))
    assert not page.evaluate(HATCHED, NAMES.index("aria"))
    says(page, "#decisions", "forte: breaker opened")
    says(page, "#decisions", "moved from forte to")
    moved = page.locator("#decisions").inner_text()
    assert re.search(r"[1-9][\d,]* circuits? moved from forte to (aria|harmony): .*got none", moved)
    before = number(page, "Step")
    until(page, f"before => {FIRST} > before", before)
    assert process.wait(LONG / 1000) == 0
    says(page, "#status", "completed")
    assert number(page, "Step") == EPOCHS
    label = page.locator(".card[data-id=loss] .plot").get_attribute("aria-label")
    assert label.startswith(f"Loss at step {EPOCHS}")
    says(page, "#caps", "circuits:")
    says(page, "#split", "network")


def test_a_backend_that_is_killed_and_comes_back(opened, dashboard, services, remote):
    """On the same address, without a memory of its jobs."""
    process, out = remote
    page = opened(dashboard(out)[1])
    at_work(page, out, "forte")
    assert seen_dead(page, "forte", services["forte"].kill()) < 2
    time.sleep(3)
    services["forte"] = services["forte"].again()
    says(page, "#decisions", "forte: breaker closed")
    until(page, f"(name) => {ROW}.cells[1].textContent === 'working'", "forte")
    assert not page.evaluate(HATCHED, NAMES.index("forte"))
    assert process.wait(LONG / 1000) == 0
    says(page, "#status", "completed")


def test_all_backends_die_and_one_comes_back(opened, dashboard, services, remote):
    """The page says that the run pauses, and why; one that is back is enough to go on to the end."""
    process, out = remote
    page = opened(dashboard(out)[1])
    at_work(page, out, "aria")
    for name in NAMES:
        services[name].kill()
    for name in NAMES:
        until(page, DEAD, name)
    says(page, "#status", "paused")
    says(page, "#trouble", "no backend works")
    for name in NAMES:
        says(page, "#trouble", f"{name}: expected an answer")
    assert process.poll() is None
    services["harmony"] = services["harmony"].again()
    says(page, "#decisions", "a backend is back")
    says(page, "#status", "running")
    until(page, "() => document.querySelector('#trouble').hidden")
    assert process.wait(LONG / 1000) == 0
    says(page, "#status", "completed")
