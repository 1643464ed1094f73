"""Every figure of the v3.5 document: its target, what is measured here, and the ratio.

    python benchmarks/document.py                       all parts; the tables are docs/document.md
    python benchmarks/document.py --part speed faults   some of them again
    python benchmarks/document.py --print               measure nothing, print the rows
    python benchmarks/document.py --data mine.npz --seeds 5 6 7

speed     the document's training: `ring`, SPSA, ten images and so 20 circuits a step, 10 steps an epoch, 3 epochs,
          on one and on three emulated backends of 1.7 s a circuit and one circuit at a time, .1 s a round trip
before    what `v34` is: its accuracy after 600 circuits, and the circuits to 65 and 70 %, beside what was measured of
          the earlier way, and with one of its parts changed at a time; on the engine here, which samples 1000 shots
quality   accuracy, and loss over seeds, after the 600 circuits of the document's 3 epochs (`calibrate`: 20)
faults    circuits without an answer, on three backends of which jobs, circuits and calls fail, or one of which dies
local     parameters, inference, memory, and a convolutional network as control, trained until its validation loss no
          longer falls; processor times and memory of this machine
flags     every flag of v3.4 and v3.5 by itself on the wire, and `learning`, what it does to the model: see ablation.py

Rows of the time to an accuracy come from the results of recipes.py, those of gates, shots and natural gradients from
adaptive.py and natural.py, and follow them. Emulated time is virtual: it jumps from timer to timer, so it is that of
the protocol, and none of this machine's processor time is in it. The ratio is measured over target, or target over
measured where less is better: 1 or more reaches the target. Raw figures go to results/document.json, part by part, and
all rows are made of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the sites of the tests
import ablation
import inputs
from cnn import control, least_time
from document_rows import BATCH, BEFORE, EPOCHS, FEWER, SECONDS, SIMPLER, STEPS, TRIP, all_rows
from machine import description
from tests.pool.pools import Site, epoch, opened, sweep

from q_store import QuantumFashionClassifier
from q_store.backends.local import LocalBackend
from q_store.circuits import Observables, encoders, templates, z
from q_store.emulator.clock import run_virtual
from q_store.jobs import Job, Outcome, drive, drive_async
from q_store.models.features import Amplitudes
from q_store.pool.pool import Pool
from q_store.training import CrossEntropy, LinearReadout, Objective
from q_store.training.recipes import V34, Calibrate, Recipe, RecipeResult, Regress, Sites, Spsa, Task, reached
from q_store.training.recipes.drive import drive_sites, drive_sites_async
from q_store.training.rows import Rows
from q_store.training.schedules import cosine

RESULTS = Path(__file__).parent / "results"
COUNT = BATCH * STEPS * EPOCHS
"""Circuits of the document's 3 epochs."""
FAULTS = "failed-job:0.05,failed-child:0.01,500:0.05,429:0.05"


# ------------------------------------------------------------------------------------------------------------ the task


@cache
def engine() -> LocalBackend:
    return LocalBackend(threads=1)


@cache
def task(name: str) -> Task:
    """The baseline of the recipes: 30 + 220 parameters, 2,000 images for training, 500 held out, 1,000 for the test."""
    width = inputs.directions(name)
    x, _ = inputs.part(name, "train", 2000)
    features = Amplitudes(width, power=1.0, exponent=0.0).fit(x)
    measured = [*Observables.local_z(6).items, *(z(p, q) for p, q in combinations(range(6), 2))]
    circuit = encoders.amplitude(6, width) + templates.hardware_efficient(6, 4, ("ry",), "ring")
    objective = Objective(circuit, measured, LinearReadout(21, inputs.images(name).n_classes), CrossEntropy())
    parts = (inputs.part(name, which, n) for which, n in (("train", 2000), ("validation", 500), ("test", 1000)))
    rows = [Rows.of(features.transform(x), y, objective, "rows") for x, y in parts]
    return Task(objective, *rows, shots=1000)


