"""Leave an emulator running under load and watch its memory.

Usage: python tools/soak_emulator.py [--minutes 60] [--rest 0.2] [--out FILE]

The emulator is a process of its own, with faults. The load, from our client: jobs of many circuits, jobs of one, noisy
and native ones, and jobs that are canceled. Every minute a line says what it has done and holds. Exit code 1 when its
memory has passed the limit (it keeps results of finished jobs up to 128 MB and forgets the oldest beyond), or when it
has stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np

from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.circuits import Circuit, Observables, op, ry, theta
from q_store.jobs import Job

WORKERS = 24
"""Users at a time; one that meets a fault may wait for half a minute."""
CIRCUIT = Circuit.build(4, [ry(theta(q), q) for q in range(4)] + [op("x", q + 1, controls=[q]) for q in range(3)])
KINDS = (
    ({"backend": "simulator"}, 500, None),
    ({"backend": "simulator"}, 1, None),
    ({"backend": "simulator", "noise": "aria-1"}, 100, 100),
    ({"backend": "qpu.forte-1", "gateset": "native"}, 50, 200),
    ({"backend": "qpu.aria-1", "gateset": "native"}, 1, 10),
)


def resident(pid: int) -> float:
    """MB that a process holds in memory."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(re.finditer(r"VmRSS:\s+(\d+)", text)).group(1)) / 1024


async def load(url: str, until: float, rest: float, worker: int) -> None:
    """Jobs of every kind in turn, every seventh canceled."""
    chance = np.random.default_rng(worker)
    backends = [IonQBackend(IonQSettings(key="soak", url=url, **settings)) for settings, _, _ in KINDS]
    turn = worker
    try:
        while time.monotonic() < until:
            turn += 1
            backend, (_, rows, shots) = backends[turn % len(KINDS)], KINDS[turn % len(KINDS)]
            params = chance.uniform(-3, 3, size=(rows, 4))
            job = Job(CIRCUIT, params=params, observables=Observables.local_z(4), shots=shots, seed=turn)
            task = asyncio.create_task(backend.run_async([job]))
            if turn % 7 == 0:
                await asyncio.sleep(0.02)
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await asyncio.sleep(rest)
    finally:
        for backend in backends:
            await backend.aclose()


async def watch(url: str, pid: int, until: float, lines: list[str], held: list[float]) -> None:
    """A line a minute."""
    start = time.monotonic()
    async with httpx.AsyncClient() as client:
        while time.monotonic() < until:
            await asyncio.sleep(min(60.0, max(0.0, until - time.monotonic())))
            ledger = (await client.get(url.replace("/v0.4", "/emulator/ledger"))).json()
            held.append(resident(pid))
            lines.append(
                f"{(time.monotonic() - start) / 60:6.1f} min  {ledger['accepted_jobs']:8} jobs  "
                f"{ledger['accepted_circuits']:9} circuits  {ledger['circuits_charged_twice']:3} charged twice  "
                f"{held[-1]:7.1f} MB"
            )
            print(lines[-1], flush=True)


async def both(url: str, pid: int, until: float, rest: float, lines: list[str]) -> list[float]:
    held: list[float] = []
    work = (load(url, until, rest, worker) for worker in range(WORKERS))
    await asyncio.gather(*work, watch(url, pid, until, lines, held))
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rest", type=float, default=0.2, help="seconds between two jobs")
    parser.add_argument("--most", type=float, default=500, help="MB that the emulator may hold")
    parser.add_argument("--faults", default="429:0.02,503-after:0.01,truncated:0.01,failed-child:0.01")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "q_store",
        "emulator",
        "--port",
        "0",
        "--slots",
        "8",
        "--circuit-seconds",
        "0.0005",
    ]
    command += ["--faults", options.faults]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    lines: list[str] = [f"q-store emulator under load, faults {options.faults}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None  # noqa: S101
        url = next(filter(None, (re.search(r"http://\S+?/v0\.4", text) for text in process.stdout))).group(0)
        until = time.monotonic() + 60 * options.minutes
        held = asyncio.run(both(url, process.pid, until, options.rest, lines))
        alive = process.poll() is None
        process.terminate()
    end = "ran to the end" if alive else "STOPPED"
    lines.append(f"at most {max(held):.0f} MB, limit {options.most:.0f} MB; the emulator {end}")
    print(lines[-1])
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(max(held) > options.most or not alive)


if __name__ == "__main__":
    sys.exit(main())
