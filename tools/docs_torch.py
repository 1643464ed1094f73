"""The table of docs/torch.md, from benchmarks/results/torch.json."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

OURS = "q-store"


def torch_speed(results: Path) -> str:
    """A layer beside PennyLane's, as ratios of processor time."""
    path = results / "torch.json"
    if not path.is_file():
        return "Not measured yet; `python benchmarks/torch_layer.py --out benchmarks/results/torch.json`."
    found = json.loads(path.read_text(encoding="utf-8"))
    peers = [name for name in found["cases"][0]["engines"] if name != OURS]
    rows = [["qubits", "rows", "gradients of", "q-store, ms", *peers], ["---"] * (4 + len(peers))]
    for case in found["cases"]:
        ours = case["engines"][OURS]["cpu_seconds"]
        wanted = "parameters and inputs" if case["inputs"] else "parameters"
        ratios = [_ratio(ours, case["engines"][name]["cpu_seconds"]) for name in peers]
        rows.append([str(case["qubits"]), str(case["batch"]), wanted, f"{1e3 * median(ours):.2f}", *ratios])
    about, used = found["machine"], ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + (
        f"\n\n`python benchmarks/torch_layer.py`: processor time, median (smallest – largest) of {len(ours)} "
        f"repetitions measured in turn. {about['cpu']}, one core, {about['date']}, load average at the start "
        f"{about['load_average'][0]:.1f}. {used}."
    )


def _ratio(ours: list[float], theirs: list[float]) -> str:
    each = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    return f"{median(each):.0f} ({each[0]:.0f} – {each[-1]:.0f})"
