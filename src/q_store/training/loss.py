"""Losses: the mean over rows of a function of the model's outputs, with its exact gradient.

A loss sees outputs[R, C] (logits, or plain values) and targets[R] that `prepare` has checked once for the whole set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from q_store.errors import ConfigError, DataError, ShapeError

Array = npt.NDArray[Any]


class Loss(Protocol):
    """What training minimises."""

    @property
    def identity(self) -> str:
        """Name and options; a checkpoint of another loss is refused by it."""

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> Array | None:
        """Check the targets of a whole set; returns them as `value_and_gradient` takes them, first axis = rows."""

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:
        """Mean loss over the rows, and its gradient [R, C] with regard to outputs[R, C]."""

    def accuracy(self, outputs: Array, targets: Array | None) -> float | None:
        """Share of right rows, None where that means nothing."""


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """-sum_c t_c log softmax(outputs)_c with t = (1 - s) onehot(label) + s / C.

    Attributes:
        smoothing: s in [0, 1).
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            msg = f"expected a label smoothing in [0, 1), got {self.smoothing}"
            raise ConfigError(msg)

    @property
    def identity(self) -> str:
        """See `Loss`."""
        return repr(self)

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> Array:
        """Labels [R] as integers in 0..C-1.

        Raises:
            DataError: when labels are missing, not whole or out of range. ShapeError: for another shape than [rows].
        """
        if targets is None:
            msg = f"expected {rows} class labels, got none; pass (data, labels)"
            raise DataError(msg)
        given = _shaped(targets, (rows,))
        if given.dtype.kind not in "iuf" or (given.dtype.kind == "f" and not (given == np.rint(given)).all()):
            msg = (
                f"expected whole numbers as class labels, got {given.dtype} such as {given[:3].tolist()};"
                " number the classes from 0"
            )
            raise DataError(msg)
        if given.min() < 0 or given.max() >= n_outputs:
            msg = (
                f"expected class labels in 0..{n_outputs - 1}, got {given.min():g}..{given.max():g};"
                " number the classes from 0"
            )
            raise DataError(msg)
        return given.astype(np.intp)

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:
        """Stable: the largest output of a row is subtracted first. The sum over rows is in float64."""
        assert targets is not None  # noqa: S101  # prepare refused it
        rows, n_outputs = outputs.shape
        # [C, R]: reductions over C then run along contiguous rows; no copy of what LinearReadout returns
        table = np.ascontiguousarray(outputs.T)
        shifted = table - table.max(axis=0)
        of_label = targets * rows
        of_label += np.arange(rows)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=0)
        picked = float(shifted.reshape(-1).take(of_label).sum(dtype=np.float64))
        value = float(np.log(total).sum(dtype=np.float64)) - (1 - self.smoothing) * picked
        total *= rows
        gradient /= total
        if self.smoothing:
            value -= self.smoothing / n_outputs * float(shifted.sum(dtype=np.float64))
            gradient -= self.smoothing / (n_outputs * rows)
        gradient.reshape(-1)[of_label] -= (1 - self.smoothing) / rows
        return value / rows, gradient.T

    def accuracy(self, outputs: Array, targets: Array | None) -> float:
        """Share of rows whose largest output is the label's."""
        return np.count_nonzero(outputs.argmax(axis=1) == targets) / len(outputs)


@dataclass(frozen=True, slots=True)
class SquaredError:
    """sum_c (outputs_c - targets_c)^2, mean over rows."""

    @property
    def identity(self) -> str:
        """See `Loss`."""
        return repr(self)

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> Array:
        """Targets [R, C]; [R] is taken as [R, 1].

        Raises:
            DataError: when targets are missing or not finite. ShapeError: for another shape.
        """
        if targets is None:
            msg = f"expected targets of shape [{rows}, {n_outputs}], got none; pass (data, targets)"
            raise DataError(msg)
        given = np.asarray(targets, dtype=np.float64)
        if given.ndim == 1:
            given = given[:, None]
        given = _shaped(given, (rows, n_outputs))
        if not np.isfinite(given).all():
            msg = "expected finite targets, got NaN or infinity; clean the targets"
            raise DataError(msg)
        return given

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:
        """See the class."""
        assert targets is not None  # noqa: S101  # prepare refused it
        difference = outputs - targets.astype(outputs.dtype, copy=False)
        value = float(np.square(difference).sum(dtype=np.float64)) / len(outputs)
        difference *= 2 / len(outputs)
        return value, difference

    def accuracy(self, outputs: Array, targets: Array | None) -> None:  # noqa: ARG002
        """None."""
        return


