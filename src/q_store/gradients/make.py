"""Estimators by name, from options such as those of a training run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from q_store.circuits.blocks import blocks
from q_store.circuits.circuit import Circuit
from q_store.circuits.shifts import shift_rules
from q_store.gradients.adjoint import Adjoint
from q_store.gradients.estimator import GradientEstimator
from q_store.gradients.finite_difference import FiniteDifference
from q_store.gradients.metric import Metric
from q_store.gradients.natural import NaturalGradient
from q_store.gradients.parameter_shift import ParameterShift
from q_store.gradients.qn_spsa import QNSPSA
from q_store.gradients.random_shift import RandomShift
from q_store.gradients.spsa import SPSA

EXACT_STEP, SAMPLED_STEP = 0.01, 0.1
"""Of finite differences: values have the rounding of float32, or the noise of shots."""


class Options(Protocol):
    """What `make` reads; see `q_store.training.TrainingSettings` for what each means."""

    @property
    def gradient(self) -> str: ...  # noqa: D102
    @property
    def shots(self) -> int | None: ...  # noqa: D102
    @property
    def difference_step(self) -> float | None: ...  # noqa: D102
    @property
    def spsa_perturbation(self) -> float: ...  # noqa: D102
    @property
    def spsa_pairs(self) -> int: ...  # noqa: D102
    @property
    def spsa_rows(self) -> int | None: ...  # noqa: D102
    @property
    def common_samples(self) -> bool: ...  # noqa: D102
    @property
    def shift_parameters(self) -> int: ...  # noqa: D102
    @property
    def metric(self) -> str | None: ...  # noqa: D102
    @property
    def metric_rows(self) -> int | None: ...  # noqa: D102
    @property
    def metric_regularization(self) -> float: ...  # noqa: D102
    @property
    def metric_cache(self) -> int: ...  # noqa: D102


def _difference(options: Options) -> GradientEstimator:
    return FiniteDifference(options.difference_step or (EXACT_STEP if options.shots is None else SAMPLED_STEP))


def _spsa(options: Options) -> GradientEstimator:
    return SPSA(options.spsa_perturbation, options.spsa_pairs, options.spsa_rows, options.common_samples)


ESTIMATORS: dict[str, Callable[[Options], GradientEstimator]] = {
    "adjoint": lambda _: Adjoint(),
    "parameter_shift": lambda _: ParameterShift(),
    "finite_difference": _difference,
    "spsa": _spsa,
    "random_shift": lambda options: RandomShift(options.shift_parameters),
}


def make(options: Options) -> GradientEstimator:
    """The estimator that the options describe, new and without memory: a gradient, in a metric if one is named."""
    estimator = ESTIMATORS[options.gradient](options)
    if options.metric is None:
        return estimator
    if options.metric == "spsa":
        return QNSPSA(
            estimator,
            perturbation=options.spsa_perturbation,
            pairs=options.spsa_pairs,
            rows=options.metric_rows,
            regularization=options.metric_regularization,
        )
    metric = Metric(options.metric, options.metric_rows)
    return NaturalGradient(estimator, metric, options.metric_regularization, options.metric_cache)


def circuits(options: Options, circuit: Circuit, rows: int, bases: int = 1) -> int:
    """Circuits of one estimate for a batch of so many rows, each measured in so many bases; without a cached metric.

    Of random shifts the most that they may come to: it depends on the parameters that are drawn.
    """
    used = rows if options.spsa_rows is None else min(rows, options.spsa_rows)
    if options.gradient == "spsa":
        return 2 * options.spsa_pairs * used * bases + _metric_circuits(options, circuit, rows)
    shifted = {"adjoint": 0, "finite_difference": 2 * circuit.n_params}.get(options.gradient)
    if shifted is None:
        rules = shift_rules(circuit)
        shifted = rules.size
        if options.gradient == "random_shift":
            touched = sorted((rules.only(np.array([i])).size for i in range(circuit.n_params)), reverse=True)
            shifted = sum(touched[: options.shift_parameters])
    return rows * (1 + shifted) * bases + _metric_circuits(options, circuit, rows)


def _metric_circuits(options: Options, circuit: Circuit, rows: int) -> int:
    used = rows if options.metric_rows is None else min(rows, options.metric_rows)
    if options.metric is None:
        return 0
    if options.metric == "full":
        return used
    if options.metric == "spsa":
        return 4 * options.spsa_pairs * used
    return sum(used if block.circuit.n_features else 1 for block in blocks(circuit) if not block.known)
