"""Rows of the table of document.py, and those that come from the results of other benchmarks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

Found = tuple[list["Row"], dict[str, Any]]
POOL = "three backends, times as fast as one"
SIMPLER = "batch of 20 with half the layers, times as fast"
FEWER = "batch of 20 with half the shots, times as fast"
TARGET = 0.7
TIMED = {
    "v34": "v34, 1 backend",
    "spsa": "spsa, 1 backend",
    "time-regress": "regress, 3 backends",
    "time-calibrate": "calibrate, 3 backends",
}
"""Parts of recipes.json, and what they are."""
FIXED, CONSTANT, BASE = "fixed 4", "constant 1000", "spsa"


@dataclass(frozen=True)
class Row:
    """A figure of the document; `least`: more is better."""

    what: str
    target: float | None
    measured: float | None
    unit: str = ""
    least: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured over target, or the other way round: 1 or more reaches it."""
        if self.target is None or self.measured is None:
            return None
        over, under = (self.measured, self.target) if self.least else (self.target, self.measured)
        return over / under if under else None


def adaptive(results: Path) -> Found:
    """Gates, execution time, shots and natural gradients."""
    rows: list[Row] = []
    found = _read(results / "adaptive.json")
    if found is None:
        rows.append(Row("gates and shots", None, None, note="not measured yet: benchmarks/adaptive.py"))
    else:
        for ansatz in ("ring", "so4"):
            rows += _depth(found["fits"], ansatz)
        rows += _shots(found["fits"])
    return [*rows, *_natural(_read(results / "natural.json"))], {}


def _depth(fits: list[dict[str, Any]], ansatz: str) -> list[Row]:
    own = [fit for fit in fits if (fit["kind"], fit["problem"], fit["ansatz"]) == ("depth", "fashion", ansatz)]
    names = [name for name in ("exponential 4-2", "linear 4-2", "grow 2-4") if any(fit["name"] == name for fit in own)]
    base, rows = _mean(own, FIXED), []
    for name in names:
        each = _mean(own, name)
        start = _mean(own, "fixed 2") if name.startswith("grow") else base
        early = 100 * (1 - start["gates"] / start["circuits"] / (base["gates"] / base["circuits"]))
        gates = 100 * (1 - each["gates"] / base["gates"])
        circuits = 100 * (1 - each["circuits"] / base["circuits"])
        time = f"by parameter shift; {circuits:.0f} % where every circuit takes the same time, 0 % with SPSA"
        kept = 100 * each["whole"] / base["whole"]
        rows += [
            Row(f"fewer two-qubit gates early, {ansatz}, {name}", 50, early, "%"),
            Row(f"less execution time, by two-qubit gates, {ansatz}, {name}", 30, gates, "%", note=time),
            Row(f"accuracy at full depth, share of fixed depth, {ansatz}, {name}", 95, kept, "%"),
        ]
    return rows


def _mean(fits: list[dict[str, Any]], name: str) -> dict[str, float]:
    own = [fit for fit in fits if fit["name"] == name]
    return {
        "gates": mean(fit["two_qubit_gates"] for fit in own),
        "circuits": mean(fit["circuits"] for fit in own),
        "shots": mean(fit["shots"] for fit in own),
        "whole": mean(fit["whole"]["accuracy"] for fit in own),
    }


def _shots(fits: list[dict[str, Any]]) -> list[Row]:
    rows = []
    for kind, way in (("shots", "parameter shift"), ("spsa", "SPSA")):
        own = [fit for fit in fits if (fit["kind"], fit["problem"], fit["ansatz"]) == (kind, "fashion", "ring")]
        base = _mean(own, CONSTANT)
        for name in ("phase 500-2000", "variance .5, 100-2000"):
            each = _mean(own, name)
            saved = 100 * (1 - each["shots"] / base["shots"])
            note = (
                f"accuracy {100 * each['whole']:.1f} %, constant {100 * base['whole']:.1f} %; no time where a service "
                "takes as long for any number of shots"
            )
            rows.append(Row(f"fewer shots, {way}, {name}", 20, saved, "%", note=note))
    return rows