class Clocked:
    """A pool, with the virtual time of every call."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.capabilities = pool, pool.capabilities
        self.calls: list[dict[str, float]] = []

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        start = asyncio.get_running_loop().time()
        found = await self.pool.run_async(jobs)
        end = asyncio.get_running_loop().time()
        rows = sum(outcome.rows for outcome in found)
        self.calls.append({"seconds": end - start, "circuits": rows, "failed": sum(len(o.status) for o in found)})
        return found


@dataclass
class Seen:
    """A recipe over emulated backends: what it came to, its calls, and how many circuits each backend got."""

    result: RecipeResult
    calls: list[dict[str, float]]
    shares: list[int]


def remote(recipe: Recipe, given: Task, backends: int, **emulator: Any) -> Seen:
    """Looks and the test happen here and take no time."""
    epoch()
    sites = [Site(f"m{k}", circuit_seconds=SECONDS, rtt=TRIP, **emulator) for k in range(backends)]

    async def go() -> tuple[RecipeResult, list[dict[str, float]]]:
        with opened() as store:
            async with Pool([site.member for site in sites], store) as pool:
                clocked = Clocked(pool)
                where = Sites(pool=clocked, local=engine(), watch=engine())
                return await drive_sites_async(recipe.plan(given), where), clocked.calls

    found, calls = run_virtual(go())
    if any(site.ledger["circuits_charged_twice"] for site in sites):
        raise SystemExit("circuits were charged twice")
    return Seen(found, calls, [site.ledger["accepted_circuits"] for site in sites])


# --------------------------------------------------------------------------------------------------------------- parts


def speed(name: str, seeds: list[int]) -> dict[str, Any]:
    """Batches and epochs as the document counts them; virtual time is the same for every seed."""
    given = replace(task(name), circuits=COUNT, seed=seeds[0])
    seen = {n: remote(V34(looks=2), given, n) for n in (1, 3)}
    half = encoders.amplitude(6, given.objective.circuit.n_features)
    half += templates.hardware_efficient(6, 2, ("ry",), "ring")
    changed = {SIMPLER: {"objective": replace(given.objective, circuit=half)}, FEWER: {"shots": given.shots // 2}}
    few = {
        what: remote(V34(looks=2), replace(given, circuits=BATCH * STEPS, **change), 3).calls
        for what, change in changed.items()
    }
    calls = {str(n): found.calls for n, found in seen.items()}
    return {**calls, **few, "shares": seen[3].shares, "inference": inference(given)}


def inference(given: Task) -> float:
    """Virtual seconds until one image is answered by one backend."""
    epoch()
    site = Site("m0", circuit_seconds=SECONDS, rtt=TRIP)
    vector = given.objective.initial(0)

    async def go() -> float:
        async with Pool([site.member], None) as pool:
            start = asyncio.get_running_loop().time()
            await drive_async(given.objective.outputs(vector, given.test.data[:1], given.shots), pool)
            return asyncio.get_running_loop().time() - start

    return run_virtual(go())


@dataclass(frozen=True)
class Earlier(V34):
    """`V34` with rates that decay otherwise: of the readout along half a cosine, of the circuit not at all."""

    decays: bool = False
    stays: bool = False

    def rates(self, objective: Objective, progress: float) -> Any:
        found = super().rates(objective, 0.0 if self.stays else progress)
        n = objective.circuit.n_params
        return np.concatenate([found[:n], found[n:] * (cosine(progress) if self.decays else 1)])


EARLIER: dict[str, Earlier] = {
    BEFORE: Earlier(),
    "start .1": Earlier(scale=0.1),
    "start .6, as `spsa`": Earlier(scale=0.6),
    "readout .3, as `spsa`": Earlier(readout_rate=0.3),
    "readout decays, as in `spsa`": Earlier(decays=True),
    "circuit keeps its rate": Earlier(stays=True),
    "average of the iterates, as `spsa`": Earlier(average=3.0),
    "start .6, readout decays": Earlier(scale=0.6, decays=True),
}


def before(name: str, seeds: list[int]) -> dict[str, Any]:
    """Exact looks every 200 circuits; sampled ones at the end."""
    found: dict[str, Any] = {what: [] for what in EARLIER}
    for what, recipe in EARLIER.items():
        for seed in seeds:
            given = replace(task(name), seed=seed, circuits=recipe.count)
            exact = replace(recipe, looks=recipe.count // 200)
            result = drive_sites(exact.plan(given), Sites(pool=engine(), local=engine(), watch=Exactly()))
            at = {point.circuits: point.accuracy for point in result.curve}
            found[what].append({
                "seed": seed, "after_600": at[600], "to_65": reached(result.curve, 0.65),
                "to_70": reached(result.curve, 0.7), "test": result.accuracy,
            })  # fmt: skip
        print(what, found[what], flush=True)
    return found


class Exactly:
    """The engine without shots, for looks."""

    def __init__(self) -> None:
        self.capabilities = engine().capabilities

    def run(self, job: Job) -> Outcome:
        return engine().run(replace(job, shots=None))


def quality(name: str, seeds: list[int]) -> dict[str, Any]:
    """Accuracy and loss after the circuits of the document's 3 epochs."""
    ways: dict[str, tuple[Recipe, int]] = {
        "v34": (V34(looks=2), COUNT),
        "spsa": (Spsa(looks=2), COUNT),
        "regress": (Regress(), COUNT),
        "calibrate": (Calibrate(), BATCH),
    }
    raw: dict[str, Any] = {way: [] for way in ways}
    for way, (recipe, circuits) in ways.items():
        for seed in seeds:
            seen = remote(recipe, replace(task(name), circuits=circuits, seed=seed), 3)
            raw[way].append({
                "seed": seed, "test": seen.result.accuracy, "loss": loss_of(seen.result, task(name)),
                "circuits": seen.result.spent.training, "failed": sum(call["failed"] for call in seen.calls),
            })  # fmt: skip
        print(way, raw[way], flush=True)
    return raw


