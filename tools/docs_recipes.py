"""Tables of the recipes for the documents, from benchmarks/results/recipes.json."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

LOOKS = 2
"""In turn, for an accuracy to count."""


def recipes(results: Path) -> str:
    """Circuits to 70 %, accuracy by circuits, time."""
    path = results / "recipes.json"
    if not path.is_file():
        return "Not measured yet; `python benchmarks/recipes.py`."
    found = json.loads(path.read_text(encoding="utf-8"))
    parts = found["parts"]
    head = [
        "recipe",
        "circuits of training",
        "70 % reached after, by seed",
        "test %, mean (by seed)",
        "virtual time, s",
    ]
    lines = [head, ["---"] * len(head)]
    lines += [_row(name, rows) for name, rows in parts.items() if name != "control"]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    setting = found["setting"]
    about = (
        f"`python benchmarks/recipes.py`: Fashion-MNIST ({setting['data']}), 10 classes, model `{setting['model']}`, "
        f"{setting['shots']} shots, {setting['seconds_a_circuit']} s a circuit in virtual time; local computing "
        "is not in the times. Reached: at the second of two successive looks at exact values of "
        f"{setting['held_out_rows']:,} held-out images; "
        "of `stop-` recipes, at the bought images, as users have it. A recipe with a number buys so many circuits and "
        "looks once."
    )
    return "\n\n".join([table, *_control(parts), about])


def _row(name: str, rows: list[dict[str, Any]]) -> list[str]:
    tests = [100 * row["test"] for row in rows]
    after = [f"{row['reached_70']:,}" if row["reached_70"] else "–" for row in rows]
    if all(len(row["curve"]) < LOOKS for row in rows):
        after = ["one look"]
    return [
        f"`{name}`" + (f", {rows[0]['backends']} backends" if rows[0]["backends"] > 1 else ""),
        ", ".join(dict.fromkeys(f"{row['circuits']:,}" for row in rows)),
        ", ".join(after),
        f"{mean(tests):.1f} ({', '.join(f'{test:.1f}' for test in tests)})",
        ", ".join(f"{row['virtual_seconds']:,.0f}" for row in rows),
    ]


def _control(parts: dict[str, Any]) -> list[str]:
    if "control" not in parts:
        return []
    said = [
        f"{100 * row['test']:.1f} % ({row['kind']}, {row['parameters']} parameters, {row['rows']:,} images)"
        for row in parts["control"]
    ]
    return [f"Classical control on the same features, trained to convergence: {', '.join(said)}."]
