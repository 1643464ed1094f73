"""Kill trainings that pay a service, resume them, and let the service's ledger judge what that cost.

Usage: python tools/soak_crash.py [--kills 200] [--every] [--seed 0] [--workers 3] [--minutes M] [--out FILE]

A run is a training on an emulator of its own (`q-store emulator`), killed with SIGKILL up to three times and resumed
(`q-store resume`) until it ends. Runs take turns: a pool of two paid members; one paid service; a noisy simulator; two
trainings at once on one store, each killed on its own; two that ask the same, which is to be bought once; new
interpreters instead of forks of this one. Moments: after a random time, or at a random boundary of everything that
outlives the process: before a transaction, before its commit, behind it; before and behind a request that may cost
something; before and behind a file's rename. New interpreters are killed when the service has accepted a random number
of circuits. `--every` kills at each boundary of the first three kinds besides, one a run. Afterwards the service must
have charged as many circuits as for the unbroken run, none twice; the store must be sound, with nothing open, nothing
reserved and the service's sum spent; and the parameters must be those of the unbroken run. Exit code 1 when a run ends
otherwise.

Processes are forks of one that has imported everything and opened nothing, see `mortal`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mortal  # before NumPy
import numpy as np
from mortal import PATIENCE, Process, emulator, ledger

from q_store.store import Store

MODEL = "ring"
FEW = ["--data", "blobs.npz", "--rows", "2", "--batch-size", "1", "--epochs", "1", "--shots", "20"]
PAID = [MODEL, *FEW, "--no-control", "--yes"]
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


@dataclass(frozen=True)
class Kind:
    """What is trained by how many, and whether in new interpreters."""

    name: str
    place: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    fresh: bool = False

    @property
    def words(self) -> list[str]:
        """What `q-store train` is asked."""
        return [*PAID, *self.place]


SERVICE = ("--backend", "ionq", "--target", "qpu.forte-1")
SINGLE = [
    Kind("pool of two", ("--pool", "pool.toml")),
    Kind("paid service", SERVICE),
    Kind("noisy simulator", ("--backend", "ionq", "--noise", "aria-1")),
]
KINDS = [
    *SINGLE,
    Kind("shared store", SERVICE, seeds=(0, 1)),
    Kind("the same twice", ("--pool", "pool.toml"), seeds=(0, 0)),
    Kind("new interpreters", SERVICE, fresh=True),
]

FRESH_PATIENCE = 10.0
"""Seconds after which a new interpreter is killed that buys nothing more."""


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
    url: str
    fresh: bool
    kills: list[str]

    @property
    def folder(self) -> Path:
        return self.place / self.name

    def start(self, at: int | None = None, *, fresh: bool = False) -> Process:
        """Start it, or go on with it."""
        there = (self.folder / "config.json").exists()
        words = ["resume", self.name, "--yes", "--json"] if there else ["train", *self.words, "--json", *self._new()]
        (self.place / "moment").unlink(missing_ok=True)
        return Process(self.place, f"{self.name}-process", words, at, fresh=fresh)

    def _new(self) -> list[str]:
        return ["--seed", str(self.seed), "--out", self.name, "--store", "store.db"]

    def strike(self, chance: random.Random, unbroken: Unbroken) -> None:
        """Start it and kill it at a random moment; it may be faster."""
        if self.fresh:
            self._strike_fresh(chance, unbroken)
        elif chance.random() < 2 / 3:
            self.strike_at(chance.randint(1, unbroken.boundaries))
        else:
            process = self.start()
            process.wait(chance.uniform(0, unbroken.seconds))
            self._kill(process, "a random time")

    def strike_at(self, boundary: int) -> None:
        """Start it and let it die at this boundary; it may have fewer."""
        process = self.start(boundary)
        process.wait()
        said = self.place / "moment"
        self._kill(process, f"{said.read_text(encoding='utf-8')}, boundary {boundary}" if said.exists() else "")

    def _strike_fresh(self, chance: random.Random, unbroken: Unbroken) -> None:
        had = there = ledger(self.url)["accepted_circuits"]
        enough = chance.randint(had + 1, max(had + 1, unbroken.circuits))
        process = self.start(fresh=True)
        while there < enough and not process.ended():
            time.sleep(0.02)
            there = ledger(self.url)["accepted_circuits"]
            if time.perf_counter() - process.began > FRESH_PATIENCE:  # it waits for the list of jobs to be sure
                break
        self._kill(process, f"{there} circuits accepted")

    def _kill(self, process: Process, moment: str) -> None:
        process.kill()
        if process.code == -signal.SIGKILL:
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


def blobs() -> dict[str, Any]:
    """Rows of three classes."""
    chance = np.random.default_rng(5)
    y = np.arange(60) % 3
    return {"x": 1 + chance.random((3, 8))[y] + 0.4 * chance.random((60, 8)), "y": y}


def prepare(place: Path, url: str) -> None:
    """The data and the file of the pool."""
    np.savez(place / "blobs.npz", **blobs())
    (place / "pool.toml").write_text(POOL.format(url=url), encoding="utf-8")


@contextmanager
def workplace(kind: Kind, seeds: tuple[int, ...]) -> Iterator[tuple[Path, str, list[Training]]]:
    """A folder with everything that trainings need, their service, and the trainings."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name, emulator(Path(name)) as url:
        prepare(Path(name), url)
        os.environ["IONQ_API_URL"] = url
        place = Path(name)
        yield (
            place,
            url,
            [Training(place, f"run{k}", kind.words, seed, url, kind.fresh, []) for k, seed in enumerate(seeds)],
        )


