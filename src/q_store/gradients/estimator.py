"""The common part of gradient estimators: what they are asked and what they answer, without I/O.

For values f_r(theta)[M] of rows r and a loss L over all values, an estimator returns

    dL/dtheta_i = sum_r sum_m c[r, m] d f_r[m] / d theta_i,    c = pullback(f) = dL/df.

The rules are applied to the values f, never to L, which is not a trigonometric polynomial in theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observable, Observables
from q_store.errors import RunError
from q_store.jobs import Array, Outcome, Pullback, Steps

Reals = npt.NDArray[np.float64]


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
        seed: for the samples.
    """

    circuit: Circuit
    observables: Observables | Sequence[Observable]
    params: Reals
    data: Array | None
    pullback: Pullback
    shots: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GradientEstimate:
    """A gradient and what it cost.

    Attributes:
        gradient: [P].
        values: [R, M] at the unshifted parameters, as measured.
        variance: [P], squared standard errors of the gradient, None where it is exact.
        circuits: number of circuits run. shots: number of shots paid.
    """

    gradient: Reals
    values: Array
    variance: Reals | None
    circuits: int
    shots: int


class GradientEstimator(Protocol):
    """A way to obtain gradients."""

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """A plan that yields jobs and returns the estimate."""


def answered(outcome: Outcome) -> Array:
    """The values of an outcome; what drives a plan lets none through that lacks a row.

    Raises:
        RunError: when the values are missing.
    """
    if outcome.values is None:
        msg = f"expected values from {outcome.source!r}, got none; use a backend that supports the output of the job"
        raise RunError(msg)
    return outcome.values
