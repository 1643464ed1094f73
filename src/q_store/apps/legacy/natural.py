"""`NaturalGradientEstimator` of v3.5, on `gradients.NaturalGradient`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.apps.legacy.backends import executor_of
from q_store.apps.legacy.losses import RowLoss, loss_for
from q_store.apps.legacy.results import GradientResult
from q_store.apps.legacy.trainer import advance
from q_store.apps.legacy.variational import Variational
from q_store.errors import CapabilityError, ConfigError
from q_store.gradients import Metric, NaturalGradient, ParameterShift
from q_store.jobs import Output
from q_store.training.loss import Loss

BLOCK, FULL = "block", "full"


class NaturalGradientEstimator:
    """(F + r 1) x = g: the gradient by parameter shift, in the metric F of the states.

    The document's Re<d_i psi, d_j psi> lacks a term and a factor; F = 4 Re[<d_i psi, d_j psi> - <d_i psi, psi><psi, d_j
    psi>] here, and the system is solved.

    Args:
        backend: what runs circuits: anything of `legacy.backends.executor_of`. regularization: r, above 0.
        metric: `block`, which every backend can measure, its `diagonal`, or `full`, of exact backends without shots.
        cache_size: metrics kept, by circuit, parameters, data and shots.

    Raises:
        ConfigError: for a regularization or metric that cannot be used. CapabilityError: for a metric that the backend
            cannot supply; says which can.
    """

    def __init__(
        self, backend: Any = None, regularization: float = 0.01, *, metric: str = BLOCK, cache_size: int = 100
    ) -> None:
        if not regularization > 0:
            raise ConfigError(f"expected a regularization above 0, got {regularization}")
        self.backend, self.regularization, self.metric = backend, regularization, metric
        self._executor = executor_of(backend)
        can = self._executor.capabilities
        if metric == FULL and Output.METRIC not in can.outputs:
            raise CapabilityError(
                f"expected a backend that has the state for metric='full', got {can.name}; LocalBackend, the engine on "
                f"this machine, can supply it, and {can.name} can measure metric='block'"
            )
        self._natural = NaturalGradient(ParameterShift(), Metric(metric, None), regularization, cache_size)

    @property
    def qfim_cache(self) -> Mapping[str, int]:
        """How often a metric was there already (`hits`), and not (`misses`)."""
        return {"hits": self._natural.hits, "misses": self._natural.misses}

    async def estimate_natural_gradient(  # noqa: PLR0917  # the order of v3.5
        self,
        model: Variational,
        batch_x: npt.ArrayLike,
        batch_y: npt.ArrayLike,
        loss_function: Loss | RowLoss | None = None,
        shots: int | None = 1000,
        seed: int = 0,
    ) -> GradientResult:
        """The natural gradient of the mean loss over a batch, of the model's circuit parameters.

        Args:
            model: at its parameters.
            batch_x: rows [B, ...].
            batch_y: their targets.
            loss_function: as `QuantumTrainer.loss_function`.
            shots: of every circuit; None: exact values.
            seed: of the samples.
        """
        started = time.perf_counter()
        targets = np.asarray(batch_y)
        objective = model.objective(loss_for(targets, loss_function))
        data = model.encode(np.asarray(batch_x))
        ready = objective.loss.prepare(targets, len(data), objective.readout.n_outputs)
        plan = objective.evaluate(model.vector, data, ready, self._natural, shots=shots, seed=seed)
        found = await advance(plan, self._executor)
        return GradientResult(
            gradients=found.gradient[: objective.circuit.n_params],
            function_value=found.loss,
            n_circuit_executions=found.circuits,
            computation_time_ms=1000 * (time.perf_counter() - started),
            method="natural_gradient",
            metadata={"shots": found.shots, "metric": self.metric, **self.qfim_cache},
        )
