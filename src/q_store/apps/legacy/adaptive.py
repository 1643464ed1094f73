"""`AdaptiveCircuitOptimizer` and `AdaptiveShotAllocator` of v3.5: the rules of `training.depth` and `training.shots`.

Depth is a number of whole layers: rotations and the entanglers that follow them. A circuit that is too deep loses its
last layers as a whole, so what is left is the same ansatz with fewer layers, never one without entanglers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.apps.legacy.dicts import Given, circuit_of, dict_of
from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.layers import truncated
from q_store.circuits.metrics import Metrics
from q_store.circuits.pruning import THRESHOLD, merge, remove_identities
from q_store.errors import ConfigError, InputError, suggestion
from q_store.training.depth import DEPTH_SCHEDULES, depth_at
from q_store.training.shots import Bounds, phase_shots

_NONE = np.zeros(0)


class AdaptiveCircuitOptimizer:
    """Fewer layers later in the training.

    Args:
        initial_depth: layers at the beginning. min_depth: at the end.
        adaptation_schedule: `linear`, `exponential`, `step`, `fixed` or `grow`, see `training.depth`.

    Raises:
        ConfigError: for depths out of order, or an unknown schedule.
    """

    def __init__(self, initial_depth: int = 4, min_depth: int = 2, adaptation_schedule: str = "linear") -> None:
        if not 1 <= min_depth <= initial_depth:
            raise ConfigError(
                f"expected 1 <= min_depth <= initial_depth, got {min_depth} and {initial_depth}; swap them"
            )
        if adaptation_schedule not in DEPTH_SCHEDULES:
            raise ConfigError(
                f"expected a known adaptation_schedule, got {adaptation_schedule!r}"
                f"{suggestion(adaptation_schedule, DEPTH_SCHEDULES)}"
            )
        self.initial_depth, self.min_depth = initial_depth, min_depth
        self.adaptation_schedule = adaptation_schedule
        self.current_depth = initial_depth

    def get_depth_for_epoch(self, epoch: int, total_epochs: int) -> int:
        """Layers in this epoch, from 0. Raises InputError for an epoch that there is not."""
        self.current_depth = depth_at(
            self.adaptation_schedule, _progress(epoch, total_epochs), self.min_depth, self.initial_depth
        )
        return self.current_depth

    def optimize_circuit(self, circuit: Given, target_depth: int) -> dict[str, Any]:
        """The circuit with at most `target_depth` layers, neighbouring gates merged, gates that do nothing left out.

        Up to the layers that are dropped it is the same circuit, but for a global phase and rotations by at most 1e-6.

        Raises:
            CircuitError: for a circuit that cannot be read. InputError: for a depth below 1.
        """
        if target_depth < 1:
            raise InputError(f"expected a target_depth of 1 layer or more, got {target_depth}")
        found, angles = circuit_of(circuit)
        layered = found.layered(layers(found))
        kept = truncated(layered, min(target_depth, len(layered.layers))) if layered.layers else found
        bound = Circuit(kept.n_qubits, 0, 0, tuple(_bound(kept, angles)))
        return dict_of(remove_identities(merge(bound), _NONE, THRESHOLD), _NONE)

    @staticmethod
    def complexity(circuit: Given) -> dict[str, int]:
        """Layers, gates, gates on two qubits, depth in gates, and gates by kind."""
        if not circuit.get("circuit"):
            return {"layers": 0, "gates": 0, "two_qubit": 0, "depth": 0}
        found, _ = circuit_of(circuit)
        return {"layers": len(layers(found)), **Metrics.of(found).figures()}


class AdaptiveShotAllocator:
    """Shots by the phase of the training, more where gradients are unsteady, fewer where they or the loss are flat.

    Args:
        min_shots, max_shots, base_shots: of the first phase, the last and that between.

    Raises:
        ConfigError: for numbers out of order.
    """

    def __init__(self, min_shots: int = 500, max_shots: int = 2000, base_shots: int = 1000) -> None:
        if not 1 <= min_shots <= base_shots <= max_shots:
            raise ConfigError(
                f"expected 1 <= min_shots <= base_shots <= max_shots, got {min_shots}, {base_shots} and {max_shots}"
            )
        self.min_shots, self.max_shots, self.base_shots = min_shots, max_shots, base_shots
        self.gradient_history: list[npt.NDArray[np.float64]] = []

    def get_shots_for_batch(
        self,
        epoch: int,
        total_epochs: int,
        recent_gradients: Sequence[npt.ArrayLike],
        recent_losses: Sequence[float] = (),
    ) -> int:
        """Shots of the next batch, from the last gradients and, where given, losses. Raises InputError."""
        norms = np.array([np.linalg.norm(np.asarray(each, dtype=float)) for each in recent_gradients])
        bounds = Bounds(self.min_shots, self.base_shots, self.max_shots)
        losses = np.asarray(recent_losses, dtype=float)
        return phase_shots(_progress(epoch, total_epochs), norms, losses, bounds)


def layers(circuit: Circuit) -> list[tuple[int, int]]:
    """(first, last + 1) of every layer: gates on one qubit, then entanglers; what follows the last one is in none.

    Gates on one qubit before the first entanglers belong to the first layer, an encoding of data among them.
    """
    out: list[tuple[int, int]] = []
    first = 0
    for k, op in enumerate(circuit.ops):
        last = k + 1 == len(circuit.ops) or not circuit.ops[k + 1].is_entangling
        if op.is_entangling and last:
            out.append((first, k + 1))
            first = k + 1
    return out


def _bound(circuit: Circuit, angles: npt.NDArray[np.float64]) -> Iterator[Op]:
    """The operations with numbers for angles."""
    for op in circuit.ops:
        values = (sum(c * (1.0 if i < 0 else angles[i]) for (i, _), c in angle.terms) for angle in op.angles)
        yield replace(op, angles=tuple(Angle.of(float(value)) for value in values))


def _progress(epoch: int, total_epochs: int) -> float:
    if total_epochs < 1 or not 0 <= epoch <= total_epochs:
        raise InputError(f"expected 0 <= epoch <= total_epochs and 1 epoch or more, got {epoch} of {total_epochs}")
    return epoch / total_epochs
