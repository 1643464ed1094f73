"""The tables of docs/document.md, from benchmarks/results/document.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TITLES = {
    "speed": "Speed",
    "time": "Time to an accuracy",
    "quality": "Accuracy and stability",
    "faults": "Failed circuits",
    "local": "Sizes, inference, memory, control",
    "adaptive": "Gates, shots, natural gradient",
    "projections": "Projections",
}
SEEDED = frozenset({"time", "quality", "faults", "local"})
NONE = "–"


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
    rows = [["figure", "target", "measured", "ratio", "remark"], ["---"] * 5]
    rows += [_cells(row) for row in part["rows"]]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = part["machine"]
    seeds = f"{part['seeds']} seed{'s' * (part['seeds'] > 1)}, " if name in SEEDED else ""
    return f"**{TITLES[name]}** ({seeds}{about['date'][:10]}, load average {about['load_average'][0]:.0f})\n\n{table}"


def _cells(row: dict[str, Any]) -> list[str]:
    target = NONE if row["target"] is None else f"{'≥' if row['least'] else '≤'} {_number(row['target'], row['unit'])}"
    ratio = NONE if row["ratio"] is None else f"{row['ratio']:.2f}{'' if row['ratio'] >= 1 else ', **missed**'}"
    return [row["what"], target, _number(row["measured"], row["unit"]), ratio, row["note"]]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return NONE
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{shown} {unit}".rstrip()
