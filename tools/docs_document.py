"""The tables of docs/document.md, from benchmarks/results/document.json."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

TITLES = {
    "speed": "Speed",
    "time": "Time to an accuracy",
    "quality": "Accuracy and stability",
    "faults": "Failed circuits",
    "local": "Sizes, inference, memory, control",
    "adaptive": "Gates, shots, natural gradient",
    "projections": "Projections",
    "flags": "Every flag by itself, on the wire",
    "learning": "Every flag by itself, what is learned",
}
SEEDED = frozenset({"quality", "faults", "local", "flags", "learning"})
NONE = "–"
COUNTED = {"circuits": "circuits", "shots": "shots", "two_qubit_gates": "two-qubit gates", "gates": "gates"}


def document(results: Path) -> str:
    """A table for each part, in the order above."""
    path = results / "document.json"
    if not path.is_file():
        return "Not measured yet; `python benchmarks/document.py`."
    found = json.loads(path.read_text(encoding="utf-8"))
    parts = [_part(name, found[name]) for name in TITLES if name in found]
    missing = [f"`--part {name}`" for name in TITLES if name not in found]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)} of `python benchmarks/document.py`.")
    return "\n\n".join(parts)


def _part(name: str, part: dict[str, Any]) -> str:
    rows = ABLATIONS[name](part["raw"]) if name in ABLATIONS else _figures(part["rows"])
    rows.insert(1, ["---"] * len(rows[0]))
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = part["machine"]
    seeds = f"{part['seeds']} seed{'s' * (part['seeds'] > 1)}, " if name in SEEDED else ""
    return f"**{TITLES[name]}** ({seeds}{about['date'][:10]}, load average {about['load_average'][0]:.0f})\n\n{table}"


def _figures(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [["figure", "target", "measured", "ratio", "remark"], *map(_cells, rows)]


def _flags(raw: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Bases in absolute figures, all else as ratios to the last base above it."""
    names = {"seconds": "time, s", **COUNTED, "processor_seconds": "processor time, emulators included, s"}
    found, base = [["flag", *names.values()]], {}
    for flag, runs in raw.items():
        if "refused" in runs[0]:
            found.append(_refused(flag, len(found[0])))
            continue
        means = {name: mean(run[name] for run in runs) for name in names}
        if flag.startswith("without"):
            base = means
            found.append([f"{flag}, {runs[0]['steps']} steps", *(_number(each, "") for each in means.values())])
        else:
            found.append([f"`{flag}`", *(_ratio(means[name], base[name]) for name in names)])
    return found


def _learning(raw: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Accuracies, and ratios to the first row."""
    found = [["flag", "circuits", "shots", "training loss", "held-out %", "test % (by seed)", "test, ratio"]]
    base: dict[str, float] = {}
    for flag, runs in raw.items():
        if "refused" in runs[0]:
            found.append(_refused(flag, len(found[0])))
            continue
        means = {name: mean(run[name] for run in runs) for name in ("circuits", "shots", "loss", "validation", "test")}
        base = base or means
        tests = ", ".join(f"{100 * run['test']:.1f}" for run in runs)
        first = means is base
        counts = [
            _number(means[name], "") if first else _ratio(means[name], base[name]) for name in ("circuits", "shots")
        ]
        found.append(
            [
                f"{flag}, {runs[0]['steps']} steps" if first else f"`{flag}`",
                *counts,
                f"{means['loss']:.3f}",
                f"{100 * means['validation']:.1f}",
                f"{100 * means['test']:.1f} ({tests})",
                f"{means['test'] / base['test']:.2f}",
            ]
        )
    return found


def _refused(flag: str, width: int) -> list[str]:
    return [f"`{flag}`", "refused, with the reason", *[NONE] * (width - 2)]


ABLATIONS = {"flags": _flags, "learning": _learning}


def _ratio(value: float, base: float) -> str:
    return f"× {value / base:.3g}"


def _cells(row: dict[str, Any]) -> list[str]:
    target = NONE if row["target"] is None else f"{'≥' if row['least'] else '≤'} {_number(row['target'], row['unit'])}"
    ratio = NONE if row["ratio"] is None else f"{row['ratio']:.2f}{'' if row['ratio'] >= 1 else ', **missed**'}"
    return [row["what"], target, _number(row["measured"], row["unit"]), ratio, row["note"]]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return NONE
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{shown} {unit}".rstrip()
