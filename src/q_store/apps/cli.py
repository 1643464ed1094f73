"""The command line: `q-store train`, `evaluate`, `predict` and `models`.

The commands around IonQ are in `cli_ionq`, those around the store in `cli_store`, those that show runs in `cli_watch`.
Options are read here and nothing else; what is heavy is imported inside the commands, so that `q-store --help` and
`q-store models` answer at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from q_store import __version__
from q_store.apps import cli_ionq, cli_store, cli_watch, options
from q_store.apps.clock import Clock, process_age
from q_store.apps.guard import guard, heed_termination, settle

app = typer.Typer(
    name="q-store",
    help="Train variational quantum classifiers on images and tables: on an exact simulation on this machine, or on "
    "IonQ.",
    epilog="Start with: q-store train compact",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def train(  # noqa: PLR0917  # typer reads the options from the arguments
    context: typer.Context,
    model: options.ModelName = None,
    data: options.Data = None,
    epochs: options.Epochs = None,
    seed: options.Seed = None,
    rows: options.Rows = None,
    batch_size: options.BatchSize = None,
    shots: options.Shots = None,
    finish: options.Finish = None,
    recipe: options.Recipe = None,
    circuits: options.Circuits = None,
    accuracy: options.Accuracy = None,
    shot_schedule: options.ShotSchedule = None,
    min_shots: options.MinShots = None,
    max_shots: options.MaxShots = None,
    depth_schedule: options.DepthSchedule = None,
    min_depth: options.MinDepth = None,
    max_depth: options.MaxDepth = None,
    prune: options.Prune = None,
    optimise: options.Optimise = None,
    backend: options.Backend = None,
    target: options.Target = None,
    gateset: options.Gateset = None,
    noise: options.Noise = None,
    url: options.Url = None,
    key_file: options.KeyFile = None,
    pool: options.PoolPath = None,
    store: options.StorePath = None,
    budget: options.Budget = None,
    lost: options.Lost = None,
    config: options.ConfigPath = None,
    words: options.Words = None,
    yes: options.Yes = False,
    out: options.Out = None,
    resume: options.Resume = None,
    json: options.Json = False,
    no_control: options.NoControl = False,
    dashboard: options.Dashboard = False,
    port: options.DashboardPort = None,
    track: options.Track = None,
) -> None:
    """Train MODEL, measure it on the test part, and put it beside classical models of the same size."""
    given = {name: value for name, value in locals().items() if name not in {"context", "no_control"}}
    from q_store.apps import train as training

    lists = {"words": tuple(words or ()), "track": tuple(track or ())}
    asked = training.Options(**{**given, **lists, "control": not no_control})
    raise typer.Exit(training.train(asked, context.obj or Clock()))


@app.command()
def evaluate(
    run: options.Run,
    shots: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Measurements of every circuit, as on a quantum computer.", show_default="exact values"
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure the trained model of RUN on the test part, with exact values or with a number of shots."""
    from q_store.apps.evaluate import evaluate as start

    start(run, shots, as_json=json)


@app.command()
def predict(
    run: options.Run,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows of features: .npy, .npz or .csv; or one image: .png.", show_default=False
        ),
    ],
    json: options.Json = False,
) -> None:
    """Classify the rows of FILE with the trained model of RUN: one line a row, label and probability."""
    from q_store.apps.predict import predict as start

    start(run, file, as_json=json)


@app.command()
def models(json: options.Json = False) -> None:
    """List the models: size, cost in two-qubit gates, and what they are."""
    from q_store.apps.catalogue import show

    show(as_json=json)


cli_ionq.add_to(app)
cli_store.add_to(app)
cli_watch.add_to(app)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"q-store {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    del version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with `arguments` (None: those of the process) and return the exit code."""
    clock = Clock(process_age() if arguments is None else 0.0)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a class name that the terminal cannot show is no reason to stop
    if arguments is None:
        heed_termination()
        settle()
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    return guard(lambda: command.main(given, prog_name="q-store", standalone_mode=False, obj=clock))
