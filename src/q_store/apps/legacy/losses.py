"""The losses of v3.4: the mean square that it had by default, and functions of one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from q_store.training.loss import CrossEntropy, FunctionLoss, Loss, SquaredError

Array = npt.NDArray[Any]
RowLoss = Callable[[Array, Any], float]


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """mean_c (outputs_c - targets_c)^2, mean over rows. One-hot targets have an accuracy."""

    @property
    def identity(self) -> str:
        """See `Loss`."""
        return repr(self)

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> Array | None:
        """As `SquaredError`."""
        return SquaredError().prepare(targets, rows, n_outputs)

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:
        """See the class."""
        value, gradient = SquaredError().value_and_gradient(outputs, targets)
        return value / outputs.shape[1], gradient / outputs.shape[1]

    def accuracy(self, outputs: Array, targets: Array | None) -> float | None:
        """Share of rows whose largest output is where the target is 1; None for other targets."""
        if targets is None or targets.ndim != 2 or not _is_one_hot(targets):
            return None
        return float(np.mean(outputs.argmax(axis=1) == targets.argmax(axis=1)))


def _is_one_hot(targets: Array) -> bool:
    return targets.shape[1] > 1 and bool(np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all())


@dataclass(frozen=True, slots=True)
class ByRow:
    """A function of (outputs[C], target) as one of (outputs[R, C], targets[R, ...]) -> losses[R]."""

    function: RowLoss

    def __call__(self, outputs: Array, targets: Array | None) -> Array:
        """See the class."""
        given = [None] * len(outputs) if targets is None else targets
        return np.array([float(self.function(out, target)) for out, target in zip(outputs, given, strict=True)])


@dataclass(frozen=True, slots=True)
class RowFunction:
    """`FunctionLoss`, with an accuracy where targets are one-hot rows."""

    inner: FunctionLoss

    @property
    def identity(self) -> str:
        """Of the function of a row."""
        function = getattr(self.inner.function, "function", self.inner.function)
        return FunctionLoss(function, self.inner.step).identity

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> Array | None:
        """See `Loss`."""
        return self.inner.prepare(targets, rows, n_outputs)

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:
        """See `Loss`."""
        return self.inner.value_and_gradient(outputs, targets)

    def accuracy(self, outputs: Array, targets: Array | None) -> float | None:
        """As `MeanSquares`."""
        return MeanSquares().accuracy(outputs, targets)


def loss_for(targets: Array, function: Loss | RowLoss | None = None) -> Loss:
    """The loss that was asked for, else one that suits the targets: whole class numbers [R], or values [R, C]."""
    if function is None:
        return CrossEntropy() if targets.ndim == 1 and targets.dtype.kind in "iub" else MeanSquares()
    if hasattr(function, "value_and_gradient"):
        return cast("Loss", function)
    return RowFunction(FunctionLoss(ByRow(function)))
