"""Sizes and times of a store with many sample rows of 6 qubits and 1000 shots, against its limits.

Usage: python benchmarks/store.py [--rows 1000000] [--folder FOLDER] [--out FILE]
Fills a new store in slices of 1000 circuits, opens it again, looks up 1000 rows at random and buys a slice. Exit code 1
where a limit is missed: 300 bytes a row, 1 s to open, 50 ms to look 1000 rows up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from q_store.backends.base import Answer, Slice
from q_store.backends.distributions import Distributions
from q_store.circuits import Circuit, op, theta
from q_store.store import Amounts, Domain, Intent, Measured, State, Store, keys_of

SIZE, QUBITS, SHOTS = 1000, 6, 1000
LIMITS = {"bytes_per_row": 300.0, "open_s": 1.0, "look_up_1000_s": 0.05}
REPEATS = 15
DOMAIN = Domain("ionq:qpu.aria-1", "qpu.aria-1")
CIRCUIT = Circuit.build(QUBITS, [op("ry", k % QUBITS, angles=[theta(k)]) for k in range(48)])


def timed(name: str, call: Callable[[], object], repeats: int = REPEATS) -> dict[str, float]:
    """Seconds of a call: the median and the least, and the median of processor time, which a busy machine spares."""
    taken, used = [], []
    for _ in range(repeats):
        start, before = time.perf_counter(), time.process_time()
        call()
        taken.append(time.perf_counter() - start)
        used.append(time.process_time() - before)
    return {f"{name}_s": median(taken), f"{name}_least_s": min(taken), f"{name}_cpu_s": median(used)}


def fill(store: Store, rows: int, rng: np.random.Generator) -> list[bytes]:
    """Sample rows under random keys, as hashes are; every hundredth key."""
    dense = rng.multinomial(SHOTS, rng.dirichlet(np.full(2**QUBITS, 0.5), SIZE)) / SHOTS
    measured = Measured.of(Distributions.from_dense(dense), SHOTS)
    kept = []
    for _ in range(rows // SIZE):
        keys = [rng.bytes(16) for _ in range(SIZE)]
        store.samples.merge(keys, measured, CIRCUIT, DOMAIN)
        kept += keys[::100]
    return kept


class Buyer:
    """Slices from the intent to the result, each under a fresh fingerprint."""

    def __init__(self, store: Store, rng: np.random.Generator) -> None:
        self.store, self.rng, self.count = store, rng, 0
        store.runs.start("benchmark", {}, run="benchmark")

    def __call__(self) -> None:
        self.count += 1
        angles = self.rng.uniform(-3, 3, (SIZE, 48))
        part = Slice(CIRCUIT, angles, np.arange(SIZE), SHOTS, 0, f"slice {self.count}")
        dense = self.rng.multinomial(SHOTS, np.full(2**QUBITS, 2.0**-QUBITS), SIZE) / SHOTS
        answer = Answer(Distributions.from_dense(dense), sampled=True, shots_paid=SIZE * SHOTS, cost=1.0)
        self.store.journal.begin("benchmark", self.count, b"job", QUBITS)
        keys = keys_of(part, DOMAIN)
        reserve = Amounts(1.0, SIZE * SHOTS, SIZE)
        self.store.tickets.intend(Intent(part, "benchmark", self.count, "ionq", "aria", DOMAIN, keys, reserve))
        self.store.tickets.sent(part.fingerprint, "remote")
        self.store.tickets.settle(part.fingerprint, State.DONE, answer)


def opened(path: Path) -> None:
    """Open and close."""
    Store(path).close()


def measured(path: Path, rows: int) -> dict[str, float]:
    """Everything, by name."""
    rng = np.random.default_rng(0)
    found: dict[str, float] = {"rows": rows}
    with Store(path) as store:
        start = time.perf_counter()
        kept = fill(store, rows, rng)
        found["fill_s"] = time.perf_counter() - start
    found["bytes_per_row"] = path.stat().st_size / rows
    found |= timed("open", lambda: opened(path))
    with Store(path) as store:
        found |= timed(
            "look_up_1000", lambda: store.samples.lookup([kept[k] for k in rng.integers(0, len(kept), SIZE)], QUBITS)
        )
        found |= timed("buy_1000", Buyer(store, rng))
        found |= timed("commit", lambda: store.runs.note("benchmark", [("event", {})]))
        found |= timed("check", store.check, 1)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to make the store, removed afterwards")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        found = measured(Path(folder) / "store.db", asked.rows)
    if asked.out:
        machine = {"processors": os.cpu_count(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
        whole = {"machine": machine, "load": os.getloadavg(), "limits": LIMITS, "found": found}
        asked.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    for name, value in found.items():
        print(f"{name:20} {value:12.6g}" + (f"   limit {LIMITS[name]:g}" if name in LIMITS else ""))
    return int(any(found[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
