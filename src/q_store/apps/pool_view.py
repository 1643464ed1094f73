"""`q-store pool`: who of a pool can be reached, how fast it is, what is on its way, and what it has cost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from q_store.apps.members import Crew, crew
from q_store.apps.pool_file import read
from q_store.apps.record import DEFAULT
from q_store.apps.remote import Remote
from q_store.apps.shelf import Charged, opened, tickets
from q_store.apps.underway import underway
from q_store.errors import QStoreError
from q_store.store import Amounts, State, Store
from q_store.waiting import wait

PAUSE = 2.0
"""Seconds between two looks."""
ASKED = 15.0
"""Seconds between two questions to the services."""


def show(file: Path, store: Path | None, *, once: bool, as_json: bool) -> None:
    """Run the command, until Ctrl-C on a terminal."""
    entries = read(file).entries
    console = Console(stderr=as_json)
    with crew(entries) as found:
        with underway("asking the services"):
            status = _asked(found)
            rows = _rows(found, store, status)
        if once or as_json or not console.is_terminal:
            console.print(_table(rows))
            if as_json:
                print(json.dumps(rows), flush=True)  # noqa: T201
            return
        _watch(found, store, status, console)


def _watch(found: Crew, store: Path | None, status: dict[str, str], console: Console) -> None:
    asked = time.monotonic()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(_table(_rows(found, store, status)), refresh=True)
            time.sleep(PAUSE)
            if time.monotonic() - asked > ASKED:
                status, asked = _asked(found), time.monotonic()


def _asked(found: Crew) -> dict[str, str]:
    """How the services are, by member."""
    return {member.name: _health(found.services.get(member.name)) for member in found.members}


def _health(far: Remote | None) -> str:
    if far is None:
        return "available"
    try:
        said = wait(far.service.backend(far.settings.backend))
    except QStoreError as error:
        return f"no answer: {error}"
    status = str(said.get("status", "not said"))
    return f"{status}, degraded" if said.get("degraded") else status


def _rows(found: Crew, store: Path | None, status: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each member, as JSON."""
    chosen: list[Charged] = []
    if (store or DEFAULT).is_file():
        with opened(store) as shelf:
            chosen = [each for run in _going_on(shelf) for each in tickets(shelf, run)]
    rows = []
    for member in found.members:
        own = [each for each in chosen if each.ticket.backend == member.name]
        sent = [each.ticket for each in own if each.ticket.state in {State.INTENT, State.SENT}]
        rows.append(
            {
                "member": member.name,
                "account": member.charges,
                "noise_id": member.backend.capabilities.noise_id,
                "health": status[member.name],
                "rate": _rate(own),
                "in_flight": sum(ticket.circuits for ticket in sent),
                "jobs": len(sent),
                "uncertain": sum(each.ticket.state is State.UNCERTAIN for each in own),
                "bought_again": sum(each.ticket.circuits for each in own if each.ticket.bought_again),
                "cost": round(sum((each.charge or Amounts()).money for each in own), 9),
                "currency": member.price.currency,
            }
        )
    return rows


def _going_on(shelf: Store) -> list[str]:
    """The runs that are, else the latest one."""
    runs = shelf.runs.all()
    return [run.id for run in runs if run.status == "running"] or [run.id for run in runs[-1:]]


def _rate(own: list[Charged]) -> float | None:
    """Circuits a second, from the first that was sent to the last that was finished; None before that."""
    done = [each.ticket for each in own if each.ticket.state is State.DONE]
    ends = [max(ticket.times.values()) for ticket in done if ticket.times]
    if not ends:
        return None
    seconds = max(ends) - min(min(ticket.times.values()) for ticket in done if ticket.times)
    return round(sum(ticket.circuits for ticket in done) / seconds, 3) if seconds > 0 else None


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("member", "health", "circuits/s", "in flight", "jobs", "uncertain", "bought again", "cost"):
        table.add_column(title, justify="left" if title in {"member", "health"} else "right", overflow="fold")
    for row in rows:
        rate = "-" if row["rate"] is None else f"{row['rate']:,.3g}"
        cost = f"{row['cost']:,.2f} {row['currency']}" if row["cost"] else "-"
        counts = (str(row[name]) for name in ("in_flight", "jobs", "uncertain", "bought_again"))
        table.add_row(row["member"], row["health"], rate, *counts, cost)
    return table
