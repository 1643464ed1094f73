"""All that the folder of a run tells, read once: for reports and comparisons. Nothing in the folder is changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from q_store.apps.dashboard.curve import Curve
from q_store.apps.dashboard.facts import held
from q_store.apps.dashboard.view import View
from q_store.apps.history import EVENTS, Entry, History
from q_store.apps.progress import LOOK
from q_store.apps.request import data_title
from q_store.apps.result import DETAILS
from q_store.apps.run_folder import CONFIG, PROGRAM, RESULT, TESTED, RunFolder
from q_store.apps.shelf import folder_of
from q_store.drawing.charts import LARGEST
from q_store.errors import RunError
from q_store.events import Looked, RecipeStarted
from q_store.ledger import Ledger, ledger

Points = list[tuple[float, float | None]]
WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""What figures raise that somebody has distorted."""
STATUS = {
    "": "nothing of it is known to have begun",
    "running": "it was not ended by itself: its process was killed, or is not known",
    "measuring": "it was trained, and not measured to the end",
    "completed": "it was trained, and its result is not there",
    "held": "it was asked to wait",
    "stopping": "it was asked to stop",
}
"""What the last events say of a run without a result; other statuses are said as they are."""


@dataclass(frozen=True)
class Reading:
    """A run.

    Attributes:
        folder: where. config, result: its files; result is empty while the run is not finished.
        epochs: the lines of its metrics, but for looks. view: its events, added up. ledger: None without events.
        began, ended: times of the first event and the last, seconds since 1970; None without events.
        looks: (circuits of training, accuracy) on the way, by the rows that were looked at; empty: not said which.
        damaged: lines of its events that could not be read. tested: what was found on the test part; None where that
            cannot be read, empty where there is none.
    """

    folder: RunFolder
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    epochs: list[dict[str, Any]]
    view: View = field(repr=False)
    ledger: Ledger | None
    began: float | None
    ended: float | None
    looks: Mapping[str, Points]
    damaged: int
    tested: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.path.resolve().name

    @property
    def request(self) -> Mapping[str, Any]:
        """What was asked for."""
        return _object(self.config, "request", self.folder.path / CONFIG)

    @property
    def resolved(self) -> Mapping[str, Any]:
        """What that came to; empty before the data were read."""
        return _object(self.config, "resolved", self.folder.path / CONFIG)

    @property
    def details(self) -> Mapping[str, Any]:
        """What the result keeps for summaries."""
        return _object(self.result, DETAILS, self.folder.path / RESULT)

    @property
    def remarks(self) -> list[str]:
        """What a reader has to know first: a sentence each."""
        found = []
        if not self.done:
            found.append(f"This run is not finished: {self._why()}. What there is of it is shown.")
        if self.ended is None:
            found.append(f"There is no {EVENTS} in it: steps and the ledger are not known.")
        if self.damaged:
            found.append(f"{self.damaged:,} lines of {EVENTS} could not be read, and are left out.")
        if self.tested is None:
            found.append(f"{TESTED} could not be read: there is no confusion matrix.")
        return found

    @property
    def program(self) -> str:
        """The name of the program whose training it is; empty for `q-store train`."""
        return str(self.config.get(PROGRAM, ""))

    @property
    def done(self) -> bool:
        """Whether it came to its end; the training of a program has no result even then."""
        return bool(self.result) or (bool(self.program) and self.view.status == "completed")

    @property
    def title(self) -> str:
        """In a line."""
        model = str(self.request.get("model", "a training"))
        if self.program:
            return f"{model}, by {self.program}"
        known = f"{model} on {data_title(str(self.request.get('data')))}"
        return str(self.details.get("title") or known)

    def _why(self) -> str:
        if held(self.folder.path):
            return "it is being trained"
        status, reason = self.view.status, self.view.reason
        said = STATUS.get(status, f"it {'has' if status == 'failed' else 'was'} {status}")
        for path in (self.folder.path.resolve(), self.folder.path):  # a page goes from hand to hand
            reason = reason.replace(str(path), self.name)
        return f"{said} ({reason})" if reason else said


def read(run: Path, store: Path | None = None) -> Reading:
    """The run in a folder, or of that id in the store.

    Raises RunError where there is none, or where its config, result or events are damaged or of another version.
    """
    folder = RunFolder.find(folder_of(run, store))
    config = folder.config
    result = folder.result if folder.finished else {}
    history = History(folder.path)
    entries, rows = history.read(), folder.metrics()
    looks = [row for row in rows if LOOK in row]
    view = View()
    try:
        for entry in entries:
            view.take(entry)
        times = ledger(entries) if entries else None
    except WRONG as error:
        raise RunError(
            f"{folder.path / EVENTS}: expected the events of a run, got some that do not go together ({error!r}); "
            "restore the file, or remove it: then curves come from the metrics"
        ) from error
    found = Reading(
        folder,
        config,
        result,
        [row for row in rows if LOOK not in row],
        view,
        times,
        entries[0].time if entries else None,
        entries[-1].time if entries else None,
        _looks(entries) or _by_circuits(looks or rows),
        history.damaged,
        _tested(folder.path / TESTED),
    )
    _ = found.request, found.resolved, found.details  # says so here where they are damaged
    return found


def distorted(folder: Path, error: Exception) -> RunError:
    """What to say where the result of a run raised one of `WRONG`."""
    return RunError(
        f"{folder / RESULT}: expected the figures of a run, got a file that lacks or distorts them ({error!r}); "
        "restore it, or train again"
    )


def _looks(entries: Iterable[Entry]) -> dict[str, Points]:
    """Those that a recipe told; one that goes on tells all of them again."""
    curves: dict[str, Curve] = {}
    for entry in entries:
        if entry.kind == RecipeStarted.__name__:
            curves = {}
        elif entry.kind == Looked.__name__:
            values = entry.values
            curve = curves.setdefault(str(values["on"]), Curve({"accuracy": "last"}))
            curve.add(float(values["circuits"]), [values["accuracy"]])
    return {on: points(curve) for on, curve in curves.items()}


def _by_circuits(rows: Iterable[Mapping[str, Any]]) -> dict[str, Points]:
    """From the metrics: every epoch of a training, or every look of a recipe, which earlier ones wrote as epochs."""
    curves: dict[str, Curve] = {}
    for row in rows:
        circuits, accuracy = row.get("circuits"), row.get("accuracy", row.get("validation_accuracy"))
        x, y = figure(circuits), figure(accuracy)
        if x is not None and y is not None:
            curves.setdefault(str(row.get("on", "")), Curve({"accuracy": "last"})).add(x, [y])
    return {on: points(curve) for on, curve in curves.items()}


def figure(value: Any) -> float | None:
    """A number that can be drawn; None for anything else."""
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def points(curve: Curve, name: str = "accuracy") -> Points:
    """Of a column."""
    k = curve.names.index(name) + 1
    return [(float(row[0] or 0), row[k]) for row in curve.rows]


def _tested(path: Path) -> Mapping[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) else None


def _object(within: Mapping[str, Any], name: str, where: Path) -> Mapping[str, Any]:
    value = within.get(name, {})
    if not isinstance(value, Mapping):
        raise RunError(
            f"{where}: expected {name!r} to be a JSON object, got {type(value).__name__}; restore the file or train "
            "again"
        )
    return value
