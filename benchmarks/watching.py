"""What does it cost a training step that somebody watches, and that nobody does?

    python benchmarks/watching.py [--repeats 15] [--out FILE]
    python benchmarks/watching.py --hooks --out FILE      that part again, in the file
    python benchmarks/watching.py --page --out FILE       the same with whole trainings, with and without the dashboard

Steps of two models on this machine, one of them as small as steps come, and steps of a pool of three emulated services
in this process, in virtual time; each timed

    bare      without what could tell anything
    nobody    as it is, and nobody listens
    watched   with the history written to the disk, and the control heeded, as by `q-store train`

One process, one core; repetition r of each before repetition r + 1 of any. Figures are processor time of the whole
process, threads included, by step; ratios are formed repetition by repetition. `hooks` times on its own what is in the
way where nobody listens, as it is below what two timings of steps can tell apart: the look of a meter at each job, and
the life of a remote job; and what a step on this machine tells where somebody watches, the share of the thread that
writes included, when there are 2,000 of them a second.

`page` runs whole trainings by `q-store train`, in turn as they are and with `--dashboard`, whose stream somebody reads
to its end: wall time of the training proper. Another core serves the page; on a machine with a single one it would
take its share.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
from machine import description

from q_store.apps.control import Control
from q_store.apps.history import HistoryWriter
from q_store.apps.meter import Meter
from q_store.backends.base import Ticket, TicketState
from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, cnot, ry, theta
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.events import Announcer, JobSum, Sink, StepDone
from q_store.jobs import Job
from q_store.models import zoo
from q_store.pool.lives import Life
from q_store.pool.membership import Member
from q_store.pool.pool import Pool
from q_store.training import Trainer, TrainingSettings

WAYS = ("bare", "nobody", "watched")
LOCAL = {"the smallest: ring, 10 rows": ("ring", 10, 5000), "compact, 500 rows": ("compact", 500, 1000)}
"""Model, rows and steps by name."""
POOL, POOL_STEPS, POOL_ROWS, SERVICES = "a pool of three services, 60 rows", 20, 60, 3
CIRCUIT = Circuit.build(4, [*(ry(theta(q), q) for q in range(4)), cnot(0, 1), cnot(1, 2), cnot(2, 3)])
EPOCH = 50
"""Steps of an epoch."""
HOOKS, PACED = 50_000, 20_000
TRAININGS = {
    "ring, 25,000 steps of 10 rows": ("ring", "--batch-size", "10", "--epochs", "50", "--finish", "0"),
    "compact, 10,000 steps of 200 rows": ("compact", "--batch-size", "200", "--epochs", "400", "--finish", "0"),
}
"""Options by name, of the bundled data."""


class Nothing:
    """In the place of a `Life`."""

    def __init__(self, *_args: Any, **_more: Any) -> None:
        self.times: dict[str, float] = {}
        self.provider: dict[str, float] = {}
        self.stored: dict[str, float] = {}

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_more: None


def local(name: str, way: str, folder: Path) -> float:
    """Processor time of a step on this machine."""
    model, rows, steps = LOCAL[name]
    definition = zoo.definition(model)
    backend = LocalBackend(threads=1)
    objective = definition.model(classes=np.arange(10), backend=backend).objective_for(10)
    random = np.random.default_rng(1)
    many = rows * EPOCH
    z = random.uniform(0.1, 1.0, (many, objective.circuit.n_features))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    meter = Meter(backend)
    settings = TrainingSettings(epochs=steps // EPOCH, batch_size=rows)

    def fit(sinks: Sequence[Sink]) -> float:
        trainer = Trainer(objective, settings, meter, sinks=sinks)
        return per_step(lambda: trainer.fit((z, random.integers(0, 10, many))), steps)

    if way != "watched":
        return fit([])
    with HistoryWriter(folder) as history, Control(folder, [history]) as control:
        meter.jobs = JobSum(Announcer([history]))
        return fit([history, control])


def pooled(way: str, folder: Path) -> float:
    """Processor time of a step of a pool."""

    def member(number: int) -> Member:
        emulator = Emulator(circuit_seconds=0.1 * (number + 1), rtt=0.2, seed=number)
        settings = IonQSettings(key="a-key", url="https://service.test/v0.4", jitter_seed=1)
        return Member(name=f"service {number}", backend=IonQBackend(settings, emulator.transport()), max_slice=10)

    async def steps(sinks: Sequence[Sink]) -> None:
        async with Pool([member(number) for number in range(SERVICES)], sinks=sinks) as pool:
            for step in range(POOL_STEPS):
                params = np.random.default_rng(step).uniform(-3, 3, (POOL_ROWS, 4))
                await pool.run_async([Job(CIRCUIT, params=params, observables=Observables.local_z(4))])
                await asyncio.sleep(1.0)

    def go(sinks: Sequence[Sink]) -> float:
        return per_step(lambda: run_virtual(steps(sinks)), POOL_STEPS)

    if way == "bare":
        with patch("q_store.pool.delivery.Life", Nothing), patch("q_store.pool.carriage.Life", Nothing):
            return go([])
    if way == "nobody":
        return go([])
    with HistoryWriter(folder) as history:
        return go([history])


def per_step(work: Callable[[], object], steps: int) -> float:
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) / steps


def hooks() -> dict[str, float]:
    """Seconds of what is in the way of a local job, and of a remote one."""
    meter = Meter(LocalBackend(threads=1))
    outcome: Any = SimpleNamespace(rows=1)
    part: Any = SimpleNamespace(fingerprint="f", size=1, shots=None)
    sending: Any = SimpleNamespace(part=part, job=0, member=SimpleNamespace(name="m"))
    times = dict.fromkeys(("written", "sent", "accepted", "started", "finished"), 1.0)
    tickets = [Ticket("f", "id", state, times=times) for state in (TicketState.OPEN, TicketState.FINISHED)]
    nobody = Announcer()

    def remote() -> None:
        life = Life(sending, nobody)
        life.built(hedge=False)
        life.mark("sent")
        life.accepted(tickets[0])
        for ticket in tickets:
            life.looked(ticket, 1.0)
        life.final(tickets[1])
        life.mark("fetched")
        life.mark("merged")
        life.ended("done", "")

    def empty() -> None:
        pass

    def each(work: Callable[[], None]) -> float:
        start = time.process_time()
        for _ in range(HOOKS):
            work()
        return (time.process_time() - start) / HOOKS

    with tempfile.TemporaryDirectory() as folder, HistoryWriter(Path(folder)) as history:
        path = Path(folder)
        with Control(path, [history]) as control:
            announce = Announcer([history, control])
            jobs = JobSum(announce)

            def told() -> None:
                jobs.ran("local", 10, 1e-4)
                announce(StepDone(1, 1, 0.5, 0.1, 0.01, 10, 0, 0.1))

            watched = paced(told) - paced(empty)
    return {
        "a watched step": max(0.0, watched),
        "a local job": max(0.0, each(lambda: meter._count(outcome, 0.0)) - each(empty)),  # noqa: SLF001
        "a remote job": max(0.0, each(remote) - each(empty)),
    }


def paced(work: Callable[[], None]) -> float:
    """Processor time of work that is done 2,000 times a second, waiting in between without any."""
    start = time.process_time()
    for _ in range(PACED // 100):
        for _ in range(100):
            work()
        time.sleep(100 / 2000)
    return (time.process_time() - start) / PACED


def page(repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of trainings by what stands beside them."""
    found: dict[str, dict[str, list[float]]] = {name: {"as it is": [], "dashboard": []} for name in TRAININGS}
    for repetition in range(-1, repeats):
        for name, ways in found.items():
            for way, seconds in ways.items():
                took = trained(TRAININGS[name], watched=way == "dashboard")
                if repetition >= 0:
                    seconds.append(took)
    return found


