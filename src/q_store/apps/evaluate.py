"""`q-store evaluate`: the trained model of a run on its test part, with exact values or as if measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from q_store.apps.progress import busy, plain
from q_store.apps.request import Request, stored
from q_store.apps.run_folder import CONFIG, MODEL, RunFolder
from q_store.errors import ConfigError, RunError

LARGEST_SHOTS = 10_000_000


def evaluate(run: Path, shots: int | None, *, as_json: bool) -> None:
    """Run the command. Raises ConfigError for shots out of range and RunError for a run that is not finished."""
    if shots is not None and not 1 <= shots <= LARGEST_SHOTS:
        raise ConfigError(f"expected --shots from 1 to {LARGEST_SHOTS:,}, got {shots}; leave it out for exact values")
    from q_store.apps.assemble import fetched

    console = Console(stderr=as_json)
    folder = RunFolder.find(run)
    request = stored(folder.config, str(run / CONFIG))
    require_model(folder)
    fetched(request.data)
    with busy(console, f"{request.title}: measuring"):
        figures, interval, rows = measured(folder, request, shots)
    how = "exact values" if shots is None else f"{shots:,} measurements of each of {figures['circuits']:,} circuits"
    low, high = (100 * bound for bound in interval)
    plain(
        console,
        f"test accuracy {100 * figures['test_accuracy']:.1f} % of {rows:,} rows "
        f"(95 % interval {low:.1f} to {high:.1f} %), "
        f"{how}, simulated on this machine",
    )
    if as_json:
        print(json.dumps(figures), flush=True)  # noqa: T201  # the one thing on stdout


def require_model(folder: RunFolder) -> None:
    """Raise RunError when the run has no trained model yet."""
    if not folder.model.is_file():
        raise RunError(
            f"expected a trained model ({MODEL}) in {folder.path}, got a run that is not finished; finish it with: "
            f"q-store train --resume {folder.path}"
        )


def measured(folder: RunFolder, request: Request, shots: int | None) -> tuple[dict[str, Any], tuple[float, float], int]:
    """The figures of `evaluate --json`, the 95 % interval of the accuracy, and the number of rows."""
    from q_store.apps.assemble import dataset, load_model
    from q_store.models.metrics import wilson_interval

    model = load_model(folder.model)
    data = dataset(request.data)
    if folder.config.get("resolved", {}).get("data_sha256") != data.digest:
        raise RunError(
            f"expected the data that {folder.path} was trained on, got other contents of {data.source}; restore them: "
            "its test part may hold rows that were trained on"
        )
    found = model.evaluate(data.test.x, data.test.y, shots=shots, seed=request.seed)
    figures = {
        "run": str(folder.path),
        "shots": shots,
        "backend": found.backend,
        "test_accuracy": found.accuracy,
        "circuits": found.circuits,
        "shots_total": found.shots_total,
    }
    return figures, wilson_interval(found.correct, found.rows), found.rows
