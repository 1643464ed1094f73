"""What a recipe tells beside the events of a training: why it was chosen, what it is going to take, looks on the way.

Stages of a recipe, told by `StageStarted`: `local training` (a whole exact training here, with the stages `epochs` and
`finish` of its own), `training` and `refining` (steps on circuits that are bought), `buying`, `fitting`, `looking` (at
held-out rows, whose circuits are bought too) and `measuring` (the test rows). A stage may come again; the number of a
step counts on then.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecipeChosen:
    """Which recipe is going to run, before anything is bought.

    Attributes:
        recipe: its name. asked: what was asked for, `auto` or the same. reason: why.
        expected: accuracy that it reached in the committed benchmark with `expected_with` circuits of training; None:
            not measured with so few.
        price: of all its circuits, at most; None where it is not known, or nothing is sent away. currency: of that.
    """

    recipe: str
    asked: str
    reason: str
    expected: float | None = None
    expected_with: int | None = None
    price: float | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class RecipeStarted:
    """A recipe begins. A resumed one begins anew, and is told what it bought before: all its own steps come again.

    Attributes:
        recipe: its name.
        circuit_parameters, readout_parameters: sizes of the two parts of the parameter vector.
        rows: training rows. validation_rows: held-out rows.
        training, validation, test: circuits that it buys for each, at most.
        steps: on bought circuits, at most; 0 for a recipe without steps.
        shots: a circuit, None for exact values. accuracy: that ends it early, None where none is asked for.
    """

    recipe: str
    circuit_parameters: int
    readout_parameters: int
    rows: int
    validation_rows: int
    training: int
    validation: int
    test: int
    steps: int = 0
    shots: int | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at the model on the way.

    Attributes:
        circuits: of training until then. shots, cost: of all circuits until then.
        accuracy: share of right ones of so many `rows`. on: which, `held_out` or `bought` ones.
        sure: the accuracy that counts where one is asked for: of bought rows, which are few, a lower bound.
    """

    circuits: int
    shots: int
    cost: float
    accuracy: float
    rows: int
    on: str
    sure: float


RecipeEvent = RecipeChosen | RecipeStarted | Looked
