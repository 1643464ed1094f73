"""What a training will cost in circuits, before it starts."""

from __future__ import annotations

from q_store import gradients
from q_store.circuits.circuit import Circuit
from q_store.training.optimisers import ROTOSOLVE
from q_store.training.rotosolve import average_nodes
from q_store.training.settings import TrainingSettings


def gradient_circuits(settings: TrainingSettings, circuit: Circuit, rows: int, bases: int = 1) -> int:
    """Circuits of all steps of the epochs, for so many training rows, each measured in so many bases.

    Of `random_shift` the most that it may come to, of `rotosolve` the average; without metrics from a cache, schedules
    of depth, and the finish, of which nobody knows how often it evaluates.
    """
    whole, rest = divmod(rows, settings.batch_size)
    steps = whole * _step(settings, circuit, settings.batch_size, bases)
    return settings.epochs * (steps + (_step(settings, circuit, rest, bases) if rest else 0))


def _step(settings: TrainingSettings, circuit: Circuit, rows: int, bases: int) -> int:
    if settings.optimiser == ROTOSOLVE:
        return round(rows * average_nodes(circuit) * bases)
    return gradients.circuits(settings, circuit, rows, bases)
