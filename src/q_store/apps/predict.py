"""`q-store predict`: the classes of the rows in a file, by the trained model of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from q_store.apps.evaluate import require_model
from q_store.apps.progress import plain
from q_store.apps.run_folder import RunFolder
from q_store.apps.underway import Tell, underway

PIECE = 4096
"""Rows that are predicted at a time."""


def predict(run: Path, file: Path, *, as_json: bool) -> None:
    """Run the command: one line a row, with label, name where it has another, and probability."""
    from q_store.apps.assemble import load_model
    from q_store.apps.inputs import read_rows

    folder = RunFolder.find(run)
    pixels = bool(folder.config.get("resolved", {}).get("pixels"))
    require_model(folder)
    model = load_model(folder.model)
    with underway(f"reading {file.name}"):
        rows = read_rows(file, model.trained.feature_map.n_features, pixels=pixels)
    with underway("predicting", "rows", len(rows)) as tell:
        shares = np.concatenate(list(_shares(model, rows, tell)))
    names = model.class_names or [str(label) for label in model.classes]
    found = [_prediction(row, share, model.classes, names) for row, share in enumerate(shares)]
    console = Console(stderr=as_json)
    for each in found:
        plain(console, f"{each['row']}  {_label(each)}  {100 * each['probability']:.1f} %")
    if as_json:
        print(json.dumps({"run": str(run), "file": str(file), "predictions": found}), flush=True)  # noqa: T201


def _shares(model: Any, rows: Any, tell: Tell) -> Iterator[Any]:
    """Class probabilities, piece by piece."""
    for first in range(0, len(rows), PIECE):
        yield model.predict_proba(rows[first : first + PIECE])
        tell(min(first + PIECE, len(rows)))


def _prediction(row: int, shares: Any, labels: Any, names: Any) -> dict[str, Any]:
    best = int(shares.argmax())
    return {"row": row, "label": labels[best].item(), "name": names[best], "probability": float(shares[best])}


def _label(found: dict[str, Any]) -> str:
    label, name = str(found["label"]), str(found["name"])
    return name if label == name else f"{label}  {name}"
