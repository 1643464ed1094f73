"""What a recipe is given, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from q_store.errors import ConfigError
from q_store.events import Announcer
from q_store.intervals import wilson
from q_store.jobs import Steps
from q_store.training.checkpoint import CheckpointFile
from q_store.training.objective import Objective
from q_store.training.rows import Rows
from q_store.training.settings import TrainingSettings

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

LOCAL, POOL = "local", "pool"
"""Sites of a recipe's jobs: an exact simulation here, and what is waited and paid for."""
TRAINING, VALIDATION, TEST = "training", "validation", "test"
"""What circuits are for; tags of a recipe's jobs."""
SURE = 1.28
"""Standard errors below an accuracy seen at few bought rows at which it counts: 9 times in 10 the truth is above."""


@dataclass(frozen=True, slots=True)
class Point:
    """A look at the model on the way.

    Attributes:
        circuits, shots, cost: spent on training until then.
        accuracy: on held-out training rows, or on the bought ones.
        bought: how many of those it was seen on; None: on held-out rows.
    """

    circuits: int
    shots: int
    cost: float
    accuracy: float
    bought: int | None = None

    @property
    def sure(self) -> float:
        """The accuracy that counts: as seen on held-out rows; of bought ones, which are few, a lower bound.

        That is the lower end of `intervals.wilson` at `SURE`.
        """
        if self.bought is None:
            return self.accuracy
        return wilson(self.accuracy, self.bought, SURE)[0]


@dataclass(frozen=True, eq=False)
class Task:
    """A classifier to train.

    Attributes:
        objective: circuit, observables, readout, loss.
        train: rows with labels. A recipe picks among them what it spends circuits on.
        held_out: further training rows, measured where a recipe validates. test: measured once, at the end; or None.
        settings: of exact training on this machine, where a recipe does that.
        shots: a circuit at the pool; None for exact values.
        circuits: most that training may buy; None for the recipe's own number.
        accuracy: training ends when two successive looks see it; None: it takes all its circuits.
        seed: of all that is random.
        checkpoints: of exact training on this machine; None for none.
        tell: receives events, see `q_store.events.recipes`; `Announcer([sink, ...])`.

    Raises:
        ConfigError: for circuits below 1, or an accuracy that is not between 0 and 1.
    """

    objective: Objective
    train: Rows
    held_out: Rows
    test: Rows | None = None
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    shots: int | None = 1000
    circuits: int | None = None
    accuracy: float | None = None
    seed: int = 0
    checkpoints: CheckpointFile | None = None
    tell: Announcer = field(default_factory=Announcer)

    def __post_init__(self) -> None:
        if self.circuits is not None and self.circuits < 1:
            raise ConfigError(
                f"expected 1 circuit or more, got {self.circuits}; leave it out for the recipe's own number"
            )
        if self.accuracy is not None and not 0 < self.accuracy < 1:
            raise ConfigError(f"expected an accuracy between 0 and 1, got {self.accuracy}; 0.7 is 70 %")

    @property
    def bases(self) -> int:
        """Circuits that one row takes: one for each measured basis."""
        return max(1, len(self.objective.measured.groups()))

    @property
    def evaluation(self) -> int:
        """Circuits of one look at the held-out rows."""
        return self.held_out.count * self.bases

    @property
    def end(self) -> int:
        """Circuits of the test."""
        return 0 if self.test is None else self.test.count * self.bases


@dataclass(frozen=True)
class Spent:
    """Circuits at the pool by purpose, and what they cost together.

    Attributes:
        training, validation, test: circuits. shots: paid. cost: money.
    """

    training: int = 0
    validation: int = 0
    test: int = 0
    shots: int = 0
    cost: float = 0.0

    @property
    def circuits(self) -> int:
        """All of them."""
        return self.training + self.validation + self.test


@dataclass(frozen=True, eq=False)
class RecipeResult:
    """What a recipe came to.

    Attributes:
        recipe: its name.
        objective, parameters: the trained model; a recipe may measure something else than the task said.
        curve: looks on the way.
        reached: circuits spent on training at the look that confirmed the accuracy asked for; None: not reached.
        accuracy: on the test rows, measured once at the end; None without them.
        validation: accuracy on held-out training rows, or None.
        spent: at the pool.
        where: where training happened, in a sentence.
        notes: choices that the recipe made, by name.
    """

    recipe: str
    objective: Objective
    parameters: Reals
    curve: tuple[Point, ...]
    reached: int | None
    accuracy: float | None
    validation: float | None
    spent: Spent
    where: str
    notes: dict[str, Any]


class Recipe(Protocol):
    """A way to a trained model. Frozen; `plan` is a generator without I/O, the same for the same task."""

    @property
    def name(self) -> str:
        """As on the command line."""

    def training(self, task: Task) -> int:
        """Most circuits that training buys at the pool."""

    def validation(self, task: Task) -> int:
        """Most circuits that looks buy there."""

    def least(self, task: Task) -> int:
        """Least number of circuits for training with which the recipe does something; 0 where it needs none."""

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe; every job has the site `local` or `pool`."""


def reached(curve: Sequence[Point], accuracy: float | None) -> int | None:
    """Circuits at the second of the first two successive looks that are sure of this accuracy; None: there are none."""
    if accuracy is None:
        return None
    for before, after in pairwise(curve):
        if before.sure >= accuracy and after.sure >= accuracy:
            return after.circuits
    return None


def in_turn(rows: Rows, seed: int) -> npt.NDArray[np.intp]:
    """An order of the rows in which every beginning has the classes as balanced as can be; random within a class."""
    order = np.random.default_rng([seed, 21]).permutation(rows.count)
    if rows.targets is None or rows.targets.ndim != 1 or rows.targets.dtype.kind not in "iu":
        return order
    labels = rows.targets[order]
    turn = np.empty(rows.count, dtype=np.intp)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn, kind="stable")]
