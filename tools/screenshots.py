"""Take the pictures of the dashboard in docs/images anew, from runs that are made for them: a minute or two.

    make screenshots        or: python tools/screenshots.py [--out FOLDER]

- dashboard-light.png: a live training on three emulated backends, one of which dies under it
- dashboard-recipe.png: the upper part of the page of a recipe, while it buys circuits
- dashboard-dark.png, dashboard-phone.png: a finished training on the bundled images

Needs Playwright and Chromium, as the browser tests do. Look at every picture before it is committed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from q_store.emulator import Emulator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
Scheme = Literal["light", "dark"]
Q_STORE = [sys.executable, "-m", "q_store"]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
LONG = 120_000
"""Milliseconds that something may take."""
SECONDS = {"aria": 0.05, "forte": 0.04, "harmony": 0.08}
"""Of a circuit, by backend."""
POOL = '[budget]\nrun = "200000circuits,30minutes"\n'
MEMBER = '[[member]]\nname = "{name}"\nprovider = "ionq"\nurl = "{url}"\nkey_env = "ANY"\nmax_slice = 40\n'
DYING = "forte"
GONE = """name => {
  const row = [...document.querySelectorAll('#members tr')].find(each => each.cells[0].textContent === name);
  return row && !/^(working|on trial)/.test(row.cells[1].textContent);
}"""
STEP = "least => Number(document.querySelector('#figures dd')?.firstChild.data.replaceAll(',', '')) >= least"
LOOKED = """least => Number(document.querySelector('.card[data-id=looks] .plot').ariaLabel
  .match(/at ([\\d,]+) circuits/)[1].replaceAll(',', '')) >= least"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="FOLDER")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, tempfile.TemporaryDirectory() as folder:
        live(chromium, Path(folder), out)
        recipe(chromium, Path(folder), out)
        finished(chromium, Path(folder), out)
    return 0


def live(chromium: Browser, place: Path, out: Path) -> None:
    """Three backends, one of which dies while somebody looks."""
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(Emulator(rtt=0.05, circuit_seconds=seconds, slots=4, seed=seed))
            for seed, (name, seconds) in enumerate(SECONDS.items())
        }
        members = "".join(MEMBER.format(name=name, url=each.url) for name, each in services.items())
        (place / "pool.toml").write_text(POOL + members, encoding="utf-8")
        run = place / "lean-pool"
        words = ["train", "lean", "--pool", "pool.toml", "--rows", "10", "--batch-size", "5", "--epochs", "40"]
        environment = {**os.environ, "ANY": "x"}
        command = [*Q_STORE, *words, "--store", "store.db", "--out", str(run), "--no-control"]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=place, stdout=quiet, stderr=quiet, env=environment) as training:
            try:
                while not (run / "events.jsonl").is_file():
                    if training.poll() is not None:
                        raise SystemExit("expected a training on three emulators, got one that ended")
                with shown(run) as url:
                    page = opened(chromium, url, "light", 1280)
                    page.wait_for_function(STEP, arg=8)
                    services[DYING].__exit__(None, None, None)
                    page.wait_for_function(GONE, arg=DYING)
                    page.wait_for_timeout(8_000)
                    taken(page, out / "dashboard-light.png")
            finally:
                training.kill()


def recipe(chromium: Browser, place: Path, out: Path) -> None:
    """A recipe with noise, a few looks on its way."""
    with Emulator(rtt=0.05, circuit_seconds=0.05, seed=1) as service:
        run = place / "ring-regress"
        words = ["train", "ring", "--recipe", "regress", "--accuracy", "0.7", "--circuits", "300", "--shots", "200"]
        words += ["--backend", "ionq", "--url", service.url, "--noise", "aria-1", "--budget", "1000circuits"]
        command = [*Q_STORE, *words, "--store", "recipe.db", "--out", str(run), "--no-control"]
        environment = {**os.environ, "IONQ_API_KEY": "x"}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=place, stdout=quiet, stderr=quiet, env=environment) as training:
            try:
                while not (run / "events.jsonl").is_file():
                    if training.poll() is not None:
                        raise SystemExit("expected a recipe on an emulator, got one that ended")
                with shown(run) as url:
                    page = opened(chromium, url, "light", 1280, "looks")
                    page.wait_for_function(LOOKED, arg=150)
                    taken(page, out / "dashboard-recipe.png", whole=False)
            finally:
                training.kill()


def finished(chromium: Browser, place: Path, out: Path) -> None:
    """A training on images, after its end."""
    run = place / "compact-seed0"
    subprocess.run([*Q_STORE, "train", "compact", "--out", str(run)], check=True, stdout=subprocess.DEVNULL)
    with shown(run) as url:
        pictures: tuple[tuple[str, Scheme, int], ...]
        pictures = ("dashboard-dark", "dark", 1280), ("dashboard-phone", "light", 390)
        for name, scheme, width in pictures:
            page = opened(chromium, url, scheme, width)
            page.wait_for_selector("#images li:nth-child(24)")
            page.wait_for_function("() => document.querySelector('#circuit').naturalWidth > 0")
            taken(page, out / f"{name}.png")


@contextmanager
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SystemExit("expected Chromium on this machine, got none: apt install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=FLAGS)


@contextmanager
def shown(run: Path) -> Iterator[str]:
    """The link to a dashboard of the run."""
    with subprocess.Popen(
        [*Q_STORE, "dashboard", str(run), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            link = re.search(r"http://\S+", line)
            if link is None:
                raise SystemExit(f"expected the link to a dashboard, got {line!r}")
            yield link.group()
        finally:
            process.terminate()


def opened(chromium: Browser, url: str, scheme: Scheme, width: int, chart: str = "loss") -> Page:
    page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    page.set_default_timeout(LONG)
    page.goto(url)
    page.wait_for_selector(f".card[data-id={chart}] canvas")
    return page


def taken(page: Page, path: Path, *, whole: bool = True) -> None:
    page.screenshot(path=path, full_page=whole)
    page.close()
    print(path)


if __name__ == "__main__":
    raise SystemExit(main())
