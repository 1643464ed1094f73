"""Kill trainings that pay a service, resume them, and let the service's ledger judge what that cost.

Usage: python tools/soak_crash.py [--kills 200] [--seed 0] [--workers 3] [--minutes M] [--out FILE]

A run is a training on an emulator of its own (`q-store emulator`), killed with SIGKILL up to three times and resumed
(`q-store resume`) until it ends. Runs take turns: a pool of two paid members; one paid service; a noisy simulator; two
trainings at once on one store, each killed on its own. Moments: after a random time, or at a random boundary of
everything that outlives the process: before a transaction, before its commit, behind it; before and behind a request
that may cost something; before and behind a file's rename. Afterwards the service must have charged as many circuits as
for the unbroken run, none twice; the store must be sound, with nothing open, nothing reserved and the service's sum
spent; and the parameters must be those of the unbroken run. Exit code 1 when a run ends otherwise.

Processes are forks of this one, which has imported everything and opened nothing: they share no state but the disk.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mortal import PATIENCE, Process

from q_store.store import Store

ASKED = ["ring", "--data", "blobs.npz", "--rows", "2", "--batch-size", "1", "--epochs", "2", "--no-control", "--yes"]
PAID = [*ASKED, "--shots", "20"]
POOL = """
[[member]]
name = "one"
provider = "ionq"
url = "{url}"
target = "qpu.forte-1"
max_slice = 25
[[member]]
name = "two"
provider = "ionq"
url = "{url}"
target = "qpu.forte-1"
max_slice = 25
key_env = "OTHER_KEY"
"""
PLACES = {
    "pool of two": [*PAID, "--pool", "pool.toml"],
    "paid service": [*PAID, "--backend", "ionq", "--target", "qpu.forte-1"],
    "noisy simulator": [*PAID, "--backend", "ionq", "--noise", "aria-1"],
}
SHARED = "shared store"
KINDS = [*PLACES, SHARED]


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """The address of an emulator that runs while the block does."""
    words = ["emulator", "--port", "0", "--circuit-seconds", "0.01", "--rtt", "0.01", "--slots", "2"]
    process = Process(folder, "emulator", words)
    try:
        while not (found := re.search(r"http://\S+?/v0\.4", process.out.read_text() if process.out.exists() else "")):
            if process.ended() or time.perf_counter() - process.began > PATIENCE:
                raise SystemExit(f"no emulator came up: {process.err.read_text()}")
            time.sleep(0.01)
        yield found.group(0)
    finally:
        process.kill()


def ledger(url: str) -> dict[str, Any]:
    """What the service has accepted and charged."""
    with urllib.request.urlopen(url.replace("/v0.4", "/emulator/ledger"), timeout=60) as reply:  # noqa: S310
        found: dict[str, Any] = json.load(reply)
        return found


# ---------------------------------------------------------------------------------------------------------- trainings


@dataclass(frozen=True)
class Unbroken:
    """What a training comes to that nobody disturbs."""

    parameters: str
    circuits: int
    boundaries: int
    seconds: float


@dataclass
class Training:
    """One training: its folder, and the kills that it has suffered."""

    place: Path
    name: str
    words: list[str]
    seed: int
    kills: list[str]

    @property
    def folder(self) -> Path:
        return self.place / self.name

    def start(self, at: int | None = None) -> Process:
        """Start it, or go on with it."""
        there = (self.folder / "config.json").exists()
        words = ["resume", self.name, "--yes", "--json"] if there else ["train", *self.words, "--json", *self._new()]
        (self.place / "moment").unlink(missing_ok=True)
        return Process(self.place, f"{self.name}-process", words, at)

    def _new(self) -> list[str]:
        return ["--seed", str(self.seed), "--out", self.name, "--store", "store.db"]

    def strike(self, chance: random.Random, unbroken: Unbroken) -> None:
        """Start it and kill it at a random moment; it may be faster."""
        at = chance.randint(1, unbroken.boundaries) if chance.random() < 2 / 3 else None
        process = self.start(at)
        process.wait(PATIENCE if at else chance.uniform(0, unbroken.seconds))
        process.kill()
        said = self.place / "moment"
        if process.code == -signal.SIGKILL:
            moment = said.read_text(encoding="utf-8") if at else "a random time"
            self.kills.append(f"{moment} ({time.perf_counter() - process.began:.1f} s)")

    def finish(self) -> dict[str, Any]:
        """Let it run to its end; what it says of itself, or {"error": ...}."""
        process = self.start()
        if not process.wait():
            process.kill()
            return {"error": "it hangs"}
        if process.code:
            return {"error": f"it ended with {process.code}: {process.err.read_text().strip()[-600:]}"}
        told: dict[str, Any] = json.loads(process.out.read_text().splitlines()[-1])
        return told


def prepare(place: Path, url: str) -> None:
    """The data and the file of the pool."""
    chance = np.random.default_rng(5)
    y = np.arange(60) % 3
    np.savez(place / "blobs.npz", x=1 + chance.random((3, 8))[y] + 0.4 * chance.random((60, 8)), y=y)
    (place / "pool.toml").write_text(POOL.format(url=url), encoding="utf-8")


@contextmanager
def workplace(kind: str, seeds: tuple[int, ...]) -> Iterator[tuple[Path, str, list[Training]]]:
    """A folder with everything that trainings need, their service, and the trainings."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name, emulator(Path(name)) as url:
        prepare(Path(name), url)
        os.environ["IONQ_API_URL"] = url
        words = PLACES["paid service" if kind == SHARED else kind]
        yield Path(name), url, [Training(Path(name), f"run{seed}", words, seed, []) for seed in seeds]


