"""Rotosolve: every step ends in the minimum along its parameter, whatever the loss."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, PauliSum, cnot, ry, theta, x
from q_store.circuits.gates import pauli_matrix
from q_store.errors import CircuitError
from q_store.events import StepDone
from q_store.jobs import drive
from q_store.training import Energy, IdentityReadout, Objective, Trainer, TrainingSettings
from q_store.training.rotosolve import Rotosolve

CHAIN = PauliSum.of((-1.0, "ZZ", (0, 1)), (-0.7, "X", (0,)), (-0.7, "X", (1,)))
ANSATZ = Circuit.build(2, [ry(theta(0), 0), ry(theta(1), 1), cnot(0, 1), ry(theta(2), 0), ry(theta(2) * 0.5, 1)])


def loss_along(objective, vector, index, backend, rows=(None, None)):
    data, targets = rows
    points = np.linspace(-2 * np.pi, 2 * np.pi, 2001)
    moved = np.repeat(vector[None], len(points), axis=0)
    moved[:, index] += points
    losses = []
    for row in moved:
        outputs = drive(objective.outputs(row, data), backend)
        losses.append(objective.loss.value_and_gradient(outputs, targets)[0])
    return np.array(losses)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_an_energy_is_at_its_minimum_along_each_parameter(index, backend):
    objective = Objective(ANSATZ, [CHAIN], IdentityReadout(1), Energy())
    vector = np.array([0.4, -1.2, 0.9])
    before = vector.copy()
    found = drive(Rotosolve(objective).step(vector, None, None, index, shots=None, seed=0), backend)
    losses = loss_along(objective, before, index, backend)
    assert found.loss == pytest.approx(losses.min(), abs=1e-5)
    assert found.loss <= losses.min() + 1e-9
    assert found.circuits == (3, 3, 7)[index]
    assert np.flatnonzero(vector != before).tolist() == [index]
    there = drive(objective.outputs(vector, None), backend)
    assert there[0, 0] == pytest.approx(found.loss, abs=1e-9)


def test_a_loss_that_is_no_polynomial(small, backend):
    """Cross-entropy of many rows through a readout, with a parameter that moves all of them."""
    objective = small.objective
    vector = objective.initial(3)
    vector[4:] = np.random.default_rng(0).normal(size=len(vector) - 4)
    circuit = Circuit.build(2, [ry(x(0) + theta(0), 0), ry(x(1), 1), cnot(0, 1), ry(theta(1), 1), cnot(1, 0)])
    objective = Objective(circuit, objective.observables, objective.readout, objective.loss, penalty=0.1)
    vector = np.concatenate([[0.3, -0.4], vector[4:]])
    data, targets = small.train
    targets = objective.loss.prepare(targets, len(data), 2)
    losses = loss_along(objective, vector, 1, backend, (data, targets))
    found = drive(Rotosolve(objective).step(vector, data, targets, 1, shots=None, seed=0), backend)
    penalty = 0.05 * vector[2:] @ vector[2:]
    assert found.loss - penalty == pytest.approx(losses.min(), abs=1e-5)
    assert found.circuits == 20 * 3
    assert (found.gradient[:2] == 0).all()
    evaluated = drive(objective.evaluate(vector, data, targets, Gradient()), backend)
    np.testing.assert_allclose(found.gradient[2:], evaluated.gradient[2:], atol=1e-8)
    assert found.accuracy == evaluated.accuracy


class Gradient:
    """Values at the parameters; the circuit's gradient is not looked at."""

    def estimate(self, problem):
        from q_store.gradients import Adjoint

        return (yield from Adjoint().estimate(problem))


def test_the_ground_state_of_a_chain():
    dense = sum(c * pauli_matrix(p.letters(range(2))) for c, p in CHAIN.terms)
    objective = Objective(ANSATZ, [CHAIN], IdentityReadout(1), Energy(), circuit_scale=0.5)
    settings = TrainingSettings(epochs=60, optimiser="rotosolve", schedule="constant")
    losses = []
    result = Trainer(
        objective,
        settings,
        LocalBackend(threads=1, precision="float64"),
        sinks=[lambda event: losses.append(event.loss) if isinstance(event, StepDone) else None],
    ).fit()
    assert losses[-1] == pytest.approx(np.linalg.eigvalsh(dense)[0], abs=1e-3)
    assert (np.diff(losses) < 1e-9).all()  # with exact values no step goes up
    assert result.circuits == 20 * (3 + 3 + 7)


def test_by_shots_it_is_charged_for_every_basis(backend):
    objective = Objective(ANSATZ, [CHAIN], IdentityReadout(1), Energy())
    settings = TrainingSettings(epochs=6, optimiser="rotosolve", shots=50)
    result = Trainer(objective, settings, backend).fit()
    assert result.circuits == 2 * 2 * (3 + 3 + 7)
    assert result.shots == 50 * result.circuits


def test_a_run_broken_off_ends_like_a_whole_one(small, tmp_path):
    circuit = Circuit.build(2, [ry(x(0) + theta(0), 0), ry(x(1) + theta(1), 1), cnot(0, 1), ry(theta(2), 1)])
    small.objective = Objective(circuit, small.objective.observables, small.objective.readout, small.objective.loss)
    options = {"optimiser": "rotosolve", "shots": 30, "readout_learning_rate": 0.1, "checkpoint_steps": 1}
    whole = small.fit(**options)
    for stop_at in (5, 9):
        resumed = small.broken_off(tmp_path, stop_at, **options)
        assert resumed.parameters.tobytes() == whole.parameters.tobytes()


def test_circuits_without_parameters_or_with_products_are_refused(backend, small):
    empty = Objective(Circuit.build(1, [ry(0.3, 0)]), [PauliSum.of((1.0, "Z", (0,)))], IdentityReadout(1), Energy())
    with pytest.raises(CircuitError, match="none that any value depends on"):
        drive(Rotosolve(empty).step(np.zeros(0), None, None, 0, shots=None, seed=0), backend)
    with pytest.raises(CircuitError, match="multiplied by feature 0"):
        small.fit(optimiser="rotosolve")
