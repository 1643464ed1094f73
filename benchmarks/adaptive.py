"""What schedules of depth and shots, and pruning, bring: at equal steps, on two problems, five seeds.

    python benchmarks/adaptive.py                 measure what is missing and print the tables
    python benchmarks/adaptive.py --only depth    depth, shots or spsa alone
    python benchmarks/adaptive.py --data mine.npz --seeds 5 6 7
    python benchmarks/adaptive.py --table         print the tables of the file again

Problems: `fashion`, 2,000 training and 1,000 validation images of the bundled Fashion-MNIST (or other data, under their
own name), and `digits`, the 1,797 digits of scikit-learn (which must be installed), 1,200 and 597 of them. Their first
60 singular components are the amplitudes of six qubits; `ring` has four layers of RY and a CNOT ring, `so4` four layers
of SO(4) blocks; Z and ZZ, a linear readout. Circuits are counted as a backend would run them for a gradient by
parameter shift, whatever computed it here; validation is not counted. Validation losses at the end are exact, and so
are those of 40 looks on the way, by the circuit that is trained then and by the whole one. Figures go to
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

import inputs
import numpy as np

from q_store import __version__
from q_store.backends.local import LocalBackend
from q_store.blas import single_threaded
from q_store.circuits import Circuit, Observables, encoders, z
from q_store.circuits.shifts import shift_rules
from q_store.circuits.templates import hardware_efficient, so4_layers
from q_store.events import CircuitChosen, Event, StepDone
from q_store.jobs import Job, Outcome, Output, drive
from q_store.models.features import Amplitudes
from q_store.training import CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings

RESULT = Path(__file__).parent / "results" / "adaptive.json"
QUBITS, LAYERS, WIDTH, LOOKS = 6, 4, 60, 40
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
    classes: int


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
    images = named(options.data)
    found = json.loads(options.out.read_text()) if options.out.exists() else {"fits": []}
    if not options.table:
        found |= {"q_store": __version__, "python": platform.python_version(), "numpy": np.__version__}
        order = list(_plan(images, options.seeds))
        for kind, problem, ansatz, name, seed in order:
            key: dict[str, Any] = dict(zip(KEY, (kind, problem, ansatz, name, seed), strict=True))
            if options.only in {None, kind} and not any(key.items() <= fit.items() for fit in found["fits"]):
                found["fits"].append(key | measure(**key, data=options.data))
                found["fits"].sort(key=lambda fit: _place(order, tuple(fit[name] for name in KEY)))
                write(options.out, found)
    print(tables(found))


def named(data: str) -> str:
    """What the problem of these data is called."""
    return "fashion" if data == inputs.BUNDLED else Path(data).stem


def _place(order: list[tuple[str, str, str, str, int]], key: tuple[str, str, str, str, int]) -> int:
    return order.index(key) if key in order else -1


def write(path: Path, found: dict[str, Any]) -> None:
    """The file, one line a fit."""
    head = json.dumps({**found, "fits": []})
    fits = ",\n".join(json.dumps(fit) for fit in found["fits"])
    path.write_text(head.replace('"fits": []', f'"fits": [\n{fits}\n]') + "\n")


def _plan(images: str, seeds: list[int]) -> list[tuple[str, str, str, str, int]]:
    out = []
    for seed in seeds:
        for problem in (images, "digits"):
            for ansatz in CIRCUITS:
                possible = [name for name in DEPTH if ansatz == "so4" or "grow" not in name]
                out += [("depth", problem, ansatz, name, seed) for name in possible]
            ansatz = "so4" if problem == "digits" else "ring"
            out += [(kind, problem, ansatz, name, seed) for kind in ("shots", "spsa") for name in SHOTS]
    return out


def measure(
    kind: str, problem: str, ansatz: str, name: str, seed: int, *, data: str = inputs.BUNDLED
) -> dict[str, Any]:
    """One fit."""
    given = load_problem(problem, data)
    if kind == "depth":
        batch = max(1, len(given.train[1]) // 20)
        settings = TrainingSettings(**{**EXACT, "batch_size": batch, "seed": seed, **DEPTH[name]})
        train = given.train
    else:
        gradient = {"gradient": "parameter_shift"} if kind == "shots" else {"gradient": "spsa", "learning_rate": 0.03}
        more = {"epochs": 40} if kind == "spsa" else {}
        settings = TrainingSettings(**{**SAMPLED, **gradient, **more, "seed": seed, **SHOTS[name]})
        rows = (seed * 100 + np.arange(100)) % len(given.train[1])
        train = tuple(part[rows] for part in given.train)
    return fitted(CIRCUITS[ansatz](), settings, train, given)


def fitted(ansatz: Circuit, settings: TrainingSettings, train: tuple[Any, Any], data: Problem) -> dict[str, Any]:
    """Train, and measure on the validation part by the circuit that was trained and by the whole one."""
    counter, events, curve = Counter(), list[Event](), list[list[float]]()
    circuit = encoders.amplitude(QUBITS, data.train[0].shape[1]) + ansatz
    pairs = [z(p, q) for p, q in combinations(range(QUBITS), 2)]
    observables = Observables.of(*Observables.local_z(QUBITS).items, *pairs)
    objective = Objective(circuit, observables, LinearReadout(observables.size, data.classes), CrossEntropy())
    every = max(1, settings.epochs * -(-len(train[1]) // settings.batch_size) // LOOKS)

    def look(event: Event) -> None:
        if isinstance(event, StepDone) and event.step % every == 0:
            own, vector = plan.forms.at(plan.form), plan.state.vector
            seen = [_validated(each, vector, data)["loss"] for each in {id(o): o for o in (own, objective)}.values()]
            losses = [round(loss, 4) for loss in seen]
            curve.append([event.step, counter.circuits or event.circuits, event.shots, losses[0], losses[-1]])

    started = time.process_time()
    trainer = Trainer(objective, settings, counter, sinks=[events.append, look])
    plan = trainer.plan(train)
    with single_threaded():
        result = drive(plan.steps(), counter)
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
        "curve": curve,
    }


def _validated(objective: Objective, vector: Any, data: Problem) -> dict[str, float]:
    z_rows, labels = data.validation
    outputs = drive(objective.outputs(vector, z_rows), LocalBackend())
    targets = objective.loss.prepare(labels, len(labels), data.classes)
    loss, _ = objective.loss.value_and_gradient(outputs, targets)
    return {"loss": loss, "accuracy": float(np.mean(outputs.argmax(axis=1) == labels))}


@cache
def load_problem(name: str, data: str = inputs.BUNDLED) -> Problem:
    if name == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        (x, y), cut, width, classes = (x[order], y[order]), 1200, WIDTH, 10
    else:
        found = inputs.images(data)
        order = np.random.default_rng(0).permutation(len(found.train.y))[:2000]
        cut, width, classes = len(order), min(WIDTH, inputs.directions(data)), found.n_classes
        x = np.concatenate([found.train.x[order], found.validation.x[:1000]])
        x, y = x.reshape(len(x), -1), np.concatenate([found.train.y[order], found.validation.y[:1000]])
    features = Amplitudes(width, power=1.0, exponent=0.0).fit(x[:cut])  # some pixels of the digits are always 0
    rows = np.ascontiguousarray(features.transform(x), dtype=np.float32)
    labels = np.asarray(y, dtype=np.int64)
    return Problem((rows[:cut], labels[:cut]), (rows[cut:], labels[cut:]), classes)


def tables(found: dict[str, Any]) -> str:
    """The tables for people."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
    from docs_adaptive import depth_table, loss_table, shots_table

    shown = [depth_table(found), *(shots_table(found, kind) for kind in ("shots", "spsa"))]
    return "\n\n".join([*shown, *(loss_table(found, kind) for kind in ("depth", "shots", "spsa"))])


def _options() -> argparse.Namespace:
    options = inputs.parser(__doc__, RESULT, SEEDS)
    options.add_argument("--only", choices=("depth", "shots", "spsa"))
    options.add_argument("--table", action="store_true", help="measure nothing")
    return inputs.given(options)


if __name__ == "__main__":
    main()
