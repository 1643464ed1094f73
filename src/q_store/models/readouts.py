"""The readout for measured probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from q_store.training.readout import Array, LinearReadout, Reals


@dataclass(frozen=True, slots=True)
class ProbabilityReadout:
    """outputs_c = sum_m M p_m W[m, c], the last output is 0; M (C - 1) weights, W[M, C - 1] row by row.

    Probabilities sum to 1, so a bias would be a second name for the same outputs; and M p_m is of order 1 like an
    expectation value, so that angles and weights have one scale, which L-BFGS needs (with a unit five times smaller,
    400 iterations of the model `compact` end at a loss of .446 instead of .431).

    Attributes:
        n_values: M. n_outputs: C.
    """

    n_values: int
    n_outputs: int

    def __post_init__(self) -> None:
        _ = self._linear  # checks the sizes

    @property
    def _linear(self) -> LinearReadout:
        return LinearReadout(self.n_values, self.n_outputs, bias=False, zero_last=True)

    @property
    def identity(self) -> str:
        """See `training.readout.Readout`."""
        return repr(self)

    @property
    def n_weights(self) -> int:
        """M (C - 1)."""
        return self._linear.n_weights

    def outputs(self, values: Array, weights: Reals) -> Array:
        """outputs[R, C] for probabilities[R, M]."""
        return self._linear.outputs(values, self.n_values * weights)

    def pull_back(self, values: Array, weights: Reals, d_outputs: Array) -> tuple[Array, Array]:
        """(d loss / d values [R, M], d loss / d weights) for d_outputs[R, C]."""
        d_values, d_weights = self._linear.pull_back(values, self.n_values * weights, d_outputs)
        return d_values, self.n_values * d_weights

    def initial(self, rng: np.random.Generator) -> Reals:
        """Small and random."""
        return self._linear.initial(rng)