def undisturbed(kind: str, seed: int) -> Unbroken:
    """Train to the end without a kill."""
    with workplace(kind, (seed,)) as (place, url, (training,)):
        began = time.perf_counter()
        told = training.finish()
        if "error" in told:
            raise SystemExit(f"the unbroken run by {kind} failed: {told['error']}")
        boundaries = int((place / "boundaries").read_text())
        charged = ledger(url)["charged_circuits"]
        return Unbroken(told["parameters_sha256"], charged, boundaries, time.perf_counter() - began)


# -------------------------------------------------------------------------------------------------------------- a run


@dataclass(frozen=True)
class Verdict:
    """How a run with kills ended; `problems` is empty when all is well."""

    kind: str
    kills: list[str]
    charged: int
    twice: int
    problems: list[str]


def killed(kind: str, number: int, seed: int, unbroken: dict[int, Unbroken]) -> Verdict:
    """A run (or two that share a store) with kills, resumed to the end."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311  # moments, not secrets
    with workplace(kind, tuple(unbroken)) as (place, url, trainings):
        if len(trainings) == 1:
            for _ in range(chance.randint(1, 3)):
                trainings[0].strike(chance, unbroken[trainings[0].seed])
            told = [trainings[0].finish()]
        else:
            told = together(trainings, chance, unbroken)
        problems = [each["error"] for each in told if "error" in each]
        for training, each in zip(trainings, told, strict=True):
            if each.get("parameters_sha256", "") != unbroken[training.seed].parameters:
                problems.append(f"{training.name}: other parameters than the unbroken run")
        book = ledger(url)
        problems += audit(place / "store.db", book, sum(each.circuits for each in unbroken.values()))
        kills = [kill for training in trainings for kill in training.kills]
        return Verdict(kind, kills, book["charged_circuits"], book["circuits_charged_twice"], problems)


def together(trainings: list[Training], chance: random.Random, unbroken: dict[int, Unbroken]) -> list[dict[str, Any]]:
    """Trainings side by side, killed at random times and started again until each has ended; what they say."""
    kills = {training.name: chance.randint(1, 2) for training in trainings}
    running = {training.name: training.start() for training in trainings}
    told: dict[str, dict[str, Any]] = {}
    due = {name: time.perf_counter() + chance.uniform(0, unbroken[t.seed].seconds)
           for name, t in zip(running, trainings, strict=True)}  # fmt: skip
    while len(told) < len(trainings):
        time.sleep(0.005)
        for training in trainings:
            name, process = training.name, running[training.name]
            if name in told:
                continue
            if process.ended() or time.perf_counter() - process.began > PATIENCE:
                process.kill()
                told[name] = (
                    {"error": f"ended with {process.code}: {process.err.read_text().strip()[-600:]}"}
                    if process.code
                    else json.loads(process.out.read_text().splitlines()[-1])
                )
            elif kills[name] and time.perf_counter() > due[name]:
                process.kill()
                kills[name] -= 1
                training.kills.append(f"{name} of two ({time.perf_counter() - process.began:.1f} s)")
                running[name] = training.start()
                due[name] = time.perf_counter() + chance.uniform(0, unbroken[training.seed].seconds)
    return [told[training.name] for training in trainings]


def audit(path: Path, book: dict[str, Any], circuits: int) -> list[str]:
    """What the service's ledger and the store have against a run."""
    problems = []
    if book["circuits_charged_twice"]:
        problems.append(f"{book['circuits_charged_twice']} circuits charged twice")
    if book["charged_circuits"] != circuits:
        problems.append(f"{book['charged_circuits']} circuits charged, {circuits} in the unbroken run")
    with Store(path) as store:
        store.check()
        spent, reserved = store.budget.totals()["USD"]
        if store.tickets.open():
            problems.append(f"{len(store.tickets.open())} tickets still open")
        if (reserved.money, reserved.shots, reserved.circuits) != (0, 0, 0):
            problems.append(f"still reserved: {reserved}")
        if abs(spent.money - book["charges_usd"]) > 1e-6:
            problems.append(f"the store says {spent.money} USD were spent, the service {book['charges_usd']}")
    return problems


