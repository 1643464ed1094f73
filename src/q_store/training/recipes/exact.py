"""`exact`: gradients of an exact simulation on this machine, then L-BFGS; no remote circuit trains anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from q_store.errors import ConfigError
from q_store.jobs import Capabilities, Job, Output, Steps
from q_store.training.recipes.book import LOCALLY, Book, inside
from q_store.training.recipes.task import RecipeResult, Task
from q_store.training.state import TrainingResult
from q_store.training.trainer import Trainer

NAME = "exact"


@dataclass(frozen=True)
class Exact:
    """See the module. The task's settings say how; the test rows are measured at the pool."""

    name: str = NAME

    def training(self, task: Task) -> int:
        """0."""
        del task
        return 0

    def validation(self, task: Task) -> int:
        """0: validated on this machine."""
        del task
        return 0

    def least(self, task: Task) -> int:
        """0."""
        del task
        return 0

    def plan(self, task: Task) -> Steps[RecipeResult]:
        """The recipe."""
        book = Book(task)
        book.open(self, task.objective)
        book.stage(LOCALLY)
        found = yield from book.near(trained(task))
        own = validated(found)
        book.note(own)
        tested = yield from book.test(task.objective, found.parameters)
        book.close(found.epochs)
        seen = 0 if task.accuracy is not None and own >= task.accuracy else None  # one look, at exact values
        return RecipeResult(
            NAME, task.objective, found.parameters, tuple(book.curve), seen, tested, own, book.spent,
            "trained and validated locally, on an exact simulation", {"epochs": found.epochs, "reason": found.reason},
        )  # fmt: skip


def trained(task: Task) -> Steps[TrainingResult]:
    """Exact training of the task's objective, as a plan; goes on from a checkpoint where there is one."""
    if task.settings.shots is not None or task.settings.gradient != "adjoint":
        got = f"gradient={task.settings.gradient!r}, shots={task.settings.shots}"
        raise ConfigError(f"expected exact settings to train locally with, got {got}; leave both at their defaults")
    settings, told = task.settings.replaced(seed=task.seed), inside(task)
    sinks = [told] if told else ()
    trainer = Trainer(task.objective, settings, _NOWHERE, sinks=sinks, checkpoints=task.checkpoints)
    train, held_out = ((rows.data, rows.targets) for rows in (task.train, task.held_out))
    return (yield from trainer.plan(train, held_out, resume=True).steps())


def validated(found: TrainingResult) -> float:
    """The last validation accuracy."""
    return float(found.history[-1].validation_accuracy or 0.0)


class _Nowhere:
    """A trainer wants an executor, though whoever drives its plan brings one."""

    capabilities = Capabilities("nowhere", frozenset(Output), 0)

    def run(self, job: Job) -> NoReturn:
        raise NotImplementedError(job.tag)


_NOWHERE: Any = _Nowhere()
