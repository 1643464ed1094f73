"""A small problem for recipes, and recipes that need few circuits for it."""

from __future__ import annotations

import numpy as np

from q_store.backends.local import LocalBackend
from q_store.circuits import Observables, encoders
from q_store.circuits.templates import hardware_efficient
from q_store.training import CrossEntropy, LinearReadout, Objective, TrainingSettings
from q_store.training.recipes import V34, Calibrate, Exact, Refine, Regress, Sites, Spsa, Task
from q_store.training.rows import Rows

CIRCUIT = encoders.amplitude(2, 4) + hardware_efficient(2, 2, ("ry",), "linear")
OBJECTIVE = Objective(CIRCUIT, Observables.local_z(2), LinearReadout(2, 3), CrossEntropy())
SETTINGS = TrainingSettings(
    epochs=10, batch_size=20, learning_rate=0.1, readout_learning_rate=0.3, finish_iterations=10
)
FEW = {
    "exact": (Exact(), 0),
    "calibrate": (Calibrate(count=8), 8),
    "regress": (Regress(count=40), 40),
    "spsa": (Spsa(count=1200, looks=3), 1200),
    "v34": (V34(count=400, looks=2), 400),
    "refine": (Refine(Calibrate(count=8), count=60, looks=2), 68),
    "refine alone": (Refine(count=400, method="random_shift", looks=2), None),
}


def rows(count, seed):
    rng = np.random.default_rng(seed)
    centres = np.array([[1, 0.2, 0.2, 0], [0.2, 1, 0, 0.2], [0.2, 0, 1, 0.5]])
    y = np.arange(count) % 3
    x = centres[y] + 0.15 * rng.normal(size=(count, 4))
    return Rows.of(x / np.linalg.norm(x, axis=1, keepdims=True), y, OBJECTIVE)


def task(**more):
    return Task(OBJECTIVE, rows(90, 1), rows(30, 2), rows(60, 3), **{"settings": SETTINGS, "shots": 200, **more})


def here():
    return Sites(pool=LocalBackend(), local=LocalBackend())
