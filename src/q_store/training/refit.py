"""The exact refit of a readout: with measured values given, its weights are an ordinary regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.blas import single_threaded
from q_store.errors import DataError, ShapeError
from q_store.training.finish import Minimum, minimise
from q_store.training.loss import CrossEntropy, Loss
from q_store.training.readout import Readout

Reals = npt.NDArray[np.float64]


def refit(
    readout: Readout,
    values: npt.NDArray[Any],
    targets: npt.ArrayLike,
    *,
    loss: Loss | None = None,
    penalty: float = 0.0,
    start: Reals | None = None,
    iterations: int = 500,
) -> Minimum:
    """Minimise mean loss(readout(values), targets) + penalty/2 |weights|^2 over the weights, by L-BFGS in float64.

    With a `LinearReadout` and the cross-entropy (the default) this is softmax regression, which is convex: the result
    does not depend on the start but for directions that the values leave undetermined.

    Args:
        readout: its weights are sought.
        values: [R, M].
        targets: [R].
        loss: cross-entropy by default.
        penalty: L2.
        start: weights to start from; zeros by default.
        iterations: at most.

    Raises:
        ShapeError, DataError: for values or targets that do not fit.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != readout.n_values or not len(given):
        msg = f"expected values of shape [R, {readout.n_values}] with R >= 1, got {list(given.shape)}"
        raise ShapeError(msg)
    if not np.isfinite(given).all():
        msg = "expected finite values to fit a readout to, got NaN or infinity; clean the data"
        raise DataError(msg)
    chosen = loss or CrossEntropy()
    wanted = chosen.prepare(targets, len(given), readout.n_outputs)

    def function(weights: Reals) -> tuple[float, Reals]:
        value, d_outputs = chosen.value_and_gradient(readout.outputs(given, weights), wanted)
        _, gradient = readout.pull_back(given, weights, d_outputs)
        return value + 0.5 * penalty * float(weights @ weights), gradient + penalty * weights

    with single_threaded():
        return minimise(function, np.zeros(readout.n_weights) if start is None else start, iterations)
