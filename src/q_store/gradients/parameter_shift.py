"""Gradients by parameter-shift rules: for every backend that returns expectation values, exact or sampled."""

from __future__ import annotations

from dataclasses import dataclass

from q_store.circuits.shifts import shift_rules
from q_store.gradients.estimator import GradientEstimate, Problem
from q_store.gradients.shifted import estimate_from
from q_store.jobs import Steps


@dataclass(frozen=True, slots=True)
class ParameterShift:
    """The exact rule of each gate's spectrum, see `q_store.circuits.shifts`: unbiased also with shots."""

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan: R (1 + T) circuits, T = 2 P in the plain case."""
        return estimate_from(shift_rules(problem.circuit), problem)
