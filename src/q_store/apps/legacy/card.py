"""What a notebook shows of a `QuantumTrainer`, see `drawing.card`."""

from __future__ import annotations

import math

from q_store.apps.legacy.report import Usage, Watcher
from q_store.drawing.card import POINTS, card
from q_store.drawing.charts import Series, lines, number, thinned


def html(watcher: Watcher, usage: Usage) -> str:
    """Figures and curves of all its trainings."""
    history = watcher.history
    if not history:
        return card("QuantumTrainer", [], soft="Nothing is trained yet: await trainer.train(model, loader).")
    circuits, shots = (sum(getattr(each, name) for each in history) for name in ("n_circuit_executions", "shots"))
    rows: list[tuple[str, object]] = [
        ("epochs", f"{len(history):,}"),
        ("loss", f"{number(history[0].loss)} to {number(history[-1].loss)}"),
    ]
    if history[-1].accuracy is not None:
        rows.append(("validation accuracy", f"{100 * history[-1].accuracy:.1f} %"))
    rows += [
        ("circuits", f"{circuits:,}" + (f"; {shots:,} shots" if shots else "; exact")),
        ("time", f"{sum(each.epoch_time_ms for each in history) / 1000:,.1f} s"),
        *((name, said) for name, _, said in (line.strip().partition(": ") for line in usage.lines())),
    ]
    warnings = [] if math.isfinite(history[-1].loss) else ["The loss is not finite: lower the learning rate."]
    return card("QuantumTrainer", rows, pictures=_curves(watcher), warnings=warnings)


def _curves(watcher: Watcher) -> list[str]:
    epochs = list(enumerate(watcher.history, 1))
    loss = [(float(k), each.loss) for k, each in epochs]
    held = [(float(k), each.validation_loss) for k, each in epochs]
    shares = [(float(k), None if each.accuracy is None else 100 * each.accuracy) for k, each in epochs]
    series = [Series("training", thinned(loss, POINTS)), Series("validation", thinned(held, POINTS))]
    accuracy = Series("validation", thinned(shares, POINTS))
    return [lines("Loss", series, "epoch"), lines("Validation accuracy", [accuracy], "epoch", " %")]
