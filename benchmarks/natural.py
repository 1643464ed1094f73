"""Steps, circuits and shots that each way to a gradient takes to a loss, on two problems, with shots.

    python benchmarks/natural.py                      tune, run and write benchmarks/results/natural.json
    python benchmarks/natural.py --problems ising --methods spsa "natural, block" --seeds 0 1 2
    python benchmarks/natural.py --data mine.npz

ring     the model of the recipes' baseline (6 qubits, RY and CNOT ring, 30 + 220 parameters, Z and ZZ) on the bundled
         images, or other data: 2,000 for training, batches of 10; the loss is the exact cross-entropy of 500 others.
         It counts at 1.5 and 1.2; where there are K classes and not ten, at the same shares of ln K.
ising    the ground energy of the transverse Ising chain of 6 spins at its critical field, RY and RZ, 3 layers, 48
         parameters; the loss is the exact energy above the ground, as a share of it. Two bases are measured.

Every circuit has 1,000 shots. For every method the optimiser and the learning rate are chosen from a grid, on two seeds
that the table does not have. The loss that is reported is computed exactly and costs nothing; it counts as reached at
two looks in a row, after at most `cap` circuits. The metric `full` cannot be measured: here it is computed exactly from
the simulated states, and charged one circuit a row.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import inputs
import numpy as np

from q_store import __version__
from q_store.backends.local import LocalBackend
from q_store.blas import single_threaded
from q_store.circuits import Observables, PauliSum, encoders, templates, z
from q_store.circuits.gates import pauli_matrix
from q_store.events import Event, StepDone
from q_store.gradients import GradientEstimator, Metric, MetricEstimate, NaturalGradient, ParameterShift, Problem
from q_store.jobs import Steps, drive
from q_store.models.features import Amplitudes
from q_store.training import CrossEntropy, Energy, IdentityReadout, LinearReadout, Objective, Trainer, TrainingSettings

SHOTS, LOOKS = 1000, 100
TUNING = (100, 101)
RATES = {"adam": (0.01, 0.03, 0.1), "sgd": (0.003, 0.01, 0.03, 0.1)}
READOUT = {"adam": (0.1, 0.3), "sgd": (0.3,), "rotosolve": (0.03, 0.1, 0.3)}
"""Learning rates of the circuit and of the readout; all pairs are tried."""
RESULTS = Path(__file__).parent / "results" / "natural.json"


class ExactMetric(Metric):
    """The full metric from the states themselves, also where gradients have shots."""

    def measure(self, problem: Problem) -> Steps[MetricEstimate]:
        return super().measure(replace(problem, shots=None))


def full_metric(regularization: float) -> GradientEstimator:
    return NaturalGradient(ParameterShift(), ExactMetric("full"), regularization)


@dataclass(frozen=True)
class Method:
    """Options of the training, and what to choose from; `estimator` takes the regularization of its metric."""

    options: dict[str, Any]
    optimisers: tuple[str, ...] = ("adam", "sgd")
    regularizations: tuple[float | None, ...] = (None,)
    estimator: Callable[[float], GradientEstimator] | None = None

    def grid(self, *, readout: bool) -> Iterator[dict[str, Any]]:
        for name in self.optimisers:
            readouts = READOUT[name] if readout else (None,)
            for rate, other, amount in product(RATES.get(name, (0.1,)), readouts, self.regularizations):
                found = {"learning_rate": rate, "readout_learning_rate": other, "optimiser": name}
                if amount is not None:
                    found["metric_regularization"] = amount
                yield {**self.options, **found, "momentum": 0.9, "beta2": 0.99}


LIFTS = (0.01, 0.1)
"""Regularizations of a metric."""
SHIFT = {"gradient": "parameter_shift"}
METHODS = {
    "spsa": Method({"gradient": "spsa"}),
    "qn-spsa": Method({"gradient": "spsa", "metric": "spsa"}, regularizations=LIFTS),
    "spsa, blocking": Method({"gradient": "spsa", "blocking": True}),
    "qn-spsa, blocking": Method({"gradient": "spsa", "metric": "spsa", "blocking": True}, regularizations=LIFTS),
    "random shift": Method({"gradient": "random_shift"}),
    "parameter shift": Method(SHIFT),
    "natural, diagonal": Method({**SHIFT, "metric": "diagonal"}, regularizations=LIFTS),
    "natural, block": Method({**SHIFT, "metric": "block"}, regularizations=LIFTS),
    "natural, full": Method(SHIFT, regularizations=LIFTS, estimator=full_metric),
    "rotosolve": Method({}, ("rotosolve",)),
}


@dataclass(frozen=True)
class Task:
    """A problem: what is trained, on what, when it is solved."""

    objective: Objective
    train: tuple[Any, Any] | None
    batch: int
    targets: tuple[float, float]
    cap: int
    loss: Callable[[np.ndarray], float]


@cache
def backend() -> LocalBackend:
    return LocalBackend(threads=1, precision="float64")


@cache
def ring(data: str) -> Task:
    found, width = inputs.images(data), inputs.directions(data)
    (rows, targets), (held_out, labels) = inputs.part(data, "train", 2000), inputs.part(data, "validation", 500)
    fitted = Amplitudes(width, power=1.0, exponent=0.0).fit(rows)
    measured = [*Observables.local_z(6).items, *(z(p, q) for p, q in combinations(range(6), 2))]
    circuit = encoders.amplitude(6, width) + templates.hardware_efficient(6, 4, ("ry",), "ring")
    objective = Objective(circuit, measured, LinearReadout(21, found.n_classes), CrossEntropy())
    held = fitted.transform(held_out)

    def loss(vector: np.ndarray) -> float:
        outputs = drive(objective.outputs(vector, held), backend())
        return float(objective.loss.value_and_gradient(outputs, labels)[0])

    share = math.log(found.n_classes) / math.log(10)
    reached = (round(1.5 * share, 3), round(1.2 * share, 3))
    return Task(objective, (fitted.transform(rows), targets), 10, reached, 40_000, loss)


@cache
def ising(n: int = 6, layers: int = 3) -> Task:
    terms = [(-1.0, "ZZ", (q, q + 1)) for q in range(n - 1)] + [(-1.0, "X", (q,)) for q in range(n)]
    energy = PauliSum.of(*terms)
    dense = sum(c * pauli_matrix(p.letters(range(n))) for c, p in energy.terms)
    ground = float(np.linalg.eigvalsh(dense)[0])
    circuit = templates.hardware_efficient(n, layers, ("ry", "rz"), "linear")
    objective = Objective(circuit, [energy], IdentityReadout(1), Energy(), circuit_scale=0.3)

    def loss(vector: np.ndarray) -> float:
        return 1 - float(drive(objective.values(vector, None), backend())[0, 0]) / ground

    return Task(objective, None, 1, (0.1, 0.05), 20_000, loss)


TASKS: dict[str, Callable[[str], Task]] = {"ring": ring, "ising": lambda _: ising()}


class Enough(BaseException):
    """The run has come where it should, or too far; no error, which a sink's would only be a warning."""


