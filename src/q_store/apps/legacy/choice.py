"""Gradient estimators of the names that v3.4 had: `adaptive`, and parameters that stay where they are."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from q_store.gradients import SPSA, GradientEstimate, GradientEstimator, Memory, ParameterShift, Problem
from q_store.jobs import Array, Steps

WINDOW = 5
"""Estimates that are looked back on."""


class Adaptive:
    """SPSA while the slopes it measures stand out of the noise of the shots, else one step by parameter shift.

    An SPSA estimate is g = d Delta with a measured slope d and signs Delta. When over the last five estimates the noise
    of the shots in g, summed over its entries, is half of |g|^2 or more, the next step takes every parameter by itself:
    2 P + 1 circuits a row in place of 2. Then the window begins anew. Exact values have no noise, so there it is SPSA
    throughout.

    Args:
        perturbation: of SPSA.
    """

    def __init__(self, perturbation: float = 0.1) -> None:
        self._spsa, self._shift = SPSA(perturbation), ParameterShift()
        self._squares, self._noise = np.zeros(0), np.zeros(0)
        self.shifts = 0
        """Steps by parameter shift."""

    @property
    def is_lost(self) -> bool:
        """Whether the next step is by parameter shift."""
        return len(self._noise) == WINDOW and bool(2 * self._noise.mean() >= self._squares.mean())

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan of one of the two."""
        if self.is_lost:
            self.shifts += 1
            self._squares, self._noise = np.zeros(0), np.zeros(0)
            return (yield from self._shift.estimate(problem))
        found = yield from self._spsa.estimate(problem)
        self._squares = np.append(self._squares, found.gradient @ found.gradient)[-WINDOW:]
        self._noise = np.append(self._noise, found.noise_of_shots or 0.0)[-WINDOW:]
        return found

    def arrays(self) -> dict[str, Array]:
        """See `Memory`."""
        return {"squares": self._squares.copy(), "noise": self._noise.copy(), "shifts": np.array(self.shifts)}

    def restore(self, arrays: dict[str, Array]) -> None:
        """See `Memory`."""
        self._squares, self._noise = arrays.get("squares", np.zeros(0)), arrays.get("noise", np.zeros(0))
        self.shifts = int(arrays.get("shifts", 0))


class Frozen:
    """An estimator whose gradient is 0 for some parameters, which therefore stay as they are.

    Args:
        inner: of the gradient. frozen: numbers of the parameters.
    """

    def __init__(self, inner: GradientEstimator, frozen: Collection[int]) -> None:
        self.inner, self.frozen = inner, sorted(frozen)

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan of the inner estimator."""
        found = yield from self.inner.estimate(problem)
        found.gradient[self.frozen] = 0.0
        return found

    def arrays(self) -> dict[str, Array]:
        """See `Memory`."""
        return self.inner.arrays() if isinstance(self.inner, Memory) else {}

    def restore(self, arrays: dict[str, Array]) -> None:
        """See `Memory`."""
        if isinstance(self.inner, Memory):
            self.inner.restore(arrays)
