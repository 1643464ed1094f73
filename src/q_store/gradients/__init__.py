"""Gradients of values of circuits, as plans without I/O."""

from q_store.gradients.adjoint import Adjoint
from q_store.gradients.estimator import GradientEstimate, GradientEstimator, Problem
from q_store.gradients.finite_difference import FiniteDifference
from q_store.gradients.parameter_shift import ParameterShift

__all__ = ["Adjoint", "FiniteDifference", "GradientEstimate", "GradientEstimator", "ParameterShift", "Problem"]
