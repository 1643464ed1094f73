"""Which gradient method a layer uses, and what that method can do."""

from __future__ import annotations

from typing import TypeGuard

from q_store.errors import CapabilityError, ConfigError, InputError, suggestion
from q_store.gradients.adjoint import Adjoint
from q_store.gradients.by_row import Method
from q_store.gradients.estimator import GradientEstimator
from q_store.gradients.finite_difference import FiniteDifference
from q_store.gradients.parameter_shift import ParameterShift
from q_store.gradients.spsa import SPSA
from q_store.jobs import Capabilities, Output

NAMES: dict[str, type] = {
    "adjoint": Adjoint,
    "parameter_shift": ParameterShift,
    "finite_difference": FiniteDifference,
    "spsa": SPSA,
}
EXACT_STEP, SAMPLED_STEP = 0.01, 0.3
"""Of 'finite_difference', radians: the error h^2/6 is below that of float32 values, or of some hundred shots."""


def chosen(asked: str | GradientEstimator, can: Capabilities, shots: int | None) -> GradientEstimator:
    """The estimator for these capabilities and shots.

    Raises:
        ConfigError: for an unknown name, or the adjoint method with shots. InputError: for what is no estimator.
        CapabilityError: for the adjoint method on an executor without it.
    """
    has_adjoint = Output.VJP in can.outputs
    if asked == "auto":
        return Adjoint() if has_adjoint and shots is None else ParameterShift()
    estimator = _named(asked, shots) if isinstance(asked, str) else asked
    if not hasattr(estimator, "estimate"):
        raise InputError(f"expected a gradient estimator or its name, got {asked!r}; see q_store.gradients")
    if isinstance(estimator, Adjoint) and shots is not None:
        raise ConfigError(f"expected shots=None with the adjoint gradient, got {shots}; choose 'parameter_shift'")
    if isinstance(estimator, Adjoint) and not has_adjoint:
        raise CapabilityError(f"expected an executor with adjoint gradients, got {can.name}; choose 'parameter_shift'")
    return estimator


def _named(name: str, shots: int | None) -> GradientEstimator:
    if name not in NAMES:
        raise ConfigError(
            f"expected a gradient of auto, {', '.join(NAMES)}, got {name!r}{suggestion(name, ['auto', *NAMES])}"
        )
    if name == "finite_difference":
        return FiniteDifference(EXACT_STEP if shots is None else SAMPLED_STEP)
    made: GradientEstimator = NAMES[name]()
    return made


def gives_inputs(estimator: GradientEstimator) -> TypeGuard[Method]:
    """Whether it is one of those that work row by row, and so have derivatives of inputs."""
    if isinstance(estimator, SPSA):
        return estimator.rows is None and not estimator.common
    return isinstance(estimator, Adjoint | ParameterShift | FiniteDifference)


def name_of(estimator: GradientEstimator) -> str:
    """As an argument of `Layer`, or that of the class."""
    kind = type(estimator)
    return next((name for name, known in NAMES.items() if known is kind), kind.__name__)
