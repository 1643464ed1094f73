"""The charts and the circuit of a run, by name: SVG strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from q_store.apps.dashboard.curve import Curve
from q_store.apps.place import HERE
from q_store.apps.plots import READABLE_CLASSES
from q_store.apps.reading import Points, Reading, figure, points
from q_store.circuits.circuit import Circuit
from q_store.drawing.charts import Series, grid, intervals, lines, stacks
from q_store.errors import ConfigError
from q_store.models import zoo
from q_store.models.metrics import wilson_interval
from q_store.models.model import Model

HELD_OUT = "held_out"
LOOKED = {HELD_OUT: "held-out rows", "bought": "rows that were bought", "": "a look"}
"""What a recipe looked at."""


def charts(run: Reading) -> dict[str, str]:
    """All that there is something to draw for; the names are those of files."""
    steps, epochs = run.view.steps, run.view.epochs
    stepwise = bool(epochs.rows)
    across = "step" if stepwise or steps.rows else "epoch"
    looks = run.request.get("recipe") and not stepwise  # lines of its metrics are looks, not epochs
    loss, held_out, shares = (_epochs(run, name) for name in ("train_loss", "validation_loss", "validation_accuracy"))
    first = Series("a step", points(steps, "loss")) if steps.rows else Series("training", loss)
    found = {
        "accuracy": intervals("Accuracy on the test part, 95 % intervals", accuracies(run.result, run.details)),
        "loss": lines("Loss", [first, Series("validation", held_out)], across),
        "validation": lines(
            "Validation accuracy", [] if looks else [Series("validation", percent(shares))], across, " %"
        ),
        "circuits": lines("Accuracy by circuits of training", by_circuits(run), "circuits", " %"),
        "gradient": lines("Norm of the gradient", [_gradient(steps)], "step"),
        "learning_rate": lines("Learning rate", [Series("of the circuit", points(steps, "learning_rate"))], "step"),
        "shots": lines("Shots of a circuit", [Series("shots", points(steps, "shots"))], "step"),
        "depth": lines("Layers of the circuit", [Series("layers", points(steps, "depth"))], "step"),
        "confusion": _confusion(run),
        "time": _time(run),
    }
    return {name: drawn for name, drawn in found.items() if drawn}


def by_circuits(run: Reading) -> list[Series]:
    """What was reached with how many circuits; nothing where circuits cost nothing."""
    if not run.request.get("recipe") and run.request.get("backend", HERE.backend) == HERE.backend:
        return []
    return [Series(LOOKED.get(on, on), percent(found)) for on, found in run.looks.items()]


def accuracies(
    result: Mapping[str, Any], details: Mapping[str, Any]
) -> list[tuple[str, float, tuple[float, float] | None]]:
    """(whose, share, 95 % interval) of a finished run: as measured remotely, simulated here, and the control's."""
    if not result:
        return []
    low, high = result["test_interval"]
    remote, control = result["remote"], result["classical_control"]
    found: list[tuple[str, float, tuple[float, float] | None]] = []
    if remote is not None:
        measured = remote["test_interval"]
        found.append(("measured remotely", remote["test_accuracy"], (measured[0], measured[1])))
    name = result["model"] if remote is None else "the same, simulated"
    found.append((name, result["accuracy"]["test"], (low, high)))
    if control is not None:
        found.append(("classical control", control["test_accuracy"], control_interval(control, details)))
    return found


def control_interval(control: Mapping[str, Any], details: Mapping[str, Any]) -> tuple[float, float]:
    """The Wilson interval of the control on the same test rows."""
    rows = details["test_rows"]
    return wilson_interval(round(control["test_accuracy"] * rows), rows)


def circuit(run: Reading) -> tuple[Circuit, str]:
    """The circuit, and where it is from: the trained model, else the model's definition for images.

    Raises RunError or StorageError for a model that is there and cannot be read, and ConfigError for an unknown one.
    """
    if run.folder.model.is_file():
        return Model.load(run.folder.model).circuit, "as it was trained"
    own = zoo.definition(str(run.request.get("model"))).circuit
    expected = run.resolved.get("circuit")
    if expected not in {None, own.digest}:
        raise ConfigError("the circuit for these data is written with the trained model, which is not there yet")
    return own, "as it is trained" if expected else "as it is defined; few features make it smaller"


def _epochs(run: Reading, name: str) -> Points:
    """From the events, or without those from the metrics."""
    if run.view.epochs.rows:
        return points(run.view.epochs, name)
    curve = Curve({name: "mean"})
    for k, row in enumerate(run.epochs, 1):
        curve.add(k, [figure(row.get(name))])
    return points(curve, name)


def percent(found: Points) -> Points:
    """Shares as percentages."""
    return [(x, None if y is None else 100 * y) for x, y in found]


def _gradient(steps: Curve) -> Series:
    errors = [y for _, y in points(steps, "gradient_error")]
    label = "a step, with its standard error" if any(errors) else "a step"
    return Series(label, points(steps, "gradient_norm"), errors)


def _confusion(run: Reading) -> str:
    found = run.tested or {}
    counts: Sequence[Sequence[int]] = found.get("counts") or []
    names = [str(name) for name in found.get("classes", [])]
    square = len(counts) == len(names) <= READABLE_CLASSES and all(len(row) == len(names) for row in counts)
    return grid("Confusion on the test part", counts, names) if square else ""


def _time(run: Reading) -> str:
    if run.ledger is None:
        return ""
    parts = [each for each in run.ledger.backends if each.wall > 0]
    rows = [(each.name, each.seconds) for each in parts]
    return stacks("Where the time went", [("the run", run.ledger.run.seconds), *(rows if len(rows) > 1 else [])])
