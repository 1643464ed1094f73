"""How many circuits does each recipe take to an accuracy, and how long on a service of 1.7 s a circuit?

    python benchmarks/recipes.py [--part spsa v34 regress ...] [--seeds 0 1 2] [--data full] [--out FILE]

Fashion-MNIST, 10 classes, the model `ring`, 1000 shots, against emulators in this process, in virtual time. Circuits
are those of training. An accuracy counts as reached at the second of two looks in turn at 10,000 held-out images (with
1,000 chance alone moves it by 1.4 points, more than `spsa` gains in its last 3,000 circuits); looks are free here, for
all recipes alike: exact values of the same machine. Every choice was made on such images. The 1,000 test images are
measured once, at the end, with 1000 shots. Baselines train on 2,000 images, as they were tuned; what reads labels
without buying circuits may read those of 20,000. Other data: `bundled`, or a file as `q-store train --data` takes it.

    spsa, v34         the baselines
    regress, direct   more and more circuits until two looks in turn see 70 %: learned response or direct regression,
                      whichever cross-validates better; the direct regression alone
    regress-N         N circuits; direct-N
    stop-regress      as users have it: 70 % asked for, looks at the bought images alone; stop-calibrate
    refine-*          from regress, or from the start by random shifts, on with 100 shots and exact refits
    calibrate-N       Z and ZZ under depolarising .35 and angle errors of .05, beside `ideal`, the same machine without;
                      exact probabilities, as the emulator's simulator gives them, or 1000 shots: calibrate-shots-N
    time              v34 on one backend beside recipes on three
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import inputs
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the sites of the tests
from tests.pool.pools import Site, epoch

from q_store.backends.local import LocalBackend
from q_store.circuits import Marginal, Observables
from q_store.emulator.clock import run_virtual
from q_store.emulator.physics import Physics
from q_store.jobs import Job, Outcome
from q_store.models import fashion_mnist, zoo
from q_store.models.control import fit_control
from q_store.pool.pool import Pool
from q_store.training import CrossEntropy, Objective, TrainingSettings
from q_store.training.recipes import (
    V34,
    Calibrate,
    RecipeResult,
    Refine,
    Regress,
    Sites,
    Spsa,
    Task,
    drive_sites_async,
    reached,
)
from q_store.training.rows import Rows

RESULTS = Path(__file__).parent / "results" / "recipes.json"
SECONDS, SHOTS, TARGET = 1.7, 1000, 0.7
DEPOLARISING, ANGLE = 0.35, 0.05
FEW, MANY, HELD_OUT, TEST = 2_000, 20_000, 10_000, 1_000
MAPS = ("none", "diagonal", "full", "angles")
LOCAL = TrainingSettings(epochs=10, batch_size=200, readout_learning_rate=0.1, finish_iterations=50)


class Sampled:
    """The physics of an emulator, measured with so many shots: no noise but depolarising and angle errors."""

    def __init__(self, seed: int, depolarising: float, angle: float) -> None:
        self._exact = Physics(seed, depolarising, angle).distributions
        self._rng = np.random.default_rng(seed)

    def __call__(self, received: Any, _backend: str) -> list[dict[int, float]]:
        found = []
        for row in self._exact(received, "simulator"):
            states, weights = np.array(list(row)), np.array(list(row.values()))
            counts = self._rng.multinomial(received.shots, weights / weights.sum())
            found.append({int(s): c / received.shots for s, c in zip(states, counts, strict=True) if c})
        return found


def machine(name: str, *, noisy: bool, sampled: bool = True, seconds: float = SECONDS) -> Site:
    """A quantum computer that samples, or the simulator that returns probabilities, both with errors where `noisy`."""
    noise = (DEPOLARISING, ANGLE) if noisy else (0.0, 0.0)
    if not sampled:
        return Site(name, circuit_seconds=seconds, rtt=0.1, seed=1, depolarising=noise[0], angle_error=noise[1])
    return Site(name, backend="qpu.aria-1", circuit_seconds=seconds, rtt=0.1, seed=1, compute=Sampled(1, *noise),
                member={"max_in_flight": 1})  # fmt: skip


class Watch:
    """Validates by exact values, and tests with shots, on another machine of the same kind."""

    def __init__(self, *, noisy: bool) -> None:
        self.exact: Any = LocalBackend()
        self.sampled: Any = self.exact
        self.capabilities = self.exact.capabilities
        if noisy:
            far = Site("exact", seed=1, depolarising=DEPOLARISING, angle_error=ANGLE)
            self.exact, self.sampled = far.member.backend, machine("test", noisy=True, seconds=0.0).member.backend

    async def run_async(self, jobs: list[Job]) -> list[Outcome]:
        out = []
        for job in jobs:
            exactly = job.tag == "validation" or job.shots is None
            asked, backend = (replace(job, shots=None), self.exact) if exactly else (job, self.sampled)
            out.append(backend.run(asked) if hasattr(backend, "run") else (await backend.run_async([asked]))[0])
        return out


def measured_data() -> str:
    """The full set where it is installed, else the bundled one."""
    return "bundled" if fashion_mnist.find() is None else "full"


class Study:
    """Data and model, once for all runs."""

    def __init__(self, name: str) -> None:
        self.data = inputs.images(name)
        self.definition = zoo.definition("ring").fitting(self.data.train.x)
        self.map = self.definition.features.fit(self.data.train.x)
        observables = self.definition.observables
        self.objective = Objective(
            self.definition.circuit,
            observables,
            self.definition.readout(observables.size, self.data.n_classes),
            CrossEntropy(),
        )
        marginal = Observables.of(Marginal(tuple(range(6))))
        self.all = replace(
            self.objective, observables=marginal, readout=self.definition.readout(64, self.data.n_classes)
        )

    def rows(self, part: str, count: int) -> Rows:
        found = getattr(self.data, part)
        return Rows.of(self.map.transform(found.x[:count]), found.y[:count], self.objective, part)

    def task(self, seed: int, train: int, **more: Any) -> Task:
        return Task(
            self.objective, self.rows("train", train), self.rows("validation", HELD_OUT), self.rows("test", TEST),
            **{"settings": LOCAL, "shots": SHOTS, "seed": seed, **more},
        )  # fmt: skip

    def run(
        self, recipe: Any, task: Task, *, backends: int = 1, noisy: bool = False, sampled: bool = True
    ) -> dict[str, Any]:
        """One run against emulators; what it came to."""
        epoch()
        sites = [machine(f"m{k}", noisy=noisy, sampled=sampled) for k in range(backends)]
        used = time.process_time()

        async def go() -> tuple[RecipeResult, float]:
            async with Pool([site.member for site in sites], None) as pool:
                start = asyncio.get_running_loop().time()
                looked = Sites(pool=pool, local=LocalBackend(), watch=Watch(noisy=noisy))
                found = await drive_sites_async(recipe.plan(task), looked)
                return found, asyncio.get_running_loop().time() - start

        found, virtual = run_virtual(go())
        charged = sum(site.ledger["accepted_circuits"] for site in sites)
        if charged != found.spent.training:
            raise SystemExit(f"{recipe}: {charged} circuits charged, {found.spent.training} counted")
        return {
            "seed": task.seed, "circuits": charged, "test": found.accuracy, "validation": found.validation,
            "reached_70": reached(found.curve, TARGET), "reached_65": reached(found.curve, 0.65),
            "curve": [[point.circuits, round(point.accuracy, 4)] for point in found.curve],
            "virtual_seconds": round(virtual, 1), "processor_seconds": round(time.process_time() - used, 1),
            "cost_usd": round(sum(site.ledger["charges_usd"] for site in sites), 2), "backends": backends,
            "where": found.where, "notes": found.notes,
        }  # fmt: skip

    def control(self, rows: int, parameters: int) -> dict[str, Any]:
        """Classical: the best model of as many parameters on the same features and rows."""
        train, held_out, test = self.rows("train", rows), self.rows("validation", HELD_OUT), self.rows("test", TEST)
        fitted = fit_control(
            train.data, train.targets, held_out.data, held_out.targets, parameters, self.data.n_classes
        )
        right = float(np.mean(fitted.predict(test.data) == test.targets))
        return {"rows": rows, "kind": fitted.kind, "parameters": fitted.parameters, "test": right}


def parts(study: Study) -> dict[str, Callable[[int], dict[str, Any]]]:
    """What can be run, by name; each for a seed."""

    def regress(count: int, fits: tuple[str, ...] = ("direct", "response")) -> Callable[[int], dict[str, Any]]:
        return lambda seed: study.run(Regress(fits=fits), study.task(seed, MANY, circuits=count))

    def calibrate(count: int, *, shots: int | None = None, noisy: bool = True, maps: tuple[str, ...] = MAPS) -> Any:
        return lambda seed: study.run(
            Calibrate(maps=maps), study.task(seed, MANY, circuits=count, shots=shots), noisy=noisy, sampled=bool(shots)
        )

    def baseline(recipe: Any) -> Callable[[int], dict[str, Any]]:
        return lambda seed: study.run(recipe, study.task(seed, FEW, accuracy=TARGET))

    def reaching(recipe: Any, **kind: bool) -> Callable[[int], dict[str, Any]]:
        return lambda seed: study.run(recipe, study.task(seed, MANY, accuracy=TARGET), **kind)

    return {
        "spsa": baseline(Spsa(looks=45)),
        "spsa-9000": lambda seed: study.run(Spsa(looks=45), study.task(seed, FEW)),
        "regress": reaching(Regress(most=600, look="held_out")),
        "direct": reaching(Regress(most=1500, fits=("direct",), look="held_out")),
        "stop-regress": reaching(Regress()),
        "stop-calibrate": reaching(Calibrate(), noisy=True),
        **{f"regress-{count}": regress(count) for count in (50, 60, 80, 100, 200, 370, 600)},
        **{f"direct-{count}": regress(count, ("direct",)) for count in (100, 370, 600)},
        "ideal": calibrate(20, noisy=False, maps=("none",)),
        "ideal-shots": calibrate(20, noisy=False, maps=("none",), shots=SHOTS),
        "untuned": calibrate(20, maps=("none",)),
        **{f"calibrate-{count}": calibrate(count) for count in (10, 20, 50)},
        **{f"calibrate-shots-{count}": calibrate(count, shots=SHOTS) for count in (20, 50)},
        "refine-regress": lambda seed: study.run(
            Refine(Regress(count=100, look="held_out"), count=2000), study.task(seed, MANY)
        ),
        "refine-spsa": lambda seed: study.run(Refine(count=9000, looks=45), study.task(seed, FEW, accuracy=TARGET)),
        "refine-shift": lambda seed: study.run(
            Refine(method="random_shift", count=9000, looks=45), study.task(seed, FEW, accuracy=TARGET)
        ),
        "time-regress": lambda seed: study.run(Regress(), study.task(seed, MANY, circuits=100), backends=3),
        "time-calibrate": lambda seed: study.run(Calibrate(), study.task(seed, MANY, circuits=20), backends=3),
        "v34": baseline(V34(looks=75)),
    }  # fmt: skip


def main() -> int:
    parser = inputs.parser(__doc__ or "", RESULTS, data=measured_data())
    parser.add_argument("--part", nargs="+")
    given = inputs.given(parser)
    study = Study(given.data)
    known = parts(study)
    if unknown := set(given.part or []) - {*known, "control"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}, control")
    for name in given.part or [*known, "control"]:
        rows = (
            [study.control(FEW, 250), study.control(MANY, 250), study.control(MANY, 680)] if name == "control"
            else [known[name](seed) for seed in given.seeds]
        )  # fmt: skip
        for row in rows:
            print(name, json.dumps({key: value for key, value in row.items() if key != "curve"}), flush=True)
        keep(given.out, name, rows, study.data.source)
    return 0


def keep(path: Path, name: str, rows: list[dict[str, Any]], source: str) -> None:
    """Replace a part of the file; other parts stay."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"parts": {}}
    about = {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    setting = {"seconds_a_circuit": SECONDS, "shots": SHOTS, "model": "ring", "data": source,
               "train_rows": [FEW, MANY], "held_out_rows": HELD_OUT}  # fmt: skip
    found |= {"machine": about, "setting": setting, "parts": {**found["parts"], name: rows}}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
