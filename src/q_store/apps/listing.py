"""`q-store jobs`, `runs`, `show` and `export`: what the store has, in tables and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from q_store.apps.caps import line
from q_store.apps.progress import clock_time, plain
from q_store.apps.run_folder import RunFolder
from q_store.apps.shelf import SHOWN, Charged, advice, named, opened, tickets, uncertain, when
from q_store.apps.underway import underway
from q_store.errors import RunError
from q_store.store import Amounts, Run, Store


def show_jobs(store: Path | None, run: str | None, *, as_json: bool) -> None:
    """Run `q-store jobs`."""
    with opened(store) as shelf, underway("reading the store", "runs") as tell:
        found = tickets(shelf, run, tell)
    console = Console(stderr=as_json)
    rows = [each.row() for each in found]
    titles = ("id", "run", "job", "member", "circuits", "shots", "state", "created", "cost")
    console.print(_table(titles, [{**row, "id": row["id"][:SHOWN], "cost": _cost(row)} for row in rows]))
    if doubtful := uncertain(found):
        plain(console, f"{len(doubtful)} UNCERTAIN: q-store show {doubtful[0].fingerprint[:SHOWN]} says what to do.")
    if as_json:
        _say(rows)


def show_runs(store: Path | None, *, as_json: bool) -> None:
    """Run `q-store runs`."""
    rows = []
    with opened(store) as shelf, underway("reading the store", "runs") as tell:
        runs = shelf.runs.all()
        for k, run in enumerate(runs, 1):
            rows.append(_run(shelf, run))
            tell(k, len(runs))
    console = Console(stderr=as_json)
    titles = ("id", "name", "status", "started", "seconds", "jobs", "open", "spent", "folder")
    console.print(_table(titles, [{**row, "spent": _money(row["spent"])} for row in rows]))
    if as_json:
        _say(rows)


def show_one(store: Path | None, name: str, *, as_json: bool) -> None:
    """Run `q-store show`."""
    console = Console(stderr=as_json)
    with opened(store) as shelf, underway("reading the store"):
        found = named(shelf, name)
        if isinstance(found, Run):
            body, lines = _about_run(shelf, found)
        else:
            body, lines = {**found.row(), "times": dict(found.ticket.times), "owner": found.ticket.owner}, []
            lines = [advice(ticket) for ticket in uncertain([found])]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for key, value in body.items():
        grid.add_row(key, Text(_text(value)))
    console.print(grid)
    for each in lines:
        plain(console, each)
    if as_json:
        _say(body)


def export(store: Path | None, table: str, file: Path) -> None:
    """Run `q-store export`."""
    with opened(store) as shelf, underway(f"writing {file.name}", "rows") as tell:
        count = shelf.export(table, file, tell)
    plain(Console(), f"{count:,} rows of {table} in {file}")


def _run(shelf: Store, run: Run) -> dict[str, Any]:
    own = shelf.tickets.of_run(run.id)
    return {
        "id": run.id,
        "name": run.name,
        "status": _status(run),
        "started": when(run.started),
        "seconds": round(run.seconds, 1),
        "jobs": len(own),
        "open": sum(ticket.state.is_open for ticket in own),
        "spent": _totals(shelf, run.id, 0),
        "reserved": _totals(shelf, run.id, 1),
        "folder": run.config.get("folder"),
    }


def _totals(shelf: Store, run: str, which: int) -> dict[str, float]:
    return {currency: amounts[which].money for currency, amounts in shelf.budget.totals(run).items()}


def _status(run: Run) -> str:
    """What the store says; of a run whose process was killed that it was."""
    folder = Path(str(run.config.get("folder", "")))
    if run.status != "running" or not run.config.get("folder"):
        return run.status
    if not folder.is_dir():
        return "gone"
    held = RunFolder(folder)
    try:
        held.lock()
    except RunError:
        return "running"
    held.close()
    return "killed"


def _about_run(shelf: Store, run: Run) -> tuple[dict[str, Any], list[str]]:
    """All that is known of a run, and lines of advice."""
    found = tickets(shelf, run.id)
    states: dict[str, int] = {}
    for each in found:
        states[each.ticket.state.value] = states.get(each.ticket.state.value, 0) + 1
    accounts = dict.fromkeys(each.ticket.provider for each in found)
    caps = {s.scope: s for account in accounts or {"": None} for s in shelf.budget.standings(run.id, account)}
    checkpoints = shelf.runs.checkpoints(run.id)
    body = {
        **_run(shelf, run),
        "seed": run.seed,
        "states": states,
        "members": _by_member(found),
        "caps": {
            scope: {"cap": line(s.caps), "left": {n: s.left(n) for n in _LIMITS if s.left(n) is not None}}
            for scope, s in caps.items()
        },
        "checkpoint": checkpoints[-1].path if checkpoints else None,
        "config": run.config,
    }
    lines = [advice(ticket) for ticket in uncertain(found)[:1]]
    if body["status"] not in {"completed", "running"}:
        lines.append(f"Go on with: q-store resume {run.id}")
    return body, lines


_LIMITS = ("money", "shots", "circuits", "seconds")


def _by_member(found: Sequence[Charged]) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for each in found:
        charge = each.charge or Amounts()
        blank = {"jobs": 0, "circuits": 0, "shots": 0, "cost": 0.0, "bought_again": 0}
        own = out.setdefault(each.ticket.backend, blank)
        own["jobs"] += 1
        own["bought_again"] += each.ticket.circuits if each.ticket.bought_again else 0
        own["circuits"] += charge.circuits
        own["shots"] += charge.shots
        own["cost"] = round(own["cost"] + charge.money, 9)
    return out


def _cost(row: Mapping[str, Any]) -> str:
    if row["reserved"]:
        return f"({row['reserved']:,.2f} {row['currency']} reserved)"
    return f"{row['cost']:,.2f} {row['currency']}" if row["cost"] else "-"


def _money(spent: Mapping[str, float]) -> str:
    return ", ".join(f"{money:,.2f} {currency}" for currency, money in spent.items() if money) or "-"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.12g}"
    return (
        json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list)
        else "-"
        if value is None
        else str(value)
    )


def _brief(moment: str) -> str:
    """`11-22 13:44:07`, UTC."""
    return moment[5:19].replace("T", " ")


_FORMS: dict[str, Callable[[Any], str]] = {"seconds": clock_time, "started": _brief, "created": _brief}


def _table(titles: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    numbers = {"job", "jobs", "open", "circuits", "shots", "seconds", "cost", "spent"}
    wide = {"name", "folder"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(
            title, justify="right" if title in numbers else "left", no_wrap=title not in wide, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(_FORMS.get(title, _text)(row[title])) for title in titles))
    return table


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201
