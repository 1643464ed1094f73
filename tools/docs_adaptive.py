"""Tables of adaptive training for the documents, from benchmarks/results/adaptive.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

Fits = list[dict[str, Any]]
_SETS = {
    ("fashion", "ring"): "Fashion-MNIST, CNOT ring",
    ("fashion", "so4"): "Fashion-MNIST, SO(4)",
    ("digits", "ring"): "digits, CNOT ring",
    ("digits", "so4"): "digits, SO(4)",
}
_FIRST = {"depth": "fixed 4", "shots": "constant 1000", "spsa": "constant 1000"}
"""What the others are compared with."""


def adaptive_depth(results: Path) -> str:
    """Schedules of depth, and pruning."""
    found = _read(results)
    return _missing() if found is None else depth_table(found)


def adaptive_shots(results: Path) -> str:
    """Schedules of shots, by parameter shift."""
    found = _read(results)
    return _missing() if found is None else shots_table(found, "shots")


def adaptive_spsa(results: Path) -> str:
    """Schedules of shots, by SPSA."""
    found = _read(results)
    return _missing() if found is None else shots_table(found, "spsa")


def depth_table(found: dict[str, Any]) -> str:
    """Validation by the trained circuit and by the whole one, and what the gradients cost by parameter shift."""
    heads = ["problem", "depth", "validation %", "loss", "% at full depth", "loss at full depth"]
    rows = []
    for (problem, ansatz), title in _SETS.items():
        for name, fits in _named(found, "depth", problem, ansatz).items():
            first = _named(found, "depth", problem, ansatz)[_FIRST["depth"]]
            same = all(fit["trained"] == fit["whole"] for fit in fits)
            whole = ["", ""] if same else [_percent(fits, "whole"), _loss(fits, "whole")]
            cost = [_ratio(fits, first, "circuits"), _ratio(fits, first, "two_qubit_gates")]
            rows.append([title, name, _percent(fits, "trained"), _loss(fits, "trained"), *whole, *cost])
    return _table([*heads, "circuits", "two-qubit gates run"], rows) + f"\n\n{_about(found, 'depth')}"


def shots_table(found: dict[str, Any], kind: str) -> str:
    """Exact validation at the end, and the shots that it took."""
    rows = []
    for (problem, ansatz), title in _SETS.items():
        every = _named(found, kind, problem, ansatz)
        for name, fits in every.items():
            each = sorted({shots for fit in fits for shots in fit["shots_each"]})
            values = ", ".join(map(str, each)) if len(each) < 4 else f"{each[0]} – {each[-1]}, {len(each)} values"
            cost = [_ratio(fits, every[_FIRST[kind]], "shots"), values]
            rows.append([title, name, _percent(fits, "trained"), _loss(fits, "trained"), *cost])
    heads = ["problem", "shots", "validation %", "loss", "shots in all", "shots of a step"]
    return _table(heads, rows) + f"\n\n{_about(found, kind)}"


def _named(found: dict[str, Any], kind: str, problem: str, ansatz: str) -> dict[str, Fits]:
    out: dict[str, Fits] = {}
    for fit in found["fits"]:
        if (fit["kind"], fit["problem"], fit["ansatz"]) == (kind, problem, ansatz):
            out.setdefault(fit["name"], []).append(fit)
    return out


def _percent(fits: Fits, key: str) -> str:
    return _spread([100 * fit[key]["accuracy"] for fit in fits], 1)


def _loss(fits: Fits, key: str) -> str:
    return _spread([fit[key]["loss"] for fit in fits], 3)


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{mean(values):.{digits}f} ± {stdev(values) if len(values) > 1 else 0:.{digits}f}"


def _ratio(fits: Fits, first: Fits, key: str) -> str:
    return f"{mean(fit[key] for fit in fits) / mean(fit[key] for fit in first):.2f}"


def _about(found: dict[str, Any], kind: str) -> str:
    fits = [fit for fit in found["fits"] if fit["kind"] == kind]
    seeds, steps = len({fit["seed"] for fit in fits}), sorted({fit["steps"] for fit in fits})
    return (
        f"`python benchmarks/adaptive.py`, mean ± standard deviation of {seeds} seeds, "
        f"{' or '.join(map(str, steps))} steps each; costs are relative to `{_FIRST[kind]}`."
    )


def _missing() -> str:
    return "Not measured yet; `python benchmarks/adaptive.py`."


def _read(results: Path) -> dict[str, Any] | None:
    path = results / "adaptive.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])
