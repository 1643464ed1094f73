"""The table of ways to a gradient for the documents, from benchmarks/results/natural.json."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

Look = list[float]
"""Steps, circuits, shots and loss at a look."""
_TITLES = {"ring": "classifier, cross-entropy", "ising": "Ising chain, share of the energy missing"}


def gradients(results: Path) -> str:
    """Steps, circuits and shots to two losses, for each problem and method."""
    path = results / "natural.json"
    if not path.is_file():
        return "Not measured yet; `python benchmarks/natural.py` does it."
    found = json.loads(path.read_text(encoding="utf-8"))
    return "\n\n".join([*(table(name, entry) for name, entry in found["problems"].items()), about(found)])


def table(name: str, entry: dict[str, Any]) -> str:
    """One problem."""
    heads = [_TITLES[name], "chosen: optimiser, rates", *(head for t in entry["targets"] for head in _heads(t))]
    rows = [
        [f"`{method}`", _chosen(each["options"]), *(cell for t in entry["targets"] for cell in _cells(each["runs"], t))]
        for method, each in entry["methods"].items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def about(found: dict[str, Any]) -> str:
    """What the tables are of."""
    seeds = [run["seed"] for run in next(iter(next(iter(found["problems"].values()))["methods"].values()))["runs"]]
    caps = ", ".join(f"{entry['cap']:,} ({name})" for name, entry in found["problems"].items())
    return (
        f"`python benchmarks/natural.py`, {found['shots']:,} shots a circuit, medians of the seeds "
        f"{', '.join(map(str, seeds))} that came there, and how many did where not all; at most {caps} circuits. "
        "Optimiser, learning rates (circuit, readout) and λ chosen for each on two other seeds."
    )


def reached(curve: list[Look], target: float) -> Look | None:
    """The first of two looks in a row at the target or below."""
    return next((first for first, second in pairwise(curve) if max(first[3], second[3]) <= target), None)


def _heads(target: float) -> list[str]:
    return [f"steps to {target:g}", "circuits", "shots"]


def _cells(runs: list[dict[str, Any]], target: float) -> list[str]:
    there = [look for run in runs if (look := reached(run["curve"], target)) is not None]
    if not there:
        return ["not reached", "", ""]
    missing = "" if len(there) == len(runs) else f" ({len(there)} of {len(runs)})"
    steps, circuits, shots = (median(look[k] for look in there) for k in range(3))
    return [f"{steps:,.0f}{missing}", f"{circuits:,.0f}", f"{shots / 1e6:.2g} M"]


def _chosen(options: dict[str, Any]) -> str:
    if options["optimiser"] == "rotosolve":
        rates = [options["readout_learning_rate"]]
    else:
        rates = [options["learning_rate"], options["readout_learning_rate"]]
    lift = options.get("metric_regularization")
    shown = " / ".join(f"{rate:g}" for rate in rates if rate is not None)
    return f"{options['optimiser']} {shown}{'' if lift is None else f', λ {lift:g}'}".strip()
