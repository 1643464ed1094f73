"""Tables of remote runs for the documents: the speed of the IonQ client, the pool and the store, from result files."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

TRIP = 0.4
_CALLS = {
    "open": "open and close",
    "look_up_1000": "look 1000 rows up",
    "buy_1000": "a slice of 1000 circuits, from the intent to the result",
    "commit": "one commit",
    "check": "`check` of everything",
}
_CAPS = {"circuit": "slots take circuits", "job": "slots take whole jobs"}


def ionq_speed(results: Path) -> str:
    """The client against the emulator in another process, in real time."""
    found = _read(results / "ionq-throughput.json")
    if found is None:
        return "Not measured yet; `python benchmarks/ionq_throughput.py --out benchmarks/results/ionq-throughput.json`."
    trips = found["trips"]
    seconds, used = trips["seconds"], trips["ms_a_circuit"]
    rows = [
        [
            f"{cap['circuits']:,} circuits of 0.2 s on 4 slots, {what}",
            f"{cap['seconds']:.1f} s of at best {cap['best']:.1f} s",
            f"{100 * cap['share']:.1f} % of the cap",
        ]
        for cap, what in ((found[f"cap_slot_per_{key}"], what) for key, what in _CAPS.items())
    ]
    rows.append(
        [
            f"gradient step of {trips['circuits']} circuits (`ring`), {TRIP} s a round trip, no execution time",
            f"{median(seconds):.2f} s ({min(seconds):.2f} – {max(seconds):.2f})",
            f"{median(seconds) / TRIP:.1f} round trips, the polling interval included",
        ]
    )
    rows.append(
        [
            "processor time of the client in that step",
            f"{median(used):.2f} ms a circuit ({min(used):.2f} – {max(used):.2f})",
            f"first step {trips['first_ms_a_circuit']:.2f} ms",
        ]
    )
    about = f"`python benchmarks/ionq_throughput.py`, {len(seconds)} repetitions, {_machine(found)}."
    return _table(["what", "measured", "that is"], rows) + f"\n\n{about}"


def pool_speed(results: Path) -> str:
    """The pool on emulators in virtual time, and its own processor time."""
    found = _read(results / "pool.json")
    if found is None:
        return "Not measured yet; `python benchmarks/pool.py --out benchmarks/results/pool.json`."
    rows = [[row["what"], f"{row['value']:.3g}", _bound(row), row["note"] or ""] for row in found["rows"]]
    about = f"`python benchmarks/pool.py`, {found['circuits']} circuits, {_machine(found)}."
    return _table(["what", "measured", "asked", "remark"], rows) + f"\n\n{about}"


def store_speed(results: Path) -> str:
    """A store of a million rows: its size, and the times of what is done with it."""
    whole = _read(results / "store.json")
    if whole is None:
        return "Not measured yet; `python benchmarks/store.py --out benchmarks/results/store.json`."
    found, limits = whole["found"], whole["limits"]
    rows = [["bytes a row", f"{found['bytes_per_row']:.0f}", "", "", f"≤ {limits['bytes_per_row']:g}"]]
    for name, what in _CALLS.items():
        times = [f"{1e3 * found[f'{name}_{kind}']:.3g} ms" for kind in ("s", "least_s", "cpu_s")]
        limit = limits.get(f"{name}_s")
        missed = limit is not None and found[f"{name}_s"] > limit
        rows.append([what, *times, f"≤ {1e3 * limit:g} ms{', **missed**' if missed else ''}" if limit else ""])
    about = f"`python benchmarks/store.py`, {found['rows']:,} rows of 6 qubits and 1000 shots, {_machine(whole)}."
    return _table(["what", "median", "least", "processor time", "asked"], rows) + f"\n\n{about}"


def _bound(row: dict[str, Any]) -> str:
    if row["limit"] is None:
        return ""
    return f"{'≥' if row['least'] else '≤'} {row['limit']:g}{'' if row['holds'] else ', **missed**'}"


def _machine(found: dict[str, Any]) -> str:
    return f"{found['machine']['processors']} processors, load average {found['load'][0]:.2f}"


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])
