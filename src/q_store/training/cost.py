"""What a training will cost in circuits, before it starts."""

from __future__ import annotations

from collections import Counter

from q_store import gradients
from q_store.circuits.circuit import Circuit
from q_store.training.depth import epoch_circuits
from q_store.training.optimisers import ROTOSOLVE
from q_store.training.rotosolve import average_nodes
from q_store.training.settings import TrainingSettings


def gradient_circuits(settings: TrainingSettings, circuit: Circuit, rows: int, bases: int = 1) -> int:
    """Circuits of all steps of the epochs, for so many training rows, each measured in so many bases.

    Of `random_shift` the most that it may come to, of `rotosolve` the average; without metrics from a cache, pruning,
    and the finish, of which nobody knows how often it evaluates.
    """
    whole, rest = divmod(rows, settings.batch_size)
    total = 0
    for shape, epochs in Counter(epoch_circuits(circuit, settings)).items():
        steps = whole * _step(settings, shape, settings.batch_size, bases)
        total += epochs * (steps + (_step(settings, shape, rest, bases) if rest else 0))
    return total


def validations(settings: TrainingSettings, circuit: Circuit) -> int:
    """How often the validation rows are run in all epochs, at most: twice where the whole circuit is not trained."""
    if settings.prune is not None:
        return 2 * settings.epochs
    if settings.depth_schedule in {"fixed", "grow"}:
        return settings.epochs
    shapes = epoch_circuits(circuit, settings)
    return sum(1 if shape.ops == shapes[0].ops else 2 for shape in shapes)


def _step(settings: TrainingSettings, circuit: Circuit, rows: int, bases: int) -> int:
    if settings.optimiser == ROTOSOLVE:
        return round(rows * average_nodes(circuit) * bases)
    judged = 2 * rows * bases if settings.blocking else 0
    return judged + gradients.circuits(settings, circuit, rows, bases)
