"""Gradients by central differences: a check, and a fallback where a gate has no shift rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from q_store.circuits.shifts import ShiftRules
from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimate, Problem
from q_store.gradients.shifted import estimate_from
from q_store.jobs import Steps


@dataclass(frozen=True, slots=True)
class FiniteDifference:
    """d f / d theta_i = [f(theta_i + h) - f(theta_i - h)] / (2 h) + O(h^2); 2 P shifted circuits a row.

    Attributes:
        step: h. With shots the standard error grows as 1/h.
    """

    step: float = 1e-4

    def __post_init__(self) -> None:
        if not self.step > 0:
            msg = f"expected a difference step above 0, got {self.step}"
            raise ConfigError(msg)

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan."""
        n = problem.circuit.n_params
        signs = np.tile([1.0, -1.0], n)
        rules = ShiftRules(
            problem.circuit, n, n, np.repeat(np.arange(n), 2), signs * self.step, signs / (2 * self.step), None
        )
        return estimate_from(rules, problem)