def trained(options: Sequence[str], *, watched: bool) -> float:
    """Seconds of a training in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        more = ["--json", "--no-control", "--out", f"{folder}/run", *(["--dashboard", "--port", "8765"] * watched)]
        command = [sys.executable, "-m", "q_store", "train", *options, *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            link = re.search(r"http\S+", process.stderr.readline()) if watched and process.stderr else None
            if link:
                threading.Thread(target=read_stream, args=(link[0],), daemon=True).start()
            out, said = process.communicate()
    if process.returncode:
        raise SystemExit(said)
    return float(json.loads(out)["seconds"]["train"])


def read_stream(link: str) -> None:
    """What a page reads, until the server ends."""
    place, token = link.split("/?token=")
    with (
        suppress(httpx.TransportError),  # it ends with the training, perhaps amid a line
        httpx.stream("GET", f"{place}/events", headers={"authorization": f"Bearer {token}"}, timeout=60) as stream,
    ):
        for _ in stream.iter_raw():
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--hooks", action="store_true")
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    if asked.hooks or asked.page:
        again = {"hooks": hooks()} if asked.hooks else {"page": page(asked.repeats), "page_machine": description()}
        print(json.dumps(again))
        if asked.out is not None:
            kept = {**json.loads(asked.out.read_text(encoding="utf-8")), **again}
            asked.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        return
    cases: dict[str, dict[str, list[float]]] = {name: {way: [] for way in WAYS} for name in (*LOCAL, POOL)}
    for repetition in range(-1, asked.repeats):  # the first one compiles
        for name, ways in cases.items():
            for way, found in ways.items():
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder)
                    seconds = pooled(way, path) if name == POOL else local(name, way, path)
                if repetition >= 0:
                    found.append(seconds)
    result = {"machine": description(), "cases": cases, "hooks": hooks(), "jobs_a_step": {POOL: POOL_ROWS // 10}}
    for name, ways in cases.items():
        bare, nobody = median(ways["bare"]), ways["nobody"]
        more = median(b / a for a, b in zip(nobody, ways["watched"], strict=True)) - 1
        print(f"{name}: {1e3 * bare:.3f} ms a step, {1e3 * median(nobody):.3f} as it is, watched {100 * more:+.1f} %")
    print("hooks, in microseconds:", {name: round(1e6 * seconds, 2) for name, seconds in result["hooks"].items()})
    if asked.out is not None:
        before = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.is_file() else {}
        result = {**{name: before[name] for name in ("page", "page_machine") if name in before}, **result}
        asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
