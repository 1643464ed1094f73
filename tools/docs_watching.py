"""The table of docs/ledger.md, from benchmarks/results/watching.json."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any


def watching(results: Path) -> str:
    """What a step takes, and what watching it adds."""
    path = results / "watching.json"
    if not path.is_file():
        return "Not measured yet; `python benchmarks/watching.py --out benchmarks/results/watching.json`."
    found = json.loads(path.read_text(encoding="utf-8"))
    head = ["step", "ms", "nobody watches", "watched, by itself", "watched, whole steps"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, ways in found["cases"].items():
        jobs, hook = found["jobs_a_step"].get(name), found["hooks"]
        hidden = hook["a local job"] if jobs is None else jobs * hook["a remote job"]
        step = median(ways["nobody"])
        alone = f"{100 * hook['a watched step'] / step:.1f} %" if jobs is None else "–"
        more = _more(ways["nobody"], ways["watched"])
        rows.append([name, f"{1e3 * step:.3f}", f"{100 * hidden / step:.2f} %", alone, more])
    about, repeats = found["machine"], len(ways["bare"])
    said = (
        "`python benchmarks/watching.py`: processor time of a step, threads included; what is in the way where nobody "
        "listens, timed by itself, as a share of it; what writing the history and heeding the control add, timed by "
        "itself at 2,000 steps a second, and as the difference of whole steps, which a busy machine blurs: median "
        f"(smallest – largest) of {repeats} repetitions measured in turn. {about['cpu']}, one core, {about['date']}, "
        f"load average at the start {about['load_average'][0]:.1f}."
    )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\n{said}" + _page(found)


def _page(found: dict[str, Any]) -> str:
    """Whole trainings with the dashboard, where they are measured."""
    if "page" not in found:
        return ""
    about = found["page_machine"]
    rows = ["| training | seconds | beside a dashboard that is read |", "| --- | ---: | ---: |"]
    for name, ways in found["page"].items():
        rows.append(f"| {name} | {median(ways['as it is']):.2f} | {_more(ways['as it is'], ways['dashboard'])} |")
    said = (
        "`python benchmarks/watching.py --page`: wall time of whole trainings by `q-store train`, without and with "
        "`--dashboard`, whose stream is read to its end, in turn: median (smallest – largest) of "
        f"{len(ways['dashboard'])}. {about['cpu']}, {about['cores']} cores, {about['date']}, load average at the start "
        f"{about['load_average'][0]:.1f}."
    )
    return "\n\n" + "\n".join(rows) + f"\n\n{said}"


def _more(nobody: list[float], watched: list[float]) -> str:
    each = sorted(100 * (b / a - 1) for a, b in zip(nobody, watched, strict=True))
    return f"{median(each):+.1f} % ({each[0]:+.1f} – {each[-1]:+.1f})"
