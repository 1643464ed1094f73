"""Errors of a machine's angles, learned from few measured rows: a model with one number for each gate.

A machine that turns every angle a_s of its circuit by e_s too far, the same for all rows, gives

    g_m(x) = a f_m(theta, e; x) + b_m,

f the simulation with a_s + e_s in place of a_s (the preparation's angles included), a and b what depolarising leaves.
With e ~ N(0, `SPREAD`^2) its most probable value is found by Gauss-Newton steps over exact Jacobians. N rows of M
features are N M equations for as many unknowns as there are angles. Whether machines err so, cross-validation says;
what was learned holds, as far as the rows could tell, at other parameters near by, where the errors of trained angles
are undone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from q_store.circuits import encoders
from q_store.circuits.angle import Angle, theta
from q_store.circuits.circuit import Circuit
from q_store.gradients.estimator import answered
from q_store.jobs import Job, Output, Steps
from q_store.training.objective import Objective
from q_store.training.recipes.maps import Choice, error, fitted
from q_store.training.recipes.task import Array, Reals

ANGLES = "angles"
SPREAD = 0.05
NOISES = (0.003, 0.03)
"""Errors of values that are compared: of exact ones, and of a thousand shots."""
STEPS, FOLDS = 5, 5


@dataclass(frozen=True, eq=False)
class Turning:
    """An objective whose circuit has an error of every angle, after its own parameters.

    Attributes:
        objective: with P + S parameters, its preparation as gates.
        size: P.
        undo: [P, S], what errors are undone by: changes of parameters, by least squares.
    """

    objective: Objective
    size: int
    undo: Reals

    @staticmethod
    def of(objective: Objective, data: Array) -> Turning:
        """Data is any of the objective's rows."""
        circuit = _lowered(objective, data[:1])[0]
        size, angles = circuit.n_params, [angle for op in circuit.ops for angle in op.angles]
        errors = iter(range(size, size + len(angles)))
        ops = [replace(op, angles=tuple(angle + theta(next(errors)) for angle in op.angles)) for op in circuit.ops]
        own = Circuit(circuit.n_qubits, size + len(angles), circuit.n_features, tuple(ops))
        slopes = np.array([_slopes(angle, size) for angle in angles]).reshape(len(angles), size)
        return Turning(replace(objective, circuit=own), size, -np.linalg.pinv(slopes))

    def data(self, given: Objective, rows: Array) -> Reals:
        """Rows of the original objective, for this one."""
        return _lowered(given, rows)[1]

    def learned(self, params: Reals, data: Reals, far: Reals, noise: float) -> Steps[Reals]:
        """Errors [S] that explain far[N, M], measured at params[P] with this noise of every value."""
        errors = np.zeros(self.objective.circuit.n_params - self.size)
        ridge = (noise / SPREAD) ** 2
        g = far - far.mean(axis=0)
        for _ in range(STEPS):
            values, slopes = yield from self._jacobian(np.concatenate([params, errors]), data)
            f, slopes = values - values.mean(axis=0), slopes - slopes.mean(axis=0)
            scale = float((f * g).sum() / ((f**2).sum() + 1e-12))
            matrix = scale * slopes.reshape(-1, len(errors))
            left = matrix.T @ matrix + ridge * np.eye(len(errors))
            errors = errors + np.linalg.solve(left, matrix.T @ (g - scale * f).reshape(-1) - ridge * errors)
        return errors

    def best(self, params: Reals, data: Reals, far: Reals) -> Steps[Choice]:
        """The noise (`ridge` of the choice) that predicts rows best that were not seen."""
        folds = np.arange(len(far)) % min(FOLDS, len(far))
        found: list[Choice] = []
        for noise in NOISES:
            mapped = np.empty_like(far)
            for fold in range(folds.max() + 1):
                seen = folds != fold
                errors = yield from self.learned(params, data[seen], far[seen], noise)
                values = yield from self.values(params, errors, data)
                matrix, offset = fitted(far[seen], values[seen], "diagonal", 0.0)
                mapped[~seen] = values[~seen] @ matrix + offset
            found.append(Choice(ANGLES, noise, error(far, mapped), mapped))
        return min(found, key=lambda each: each.error)

    def values(self, params: Reals, errors: Reals, data: Reals) -> Steps[Reals]:
        """Simulated values [N, M] with these errors."""
        found = yield from self.objective.values(np.concatenate([params, errors]), data)
        return np.asarray(found, dtype=np.float64)

    def _jacobian(self, params: Reals, data: Reals) -> Steps[tuple[Reals, Reals]]:
        """Values [N, M] and their derivatives [N, M, S] by the errors."""
        job = Job(self.objective.circuit, data, params, self.objective.measured, Output.JACOBIAN)
        (outcome,) = yield [job]
        values = np.asarray(answered(outcome), dtype=np.float64)
        return values, np.asarray(outcome.jacobian, dtype=np.float64)[:, :, self.size :]


def _lowered(objective: Objective, rows: Array) -> tuple[Circuit, Reals]:
    return encoders.lower(objective.circuit, rows)


def _slopes(angle: Angle, size: int) -> list[float]:
    """By each parameter; those of angles that depend on data too are left alone."""
    if angle.uses_data or not angle.params:
        return [0.0] * size
    zero = angle.value(dict.fromkeys(angle.params, 0.0))
    return [
        angle.value({j: float(j == k) for j in angle.params}) - zero if k in angle.params else 0.0 for k in range(size)
    ]
