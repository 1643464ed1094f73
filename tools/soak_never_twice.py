"""Send circuits through a service that breaks in every way, and let its ledger judge who paid twice.

Usage: python tools/soak_never_twice.py [--seeds 20] [--circuits 1000] [--faults all:0.1] [--out FILE]

Every seed is one run in virtual time, against the emulator in this process: the same circuits are run once on a service
that works and once on one with the faults. The outcomes must agree bit by bit but for rows reported as UNCERTAIN, and
no circuit may be charged twice. Seeds take turns in the kind of backend and in how many remote jobs the circuits make.
Exit code 1 when a seed fails.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.circuits import Circuit, Observables, cnot, op, ry, rz, theta
from q_store.emulator import Emulator
from q_store.emulator.clock import run_virtual
from q_store.jobs import Job, Outcome, Output, Status

CIRCUIT = Circuit.build(3, [ry(theta(0), 0), cnot(0, 1), ry(theta(1), 1), rz(theta(2), 1), cnot(1, 2), op("h", 0)])
TARGETS = (
    {"backend": "simulator"},
    {"backend": "simulator", "noise": "aria-1"},
    {"backend": "qpu.forte-1", "gateset": "native"},
)
SPREADS = (10, 100, 1000)
"""Jobs that the circuits are divided among."""
SHOTS = 200
UNCERTAIN_SHARE = 0.005


@dataclass(frozen=True)
class Trial:
    """What a seed came to."""

    seed: int
    target: str
    jobs: int
    circuits: int
    calls: int
    faults: int
    accepted: int
    uncertain: int
    failed: int
    wrong: int
    twice: int
    virtual_seconds: float
    seconds: float

    def fault(self, *, late: bool) -> str:
        """What is not as it must be; empty when all is well. `late`: whether the list may lag."""
        problems = []
        if self.twice:
            problems.append(f"{self.twice} circuits charged twice")
        if self.wrong:
            problems.append(f"{self.wrong} rows differ from those of the sound service")
        if self.failed:
            problems.append(f"{self.failed} rows failed")
        if self.uncertain > (UNCERTAIN_SHARE * self.circuits if late else 0):
            problems.append(f"{self.uncertain} rows uncertain")
        return ", ".join(problems)


def jobs(circuits: int, count: int, seed: int, shots: int | None) -> list[Job]:
    """`circuits` different circuits in `count` jobs."""
    params = np.random.default_rng([seed, 1]).uniform(-3, 3, size=(circuits, CIRCUIT.n_params))
    return [
        Job(CIRCUIT, params=part, observables=Observables.local_z(3), output=Output.EXPECTATION, shots=shots, seed=seed)
        for part in np.array_split(params, count)
    ]


def run(settings: dict[str, str], work: Sequence[Job], emulator: Emulator) -> tuple[list[Outcome], float]:
    """The outcomes of `work`, and the virtual seconds that it took."""

    async def story() -> tuple[list[Outcome], float]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        backend = IonQBackend(IonQSettings(key="a-key", **settings), transport=emulator.transport())
        try:
            return await backend.run_async(work), loop.time() - start
        finally:
            await backend.aclose()

    return run_virtual(story())


def trial(seed: int, circuits: int, faults: str) -> Trial:
    """One seed."""
    settings = TARGETS[seed % len(TARGETS)]
    count = min(circuits, SPREADS[seed // len(TARGETS) % len(SPREADS)])
    work = jobs(circuits, count, seed, None if len(settings) == 1 else SHOTS)
    sound, _ = run(settings, work, Emulator(seed=seed))
    start = time.perf_counter()
    emulator = Emulator(seed=seed, faults=faults, circuit_seconds=0.02, slots=4)
    broken, virtual = run(settings, work, emulator)
    ledger = emulator.ledger()
    uncertain = sum(s is Status.UNCERTAIN for o in broken for s in o.status.values())
    failed = sum(s is Status.FAILED for o in broken for s in o.status.values())
    return Trial(
        seed,
        "/".join(settings.values()),
        count,
        circuits,
        ledger["events"].get("calls", 0),
        sum(n for name, n in ledger["events"].items() if name != "calls"),
        ledger["accepted_circuits"],
        uncertain,
        failed,
        sum(different(a, b) for a, b in zip(broken, sound, strict=True)),
        ledger["circuits_charged_twice"],
        virtual,
        time.perf_counter() - start,
    )


def different(broken: Outcome, sound: Outcome) -> int:
    """Rows with an answer that is not that of the sound service."""
    assert broken.values is not None  # noqa: S101
    assert sound.values is not None  # noqa: S101
    answered = np.array([r not in broken.status for r in range(broken.rows)])
    return int((broken.values != sound.values).any(axis=1)[answered].sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--circuits", type=int, default=1000)
    parser.add_argument("--faults", default="all:0.1")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [
        f"faults {options.faults}, {options.circuits} circuits a seed, {options.seeds} seeds; virtual time",
        " seed  target                     jobs   calls  faults  accepted  uncertain  failed  wrong  twice  virtual s",
    ]
    print("\n".join(lines), flush=True)
    bad, uncertain = 0, 0
    late = "late" in options.faults or "all" in options.faults
    for seed in range(options.first, options.first + options.seeds):
        t = trial(seed, options.circuits, options.faults)
        problem = t.fault(late=late)
        lines.append(
            f"{t.seed:5}  {t.target:25} {t.jobs:5} {t.calls:7} {t.faults:7} {t.accepted:9} {t.uncertain:10} "
            f"{t.failed:7} {t.wrong:6} {t.twice:6} {t.virtual_seconds:10.0f}  {problem}"
        )
        print(lines[-1], f"({t.seconds:.1f} s)", flush=True)
        bad += bool(problem)
        uncertain += t.uncertain
    lines.append(
        f"{options.seeds} seeds, {options.seeds * options.circuits} circuits: {options.seeds - bad} as they must be, "
        f"{bad} not; {uncertain} circuits uncertain"
    )
    print(lines[-1])
    if options.out:
        options.out.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
