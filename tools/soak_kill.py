"""Kill trainings with SIGKILL at random moments, resume them, and compare the parameters with an unbroken run.

Usage: python tools/soak_kill.py [--kills 50] [--model compact] [--data bundled] [--epochs 6] [--seed 0] [--out FILE]
A run is killed up to three times before it may end. Moments: after a random time, when the run folder appears, when
a random epoch is written, while a checkpoint is being written, during the finish
or what follows it. Exit code 1 when any digest differs or a resume fails. Processes are forks, see `mortal`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mortal  # before NumPy
import numpy as np
from mortal import Process

PATIENCE = 600.0
"""Seconds after which a training that should have ended counts as hung."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and the command for it."""

    model: str
    data: str
    epochs: int

    def start(self, folder: Path) -> Process:
        """Start the training in `folder`, or go on with it when it is there."""
        words = ["train", "--resume", str(folder)] if folder.exists() else ["train", self.model, "--out", str(folder)]
        if not folder.exists():
            words += ["--data", self.data, "--epochs", str(self.epochs)]
        return Process(folder.parent, f"{folder.name}-process", [*words, "--no-control", "--json"])

    def finish(self, folder: Path) -> str:
        """Train to the end without a kill; the digest of the parameters."""
        process = self.start(folder)
        if not process.wait(PATIENCE) or process.code:
            process.kill()
            raise SystemExit(f"the training in {folder.name} ended with {process.code}: {process.err.read_text()}")
        return str(json.loads(process.out.read_text().splitlines()[-1])["parameters_sha256"])


def partial(folder: Path) -> set[str]:
    """Names of checkpoints that are being written right now, or were when a process was killed."""
    return {path.name for path in folder.glob("checkpoints/.*")}


def epochs(folder: Path) -> int:
    """Epochs in the metrics."""
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@dataclass
class Moment:
    """When to kill: `ready` turns true, or `wait` seconds are over."""

    kind: str
    wait: float
    target: int  # epochs to wait for
    skip: int  # checkpoints to let pass
    known: set[str]  # left by an earlier kill
    inside: bool = False  # a checkpoint was being written when last asked

    @classmethod
    def draw(cls, chance: random.Random, plan: Plan, folder: Path, whole: float) -> Moment:
        """A moment for the process that is about to be started; `whole` is how long an unbroken run takes."""
        kinds = ["time", "epoch", "saving", "saving", "finish", *([] if folder.exists() else ["folder"])]
        kind = chance.choice(kinds)
        wait = chance.uniform(0, whole) if kind == "time" else 3 * whole
        target = plan.epochs if kind == "finish" else min(plan.epochs, epochs(folder) + chance.randint(1, plan.epochs))
        return cls(kind, wait, target, chance.randint(0, 3), partial(folder) if folder.exists() else set())

    def ready(self, folder: Path) -> bool:
        """Whether the moment has come; to be asked often."""
        if self.kind == "folder":
            return folder.exists()
        if self.kind == "saving":
            seen = bool(partial(folder) - self.known)
            self.skip -= seen and not self.inside
            self.inside = seen
            return seen and self.skip < 0
        return self.kind in {"epoch", "finish"} and epochs(folder) >= self.target


def strike(process: Process, folder: Path, moment: Moment, pause: float) -> str:
    """Wait for the moment and kill; what the folder looked like then, empty when the training was faster."""
    began = time.perf_counter()
    while not process.ended() and time.perf_counter() - began < moment.wait and not moment.ready(folder):
        time.sleep(0.0002)
    if moment.kind == "finish":
        time.sleep(pause)
    process.kill()
    if process.code != -signal.SIGKILL:
        return ""
    seen = "no folder yet" if not folder.exists() else f"{epochs(folder)} epochs written"
    has = "a checkpoint" if (folder / "checkpoints" / "last.npz").exists() else "no checkpoint"
    half = ", a half-written one beside it" if partial(folder) else ""
    return f"{time.perf_counter() - began:.2f} s, {seen}, {has}{half}"


def soak(plan: Plan, kills: int, seed: int, place: Path, write: list[str]) -> int:
    """Kill until `kills` were counted; the number of runs whose digest differs."""
    mortal.warm(plan.model, np.random.default_rng(0).random((60, 8)))
    began = time.perf_counter()
    expected = plan.finish(place / "unbroken")
    whole = time.perf_counter() - began
    note(write, f"unbroken run: {whole:.1f} s, parameters {expected}")
    chance, done, run, wrong = random.Random(seed), 0, 0, 0  # noqa: S311  # moments, not secrets
    while done < kills:
        run += 1
        folder = place / f"run-{run}"
        for _ in range(chance.randint(1, 3)):
            moment = Moment.draw(chance, plan, folder, whole)
            state = strike(plan.start(folder), folder, moment, chance.uniform(0, 1))
            if state:
                done += 1
                note(write, f"kill {done:3d}  run {run:3d}  moment: {moment.kind:6s}  after {state}")
        found = plan.finish(folder)
        wrong += found != expected
        verdict = "the same parameters" if found == expected else f"DIFFERENT: {found}"
        note(write, f"          run {run:3d}  resumed to the end: {verdict}")
        shutil.rmtree(folder)
    note(write, f"{done} kills in {run} runs: {run - wrong} ended like the unbroken run, {wrong} did not")
    return wrong


def note(write: list[str], line: str) -> None:
    """Print the line and keep it for the transcript."""
    print(line, flush=True)
    write.append(line)


def main() -> int:
    """Read the options, soak, write the transcript."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--data", default="bundled")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the transcript")
    given = parser.parse_args()
    name = given.data if given.data in {"bundled", "full"} else Path(given.data).name
    data = given.data if given.data in {"bundled", "full"} else str(Path(given.data).resolve())
    lines: list[str] = []
    note(
        lines,
        f"q-store train {given.model} --data {name} --epochs {given.epochs}, killed with SIGKILL (seed {given.seed})",
    )
    with tempfile.TemporaryDirectory() as place:
        wrong = soak(Plan(given.model, data, given.epochs), given.kills, given.seed, Path(place), lines)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
