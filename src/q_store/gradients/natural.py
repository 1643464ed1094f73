"""The natural gradient: the gradient of any estimator, seen in the metric of the states.

    (F + lambda 1) g_nat = g

Stokes, Izaac, Killoran and Carleo, Quantum 4, 269 (2020). The system is solved, F is never inverted. Only circuit
parameters have a metric; a readout keeps its gradient.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from dataclasses import replace

import numpy as np

from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimate, GradientEstimator, Memory, Problem, Reals
from q_store.gradients.metric import Metric, MetricEstimate
from q_store.jobs import Array, Steps

Key = tuple[str, bytes, bytes, int | None]


class NaturalGradient:
    """A preconditioner around an estimator. Circuits and shots are those of the gradient and of the metric.

    Args:
        estimator: of the gradient.
        metric: which metric.
        regularization: lambda, 0 or more: a step along a direction that changes no state stays finite.
        cache_size: metrics kept, for when circuit, parameters, data and shots are the same again; the least recently
            used goes first. 0 for none.

    The metric's samples depend on what is measured and on nothing else, so one from the cache is what measuring it
    again would give on a backend that takes seeds.

    Attributes:
        hits, misses: how often a metric was in the cache, and was not.

    Raises:
        ConfigError: for a negative lambda or cache size.
    """

    def __init__(
        self,
        estimator: GradientEstimator,
        metric: Metric | None = None,
        regularization: float = 0.01,
        cache_size: int = 100,
    ) -> None:
        if regularization < 0 or cache_size < 0:
            msg = f"expected a regularization and a cache_size of 0 or more, got {regularization} and {cache_size}"
            raise ConfigError(msg)
        self.estimator = estimator
        self.metric = metric or Metric()
        self.regularization = regularization
        self.cache_size = cache_size
        self.hits = self.misses = 0
        self._cache: OrderedDict[Key, Reals] = OrderedDict()

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan: the metric, then the gradient.

        Raises:
            ConfigError: when the system has no solution. CapabilityError: when the backend supplies no such metric.
        """
        hits = self.hits
        metric = yield from self._measured(problem)
        found = yield from self.estimator.estimate(problem)
        out = preconditioned(found, metric, regularized(metric.matrix, self.regularization))
        return replace(out, metric_cached=self.hits > hits if self.cache_size else None)

    def arrays(self) -> dict[str, Array]:
        """What the estimator remembers; the cache is not kept."""
        return self.estimator.arrays() if isinstance(self.estimator, Memory) else {}

    def restore(self, arrays: dict[str, Array]) -> None:
        """See `Memory`; the cache is emptied."""
        self._cache.clear()
        self.hits = self.misses = 0
        if isinstance(self.estimator, Memory):
            self.estimator.restore(arrays)

    def _measured(self, problem: Problem) -> Steps[MetricEstimate]:
        used = self.metric.used(problem)
        key = _key(used)
        if key in self._cache:
            self.hits += 1
            self._cache.move_to_end(key)
            return MetricEstimate(self._cache[key], 0, 0)
        self.misses += 1
        found = yield from self.metric.measure(replace(used, seed=_seed(key)))
        self._cache[key] = found.matrix
        while len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)
        return found


def _key(problem: Problem) -> Key:
    data = b"" if problem.data is None else problem.data.tobytes()
    return problem.circuit.digest, np.asarray(problem.params, dtype=float).tobytes(), data, problem.shots


def _seed(key: Key) -> int:
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:4], "big")


def regularized(matrix: Reals, amount: float) -> Reals:
    """F + lambda 1."""
    return matrix + amount * np.eye(len(matrix))


def preconditioned(found: GradientEstimate, metric: MetricEstimate, system: Reals) -> GradientEstimate:
    """The solution of system x = gradient, with its variance at that system and the cost of both.

    Var[x_i] = sum_j (A^-1)_ij^2 Var[g_j], for independent components of the gradient.

    Raises:
        ConfigError: when the system is singular.
    """
    given = found.gradient[:, None]
    if found.variance is not None:
        given = np.concatenate([given, np.diag(np.sqrt(found.variance))], axis=1)
    solved = _solved(system, given)
    variance = None if found.variance is None else (solved[:, 1:] ** 2).sum(axis=1)
    return replace(
        found,
        gradient=solved[:, 0],
        variance=variance,
        shot_noise=_share(found, variance),
        circuits=found.circuits + metric.circuits,
        shots=found.shots + metric.shots,
    )


def _solved(system: Reals, given: Reals) -> Reals:
    """By Cholesky: a regularised metric is positive."""
    from scipy.linalg import LinAlgWarning, solve

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            return np.asarray(solve(system, given, assume_a="pos"), dtype=float)
    except (np.linalg.LinAlgError, LinAlgWarning):
        msg = "expected a metric that can be solved, got a singular one; raise the regularization above 0"
        raise ConfigError(msg) from None


def _share(found: GradientEstimate, variance: Reals | None) -> float | None:
    """The part of the new variance that shots cause, as large a share as of the old one."""
    if found.shot_noise is None or found.variance is None or variance is None:
        return None
    total = float(found.variance.sum())
    return found.shot_noise * float(variance.sum()) / total if total else 0.0
