"""Gradients by the exact shift rules of a few parameters, drawn at random: unbiased, and cheap in circuits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from q_store.circuits.shifts import shift_rules
from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimate, Problem
from q_store.gradients.shifted import estimate_from
from q_store.jobs import Steps

CHOICE = 13


@dataclass(frozen=True, slots=True)
class RandomShift:
    """k of the U parameters that the circuit uses, without repetition: g_i = (U/k) d_i if i was drawn, else 0.

    d_i is the derivative by the parameter-shift rule, so E[g] is the gradient: random coordinate descent (Nesterov,
    SIAM J. Optim. 22, 341) with circuits (Ding, Ko, Yao, Lin and Li, Phys. Rev. Research 6, 033029). R (1 + T')
    circuits, T' = 2 k in the plain case.

    The variance is unbiased too: w [w d_i^2 - (d_i^2 - s_i^2)], w = U/k, for the parameters drawn and 0 for the others;
    s_i^2 is the variance of d_i by its shots.

    Attributes:
        parameters: k; all where the circuit has no more.

    Raises:
        ConfigError: for less than one parameter.
    """

    parameters: int = 1

    def __post_init__(self) -> None:
        if self.parameters < 1:
            msg = f"expected 1 parameter or more, got {self.parameters}"
            raise ConfigError(msg)

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan."""
        rules = shift_rules(problem.circuit)
        used = np.flatnonzero(rules.touches.any(axis=0))
        number = min(self.parameters, len(used))
        drawn = np.random.default_rng([problem.seed, CHOICE]).choice(used, number, replace=False)
        found = yield from estimate_from(rules.only(np.sort(drawn)), problem)
        weight = np.zeros(problem.circuit.n_params)
        weight[drawn] = len(used) / max(number, 1)
        shots = np.zeros_like(weight) if found.variance is None else found.variance
        variance = weight * ((weight - 1) * found.gradient**2 + shots)
        return replace(found, gradient=weight * found.gradient, variance=variance, shot_noise=float(weight**2 @ shots))