@dataclass(frozen=True, slots=True)
class Energy:
    """sum_c w_c outputs_c, mean over rows; no targets: the values are the energies of Pauli sums.

    Attributes:
        weights: w[C]; empty for ones.
    """

    weights: tuple[float, ...] = ()

    @property
    def identity(self) -> str:
        """See `Loss`."""
        return repr(self)

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> None:  # noqa: ARG002
        """Nothing.

        Raises:
            DataError: when targets are given. ShapeError: when there is not one weight for each output.
        """
        if targets is not None:
            msg = "expected no targets with the energy as loss, got some; pass data alone, or choose another loss"
            raise DataError(msg)
        if self.weights and len(self.weights) != n_outputs:
            msg = f"expected {n_outputs} weights, one for each Pauli sum, got {len(self.weights)}"
            raise ShapeError(msg)

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:  # noqa: ARG002
        """See the class."""
        weights = np.asarray(self.weights or np.ones(outputs.shape[1]))
        value = float(outputs.sum(axis=0, dtype=np.float64) @ weights) / len(outputs)
        return value, np.repeat((weights / len(outputs)).astype(outputs.dtype)[None], len(outputs), axis=0)

    def accuracy(self, outputs: Array, targets: Array | None) -> None:  # noqa: ARG002
        """None."""
        return


@dataclass(frozen=True, slots=True)
class FunctionLoss:
    """Any function of the outputs, differentiated by central differences over the outputs: no circuits are run for it.

    Attributes:
        function: (outputs[R, C] float64, targets[R, ...]) -> losses[R], one a row and of that row only (2 C calls), or
            one number for all rows, whose gradient then costs 2 R C calls. With losses[R] the mean is minimised.
        step: the difference step, in units of the outputs.
    """

    function: Callable[[Array, Array | None], Any]
    step: float = 1e-5

    @property
    def identity(self) -> str:
        """Module and name of the function: its body is not seen."""
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"FunctionLoss({getattr(self.function, '__module__', '')}.{name}, step={self.step!r})"

    def prepare(self, targets: npt.ArrayLike | None, rows: int, n_outputs: int) -> Array | None:  # noqa: ARG002
        """The targets as an array with one entry a row.

        Raises:
            ShapeError: for another number of targets than rows.
        """
        if targets is None:
            return None
        given = np.asarray(targets)
        return _shaped(given, (rows, *given.shape[1:]))

    def value_and_gradient(self, outputs: Array, targets: Array | None) -> tuple[float, Array]:
        """See the class.

        Raises:
            ShapeError: when the function returns neither [R] nor one number.
        """
        at = np.array(outputs, dtype=np.float64)
        value = np.asarray(self.function(at, targets), dtype=np.float64)
        if value.shape not in ((), (len(at),)):
            msg = f"expected the loss function to return shape [{len(at)}] or one number, got {list(value.shape)}"
            raise ShapeError(msg)
        gradient = np.empty_like(at)
        for place in np.ndindex(at.shape) if value.ndim == 0 else ((slice(None), c) for c in range(at.shape[1])):
            gradient[place] = self._slope(at, targets, place)
        if value.ndim:
            gradient /= len(at)
        return float(value.mean()), gradient.astype(outputs.dtype)

    def _slope(self, at: Array, targets: Array | None, place: Any) -> Array:
        low, high = at.copy(), at.copy()
        low[place] -= self.step
        high[place] += self.step
        rise = np.asarray(self.function(high, targets)) - np.asarray(self.function(low, targets))
        return np.asarray(rise / (2 * self.step))

    def accuracy(self, outputs: Array, targets: Array | None) -> None:  # noqa: ARG002
        """None."""
        return


def _shaped(targets: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    given = np.asarray(targets)
    if given.shape != shape:
        msg = f"expected targets of shape {list(shape)}, got {list(given.shape)}; one entry is needed for each data row"
        raise ShapeError(msg)
    return given
