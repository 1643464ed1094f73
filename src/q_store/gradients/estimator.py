"""The common part of gradient estimators: what they are asked and what they answer, without I/O.

For values f_r(theta)[M] of rows r and a loss L over all values, an estimator returns

    dL/dtheta_i = sum_r sum_m c[r, m] d f_r[m] / d theta_i,    c = pullback(f) = dL/df.

The rules are applied to the values f, never to L, which is not a trigonometric polynomial in theta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observable, Observables
from q_store.errors import ConfigError, RunError
from q_store.jobs import Array, Outcome, Pullback, Steps

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Spread = Callable[[Reals], npt.NDArray[np.int64]]
"""From the noise of every row, [R], the variance of its part of the gradient from a single shot, to its shots."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A gradient that is wanted.

    Attributes:
        circuit: P parameters, D features.
        observables: M values a row.
        params: [P], float64.
        data: [R, D], or None for a circuit without features (R = 1).
        pullback: values[R, M] -> cotangents[R, M]; called exactly once.
        shots: shots a circuit, None for exact values.
        seed: for the samples and random directions, 0 or more.
        some: index[r] -> the pullback of these rows alone, for estimators that take a part of a batch; None where the
            pullback is of all rows.
        spread: shots of every row, for estimators that know the cotangents before they choose them; None for `shots`.
    """

    circuit: Circuit
    observables: Observables | Sequence[Observable]
    params: Reals
    data: Array | None
    pullback: Pullback
    shots: int | None = None
    seed: int = 0
    some: Callable[[Ints], Pullback] | None = None
    spread: Spread | None = None

    @property
    def rows(self) -> int:
        """R."""
        return 1 if self.data is None else len(self.data)

    def of_rows(self, index: Ints) -> Problem:
        """The problem of some rows, index[r].

        Raises:
            ConfigError: when the pullback is of all rows.
        """
        if self.some is None or self.data is None:
            msg = "expected a problem whose pullback knows its rows, got one of all rows; give `some`, or use all rows"
            raise ConfigError(msg)
        return replace(self, data=self.data[index], pullback=self.some(index))


@dataclass(frozen=True, slots=True, eq=False)
class GradientEstimate:
    """A gradient and what it cost.

    Attributes:
        gradient: [P].
        values: [R, M] at the unshifted parameters, as measured; for SPSA the average of both sides, of the rows used.
        variance: [P], squared standard errors of the gradient, None where it is exact.
        circuits: number of circuits run. shots: number of shots paid. Both with those of a metric.
        shot_noise: the part of the summed variance that fewer or more shots would change; None: all of it.
        metric_cached: whether a metric was taken from the cache; None without one, or without a cache.
    """

    gradient: Reals
    values: Array
    variance: Reals | None
    circuits: int
    shots: int
    shot_noise: float | None = None
    metric_cached: bool | None = None

    @property
    def noise_of_shots(self) -> float | None:
        """`shot_noise`, which is all of the variance unless an estimator says otherwise."""
        if self.shot_noise is not None or self.variance is None:
            return self.shot_noise
        return float(self.variance.sum())


class GradientEstimator(Protocol):
    """A way to obtain gradients."""

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """A plan that yields jobs and returns the estimate."""


@runtime_checkable
class Memory(Protocol):
    """An estimator that remembers something from step to step, which a checkpoint keeps."""

    def arrays(self) -> dict[str, Array]:
        """What it remembers, by name; its own copies."""

    def restore(self, arrays: dict[str, Array]) -> None:
        """Go on from `arrays`; from the beginning where they are empty."""


def answered(outcome: Outcome) -> Array:
    """The values of an outcome; what drives a plan lets none through that lacks a row.

    Raises:
        RunError: when the values are missing.
    """
    if outcome.values is None:
        msg = f"expected values from {outcome.source!r}, got none; use a backend that supports the output of the job"
        raise RunError(msg)
    return outcome.values
