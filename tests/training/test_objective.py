"""The objective's gradient against differences of its loss, and its pieces against each other."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.circuits import Circuit, Observables, PauliSum, ry, rz, theta, x, z
from q_store.errors import CircuitError, ConfigError, DataError, ShapeError
from q_store.gradients import Adjoint, ParameterShift
from q_store.jobs import drive
from q_store.training import CrossEntropy, Energy, FunctionLoss, IdentityReadout, LinearReadout, Objective, SquaredError
from q_store.training.rows import Rows

CIRCUIT = Circuit.build(2, [ry(theta(0) * x(0) + theta(1), 0), rz(theta(2), 0), ry(theta(3) + x(1), 1)])
MEASURED = Observables.of(z(0), z(1), PauliSum.of((1.0, "XX", (0, 1))))
DATA = np.random.default_rng(0).normal(size=(9, 2))


def objectives():
    labels, numbers = np.arange(9) % 3, np.random.default_rng(1).normal(size=(9, 3))
    yield Objective(CIRCUIT, MEASURED, LinearReadout(3, 3), CrossEntropy(), penalty=0.3), labels
    yield Objective(CIRCUIT, MEASURED, LinearReadout(3, 3, bias=False, zero_last=True), CrossEntropy(0.1)), labels
    yield Objective(CIRCUIT, MEASURED, IdentityReadout(3), SquaredError()), numbers
    yield Objective(CIRCUIT, MEASURED, IdentityReadout(3), Energy((1.0, 2.0, -1.0))), None
    yield Objective(CIRCUIT, MEASURED, LinearReadout(3, 2), FunctionLoss(lambda o, _: np.exp(o).prod(axis=1))), None


@pytest.mark.parametrize("estimator", [Adjoint(), ParameterShift()], ids=["adjoint", "shift"])
@pytest.mark.parametrize(
    ("objective", "targets"), list(objectives()), ids=lambda v: type(getattr(v, "loss", None)).__name__
)
def test_gradients_are_those_of_differences(objective, targets, estimator, backend):
    rows = Rows.of(DATA, targets, objective)
    vector = np.random.default_rng(2).normal(size=objective.size)

    def at(point):
        return drive(objective.evaluate(point, rows.data, rows.targets, estimator), backend)

    h = 1e-5
    expected = [(at(vector + e).loss - at(vector - e).loss) / (2 * h) for e in h * np.eye(len(vector))]
    found = at(vector)
    np.testing.assert_allclose(found.gradient, expected, atol=1e-7)
    np.testing.assert_allclose(found.outputs, drive(objective.outputs(vector, rows.data), backend), atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 4, 9, 100])
def test_a_set_in_chunks_is_the_set(chunk, backend):
    objective, targets = next(objectives())
    rows = Rows.of(DATA, targets, objective)
    vector = objective.initial(1)
    whole = drive(objective.evaluate(vector, rows.data, rows.targets, Adjoint()), backend)
    parts = drive(objective.evaluate_all(vector, rows.data, rows.targets, Adjoint(), chunk), backend)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-13)
    np.testing.assert_allclose(parts.gradient, whole.gradient, atol=1e-14)
    assert parts.circuits == 9
    np.testing.assert_allclose(
        drive(objective.outputs(vector, rows.data, chunk=chunk), backend), whole.outputs, atol=1e-13
    )


def test_initial_vectors_come_from_the_seed():
    objective, _ = next(objectives())
    np.testing.assert_array_equal(objective.initial(3), objective.initial(3))
    assert (objective.initial(3) != objective.initial(4)).all()
    assert objective.initial(0).shape == (objective.size,) == (4 + 12,)
    wide = Objective(CIRCUIT, MEASURED, LinearReadout(3, 3), CrossEntropy(), circuit_scale=10.0)
    np.testing.assert_allclose(wide.initial(0)[:4], 100 * objective.initial(0)[:4])


def test_digests_tell_objectives_apart():
    every = [objective for objective, _ in objectives()]
    every.append(Objective(CIRCUIT, MEASURED, LinearReadout(3, 3), CrossEntropy(), penalty=0.2))
    assert len({objective.digest for objective in every}) == len(every)


def test_parts_that_do_not_fit():
    with pytest.raises(ShapeError, match="readout of 3 values"):
        Objective(CIRCUIT, MEASURED, LinearReadout(4, 3), CrossEntropy())
    with pytest.raises(ConfigError, match="penalty"):
        Objective(CIRCUIT, MEASURED, LinearReadout(3, 3), CrossEntropy(), penalty=-1)
    with pytest.raises(CircuitError, match=r"0\.\.1"):
        Objective(CIRCUIT, [z(5)], IdentityReadout(1), Energy())


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (None, DataError, "got none"),
        (np.zeros((9, 3)), ShapeError, r"\[B, 2\], got \[9, 3\]"),
        (np.zeros(9), ShapeError, r"\[B, 2\], got \[9\]"),
        (np.zeros((0, 2)), DataError, "1 row or more"),
        (np.where(np.arange(18).reshape(9, 2) == 13, np.nan, 0.0), DataError, "first in row 6"),
    ],
)
def test_rows_that_do_not_fit(data, error, match):
    objective, targets = next(objectives())
    with pytest.raises(error, match=match):
        Rows.of(data, targets, objective)


def test_rows_are_not_copied():
    objective, targets = next(objectives())
    data = DATA.astype(np.float32)
    assert Rows.of(data, targets, objective).data is data
    assert Rows.of(DATA.astype(int), targets, objective).data.dtype == np.float64


def test_fingerprints_see_every_value():
    objective, targets = next(objectives())
    changed = DATA.copy()
    changed[4, 1] = np.nextafter(changed[4, 1], 1)
    prints = [
        Rows.of(data, labels, objective).fingerprint()
        for data, labels in (
            (DATA, targets),
            (changed, targets),
            (DATA, targets[::-1]),
            (DATA.astype(np.float32), targets),
        )
    ]
    assert len(set(prints)) == 4