def loss_of(found: RecipeResult, given: Task) -> float:
    outputs = drive(found.objective.outputs(found.parameters, given.test.data), engine())
    return float(found.objective.loss.value_and_gradient(outputs, given.test.targets)[0])


def faults(_: str, seeds: list[int]) -> dict[str, Any]:
    """Circuits without an answer, of 960 each: everything fails now and then; one of three is dead from a time on."""
    random = [_lost([{"faults": FAULTS, "seed": seed + k} for k in range(3)], None, seed) for seed in seeds]
    return {"faults": FAULTS, "random": random, "dies": [_lost([{"seed": seed}] * 3, 30.0, seed) for seed in seeds]}


def _lost(emulators: list[dict[str, Any]], dies: float | None, seed: int) -> dict[str, Any]:
    epoch()
    sites = [Site(f"m{k}", circuit_seconds=SECONDS, rtt=TRIP, **each) for k, each in enumerate(emulators)]

    async def go() -> Outcome:
        if dies is not None:
            asyncio.get_running_loop().call_later(dies, setattr, sites[0].line, "dead", True)  # noqa: FBT003  # a value
        with opened() as store:
            async with Pool([site.member for site in sites], store) as pool:
                (outcome,) = await pool.run_async([sweep(960)])
                return outcome

    found = run_virtual(go())
    return {"seed": seed, "circuits": 960, "lost": len(found.status), "errors": sorted(set(found.error.values()))}


def local(name: str, seeds: list[int]) -> dict[str, Any]:
    """This machine: sizes, inference, memory, and the control."""
    given = task(name)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        grown = fresh.submit(memory, name).result()
    found = drive_sites(Regress().plan(replace(given, circuits=BATCH)), Sites(pool=engine(), local=engine()))
    one = given.test.data[:1]
    own, written = given.objective, QuantumFashionClassifier(n_classes=inputs.images(name).n_classes)
    return {
        "parameters": [own.circuit.n_params, own.size - own.circuit.n_params],
        "as_written": [written.circuit.n_params, len(written.weights)],
        "memory_gb": grown,
        "inference_s": least_time(lambda: drive(found.objective.outputs(found.parameters, one), engine())),
        "control": control(inputs.images(name), seeds),
    }


def memory(name: str) -> float:
    """GB that a fresh process needs at most, above what it had, in a training on three backends. Linux."""
    given = replace(task(name), circuits=COUNT)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: that of getrusage is inherited
    had = _status("VmRSS")
    remote(Regress(), given, 3)
    return (_status("VmHWM") - had) / 1024**2


def _status(name: str) -> int:
    """kB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


PARTS: dict[str, Callable[[str, list[int]], dict[str, Any]]] = {
    "speed": speed,
    "before": before,
    "quality": quality,
    "faults": faults,
    "local": local,
    "flags": ablation.flags,
    "learning": ablation.learning,
}


def main(words: list[str] | None = None) -> int:
    options = inputs.parser(__doc__, RESULTS / "document.json")
    options.add_argument("--part", choices=list(PARTS), nargs="+", default=list(PARTS))
    options.add_argument("--print", action="store_true", help="the rows of what is measured already, and nothing else")
    given = inputs.given(options, words)
    found = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
    for part in [] if given.print else given.part:
        machine, used = description(), time.process_time()
        raw = PARTS[part](given.data, given.seeds)
        used = round(time.process_time() - used, 1)
        found[part] = {
            "raw": raw, "seeds": given.seeds, "data": given.data, "processor_seconds": used, "machine": machine
        }  # fmt: skip
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{part}: {used} s of processor time", flush=True)
    for title, rows in all_rows(found, RESULTS).items():
        for row in rows:
            print(f"{title}: {row.line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
