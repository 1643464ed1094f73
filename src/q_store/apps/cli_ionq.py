"""The commands around IonQ: `q-store emulator`, `compile`, `estimate` and `backends`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from q_store.apps.options import BatchSize, Data, Epochs, Gateset, Json, KeyFile, Noise, Rows, Shots, Url


def emulator(  # noqa: PLR0917  # typer reads the options from the arguments
    port: Annotated[int, typer.Option(metavar="P", help="Port to listen at; 0 for any free one.")] = 8000,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen at.")] = "127.0.0.1",
    circuit_seconds: Annotated[
        float, typer.Option(metavar="S", help="Seconds that a circuit occupies its slot.")
    ] = 0.0,
    slots: Annotated[int, typer.Option(metavar="N", help="Circuits, or jobs, that run at the same time.")] = 1,
    slot_per: Annotated[
        str,
        typer.Option(
            metavar="circuit|job",
            help="Whether the circuits of a job spread over the slots, or share one and run in turn.",
        ),
    ] = "circuit",
    rtt: Annotated[float, typer.Option(metavar="S", help="Seconds by which every reply is late: a round trip.")] = 0.0,
    faults: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            help="What goes wrong and how often: NAME:RATE[:SECONDS],... such as 503:0.05,drop-after:0.02; all:0.1 for "
            "everything.",
            show_default="nothing",
        ),
    ] = "",
    depolarising: Annotated[
        float, typer.Option(metavar="P", help="Share of white noise in every distribution, on every target.")
    ] = 0.0,
    angle_error: Annotated[
        float, typer.Option(metavar="S", help="Standard deviation, in radians, of a fixed error of every angle.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Of samples, faults and angle errors.")] = 0,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="An API key to accept; may be given again.", show_default="any that is not empty"
        ),
    ] = None,
    time_scale: Annotated[
        float, typer.Option(metavar="F", help="Emulated seconds a real second: 10 runs ten times as fast.")
    ] = 1.0,
) -> None:
    """Serve an emulation of IonQ's API on this machine until Ctrl-C."""
    from q_store.apps.emulate import Options, serve

    options = Options(
        port, host, circuit_seconds, slots, slot_per, rtt, faults, depolarising, angle_error, seed, tuple(key or ()),
        time_scale,
    )  # fmt: skip
    serve(options)


Qasm = Annotated[Path, typer.Argument(metavar="FILE", help="A circuit in OpenQASM 2 or 3.", show_default=False)]


def compile_(
    file: Qasm,
    target: Annotated[
        str,
        typer.Option(metavar="ionq-aria|ionq-forte", help="The machine whose native gates to use.", show_default=False),
    ],
    measured: Annotated[
        bool,
        typer.Option(
            "--measured", metavar="", help="Leave out what measuring every qubit at the end cannot see: final phases."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Compile OpenQASM in FILE to native gates, check them by simulation, and print the input of an IonQ job."""
    from q_store.apps.compilation import show

    show(file, target, measured=measured, as_json=json)


def estimate(  # noqa: PLR0917  # typer reads the options from the arguments
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE",
            help="The training of a model from 'q-store models', or a circuit in an OpenQASM file, NAME.qasm.",
            show_default=False,
        ),
    ],
    backend: Annotated[
        str, typer.Option(metavar="ionq[:TARGET]", help="The service and its target, such as ionq:qpu.forte-1.")
    ] = "ionq",
    shots: Shots = None,
    circuits: Annotated[
        int | None,
        typer.Option(metavar="N", help="Circuits.", show_default="a file: 1; a model: as many as its training takes"),
    ] = None,
    rows: Rows = None,
    batch_size: BatchSize = None,
    epochs: Epochs = None,
    data: Data = None,
    gateset: Gateset = None,
    noise: Noise = None,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Say what a training or a circuit would cost on a target and how long it would take, without running it."""
    from q_store.apps.estimate import Options, show

    options = Options(what, backend, shots, circuits, rows, batch_size, epochs, data, gateset, noise, url, key_file)
    show(options, as_json=json)


def backends(url: Url = None, json: Json = False) -> None:
    """List what can run circuits: this machine, and what the service says of its targets."""
    from q_store.apps.reachable import show

    show(url, as_json=json)


def add_to(app: typer.Typer) -> None:
    """Make these functions commands of `app`."""
    for name, function in (
        ("backends", backends),
        ("compile", compile_),
        ("estimate", estimate),
        ("emulator", emulator),
    ):
        app.command(name)(function)
