"""What v3.4 and v3.5 handed back: results of circuits, gradients, figures of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What one circuit came to.

    Attributes:
        counts: how often each state was measured, by its bits; the last character is qubit 0.
        probabilities: relative frequencies, or probabilities where the backend is exact, by bits.
        total_shots: measurements; 0 for probabilities without any.
        metadata: `backend`, who ran it, and its `noise_id`.
    """

    counts: Mapping[str, int]
    probabilities: Mapping[str, float]
    total_shots: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(counts: Mapping[str, int], **metadata: Any) -> ExecutionResult:
        """From counts alone."""
        total = sum(counts.values())
        return ExecutionResult(counts, {bits: times / total for bits, times in counts.items()}, total, metadata)

    @property
    def backend(self) -> str:
        """Who ran it."""
        return str(self.metadata.get("backend", ""))


@dataclass(frozen=True, slots=True, eq=False)
class GradientResult:
    """A gradient.

    Attributes:
        gradients: [P], of the circuit parameters. function_value: the loss there; None where it was not measured.
        n_circuit_executions: circuits that it took, those of a metric too.
        computation_time_ms: milliseconds. method: how. metadata: `shots`, and what else belongs to the method.
    """

    gradients: npt.NDArray[np.float64]
    function_value: float | None
    n_circuit_executions: int
    computation_time_ms: float
    method: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingMetrics:
    """Figures of an epoch.

    Attributes:
        epoch: from 0. loss: mean over the rows as they were visited. accuracy: of the validation rows, if there are.
        validation_loss: the same. gradient_norm: mean over the steps, before clipping.
        learning_rate: of the circuit. circuit_execution_time_ms: mean of a step. epoch_time_ms: of the epoch.
        n_circuit_executions, shots: of the epoch, validation included.
    """

    epoch: int
    loss: float
    accuracy: float | None = None
    gradient_norm: float = 0.0
    learning_rate: float = 0.0
    circuit_execution_time_ms: float = 0.0
    epoch_time_ms: float = 0.0
    n_circuit_executions: int = 0
    validation_loss: float | None = None
    shots: int = 0
