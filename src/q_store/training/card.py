"""What a notebook shows of a training: its figures and its curves, see `drawing.card`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from q_store.drawing.card import POINTS, card
from q_store.drawing.charts import Series, lines, number, thinned
from q_store.events import EpochDone

if TYPE_CHECKING:
    from q_store.training.state import TrainingResult


def html(result: TrainingResult) -> str:
    """The card of a finished training."""
    return card("Training", rows(result), pictures=curves(result.history), warnings=warnings(result))


def rows(result: TrainingResult) -> list[tuple[str, object]]:
    """Names and figures."""
    last = result.history[-1] if result.history else None
    found: list[tuple[str, object]] = [
        ("epochs", f"{result.epochs:,}, {result.reason}"),
        ("parameters", f"{len(result.parameters):,}"),
    ]
    if last is not None:
        found.append(("loss", f"{number(result.history[0].train_loss)} to {number(last.train_loss)}"))
        if last.validation_accuracy is not None:
            found.append(("validation accuracy", f"{100 * last.validation_accuracy:.1f} %"))
    if result.best_epoch:
        found.append(("best", "the finish" if result.best_epoch > result.epochs else f"epoch {result.best_epoch:,}"))
    shots = f"; {result.shots:,} shots" if result.shots else "; exact"
    return [*found, ("circuits", f"{result.circuits:,}{shots}"), ("time", f"{result.seconds:,.1f} s")]


def warnings(result: TrainingResult) -> list[str]:
    """What is to be read first."""
    if result.history and not math.isfinite(result.history[-1].train_loss):
        return ["The loss is not finite: lower the learning rate, or look at the data."]
    return []


def curves(history: Sequence[EpochDone]) -> list[str]:
    """Loss and accuracy by epoch, as SVG."""
    told = {
        name: thinned([(float(k), getattr(each, name)) for k, each in enumerate(history, 1)], POINTS)
        for name in ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
    }
    shares = {name: [(x, None if y is None else 100 * y) for x, y in told[name]] for name in told if "acc" in name}
    return [
        lines("Loss", [Series("training", told["train_loss"]), Series("validation", told["validation_loss"])], "epoch"),
        lines(
            "Accuracy",
            [Series("training", shares["train_accuracy"]), Series("validation", shares["validation_accuracy"])],
            "epoch",
            " %",
        ),
    ]
