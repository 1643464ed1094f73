"""The commands that show runs: `q-store dashboard`, `report` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from q_store.apps import options

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


NamedRun = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="The folder of a run, or its id in the store.", show_default=False),
]
Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN", help="Two runs or more: folders, or ids in the store.", show_default=False),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="The page.", show_default="report.html in the run folder"),
]
Pictures = Annotated[
    Path | None,
    typer.Option(
        "--charts", metavar="DIR", help="Where the SVG and PNG files go.", show_default="FILE-charts, beside FILE"
    ),
]
ComparedFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Also write a page.", show_default="none")
]


Others = Annotated[
    list[Path] | None,
    typer.Option(
        "--ablation",
        metavar="OTHER",
        help="A run that differs from RUN in an option, to be held against it; once for each.",
        show_default="those of the last report with some",
    ),
]


def report(
    run: NamedRun,
    out: ReportFile = None,
    charts: Pictures = None,
    ablation: Others = None,
    store: options.StorePath = None,
) -> None:
    """Write RUN down as one HTML page that stands alone, and its charts as SVG and PNG files."""
    from q_store.apps.report import report as start

    start(run, out, charts, store, ablation or ())


def compare(runs: Runs, out: ComparedFile = None, store: options.StorePath = None, json: options.Json = False) -> None:
    """Put runs side by side: accuracies with intervals, sizes, costs, and what sets them apart."""
    from q_store.apps.compare import compare as start

    start(runs, out, store, as_json=json)


Trackers = Annotated[
    list[str],
    typer.Option(
        "--to",
        metavar="TRACKER",
        help="tensorboard[:DIR], mlflow[:URI] or package.module:function; see docs/trackers.md. May be repeated.",
        show_default=False,
    ),
]


def track(run: NamedRun, to: Trackers, store: options.StorePath = None) -> None:
    """Tell a RUN that was, finished or not, to TensorBoard, MLflow or a function, with its own times."""
    from q_store.apps.tracking import track as start

    start(run, to, store)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(dashboard)
    app.command()(report)
    app.command()(compare)
    app.command()(track)