def _natural(found: dict[str, Any] | None) -> list[Row]:
    if found is None:
        return [Row("natural gradient against SPSA", 2, None, note="not measured yet: benchmarks/natural.py")]
    rows = []
    for problem, entry in found["problems"].items():
        ends = {name: _ends(method["runs"], entry["targets"][0]) for name, method in entry["methods"].items()}
        base = ends.get(BASE)
        for name in ("natural, diagonal", "natural, block", "natural, full"):
            if not base or not ends.get(name):
                why = "not measured" if name not in ends or base is None else "the loss was not reached in every run"
                rows.append(Row(f"{name}, {problem}: times fewer iterations than SPSA", 2, None, note=why))
                continue
            iterations, circuits = (mean(end[k] for end in base) / mean(end[k] for end in ends[name]) for k in (0, 1))
            note = f"{circuits:.2f} times as few circuits, which is what time goes by"
            rows.append(Row(f"{name}, {problem}: times fewer iterations than SPSA", 2, iterations, note=note))
    return rows


def _ends(runs: list[dict[str, Any]], target: float) -> list[tuple[int, int]]:
    """(steps, circuits) of the runs that reach a loss, at the first of two looks in a row; [] unless all do."""
    out = []
    for run in runs:
        looks = [(one[0], one[1]) for one, two in pairwise(run["curve"]) if max(one[3], two[3]) <= target]
        out += looks[:1]
    return out if len(out) == len(runs) else []


def to_accuracy(results: Path) -> Found:
    """Virtual time to 70 %: the recipes on three backends against `v34` on one. Test images were seen at the end."""
    parts = (_read(results / "recipes.json") or {"parts": {}})["parts"]
    rows: list[Row] = []
    base = parts.get("v34")
    for name, title in TIMED.items():
        if not parts.get(name):
            rows.append(Row(f"time to 70 %, {title}", None, None, note="not measured yet: benchmarks/recipes.py"))
            continue
        rows.append(Row(f"time to 70 %, {title}", None, _time(parts[name]), "s", note=_how(parts[name])))
        if base and name != "v34":
            note = _bound(base, parts[name])
            ratio = _time(base) / _time(parts[name])
            rows.append(Row(f"end to end, {title}: times as fast as v34", 2.0, ratio, "x", note=note))
    return rows, {}


def _time(runs: list[dict[str, Any]]) -> float:
    return mean(run["virtual_seconds"] for run in runs)


def _misses(runs: list[dict[str, Any]]) -> int:
    """Runs that did not get there."""
    once = all(len(run["curve"]) == 1 for run in runs)
    return sum(min(run["test"], run["validation"]) < TARGET if once else run["reached_70"] is None for run in runs)


def _bound(base: list[dict[str, Any]], runs: list[dict[str, Any]]) -> str:
    if _misses(runs):
        return "no bound: some of its runs did not get there"
    return f"{'at least, as v34 did not get there; ' if _misses(base) else ''}wanted here: 100"


def _how(runs: list[dict[str, Any]]) -> str:
    """Circuits, and how 70 % was seen: at two looks in turn, or, where all is bought at once, on two sets of images."""
    spent = f"{mean(run['circuits'] for run in runs):,.0f} circuits"
    worst = {part: 100 * min(run[part] for run in runs) for part in ("validation", "test")}
    once = all(len(run["curve"]) == 1 for run in runs)
    missed = _misses(runs)
    least = f"least of the seeds: {worst['validation']:.1f} % of held-out, {worst['test']:.1f} % of test images"
    seen = f"bought at once; {least}" if once else "two looks in turn"
    return f"{spent}; {seen}" + (f"; not reached in {missed} of {len(runs)}, so at least" if missed else "")


def projections(measured: dict[str, Any]) -> Found:
    """The document's four, in time at 1.7 s a circuit, and what they come to together, from the other parts."""
    rows = {row["what"]: row["measured"] for part in ("speed", "adaptive") for row in measured[part]["rows"]}
    pool, simpler, shots = rows[POOL], rows[SIMPLER], rows[FEWER]
    natural = [value for what, value in rows.items() if what.startswith("natural, ")]
    known = [value for value in natural if value is not None]
    gates = rows.get("less execution time, by two-qubit gates, so4, grow 2-4")
    by_gates = "" if gates is None else f"; {1 / (1 - gates / 100):.2f} were time that of two-qubit gates, by shifts"
    out = [
        Row("projection: three backends", 2.5, pool, "x"),
        Row("projection: simpler circuits", 1.3, simpler, "x", note=f"half the layers{by_gates}"),
        Row("projection: adaptive shots", 1.2, shots, "x", note="half the shots; the shots saved are above"),
        Row("projection: natural gradient", 1.5, None, "x", note=_natural_note(known)),
        Row("projection: together", 5, pool * simpler * shots, "x", note="the natural gradient left out"),
    ]
    return out, {}


def _natural_note(known: list[float]) -> str:
    if not known:
        return "not measured, or the loss was not reached"
    return f"iterations: {min(known):.2f} to {max(known):.2f}; circuits in the rows above"


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