def undisturbed(kind: Kind, seed: int) -> Unbroken:
    """Train to the end without a kill."""
    with workplace(kind, (seed,)) as (place, url, (training,)):
        began = time.perf_counter()
        told = training.finish()
        if "error" in told:
            raise SystemExit(f"the unbroken run by {kind.name} failed: {told['error']}")
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

    def __str__(self) -> str:
        problems = [each.replace("\n", " / ") for each in self.problems]
        found = "WRONG: " + " | ".join(problems) if problems else "as it must be"
        moments = "; ".join(self.kills) or "faster than the kill"
        return f"{self.kind:16s}  charged {self.charged}, twice {self.twice}  {found}  killed at: {moments}"


def killed(kind: Kind, unbroken: dict[int, Unbroken], moment: str | int) -> Verdict:
    """A run (or two that share a store), killed at one boundary or as the string decides, and resumed to the end."""
    chance = random.Random(moment)  # noqa: S311  # moments, not secrets
    with workplace(kind, kind.seeds) as (place, url, trainings):
        if isinstance(moment, int):
            trainings[0].strike_at(moment)
        elif len(trainings) == 1:
            for _ in range(chance.randint(1, 3)):
                trainings[0].strike(chance, unbroken[trainings[0].seed])
        several = len(trainings) > 1
        told = together(trainings, chance, unbroken) if several else [trainings[0].finish()]
        problems = [each["error"] for each in told if "error" in each]
        for training, each in zip(trainings, told, strict=True):
            if each.get("parameters_sha256", "") != unbroken[training.seed].parameters:
                problems.append(f"{training.name}: other parameters than the unbroken run")
        book = ledger(url)
        problems += audit(place / "store.db", book, sum(each.circuits for each in unbroken.values()))
        kills = [kill for training in trainings for kill in training.kills]
        return Verdict(kind.name, kills, book["charged_circuits"], book["circuits_charged_twice"], problems)


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


def plans(given: argparse.Namespace, unbroken: dict[Kind, dict[int, Unbroken]]) -> Iterator[tuple[Kind, str | int]]:
    """The runs: each boundary of the single kinds where that is asked for, then random ones without end."""
    if given.every:
        for kind in SINGLE:
            yield from ((kind, boundary) for boundary in range(1, unbroken[kind][0].boundaries + 1))
    for number in itertools.count(1):
        yield KINDS[number % len(KINDS)], f"{given.seed}/{number}"


def soak(given: argparse.Namespace, note: Callable[[str], None]) -> int:
    """Kill until enough were counted, or the time is over; the number of runs that did not end as they must."""
    mortal.warm(MODEL, blobs()["x"])
    deadline = time.perf_counter() + 60 * given.minutes
    with ProcessPoolExecutor(given.workers, multiprocessing.get_context("fork")) as workers:
        unbroken = references(workers, note)
        wanted, runs, open_runs = plans(given, unbroken), itertools.count(1), dict[Future[Verdict], bool]()
        kills, bad = Counter[bool](), 0
        while True:
            while len(open_runs) < given.workers and kills[True] < given.kills and time.perf_counter() < deadline:
                kind, moment = next(wanted)
                open_runs[workers.submit(killed, kind, unbroken[kind], moment)] = isinstance(moment, str)
            if not open_runs:
                break
            for future in wait(open_runs, return_when=FIRST_COMPLETED).done:
                verdict = future.result()
                kills[open_runs.pop(future)] += len(verdict.kills)
                bad += bool(verdict.problems)
                note(f"run {next(runs):3d}  {verdict}")
    ended = next(runs) - 1
    every = f" and {kills[False]} at each boundary in turn" if given.every else ""
    note(
        f"{kills[True]} kills at random{every}, {ended} runs: {ended - bad} ended like the unbroken run, {bad} did not"
    )
    return bad


def references(workers: ProcessPoolExecutor, note: Callable[[str], None]) -> dict[Kind, dict[int, Unbroken]]:
    """What the trainings of each kind come to that nobody disturbs; those that differ in their killing only are one."""
    asked = {(kind.place, seed): (kind, seed) for kind in KINDS for seed in kind.seeds}
    futures = {key: workers.submit(undisturbed, *which) for key, which in asked.items()}
    found = {key: future.result() for key, future in futures.items()}
    for (place, seed), each in found.items():
        note(f"unbroken: {' '.join(place)}, seed {seed}: {each.circuits} circuits charged, "
             f"{each.boundaries} boundaries, parameters {each.parameters[:16]}")  # fmt: skip
    return {kind: {seed: found[kind.place, seed] for seed in kind.seeds} for kind in KINDS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every", action="store_true", help="kill at every boundary first, besides these")
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
