"""Tables of adaptive training for the documents, from benchmarks/results/adaptive.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

Fits = list[dict[str, Any]]
_PROBLEMS = {"fashion": "Fashion-MNIST"}
_ANSATZE = {"ring": "CNOT ring", "so4": "SO(4)"}
_FIRST = {"depth": "fixed 4", "shots": "constant 1000", "spsa": "constant 1000"}
"""What the others are compared with."""
_SHARES = (0.75, 0.95)
"""Of the way that the loss of `_FIRST` goes: where steps, circuits and shots are counted."""
_WAYS = {
    "depth": "Exact gradients; circuits as by parameter shift, 1,000 shots each",
    "shots": "By parameter shift",
    "spsa": "By SPSA",
}


def adaptive_depth(results: Path) -> str:
    """Schedules of depth, and pruning."""
    found = _read(results)
    return _missing() if found is None else depth_table(found)


def adaptive_shots(results: Path) -> str:
    """Schedules of shots, by parameter shift."""
    found = _read(results)
    return _missing() if found is None else shots_table(found, "shots")


def adaptive_losses(results: Path) -> str:
    """Steps, circuits and shots to a loss, for schedules of depth and of shots."""
    found = _read(results)
    if found is None:
        return _missing()
    return "\n\n".join(loss_table(found, kind) for kind in ("depth", "shots", "spsa"))


def adaptive_spsa(results: Path) -> str:
    """Schedules of shots, by SPSA."""
    found = _read(results)
    return _missing() if found is None else shots_table(found, "spsa")


def depth_table(found: dict[str, Any]) -> str:
    """Validation by the trained circuit and by the whole one, and what the gradients cost by parameter shift."""
    heads = ["problem", "depth", "validation %", "loss", "% at full depth", "loss at full depth"]
    rows = []
    for (problem, ansatz), title in _sets(found, "depth").items():
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
    for (problem, ansatz), title in _sets(found, kind).items():
        every = _named(found, kind, problem, ansatz)
        for name, fits in every.items():
            each = sorted({shots for fit in fits for shots in fit["shots_each"]})
            values = ", ".join(map(str, each)) if len(each) < 4 else f"{each[0]} – {each[-1]}, {len(each)} values"
            cost = [_ratio(fits, every[_FIRST[kind]], "shots"), values]
            rows.append([title, name, _percent(fits, "trained"), _loss(fits, "trained"), *cost])
    heads = ["problem", "shots", "validation %", "loss", "shots in all", "shots of a step"]
    return _table(heads, rows) + f"\n\n{_about(found, kind)}"


def loss_table(found: dict[str, Any], kind: str) -> str:
    """Steps, circuits and shots to two losses, of the seeds that came there, and how many did."""
    rows, losses = [], []
    for (problem, ansatz), title in _sets(found, kind).items():
        every = _named(found, kind, problem, ansatz)
        targets = _targets(every[_FIRST[kind]])
        losses.append(f"{title}: {' and '.join(f'{target:.3f}' for target in targets)}")
        rows += [[title, name, *(each for t in targets for each in _reached(fits, t))] for name, fits in every.items()]
    heads = [head for share in _SHARES for head in (f"steps to {100 * share:.0f} %", "circuits", "shots")]
    table = _table(["problem", "depth" if kind == "depth" else "shots", *heads], rows)
    return f"{table}\n\n{_WAYS[kind]}. Losses, {_shares()} of the way of `{_FIRST[kind]}`: {'; '.join(losses)}."


def _shares() -> str:
    return " and ".join(f"{100 * share:.0f} %" for share in _SHARES)


def _sets(found: dict[str, Any], kind: str) -> dict[tuple[str, str], str]:
    """Titles of the problems and circuits, in the order of the file."""
    keys = dict.fromkeys((fit["problem"], fit["ansatz"]) for fit in found["fits"] if fit["kind"] == kind)
    ordered = sorted(keys, key=lambda key: (key[0] == "digits", key[1]))
    return {key: f"{_PROBLEMS.get(key[0], key[0])}, {_ANSATZE[key[1]]}" for key in ordered}


def _targets(fits: Fits) -> list[float]:
    """Losses at these shares of the way from the first look to the last one, mean of the seeds."""
    first, last = (mean(fit["curve"][k][3] for fit in fits) for k in (0, -1))
    return [round(first - share * (first - last), 3) for share in _SHARES]


def _reached(fits: Fits, target: float) -> list[str]:
    """At the first of two looks in a row at the loss or below, by the circuit that is trained: medians."""
    looks = [look for fit in fits if (look := _look(fit["curve"], target)) is not None]
    if not looks:
        return ["not reached", "", ""]
    there = "" if len(looks) == len(fits) else f" ({len(looks)} of {len(fits)})"
    steps, circuits, shots = (median(look[k] for look in looks) for k in range(3))
    millions = (shots or 1000 * circuits) / 1e6
    shown = f"{millions:,.0f} M" if millions >= 100 else f"{millions:.3g} M"
    return [f"{steps:,.0f}{there}", f"{circuits:,.0f}", shown]


def _look(curve: list[list[float]], target: float) -> list[float] | None:
    return next((one for one, two in pairwise(curve) if max(one[3], two[3]) <= target), None)


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
