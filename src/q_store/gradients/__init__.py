"""Gradients of values of circuits, as plans without I/O."""

from q_store.gradients.adjoint import Adjoint
from q_store.gradients.estimator import GradientEstimate, GradientEstimator, Problem

__all__ = ["Adjoint", "GradientEstimate", "GradientEstimator", "Problem"]