# ----------------------------------------------------------------------------------------------------------- the soak


def soak(given: argparse.Namespace, note: Callable[[str], None]) -> int:
    """Kill until enough were counted, or the time is over; the number of runs that did not end as they must."""
    fork = multiprocessing.get_context("fork")
    deadline = time.perf_counter() + 60 * given.minutes
    with ProcessPoolExecutor(given.workers, fork) as workers:
        plans = [(kind, seed) for kind in KINDS for seed in ((0, 1) if kind == SHARED else (0,))]
        asked = [workers.submit(undisturbed, kind, seed) for kind, seed in plans]
        unbroken: dict[str, dict[int, Unbroken]] = {kind: {} for kind in KINDS}
        for (kind, seed), future in zip(plans, asked, strict=True):
            unbroken[kind][seed] = found = future.result()
            note(f"unbroken: {kind}, seed {seed}: {found.circuits} circuits charged, {found.boundaries} boundaries, "
                 f"parameters {found.parameters[:16]}")  # fmt: skip
        numbers, open_runs = itertools.count(1), set[Future[Verdict]]()
        kills, runs, bad = 0, 0, 0
        while open_runs or (kills < given.kills and time.perf_counter() < deadline):
            while len(open_runs) < given.workers and kills < given.kills and time.perf_counter() < deadline:
                number = next(numbers)
                kind = KINDS[number % len(KINDS)]
                open_runs.add(workers.submit(killed, kind, number, given.seed, unbroken[kind]))
            ended, open_runs = wait(open_runs, return_when=FIRST_COMPLETED)
            for verdict in (future.result() for future in ended):
                runs, kills, bad = runs + 1, kills + len(verdict.kills), bad + bool(verdict.problems)
                moments = "; ".join(verdict.kills) or "faster than the kill"
                problems = [each.replace("\n", " / ") for each in verdict.problems]
                note(f"run {runs:3d}  {verdict.kind:15s}  charged {verdict.charged}, twice {verdict.twice}  "
                     f"{'as it must be' if not verdict.problems else 'WRONG: ' + ' | '.join(problems)}"
                     f"  killed at: {moments}")  # fmt: skip
    note(f"{kills} kills in {runs} runs: {runs - bad} ended like the unbroken run, {bad} did not")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=3, help="runs side by side")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so long")
    parser.add_argument("--out", type=Path, help="where to write the transcript, line by line")
    given = parser.parse_args()
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("", encoding="utf-8")

    def note(line: str) -> None:
        print(line, flush=True)
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    note(f"q-store train {' '.join(PAID)}, killed with SIGKILL (seed {given.seed})")
    return int(soak(given, note) > 0)


if __name__ == "__main__":
    sys.exit(main())
