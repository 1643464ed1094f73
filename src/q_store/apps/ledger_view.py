"""`q-store show RUN --ledger`: where the time of a run went, and the money."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from q_store.apps.history import EVENTS, History
from q_store.apps.progress import plain
from q_store.apps.run_folder import RunFolder
from q_store.apps.shelf import folder_of
from q_store.apps.underway import underway
from q_store.errors import RunError
from q_store.ledger import SHARES, Ledger, Part, ledger

LEAST = 1e-4
"""Seconds that are worth a word."""
LONGEST = 5
"""Steps that are shown: those that took longest."""
REST = "rest: circuits wait for a member that pauses, for tries again, or the service says nothing; or the run is held"


def of_folder(folder: Path) -> Ledger:
    """The ledger of the run in a folder. Raises RunError where there is none, or where it has no events."""
    entries = History(RunFolder.find(folder).path).read()
    if not entries:
        raise RunError(
            f"expected {EVENTS} in {folder}, got a run without it: by an earlier q-store, or one that has just begun; "
            "train again, or wait a moment"
        )
    return ledger(entries)


def show(store: Path | None, name: str, *, as_json: bool) -> None:
    """Run `q-store show NAME --ledger`."""
    folder = folder_of(Path(name), store)
    with underway(f"reading {folder.name}"):
        found = of_folder(folder)
    console = Console(stderr=as_json)
    console.print(Text(f"{folder}: {found.run.wall:,.1f} s", style="bold"))
    table = _table("backend", [*found.backends, found.run])
    table.add_row("seconds", "", *(f"{found.run.seconds[name]:,.2f}" for name in SHARES))
    console.print(table)
    if found.stages:
        console.print()
        console.print(_table("stage", found.stages))
    steps = [step for step in found.steps if step.steps]
    if steps:
        longest = sorted(steps, key=lambda step: -step.wall / step.steps)[:LONGEST]
        count = sum(step.steps for step in steps)
        each = sum(step.wall for step in steps) / count
        plain(console, f"\n{count:,} steps, {each:,.4g} s each; those that took longest:")
        console.print(_table("step", longest))
    for line in job_lines(found):
        plain(console, line)
    plain(console, f"\n{REST}")
    if as_json:
        print(json.dumps(found.body(steps=True)), flush=True)  # noqa: T201


def short(found: Ledger) -> list[str]:
    """The ledger in a few lines: the shares of the wall time, largest first, and what each backend's jobs took."""
    wall = found.run.wall or 1.0
    shares = sorted(found.run.seconds.items(), key=lambda share: -share[1])
    parts = [f"{name} {seconds:,.1f} s ({100 * seconds / wall:.0f} %)" for name, seconds in shares if seconds]
    return [f"time {found.run.wall:,.1f} s: {', '.join(parts) or 'none'}", *job_lines(found)]


def job_lines(found: Ledger) -> list[str]:
    """A line for the jobs of each backend."""
    lines = []
    for each in found.jobs:
        mean = ", ".join(
            f"{name} {each.seconds[name] / each.jobs:,.3g} s" for name in SHARES if each.seconds[name] > LEAST
        )
        cost = f", {each.cost:,.2f} {each.currency}" if each.cost else ""
        failed = f" ({each.failed} in vain)" if each.failed else ""
        counts = f"{each.jobs:,} jobs{failed}, {each.circuits:,} circuits, {each.shots:,} shots{cost}"
        lines.append(f"{each.member}: {counts}; a job takes {mean}")
    return lines


def _table(title: str, parts: Sequence[Part]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, no_wrap=True)
    for name in ("seconds", *SHARES):
        table.add_column(name, justify="right", no_wrap=True)
    for part in parts:
        wall = part.wall or 1.0
        shares = (f"{100 * part.seconds[name] / wall:.0f} %" if part.seconds[name] else "-" for name in SHARES)
        table.add_row(Text(part.name), f"{part.wall:,.3f}", *shares)
    return table
