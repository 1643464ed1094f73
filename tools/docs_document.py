"""The tables of docs/document.md, from benchmarks/results/document.json and what other benchmarks wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

TITLES = {
    "speed": "Speed",
    "claims": "What v3.4 claimed, and time saved by flags",
    "time": "Time to an accuracy",
    "quality": "Accuracy and stability",
    "written": "As the document's configuration says",
    "before": "The earlier way",
    "faults": "Failed circuits",
    "local": "Sizes, inference, memory, control",
    "adaptive": "Gates and shots",
    "natural": "Natural gradient",
    "projections": "Projections",
    "flags": "Every flag by itself, on the wire",
    "learning": "Every flag by itself, what is learned",
}
FROM = {"claims": "flags", "written": "learning"}
"""Parts of the file that other rows are made of."""
OTHERS = {"time": "recipes.py", "adaptive": "adaptive.py", "natural": "natural.py", "projections": "the parts above"}
NONE = "–"
REFUSED = "refused, with the reason"
COUNTED = {"circuits": "circuits", "shots": "shots", "two_qubit_gates": "two-qubit gates", "gates": "gates"}
EARLIER = {"after_600": "held-out % after 600 circuits", "to_65": "circuits to 65 %", "to_70": "circuits to 70 %"}
Runs = list[dict[str, Any]]


def document(results: Path) -> str:
    """A table for each part, in the order above."""
    from document_rows import all_rows  # a benchmark; docs_figures.py puts their folder on the path

    path = results / "document.json"
    if not path.is_file():
        return "Not measured yet; `python benchmarks/document.py`."
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = all_rows(found, results)
    return "\n\n".join(_part(name, rows, found.get(FROM.get(name, name))) for name in TITLES)


def _part(name: str, rows: dict[str, Any], part: dict[str, Any] | None) -> str:
    if name in TABLES and part is None:
        return f"**{TITLES[name]}**\n\nNot measured yet: `python benchmarks/document.py --part {name}`."
    cells = TABLES[name](part["raw"]) if name in TABLES and part else [_HEAD, *map(_cells, rows[name])]
    cells.insert(1, ["---"] * len(cells[0]))
    table = "\n".join("| " + " | ".join(row) + " |" for row in cells)
    return f"**{TITLES[name]}** ({_about(name, part)})\n\n{table}"


def _about(name: str, part: dict[str, Any] | None) -> str:
    if name in OTHERS:
        return f"from {OTHERS[name]}"
    if part is None:
        return "not measured"
    seeds, machine = part["seeds"], part["machine"]
    said = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return f"{said}, {machine['date'][:10]}, load average {machine['load_average'][0]:.0f}"


# ------------------------------------------------------------------------------------------ target, measured and ratio

_HEAD = ["figure", "target", "measured", "ratio", "remark"]


def _cells(row: Any) -> list[str]:
    target = NONE if row.target is None else f"{'≥' if row.least else '≤'} {number(row.target, row.unit)}"
    ratio = NONE if row.ratio is None else f"{row.ratio:,.3g}" if abs(row.ratio) >= 100 else f"{row.ratio:.2f}"
    missed = ", **missed**" if row.reached is False else ""
    measured = "not measured" if row.measured is None else number(row.measured, row.unit)
    return [row.what, target, measured, ratio + missed, row.note]


def number(value: float, unit: str = "") -> str:
    """Three digits, all of those before the point."""
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{shown} {unit}".rstrip()


# ------------------------------------------------------------------------------------------------------------- ablation


def _flags(raw: dict[str, Runs]) -> list[list[str]]:
    """Bases in absolute figures, all else as ratios to the last base above it."""
    names = {"seconds": "time, s", **COUNTED, "processor_seconds": "processor time, emulators included, s"}
    found, base = [["flag", *names.values()]], {}
    for flag, runs in raw.items():
        if "refused" in runs[0]:
            found.append([f"`{flag}`", REFUSED, *[NONE] * (len(names) - 1)])
            continue
        means = {name: mean(run[name] for run in runs) for name in names}
        if flag.startswith("without"):
            base = means
            found.append([f"{flag}, {runs[0]['steps']} steps", *(number(each) for each in means.values())])
        else:
            found.append([f"`{flag}`", *(_ratio(means[name], base[name]) for name in names)])
    return found


def _learning(raw: dict[str, Runs]) -> list[list[str]]:
    """Accuracies, and ratios to the first row."""
    found = [["flag", "circuits", "shots", "training loss", "held-out %", "test % (by seed)", "test, ratio"]]
    base: dict[str, float] = {}
    for flag, runs in raw.items():
        if "refused" in runs[0]:
            found.append([f"`{flag}`", REFUSED, *[NONE] * 5])
            continue
        means = {name: mean(run[name] for run in runs) for name in ("circuits", "shots", "loss", "validation", "test")}
        base = base or means
        first = means is base
        counts = [number(means[name]) if first else _ratio(means[name], base[name]) for name in ("circuits", "shots")]
        found.append([
            f"{flag}, {runs[0]['steps']} steps" if first else f"`{flag}`", *counts, f"{means['loss']:.3f}",
            f"{100 * means['validation']:.1f}", _by_seed(runs, "test"), f"{means['test'] / base['test']:.2f}",
        ])  # fmt: skip
    return found


def _before(raw: dict[str, Runs]) -> list[list[str]]:
    """What the earlier way is, and its parts."""
    from document_rows import MEASURED_BEFORE

    found = [["way", *EARLIER.values(), "test % at the end (by seed)"]]
    found.append(["the earlier way, as measured then", *MEASURED_BEFORE.values(), NONE])
    for way, runs in raw.items():
        circuits = [", ".join(f"{run[key]:,}" if run[key] else NONE for run in runs) for key in ("to_65", "to_70")]
        found.append([way, _by_seed(runs, "after_600"), *circuits, _by_seed(runs, "test")])
    return found


def _by_seed(runs: Runs, key: str) -> str:
    values = [100 * run[key] for run in runs]
    return f"{mean(values):.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def _ratio(value: float, base: float) -> str:
    return f"× {value / base:.3g}"


TABLES: dict[str, Callable[[dict[str, Runs]], list[list[str]]]] = {
    "before": _before,
    "flags": _flags,
    "learning": _learning,
}
