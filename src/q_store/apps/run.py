"""A run of `q-store train` in Python: its figures, curves, ledger and model; a notebook shows it as a card.

run = q_store.open_run("runs/compact-bundled-seed0")
run.accuracy, run.interval, run.model.predict(x)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.apps import summary
from q_store.apps.ablation import asked, keep
from q_store.apps.pages import save, save_pictures
from q_store.apps.pictures import charts, circuit
from q_store.apps.reading import WRONG, Reading, distorted, read
from q_store.apps.report import built, places, so_far
from q_store.circuits.draw import svg
from q_store.drawing.card import card
from q_store.errors import QStoreError
from q_store.ledger import Ledger
from q_store.models.model import Model

SHOWN = ("accuracy", "loss", "validation", "circuits")
"""Charts of the card."""


def open_run(run: str | Path, store: str | Path | None = None) -> Run:
    """A run as it is now, finished or not; nothing in its folder is changed.

    Args:
        run: its folder, or its id in the store.
        store: where an id is looked up; None for `runs/q-store.db`.

    Raises:
        RunError: where there is none, or where its config, result or events are damaged or of another version.
    """
    reading = read(Path(run), None if store is None else Path(store))
    try:
        return Run(reading)
    except WRONG as error:
        raise distorted(reading.folder.path, error) from error


class Run:
    """A run, read once: `open_run` reads it anew.

    Attributes:
        path: its folder. name: that of the folder. finished: whether it came to its end.
        request: what was asked for.
        result: the figures of `train --json`; empty while it is not finished, and for the training of a program.
        accuracy: of the test part: as measured remotely where that was done, else simulated; None without a result.
        interval: its 95 % Wilson interval.
        control_accuracy: of the classical control on the same features and rows; None where there is none.
        remarks: what one has to know first, a sentence each.
        history: the lines of its metrics, one an epoch, or one for each look of a recipe.
        ledger: where its time went, see `q_store.ledger`; None without events.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.path, self.name, self.finished = reading.folder.path, reading.name, reading.done
        self.request = reading.request
        self.result: Mapping[str, Any] = {"remote": None, "recipe": None, **reading.result} if reading.result else {}
        self.accuracy, self.interval = _tested(reading.result)
        control = self.result.get("classical_control")
        self.control_accuracy = None if control is None else float(control["test_accuracy"])
        self.remarks, self.history = reading.remarks, reading.epochs
        self.ledger: Ledger | None = reading.ledger

    @property
    def steps(self) -> dict[str, npt.NDArray[np.float64]]:
        """Columns `step`, `loss`, `gradient_norm`, ..., NaN where nothing is known; long runs in at most 1,024 rows.

        Of a longer run neighbours are one row: their mean, or for what is set (the learning rate) the last one.
        """
        curve = self._reading.view.steps
        rows = np.array(curve.rows, np.float64).reshape(len(curve.rows), 1 + len(curve.names))
        return dict(zip(("step", *curve.names), rows.T, strict=True))

    @cached_property
    def model(self) -> Model:
        """The trained model. Raises RunError where it is not there, or damaged."""
        return Model.load(self._reading.folder.model)

    def report(
        self,
        out: str | Path | None = None,
        charts: str | Path | None = None,
        ablation: Sequence[str | Path] = (),
    ) -> Path:
        """Write the page and pictures of `q-store report`; where the page is.

        Args:
            out: the page; None for `report.html` in the folder of the run.
            charts: where the pictures go; None for a folder beside the page.
            ablation: runs that differ from this one in an option, to be held against it; kept for later reports.

        Raises:
            ConfigError: for a file that is no report. RunError, StorageError: see `q_store.apps.report`.
        """
        found = asked(self._reading, [Path(each) for each in ablation], None) if ablation else None
        page, pictures = built(self._reading, found)
        at, pictures_at = (None if each is None else Path(each) for each in (out, charts))
        file, folder = places(self._reading, at, pictures_at)
        save(file, page)
        save_pictures(folder, pictures)
        if found is not None:
            keep(self._reading, found)
        return file

    def __repr__(self) -> str:
        said = "finished" if self.finished else "not finished"
        share = self.accuracy
        return f"<Run {self.name}: {said}{'' if share is None else f', test accuracy {summary.percent(share)}'}>"

    def _repr_html_(self) -> str:
        found = self._reading
        title, details = found.title, found.details
        try:
            rows = [("run", self.name), *(summary.rows(self.result, details) if self.result else so_far(found))]
            drawn = charts(found)
            soft = f"{summary.verdict(self.result)} {details['honest']}" if self.result else ""
        except WRONG as error:
            said = f"Its result lacks or distorts the figures of a run: {error!r}"
            return card(title, [("run", self.name)], warnings=[said, *self.remarks])
        pictures = [drawn[name] for name in SHOWN if name in drawn]
        return card(title, rows, pictures=pictures, circuit=self._circuit(), warnings=self.remarks, soft=soft)

    def _circuit(self) -> str:
        if self._reading.program:
            return ""
        try:
            return svg(circuit(self._reading)[0])
        except QStoreError:
            return ""


def _tested(result: Mapping[str, Any]) -> tuple[float | None, tuple[float, float] | None]:
    """Accuracy and interval; as measured remotely where that was done."""
    if not result:
        return None, None
    remote = result.get("remote")
    share = result["accuracy"]["test"] if remote is None else remote["test_accuracy"]
    low, high = (result if remote is None else remote)["test_interval"]
    return float(share), (float(low), float(high))
