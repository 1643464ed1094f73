"""`auto`: which recipe for which executors, in a sentence, with what it is going to take."""

from __future__ import annotations

from dataclasses import dataclass

from q_store.errors import CapabilityError
from q_store.jobs import Capabilities, Output
from q_store.training.recipes.calibrate import Calibrate
from q_store.training.recipes.exact import Exact
from q_store.training.recipes.expected import Expectation, expected
from q_store.training.recipes.regress import MOST_QUBITS, Regress
from q_store.training.recipes.spsa import Spsa
from q_store.training.recipes.task import Recipe, Task

NAME = "auto"
SIMULATED_QUBITS = 16
"""Beyond these an exact simulation here takes longer than it saves."""


@dataclass(frozen=True)
class Choice:
    """A recipe that was chosen.

    Attributes:
        recipe: it. reason: why, in a sentence.
        circuits: most that it buys for training, validation, test.
        expected: accuracy in the committed benchmark, or None where nothing like it was measured.
    """

    recipe: Recipe
    reason: str
    circuits: tuple[int, int, int]
    expected: Expectation | None

    @property
    def sentence(self) -> str:
        """Recipe and reason."""
        return f"{self.recipe.name}: {self.reason}"


def choose(task: Task, local: Capabilities | None, pool: Capabilities | None) -> Choice:
    """The recipe that spends least for what the executors can do.

    Args:
        task: what is to be trained.
        local: an exact simulation here, None where there is none.
        pool: what circuits are sent to; None where they stay here.

    Raises:
        CapabilityError: without either.
    """
    n, simulated = task.objective.circuit.n_qubits, can_simulate(task, local)
    if simulated and pool is None:
        return _exact(task, "the circuit can be simulated exactly here, and nothing is to run elsewhere")
    if pool is None:
        raise CapabilityError(
            f"expected an executor that runs circuits of {n} qubits, got none; give a pool, or use fewer qubits"
        )
    if simulated and not pool.shots_matter and pool.noise_id == "ideal":
        reason = f"{pool.name} is an ideal simulator, which gives what an exact simulation here gives for nothing"
        return _exact(task, reason)
    if simulated:
        reason = f"the circuit can be simulated here, so {pool.name} is only needed to learn how it distorts the values"
        return chosen(Calibrate(), task, reason)
    if n <= MOST_QUBITS:
        reason = (
            f"the circuit cannot be simulated here, and a regression takes fewer circuits of {pool.name} than steps"
        )
        return chosen(Regress(), task, reason)
    reason = f"{n} qubits have too many probabilities to regress on, and the circuit cannot be simulated here"
    return chosen(Spsa(), task, reason)


def _exact(task: Task, reason: str) -> Choice:
    given = [name for name in ("circuits", "accuracy") if getattr(task, name) is not None]
    idle = f"; no circuits train it, so the {' and the '.join(given)} asked for cannot matter" if given else ""
    return chosen(Exact(), task, reason + idle)


def can_simulate(task: Task, local: Capabilities | None) -> bool:
    """Whether exact gradients of the task's circuit can be had here."""
    if local is None or not local.exact or Output.VJP not in local.outputs:
        return False
    return task.objective.circuit.n_qubits <= min(local.max_qubits, SIMULATED_QUBITS)


def chosen(recipe: Recipe, task: Task, reason: str) -> Choice:
    """The choice of a recipe, with what it takes."""
    circuits = recipe.training(task), recipe.validation(task), task.end
    return Choice(recipe, reason, circuits, expected(recipe.name, circuits[0]))
