"""The command line: `q-store train`, `evaluate`, `predict` and `models`; those around IonQ are in `cli_ionq`.

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
from q_store.apps import cli_ionq
from q_store.apps.clock import Clock, process_age
from q_store.apps.guard import guard, heed_termination, settle
from q_store.apps.options import BatchSize, Data, Epochs, Gateset, Json, KeyFile, Noise, Rows, Run, Shots, Url

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
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="A name from 'q-store models'; optional with --resume.", show_default=False
        ),
    ] = None,
    data: Data = None,
    epochs: Epochs = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Decides the starting point and the order of the data.", show_default="0"),
    ] = None,
    rows: Rows = None,
    batch_size: BatchSize = None,
    shots: Shots = None,
    finish: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Iterations of L-BFGS on all rows after the epochs; needs exact values.",
            show_default="the model's own number; remote, or with shots: 0",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="local|ionq",
            help="What runs the circuits of the training: this machine, or an IonQ-compatible service.",
            show_default="local",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="simulator|qpu.NAME", help="What of the service.", show_default="simulator"),
    ] = None,
    gateset: Gateset = None,
    noise: Noise = None,
    url: Url = None,
    key_file: KeyFile = None,
    yes: Annotated[
        bool, typer.Option("--yes", metavar="", help="Do not ask before a target that costs money.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The run folder to make; must not exist yet.", show_default="runs/MODEL-DATA-seedSEED"
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Continue the run in this folder where it stopped.", show_default=False),
    ] = None,
    json: Json = False,
    no_control: Annotated[
        bool, typer.Option("--no-control", metavar="", help="Skip the classical models that ours is compared with.")
    ] = False,
) -> None:
    """Train MODEL, measure it on the test part, and put it beside classical models of the same size."""
    from q_store.apps.train import Options
    from q_store.apps.train import train as start

    options = Options(
        model, data, epochs, seed, rows, batch_size, shots, finish, backend, target, gateset, noise, url, key_file, yes,
        out, resume, json, control=not no_control,
    )  # fmt: skip
    raise typer.Exit(start(options, context.obj or Clock()))


@app.command()
def evaluate(
    run: Run,
    shots: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Measurements of every circuit, as on a quantum computer.", show_default="exact values"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure the trained model of RUN on the test part, with exact values or with a number of shots."""
    from q_store.apps.evaluate import evaluate as start

    start(run, shots, as_json=json)


@app.command()
def predict(
    run: Run,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Rows of features: .npy, .npz or .csv; or one image: .png.", show_default=False
        ),
    ],
    json: Json = False,
) -> None:
    """Classify the rows of FILE with the trained model of RUN: one line a row, label and probability."""
    from q_store.apps.predict import predict as start

    start(run, file, as_json=json)


@app.command()
def models(json: Json = False) -> None:
    """List the models: size, cost in two-qubit gates, and what they are."""
    from q_store.apps.catalogue import show

    show(as_json=json)


cli_ionq.add_to(app)


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
