"""Medians, pairwise ratios and the Markdown tables of a result file.

python benchmarks/report.py benchmarks/results/full-1-thread.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from machine import share_of_peak
from workloads import Case

OURS = "q-store"
REQUIRED = {("W1", 1000): 10, ("W1", 10): 3, ("W2", 1000): 8, ("W2", 10): 3, ("W3", 10): 5, ("W4", 1): 5, ("W4", 10): 5}
REQUIRED_N = 6
"""What the project asks for at n = 6, one thread, against tensorcircuit-ng with jit and vmap."""


def ratios(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Median, smallest and largest of their time over ours, repetition by repetition."""
    pairs = [peer / own for own, peer in zip(ours, theirs, strict=True)]
    return median(pairs), min(pairs), max(pairs)


def milliseconds(seconds: float) -> str:
    """Three significant digits."""
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def _case(record: dict[str, Any]) -> Case:
    return Case(record["workload"], record["n"], record["batch"])


def _ours(record: dict[str, Any]) -> dict[str, Any] | None:
    return next((timed for timed in record["timed"] if timed["engine"] == OURS), None)


def line(record: dict[str, Any]) -> str:
    """Progress: one case in one line."""
    parts = [f"{t['engine']}/{t['formulation']} {milliseconds(median(t['seconds']))}" for t in record["timed"]]
    return f"{_case(record).label}: {', '.join(parts)} ms"


def _row(record: dict[str, Any], timed: dict[str, Any], threads: int) -> str:
    case, ours, middle = _case(record), _ours(record), median(timed["seconds"])
    cells = [case.label, timed["engine"], f"{timed['formulation']} ({timed['role']})", milliseconds(middle)]
    cells += [milliseconds(median(timed["cpu_seconds"])), f"{case.circuits / middle:,.0f}"]
    if ours is None or timed is ours:
        cells += ["", "", "", ""]
    else:
        centre, low, high = ratios(ours["seconds"], timed["seconds"])
        cpu, _, _ = ratios(ours["cpu_seconds"], timed["cpu_seconds"])
        cells += [f"{centre:.2f}", f"{low:.2f} - {high:.2f}", f"{cpu:.2f}"]
        cells.append(_verdict(case, timed, centre) if threads == 1 else "")
    return "| " + " | ".join(cells) + " |"


def _verdict(case: Case, timed: dict[str, Any], ratio: float) -> str:
    required = REQUIRED.get((case.workload, case.batch))
    if case.n != REQUIRED_N or timed["engine"] != "tensorcircuit" or required is None:
        return ""
    return f">= {required}: {'yes' if ratio >= required else 'NO'}"


def _main_table(result: dict[str, Any]) -> list[str]:
    rows = [
        "| case | engine | formulation | ms | CPU ms | circuits/s | peer / ours | min - max | by CPU | asked for |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for record in result["cases"]:
        rows += [_row(record, timed, result["threads"]) for timed in record["timed"]]
        case = _case(record)
        for timed in record["untimed"]:
            rough, call_s = f"{timed['formulation']} (not repeated)", timed["call_s"]
            cells = [
                case.label,
                timed["engine"],
                rough,
                "~" + milliseconds(call_s),
                "",
                f"~{case.circuits / call_s:,.0f}",
            ]
            rows.append("| " + " | ".join([*cells, "", "", "", ""]) + " |")
    return rows


def _peak_table(result: dict[str, Any]) -> list[str]:
    fma = median(peak["fma_gflops"] for peak in result["peaks"]) * result["threads"]
    rows = [
        "| case | q-store, ms | share of the measured peak | bound by counted operations, ms |",
        "|---|---|---|---|",
    ]
    for record in result["cases"]:
        ours = _ours(record)
        if ours is not None:
            middle = median(ours["seconds"])
            share = share_of_peak(_case(record), middle, fma)
            rows.append(
                f"| {_case(record).label} | {milliseconds(middle)} | {share:.1%} | {milliseconds(middle * share)} |"
            )
    return rows


def _compile_table(result: dict[str, Any]) -> list[str]:
    rows = ["| engine | what | seconds |", "|---|---|---|"]
    for state, times in result.get("compile_s", {}).items():
        text = ", ".join(f"{name} {seconds:.2f}" for name, seconds in times.items())
        rows.append(f"| q-store | {state} ({text}) | {sum(times.values()):.2f} |")
    for record in result["cases"]:
        rows += [
            f"| tensorcircuit | {_case(record).label} {timed['formulation']} | {timed['compile_s']:.2f} |"
            for timed in record["timed"]
            if timed["engine"] == "tensorcircuit"
        ]
    return rows


def markdown(result: dict[str, Any]) -> str:
    """The whole report."""
    about, versions = result["machine"], result["versions"]
    peaks = ", ".join(f"sgemm {p['sgemm_gflops']:.0f} and FMA {p['fma_gflops']:.0f} GFLOP/s" for p in result["peaks"])
    names = "; ".join(f"{name}: " + ", ".join(f"{k} {v}" for k, v in found.items()) for name, found in versions.items())
    head = [
        f"{about['cpu']}, {about['cores']} cores, AVX-512 {'yes' if about['avx512'] else 'no'}.",
        f"{result['threads']} thread(s), {about['date']}, load average at the start {about['load_average'][0]:.2f}.",
        f"Peaks of one core, before and after: {peaks}.",
        f"Versions: {names}.",
    ]
    sections = ["\n".join(head), "\n".join(_main_table(result))]
    if OURS in versions:
        sections.append("\n".join(_peak_table(result)))
    sections.append("First call of a shape (compilation):\n\n" + "\n".join(_compile_table(result)))
    return "\n\n".join(sections)


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
