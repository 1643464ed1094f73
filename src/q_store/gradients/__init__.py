"""Gradients of values of circuits, as plans without I/O."""

from q_store.gradients.adjoint import Adjoint
from q_store.gradients.estimator import GradientEstimate, GradientEstimator, Memory, Problem
from q_store.gradients.finite_difference import FiniteDifference
from q_store.gradients.make import ESTIMATORS, circuits, make
from q_store.gradients.metric import Metric, MetricEstimate
from q_store.gradients.natural import NaturalGradient
from q_store.gradients.parameter_shift import ParameterShift
from q_store.gradients.qn_spsa import QNSPSA
from q_store.gradients.random_shift import RandomShift
from q_store.gradients.spsa import SPSA

__all__ = [
    "ESTIMATORS",
    "QNSPSA",
    "SPSA",
    "Adjoint",
    "FiniteDifference",
    "GradientEstimate",
    "GradientEstimator",
    "Memory",
    "Metric",
    "MetricEstimate",
    "NaturalGradient",
    "ParameterShift",
    "Problem",
    "RandomShift",
    "circuits",
    "make",
]
