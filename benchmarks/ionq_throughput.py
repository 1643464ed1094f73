"""How much of a service's speed does the IonQ client use, and what does it cost on this side?

    python benchmarks/ionq_throughput.py [--repeats 3] [--quick] [--out benchmarks/results/ionq-throughput.json]

The service is `q-store emulator` in a process of its own, in real time.

cap     1,000 circuits at 0.2 s each on 4 slots: at best 50 s. Once with slots that take circuits, once with slots that
        take whole jobs.
trips   a gradient step of 960 circuits (`ring` with its preparation, 16 images, 60 shifted circuits each) with a round
        trip of 0.4 s and no execution time: wall time in round trips, and processor time of this process a circuit.
        The first step of a process also compiles kernels and serialises the structure: it is listed apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, ry, rz, theta
from q_store.jobs import Job, Outcome, Output
from q_store.models import zoo

SECONDS, SLOTS, RTT = 0.2, 4, 0.4


@contextmanager
def emulator(*options: str) -> Iterator[str]:
    """The address of an emulator that runs while the block does."""
    command = [sys.executable, "-m", "q_store", "emulator", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}) as process:
        try:
            assert process.stdout is not None  # noqa: S101
            line = next(filter(None, (re.search(r"http://\S+?/v0\.4", text) for text in process.stdout)))
            yield line.group(0)
        finally:
            process.terminate()


async def timed(url: str, jobs: list[Job], repeats: int) -> tuple[list[float], list[float], list[Outcome]]:
    """Wall and processor seconds of each repetition, by one backend."""
    backend = IonQBackend(IonQSettings(key="benchmark", url=url))
    wall, processor, outcomes = [], [], []
    try:
        for _ in range(repeats):
            start, used = time.perf_counter(), time.process_time()
            outcomes = await backend.run_async(jobs)
            wall.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
    finally:
        await backend.aclose()
    return wall, processor, outcomes


def simple(rows: int) -> list[Job]:
    circuit = Circuit.build(3, [ry(theta(0), 0), ry(theta(1), 1), rz(theta(2), 2)])
    return [Job(circuit, params=np.random.default_rng(0).normal(size=(rows, 3)), observables=Observables.local_z(3))]


def gradient_step() -> list[Job]:
    """`ring` over 16 images: 16 x 60 shifted circuits."""
    definition = zoo.definition("ring")
    model = definition.model(
        class_names=tuple("abcdefghij"), classes=np.arange(10), settings=definition.settings, backend=LocalBackend()
    )
    chance = np.random.default_rng(1)
    data = chance.normal(size=(16, model.circuit.n_features))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    params = chance.normal(size=model.circuit.n_params)
    return [Job(model.circuit, data, params, model.observables, Output.SHIFTED)]


def cap(rows: int, slot_per: str) -> dict[str, float]:
    """The share of the service's cap that is reached."""
    options = ["--circuit-seconds", str(SECONDS), "--slots", str(SLOTS), "--slot-per", slot_per]
    with emulator(*options) as url:
        wall, processor, outcomes = asyncio.run(timed(url, simple(rows), 1))
    check(outcomes, simple(rows))
    best = rows * SECONDS / SLOTS
    return {"circuits": rows, "seconds": wall[0], "best": best, "share": best / wall[0], "processor": processor[0]}


def trips(repeats: int) -> dict[str, object]:
    """Round trips and processor time of a gradient step."""
    jobs = gradient_step()
    with emulator("--rtt", str(RTT)) as url:
        wall, processor, outcomes = asyncio.run(timed(url, jobs, repeats + 1))
    check(outcomes, jobs)
    circuits = 960
    return {
        "circuits": circuits,
        "seconds": wall[1:],
        "first_seconds": wall[0],
        "round_trips": statistics.median(wall[1:]) / RTT,
        "ms_a_circuit": [1e3 * t / circuits for t in processor[1:]],
        "first_ms_a_circuit": 1e3 * processor[0] / circuits,
    }


def check(outcomes: list[Outcome], jobs: list[Job]) -> None:
    """The answers are those of the local engine."""
    for outcome, job in zip(outcomes, jobs, strict=True):
        expected = LocalBackend().run(job).values
        assert outcome.complete, outcome.error  # noqa: S101
        np.testing.assert_allclose(outcome.values, expected, atol=1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="100 circuits instead of 1,000")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = 100 if options.quick else 1000
    result: dict[str, object] = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "load": os.getloadavg(),
        "trips": trips(options.repeats),
    }
    for slot_per in ("circuit", "job"):
        result[f"cap_slot_per_{slot_per}"] = cap(rows, slot_per)
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
