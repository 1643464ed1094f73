"""Exact gradients by one vector-Jacobian product (adjoint differentiation: Jones and Gacon, arXiv:2009.02823)."""

from __future__ import annotations

from dataclasses import dataclass

from q_store.errors import CapabilityError, ConfigError
from q_store.gradients.estimator import GradientEstimate, Problem, answered
from q_store.jobs import Job, Output, Steps


@dataclass(frozen=True, slots=True)
class Adjoint:
    """One VJP job: a forward and a backward sweep a row. Needs an exact backend; counts one circuit a row."""

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan.

        Raises:
            ConfigError: with shots. CapabilityError: when the backend returns no gradient.
        """
        if problem.shots is not None:
            msg = (
                f"expected shots=None with the adjoint gradient, got {problem.shots};"
                " choose gradient='parameter_shift' for sampled values"
            )
            raise ConfigError(msg)
        (outcome,) = yield [
            Job(
                problem.circuit,
                problem.data,
                problem.params.reshape(1, -1),
                problem.observables,
                Output.VJP,
                pullback=problem.pullback,
                seed=problem.seed,
            )
        ]
        values = answered(outcome)
        if outcome.gradient is None:
            msg = (
                f"expected a gradient from {outcome.source!r}, got none;"
                " choose gradient='parameter_shift' or an exact backend"
            )
            raise CapabilityError(msg)
        return GradientEstimate(outcome.gradient[0], values, None, outcome.rows, outcome.shots_paid)
