"""The commands around the store and pools: `q-store jobs`, `runs`, `show`, `cancel`, `resume`, `export` and `pool`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from q_store.apps.clock import Clock
from q_store.apps.options import Budget, Json, KeyFile, Lost, PoolPath, StorePath, Url, Yes

Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="Of a run or a job; its first characters are enough.", show_default=False),
]


def jobs(
    run: Annotated[str | None, typer.Option(metavar="ID", help="Those of one run.", show_default="all runs")] = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """List the jobs that were sent to services: state, circuits, cost."""
    from q_store.apps.listing import show_jobs

    show_jobs(store, run, as_json=json)


def runs(store: StorePath = None, json: Json = False) -> None:
    """List the runs of a store: status, jobs, what they spent."""
    from q_store.apps.listing import show_runs

    show_runs(store, as_json=json)


def show(
    name: Id,
    ledger: Annotated[
        bool, typer.Option("--ledger", metavar="", help="Where the time of a run went: ID, or its folder.")
    ] = False,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Say all that is known of the run or job ID, and what to do about it."""
    if ledger:
        from q_store.apps.ledger_view import show as show_ledger

        show_ledger(store, name, as_json=json)
        return
    from q_store.apps.listing import show_one

    show_one(store, name, as_json=json)


def cancel(
    name: Id,
    paid: Annotated[
        float | None,
        typer.Option(
            metavar="MONEY",
            help="Settle an UNCERTAIN job by hand: what the service charged for it, 0 where it never had it.",
            show_default=False,
        ),
    ] = None,
    pool: PoolPath = None,
    key_file: KeyFile = None,
    store: StorePath = None,
) -> None:
    """Cancel the job ID, or all jobs of the run ID, and write down what had finished before."""
    from q_store.apps.settling import cancel as start

    start(store, name, paid, pool, key_file)


def resume(  # noqa: PLR0917  # typer reads the options from the arguments
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The id of a run, or its folder.", show_default=False)],
    url: Url = None,
    key_file: KeyFile = None,
    pool: PoolPath = None,
    store: StorePath = None,
    budget: Budget = None,
    lost: Lost = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Go on with a training that was broken off; the same as train --resume."""
    from q_store.apps.train import Options
    from q_store.apps.train import train as start

    asked = Options(
        resume=run, url=url, key_file=key_file, pool=pool, store=store, budget=budget, lost=lost, yes=yes, json=json
    )
    raise typer.Exit(start(asked, context.obj or Clock()))


def export(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="runs, events, checkpoints, samples, journal, tickets or charges.",
            show_default=False,
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Ends in .csv or .parquet.", show_default=False)],
    store: StorePath = None,
) -> None:
    """Write a table of the store to a file for other programs."""
    from q_store.apps.listing import export as start

    start(store, table, file)


def pool(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The TOML file of the pool.", show_default=False)],
    store: StorePath = None,
    once: Annotated[bool, typer.Option("--once", metavar="", help="Look once instead of until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Watch the members of a pool: health, rate, what is on its way, cost."""
    from q_store.apps.pool_view import show as start

    start(file, store, once=once, as_json=json)


def add_to(app: typer.Typer) -> None:
    """Make these functions commands of `app`."""
    for function in (runs, jobs, show, cancel, resume, export, pool):
        app.command(function.__name__)(function)
