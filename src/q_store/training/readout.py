"""Readouts: from measured values[R, M] to the model's outputs[R, C]. Weights are one flat float64 vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from q_store.errors import ConfigError, ShapeError

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]


class Readout(Protocol):
    """A differentiable map with weights."""

    @property
    def identity(self) -> str:
        """Name and options."""

    @property
    def n_weights(self) -> int:
        """Number of weights."""

    @property
    def n_outputs(self) -> int:
        """C."""

    @property
    def n_values(self) -> int:
        """M."""

    def outputs(self, values: Array, weights: Reals) -> Array:
        """outputs[R, C] for values[R, M], in the precision of the values."""

    def pull_back(self, values: Array, weights: Reals, d_outputs: Array) -> tuple[Array, Array]:
        """(d loss / d values [R, M], d loss / d weights) for d_outputs[R, C]."""

    def initial(self, rng: np.random.Generator) -> Reals:
        """Weights to start from."""


@dataclass(frozen=True, slots=True)
class LinearReadout:
    """outputs = values @ W (+ b).

    With `zero_last` the last output is the constant 0: a softmax needs only C - 1 logits.

    The flat weights are W[M, C'] row by row, then b[C'], with C' = C - 1 with `zero_last`, else C.

    Attributes:
        n_values: M. n_outputs: C. bias: whether there is b. zero_last: see above.
    """

    n_values: int
    n_outputs: int
    bias: bool = True
    zero_last: bool = False

    def __post_init__(self) -> None:
        if self.n_values < 1 or self._columns < 1:
            msg = (
                f"expected 1 value or more and {1 + self.zero_last} outputs or more, got {self.n_values} and "
                f"{self.n_outputs}"
            )
            raise ConfigError(msg)

    @property
    def _columns(self) -> int:
        return self.n_outputs - self.zero_last

    @property
    def identity(self) -> str:
        """See `Readout`."""
        return repr(self)

    @property
    def n_weights(self) -> int:
        """(M + bias) C'."""
        return (self.n_values + self.bias) * self._columns

    def matrix(self, weights: Reals) -> tuple[Reals, Reals | None]:
        """(W[M, C'], b[C'] or None), views of the flat weights.

        Raises:
            ShapeError: for another number of weights.
        """
        if weights.shape != (self.n_weights,):
            msg = f"expected {self.n_weights} readout weights, got shape {list(weights.shape)}"
            raise ShapeError(msg)
        table = weights.reshape(-1, self._columns)
        return (table[:-1], table[-1]) if self.bias else (table, None)

    def outputs(self, values: Array, weights: Reals) -> Array:
        """See `Readout`. Returned as a transposed view: reductions over C then run along contiguous rows."""
        w, b = self.matrix(weights)
        out = np.empty((self.n_outputs, len(values)), dtype=values.dtype)
        used = out[: self._columns]
        np.matmul(w.T.astype(values.dtype), values.T, out=used)
        if b is not None:
            used += b.astype(values.dtype)[:, None]
        if self.zero_last:
            out[-1] = 0
        return out.T

    def pull_back(self, values: Array, weights: Reals, d_outputs: Array) -> tuple[Array, Array]:
        """See `Readout`."""
        w, _ = self.matrix(weights)
        used = d_outputs[:, : self._columns]
        d_weights = np.empty((self.n_values + self.bias, self._columns), dtype=values.dtype)
        np.matmul(values.T, used, out=d_weights[: self.n_values])
        if self.bias:
            d_weights[-1] = used.sum(axis=0)
        return used @ w.T.astype(values.dtype), d_weights.reshape(-1)

    def initial(self, rng: np.random.Generator) -> Reals:
        """Normal with standard deviation 0.01: not zero, so that the first step already moves the circuit."""
        return rng.normal(0.0, 0.01, self.n_weights)


@dataclass(frozen=True, slots=True)
class IdentityReadout:
    """outputs = values.

    Attributes:
        n_values: M = C.
    """

    n_values: int

    @property
    def identity(self) -> str:
        """See `Readout`."""
        return repr(self)

    @property
    def n_weights(self) -> int:
        """0."""
        return 0

    @property
    def n_outputs(self) -> int:
        """C = M."""
        return self.n_values

    def outputs(self, values: Array, weights: Reals) -> Array:  # noqa: ARG002
        """The values themselves, not copied."""
        return values

    def pull_back(self, values: Array, weights: Reals, d_outputs: Array) -> tuple[Array, Array]:  # noqa: ARG002
        """See `Readout`."""
        return d_outputs, np.zeros(0)

    def initial(self, rng: np.random.Generator) -> Reals:  # noqa: ARG002
        """Empty."""
        return np.zeros(0)
