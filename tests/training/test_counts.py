"""What a run says that it cost is what the backend was asked for, whatever the method and the measured bases."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.circuits import Observables, PauliSum, encoders, templates, z
from q_store.events import StepDone
from q_store.training import CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings

X = np.random.default_rng(3).normal(size=(23, 2))
Y = np.arange(23) % 3
BASES = {
    "one basis": Observables.local_z(2),
    "two bases": Observables.of(z(0), PauliSum.of((1.0, "X", (0,)))),
}


class Counting:
    """The local engine, with its own account of what it was asked for."""

    def __init__(self):
        self.backend = LocalBackend(threads=1)
        self.capabilities = self.backend.capabilities
        self.circuits = self.shots = 0

    def run(self, job):
        bases = 1 if job.shots is None else len(job.measured.groups())
        self.circuits += job.rows * bases
        if job.shots is not None:
            self.shots += int(np.broadcast_to(job.shots, (job.rows,)).sum()) * bases
        return self.backend.run(job)


def methods():
    for gradient in ("adjoint", "parameter_shift", "finite_difference", "spsa", "random_shift"):
        for metric in (None, "diagonal", "block", "full", "spsa"):
            for shots in (None, 8):
                if shots is None or (gradient != "adjoint" and metric != "full"):
                    yield {"gradient": gradient, "metric": metric, "shots": shots}
    yield from ({"optimiser": "rotosolve", "shots": shots} for shots in (None, 8))
    yield {"finish_iterations": 2}
    yield {"gradient": "parameter_shift", "finish_iterations": 2}
    yield {"gradient": "parameter_shift", "shots": 8, "shot_schedule": "variance", "min_shots": 2}
    yield {"gradient": "spsa", "metric": "spsa", "shots": 8, "blocking": True}
    yield {"gradient": "spsa", "blocking": True, "allowed_increase": 0.1}
    yield {"gradient": "spsa", "shots": 8, "spsa_pairs": 2, "spsa_rows": 3, "common_samples": True}


@pytest.mark.parametrize("options", list(methods()), ids=lambda given: ", ".join(map(str, given.values())))
@pytest.mark.parametrize("bases", BASES)
def test_circuits_and_shots_are_those_of_the_backend(options, bases):
    circuit = encoders.angle(2) + templates.hardware_efficient(2, 1, ("ry", "rz"))
    objective = Objective(circuit, BASES[bases], LinearReadout(2, 3), CrossEntropy())
    executor, steps = Counting(), []
    settings = TrainingSettings(epochs=1, batch_size=10, **options)
    sinks = [lambda event: steps.append(event) if isinstance(event, StepDone) else None]
    result = Trainer(objective, settings, executor, sinks=sinks).fit((X, Y), (X[:7], Y[:7]))
    assert (result.circuits, result.shots) == (executor.circuits, executor.shots)
    assert steps[0].circuits > 0
