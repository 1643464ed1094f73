"""What schedules of depth and shots, and pruning, bring: at equal steps, on two problems, five seeds.

    python benchmarks/adaptive.py                 measure what is missing and print the tables
    python benchmarks/adaptive.py --only depth    depth, shots or spsa alone
    python benchmarks/adaptive.py --table         print the tables of the file again

Problems: `fashion`, 2,000 training and 1,000 validation images of the bundled Fashion-MNIST, and `digits`, the 1,797
digits of scikit-learn (which must be installed), 1,200 and 597 of them. Their first 60 singular components are the
amplitudes of six qubits; `ring` has four layers of RY and a CNOT ring, `so4` four layers of SO(4) blocks; Z and ZZ, a
linear readout. Circuits are counted as a backend would run them for a gradient by parameter shift, whatever computed
it here; validation is not counted. Validation losses at the end are exact. Figures go to
benchmarks/results/adaptive.json, raw, one entry a fit.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from q_store import __version__
from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, encoders, z
from q_store.circuits.shifts import shift_rules
from q_store.circuits.templates import hardware_efficient, so4_layers
from q_store.events import CircuitChosen, Event, StepDone
from q_store.jobs import Job, Outcome, Output, drive
from q_store.models.fashion_mnist import load
from q_store.models.features import Amplitudes
from q_store.training import CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings

RESULT = Path(__file__).parent / "results" / "adaptive.json"
QUBITS, LAYERS, CLASSES = 6, 4, 10
CIRCUITS = {
    "ring": lambda: hardware_efficient(QUBITS, LAYERS, ("ry",), "ring"),
    "so4": lambda: so4_layers(QUBITS, LAYERS),
}
KEY = ("kind", "problem", "ansatz", "name", "seed")
SEEDS = (0, 1, 2, 3, 4)
EXACT = {"epochs": 20, "learning_rate": 0.08, "readout_learning_rate": 0.1}
"""20 epochs of 20 steps, Adam, one-cycle, on all training rows."""
SAMPLED = {"epochs": 10, "batch_size": 10, "learning_rate": 0.08, "readout_learning_rate": 0.3, "shots": 1000}
"""10 epochs of 10 steps, on 100 training rows."""
DEPTH: dict[str, dict[str, Any]] = {
    "fixed 4": {},
    "fixed 2": {"max_depth": 2},
    "fixed 1": {"max_depth": 1},
    "linear 4-2": {"depth_schedule": "linear"},
    "exponential 4-2": {"depth_schedule": "exponential"},
    "step 4-2": {"depth_schedule": "step"},
    "linear 4-1": {"depth_schedule": "linear", "min_depth": 1},
    "grow 2-4": {"depth_schedule": "grow"},
    "grow 1-4": {"depth_schedule": "grow", "min_depth": 1},
    "prune .99": {"prune": 0.99},
    "prune .9": {"prune": 0.9},
}
SHOTS: dict[str, dict[str, Any]] = {
    "constant 1000": {},
    "constant 500": {"shots": 500},
    "constant 250": {"shots": 250},
    "constant 100": {"shots": 100},
    "constant 30": {"shots": 30},
    "constant 10": {"shots": 10},
    "phase 500-2000": {"shot_schedule": "phase"},
    "phase 250-1000": {"shot_schedule": "phase", "shots": 500},
    "variance .5, 100-2000": {"shot_schedule": "variance", "min_shots": 100, "max_shots": 2000},
    "variance .5, 10-2000": {"shot_schedule": "variance", "min_shots": 10, "max_shots": 2000},
    "variance 1, 100-2000": {"shot_schedule": "variance", "min_shots": 100, "max_shots": 2000, "noise_share": 1.0},
    "variance .5, 500-2000": {"shot_schedule": "variance"},
}


@dataclass(frozen=True)
class Problem:
    """Preprocessed rows and labels of the two parts."""

    train: tuple[Any, Any]
    validation: tuple[Any, Any]


class Counter:
    """A backend that counts what the gradients would cost by parameter shift."""

    def __init__(self) -> None:
        self.backend = LocalBackend()
        self.capabilities = self.backend.capabilities
        self.circuits = self.two_qubit = 0

    def run(self, job: Job) -> Outcome:
        if job.output is Output.VJP:
            circuits = job.rows * (1 + _shifts(job.circuit))
            self.circuits += circuits
            self.two_qubit += circuits * job.circuit.two_qubit_gates
        return self.backend.run(job)


@cache
def _shifts(circuit: Circuit) -> int:
    return shift_rules(circuit).size


def main() -> None:
    options = _options()
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {"fits": []}
    if not options.table:
        found |= {"q_store": __version__, "python": platform.python_version(), "numpy": np.__version__}
        for kind, problem, ansatz, name, seed in _plan():
            key: dict[str, Any] = dict(zip(KEY, (kind, problem, ansatz, name, seed), strict=True))
            if options.only in {None, kind} and not any(key.items() <= fit.items() for fit in found["fits"]):
                found["fits"].append(key | measure(**key))
                order = list(_plan())
                found["fits"].sort(key=lambda fit: order.index(tuple(fit[name] for name in KEY)))
                write(found)
    print(tables(found))


def write(found: dict[str, Any]) -> None:
    """The file, one line a fit."""
    head = json.dumps({**found, "fits": []})
    fits = ",\n".join(json.dumps(fit) for fit in found["fits"])
    RESULT.write_text(head.replace('"fits": []', f'"fits": [\n{fits}\n]') + "\n")


def _plan() -> list[tuple[str, str, str, str, int]]:
    out = []
    for seed in SEEDS:
        for problem in ("fashion", "digits"):
            for ansatz in CIRCUITS:
                possible = [name for name in DEPTH if ansatz == "so4" or "grow" not in name]
                out += [("depth", problem, ansatz, name, seed) for name in possible]
            ansatz = "ring" if problem == "fashion" else "so4"
            out += [(kind, problem, ansatz, name, seed) for kind in ("shots", "spsa") for name in SHOTS]
    return out


def measure(kind: str, problem: str, ansatz: str, name: str, seed: int) -> dict[str, Any]:
    """One fit."""
    data = load_problem(problem)
    if kind == "depth":
        batch = len(data.train[1]) // 20
        settings = TrainingSettings(**{**EXACT, "batch_size": batch, "seed": seed, **DEPTH[name]})
        train = data.train
    else:
        gradient = {"gradient": "parameter_shift"} if kind == "shots" else {"gradient": "spsa", "learning_rate": 0.03}
        more = {"epochs": 40} if kind == "spsa" else {}
        settings = TrainingSettings(**{**SAMPLED, **gradient, **more, "seed": seed, **SHOTS[name]})
        train = tuple(part[seed * 100 : (seed + 1) * 100] for part in data.train)
    return fitted(CIRCUITS[ansatz](), settings, train, data)


def fitted(ansatz: Circuit, settings: TrainingSettings, train: tuple[Any, Any], data: Problem) -> dict[str, Any]:
    """Train, and measure on the validation part by the circuit that was trained and by the whole one."""
    counter, events = Counter(), list[Event]()
    circuit = encoders.amplitude(QUBITS, data.train[0].shape[1]) + ansatz
    pairs = [z(p, q) for p, q in combinations(range(QUBITS), 2)]
    observables = Observables.of(*Observables.local_z(QUBITS).items, *pairs)
    objective = Objective(circuit, observables, LinearReadout(observables.size, CLASSES), CrossEntropy())
    started = time.process_time()
    trainer = Trainer(objective, settings, counter, sinks=[events.append])
    result = trainer.fit(train)
    seconds = time.process_time() - started
    whole = trainer.objective
    trained = whole if result.circuit is None else replace(whole, circuit=result.circuit)
    steps = [event for event in events if isinstance(event, StepDone)]
    chosen = [event for event in events if isinstance(event, CircuitChosen)]
    return {
        "trained": _validated(trained, result.parameters, data),
        "whole": _validated(whole, result.parameters, data),
        "steps": len(steps),
        "circuits": counter.circuits or result.circuits,
        "two_qubit_gates": counter.two_qubit or result.circuits * trained.circuit.two_qubit_gates,
        "shots": result.shots,
        "shots_each": sorted({step.shots_each for step in steps if step.shots_each}),
        "two_qubit_last": trained.circuit.two_qubit_gates,
        "fidelity": min((event.fidelity for event in chosen if event.fidelity is not None), default=None),
        "train_loss": result.history[-1].train_loss,
        "cpu_seconds": round(seconds, 2),
    }


def _validated(objective: Objective, vector: Any, data: Problem) -> dict[str, float]:
    z_rows, labels = data.validation
    outputs = drive(objective.outputs(vector, z_rows), LocalBackend())
    targets = objective.loss.prepare(labels, len(labels), CLASSES)
    loss, _ = objective.loss.value_and_gradient(outputs, targets)
    return {"loss": loss, "accuracy": float(np.mean(outputs.argmax(axis=1) == labels))}


@cache
def load_problem(name: str) -> Problem:
    if name == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        (x, y), cut = (x[order], y[order]), 1200
    else:
        data = load("bundled")
        order = np.random.default_rng(0).permutation(len(data.train.y))[:2000]
        x = np.concatenate([data.train.x[order], data.validation.x[:1000]]).reshape(3000, -1)
        y, cut = np.concatenate([data.train.y[order], data.validation.y[:1000]]), 2000
    features = Amplitudes(60, power=1.0, exponent=0.0).fit(x[:cut])  # some pixels of the digits are always 0
    rows = np.ascontiguousarray(features.transform(x), dtype=np.float32)
    labels = np.asarray(y, dtype=np.int64)
    return Problem((rows[:cut], labels[:cut]), (rows[cut:], labels[cut:]))


def tables(found: dict[str, Any]) -> str:
    """The tables for people."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
    from docs_adaptive import depth_table, shots_table

    return "\n\n".join([depth_table(found), shots_table(found, "shots"), shots_table(found, "spsa")])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("depth", "shots", "spsa"))
    parser.add_argument("--table", action="store_true", help="measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
