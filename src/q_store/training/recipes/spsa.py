"""`spsa`: simultaneous perturbation on the pool, tuned: the baseline that every other recipe is measured against.

One pair of perturbed parameters a step, a batch of 10 rows, 1000 shots; Adam on the estimate with a rate of .03 that
decays as 1/(1 + 8 progress), beta2 = .99; the readout learns by Adam at .3, decaying along half a cosine, from the
average of both sides. Looks and the result are at the average of the iterates, the later ones counting more (Shamir and
Zhang, arXiv:1212.1824, section 4): v_t <- v_t-1 + (eta + 1) / (t + eta) (x_t - v_t-1). Decay, start and average were
chosen on validation images: it is a baseline, and must be a good one. With a rate of .03 for the readout too and no
average it is `v34`, which is how it was done before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimator
from q_store.gradients.spsa import SPSA
from q_store.jobs import Steps
from q_store.training.objective import Objective
from q_store.training.optimisers import Adam
from q_store.training.recipes.book import STEPPING, Book
from q_store.training.recipes.task import VALIDATION, Reals, RecipeResult, Task
from q_store.training.schedules import cosine

NAME = "spsa"
DECAY = 8.0
WHERE = "trained and validated remotely"


@dataclass(frozen=True)
class Spsa:
    """See the module.

    Attributes:
        count: circuits, where the task does not say. batch: rows a step.
        rate, readout_rate: of circuit and readout at the start.
        perturbation: c. beta2: of Adam.
        scale: standard deviation of the first circuit parameters, radians.
        average: eta of the average of the iterates, 0 for the mean of all, larger ones for fewer; None: the last one.
        looks: at the held-out rows, in equal distances; two or more where an accuracy is asked for.
    """

    count: int = 9000
    batch: int = 10
    rate: float = 0.03
    readout_rate: float = 0.3
    perturbation: float = 0.15
    beta2: float = 0.99
    scale: float = 0.6
    average: float | None = 3.0
    looks: int = 10
    name: str = NAME

    def __post_init__(self) -> None:
        if self.average is not None and not self.average >= 0:
            raise ConfigError(f"expected an average of 0 or more, or None, got {self.average}")

    def steps(self, task: Task) -> int:
        """Of the optimiser."""
        return (task.circuits or self.count) // self._each(task)

    def training(self, task: Task) -> int:
        """Whole steps."""
        return self.steps(task) * self._each(task)

    def validation(self, task: Task) -> int:
        """All looks."""
        return min(self.looks, self.steps(task)) * task.evaluation

    def least(self, task: Task) -> int:
        """One step."""
        return self._each(task)

    def _each(self, task: Task) -> int:
        return 2 * min(self.batch, task.train.count) * task.bases

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe."""
        objective, book = task.objective, Book(task)
        vector = yield from self._trained(task, book)
        tested = yield from book.test(objective, vector)
        book.close()
        own = book.curve[-1].accuracy if book.curve else None
        return RecipeResult(
            self.name, objective, vector, tuple(book.curve), book.reached, tested, own, book.spent, WHERE,
            {"steps": self.steps(task), "readout_rate": self.readout_rate},
        )  # fmt: skip

    def _trained(self, task: Task, book: Book) -> Steps[Reals]:
        objective, steps = task.objective, self.steps(task)
        if not steps:
            raise ConfigError(
                f"expected at least {self._each(task)} circuits, one step, got {task.circuits}; give more"
            )
        book.open(self, objective, steps)
        vector, n = objective.initial(task.seed), objective.circuit.n_params
        vector[:n] = np.random.default_rng([task.seed, 77]).normal(0.0, self.scale, n)
        adam = Adam(beta2=self.beta2)
        state = adam.start(len(vector))
        estimator: GradientEstimator = SPSA(self.perturbation)
        marks, shown = looks(steps, self.looks), vector.copy()
        for step in range(steps):
            book.stage(STEPPING)
            rows = batch(task, step, self.batch)
            found = yield from book.far(
                objective.evaluate(
                    vector, *task.train.take(rows), estimator, shots=task.shots, seed=step_seed(task.seed, step)
                )
            )
            if task.tell:
                about = found.loss, found.gradient, found.variance
                book.step(step, *about, rate=self._rate(step / steps), rows=len(rows), shots=task.shots)
            adam.step(vector, found.gradient, self.rates(objective, step / steps), state)
            shown += self._weight(step) * (vector - shown)
            if step + 1 in marks:
                book.note((yield from book.accuracy(objective, shown, task.held_out, VALIDATION, step)))
                if book.reached is not None:
                    break
        return shown

    def _weight(self, step: int) -> float:
        """Of the newest iterate in the average."""
        return 1.0 if self.average is None else (self.average + 1) / (step + 1 + self.average)

    def rates(self, objective: Objective, progress: float) -> Reals:
        """[N], of each entry of the vector."""
        is_readout = np.arange(objective.size) >= objective.circuit.n_params
        return np.where(is_readout, self.readout_rate * cosine(progress), self._rate(progress))

    def _rate(self, progress: float) -> float:
        """Of the circuit."""
        return self.rate / (1 + DECAY * progress)


def looks(steps: int, number: int) -> frozenset[int]:
    """After which steps (from 1) the held-out rows are looked at, the last one included."""
    return frozenset(int(step) for step in np.ceil(np.linspace(0, steps, min(number, steps) + 1)[1:]))


def batch(task: Task, step: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows of a step: passes over all rows, each in an order of its own."""
    rows = task.train.count
    size = min(size, rows)
    each = rows // size
    order = np.random.default_rng([task.seed, 25, step // each]).permutation(rows)
    return order[step % each * size :][:size]


def step_seed(seed: int, step: int) -> int:
    """Of the samples and the directions of a step."""
    return int(np.random.SeedSequence([seed, 26, step]).generate_state(1)[0])