@dataclass
class Run:
    """A training; `curve` holds (steps, circuits, shots, loss) at every look."""

    seed: int
    curve: list[tuple[int, int, int, float]] = field(default_factory=list)


def measure(task: Task, method: Method, options: dict[str, Any], seed: int, limit: int | None = None) -> Run:
    """Train until the loss was reached at two looks in a row, or the circuits are spent: `limit`, or the task's cap."""
    most = task.cap if limit is None else min(limit, task.cap)
    given = dict(options)
    estimator = method.estimator(given.pop("metric_regularization")) if method.estimator else None
    settings = TrainingSettings(
        **given, epochs=10**6, batch_size=task.batch, schedule="constant", shots=SHOTS, seed=seed
    )
    out = Run(seed)

    def watch(event: Event) -> None:
        looked = out.curve[-1][1] if out.curve else -task.cap
        if not isinstance(event, StepDone) or event.circuits < min(looked + task.cap // LOOKS, most):
            return
        loss = round(task.loss(plan.state.vector), 5)
        out.curve.append((event.step, event.circuits, event.shots, loss))
        if event.circuits >= most or reached(out.curve, task.targets[-1]):
            raise Enough

    plan = Trainer(task.objective, settings, backend(), sinks=[watch], estimator=estimator).plan(task.train)
    try:
        drive(plan.steps(), backend())
    except Enough:
        return out
    raise AssertionError("a million epochs were too few")


def reached(curve: list[tuple[int, int, int, float]], target: float) -> tuple[int, int, int] | None:
    """(steps, circuits, shots) at the first of two looks in a row at the target or below; None without them."""
    for first, second in pairwise(curve):
        if first[3] <= target and second[3] <= target:
            return first[0], first[1], first[2]
    return None


def score(task: Task, runs: list[Run]) -> tuple[float, ...]:
    """Smaller is better: first how many failed, then the circuits, then the loss at the end."""
    ends = [reached(run.curve, task.targets[-1]) for run in runs]
    failed = sum(end is None for end in ends)
    return failed, 0 if failed else sum(end[1] for end in ends if end), sum(run.curve[-1][3] for run in runs)


def tuned(task: Task, method: Method) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The best options of the grid, and what was tried; what cannot win any more is broken off."""
    tried: list[tuple[tuple[float, ...], dict[str, Any]]] = []
    for options in method.grid(readout=task.objective.readout.n_weights > 0):
        best = min((found for found, _ in tried), default=(1, 0, 0))
        left = None if best[0] else int(best[1])
        runs: list[Run] = []
        for seed in TUNING:
            runs.append(measure(task, method, options, seed, left))
            if left is not None:
                left -= runs[-1].curve[-1][1]
                if left <= 0:
                    break
        failed, *rest = score(task, runs)
        tried.append(((failed + len(TUNING) - len(runs), *rest), options))
    best = min(tried, key=lambda entry: entry[0])[1]
    return best, [{"score": list(found), "options": options} for found, options in tried]


def main() -> None:
    options = _options()
    with single_threaded():  # as the trainer does: these matrices are small
        run(options)


def run(options: argparse.Namespace) -> None:
    found = json.loads(options.out.read_text()) if options.out.exists() else {"problems": {}}
    found |= {"q_store": __version__, "numpy": np.__version__, "machine": platform.machine(), "shots": SHOTS}
    found |= {"data": options.data, "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d", time.gmtime())}
    for problem in options.problems:
        task = TASKS[problem](options.data)
        entry = found["problems"].setdefault(problem, {"methods": {}})
        entry |= {"targets": task.targets, "cap": task.cap, "parameters": task.objective.size, "batch": task.batch}
        for name in options.methods:
            started = time.process_time()
            best, tried = tuned(task, METHODS[name])
            runs = [measure(task, METHODS[name], best, seed) for seed in options.seeds]
            entry["methods"][name] = {"options": best, "tried": tried, "runs": [asdict(run) for run in runs]}
            spent = time.process_time() - started
            shown = [[reached(run.curve, target) for target in task.targets] for run in runs]
            rates = best["optimiser"], best["learning_rate"], best["readout_learning_rate"]
            print(problem, name, *rates, shown, f"{spent:.0f} s", flush=True)
            options.out.parent.mkdir(exist_ok=True)
            options.out.write_text(json.dumps(found) + "\n")


def _options() -> argparse.Namespace:
    options = inputs.parser(__doc__, RESULTS)
    options.add_argument("--problems", nargs="+", choices=TASKS, default=list(TASKS))
    options.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    return inputs.given(options)


if __name__ == "__main__":
    main()
