"""The commands that show runs: `q-store dashboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", help="The folder of a run.", show_default="the latest below runs"),
]
Port = Annotated[int, typer.Option(metavar="N", help="Port of the page; 0 takes any free one.")]
Host = Annotated[
    str,
    typer.Option(metavar="ADDRESS", help="Address of this machine to listen at; others can come in by 0.0.0.0."),
]


def dashboard(run: Folder = None, port: Port = 8080, host: Host = "127.0.0.1") -> None:
    """Show RUN in the browser, live or as it was: curves, backends, time, cost; pause and stop it there."""
    from q_store.apps.dashboard.serve import dashboard as start

    start(run, host, port)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(dashboard)
