"""Arguments and options of `train`, and those that several commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON object as the last line; all else goes to stderr.")
]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run, as 'q-store train' printed it.", show_default=False)
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="'bundled' (7,000 images of Fashion-MNIST, part of q-store), 'full' (all 70,000), or the PATH of "
        "your own .npz or .csv file.",
        show_default="bundled",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(metavar="N", help="Passes over the training rows.", show_default="the model's own number; remote: 2"),
]
Rows = Annotated[
    int | None,
    typer.Option(metavar="N", help="Train on so many rows, classes balanced.", show_default="all; remote: 100"),
]
BatchSize = Annotated[
    int | None,
    typer.Option(metavar="N", help="Rows a step.", show_default="the model's own number; remote: 10"),
]
Shots = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Measurements of every circuit of the training.",
        show_default="exact values; remote with noise, or a QPU: 1000",
    ),
]
Gateset = Annotated[
    str | None,
    typer.Option(
        metavar="qis|native",
        help="Gates that are sent: general ones, which the service compiles, or native ones, compiled here.",
        show_default="qis",
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Noise model of the simulator, such as aria-1.", show_default="ideal"),
]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The service, such as the address that 'q-store emulator' prints.",
        show_default="IONQ_API_URL, else IonQ's own",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file that holds the API key.", show_default="the key in IONQ_API_KEY"),
]
ModelName = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="A name from 'q-store models'; optional with --resume.", show_default=False),
]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", help="Decides the starting point and the order of the data.", show_default="0"),
]
Finish = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Iterations of L-BFGS on all rows after the epochs; needs exact values.",
        show_default="the model's own number; remote, or with shots: 0",
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How to train with few circuits: auto, exact, calibrate, regress, spsa, refine or v34.",
        show_default="parameter shift, every row",
    ),
]
Circuits = Annotated[
    int | None,
    typer.Option(metavar="N", help="Most circuits that a recipe trains with.", show_default="the recipe's own number"),
]
Accuracy = Annotated[
    float | None,
    typer.Option(
        metavar="P", help="Let a recipe stop at this accuracy, such as 0.7, seen twice.", show_default="all circuits"
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        metavar="local|ionq",
        help="What runs the circuits of the training: this machine, or an IonQ-compatible service.",
        show_default="local",
    ),
]
Target = Annotated[
    str | None, typer.Option(metavar="simulator|qpu.NAME", help="What of the service.", show_default="simulator")
]
Lost = Annotated[
    str | None,
    typer.Option(
        metavar="wait|buy",
        help="With --pool: where nobody knows whether a paid member ran its circuits, wait and never pay twice, or buy "
        "them elsewhere and perhaps pay twice.",
        show_default="as the pool's file says, else wait",
    ),
]
PoolPath = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Run the circuits on the pool that this TOML file describes.", show_default=False
    ),
]
StorePath = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The store that keeps what was bought.", show_default="runs/q-store.db"),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="CAPS", help="What the run may spend at most, such as 5USD,10000circuits,2hours.", show_default="no cap"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask before a target that costs money.")]
ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A TOML file with names of TrainingConfig, such as learning_rate; see docs/migration.md.",
        show_default=False,
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A name of TrainingConfig; goes before the environment (Q_STORE_NAME) and --config. May be repeated.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="The run folder to make; must not exist yet.", show_default="runs/MODEL-DATA-seedSEED"
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR|ID", help="Continue the run of this folder, or of this id, where it stopped.", show_default=False
    ),
]
NoControl = Annotated[
    bool, typer.Option("--no-control", metavar="", help="Skip the classical models that ours is compared with.")
]
ShotSchedule = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Shots from step to step: constant, phase, or variance (as the measured noise asks).",
        show_default="constant",
    ),
]
MinShots = Annotated[
    int | None, typer.Option(metavar="N", help="Least shots of a schedule.", show_default="half of --shots")
]
MaxShots = Annotated[
    int | None, typer.Option(metavar="N", help="Most shots of a schedule.", show_default="twice --shots")
]
DepthSchedule = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Layers from epoch to epoch: fixed, linear, exponential, step, or grow.",
        show_default="fixed",
    ),
]
MinDepth = Annotated[int | None, typer.Option(metavar="N", help="Least layers of a schedule.", show_default="2")]
MaxDepth = Annotated[
    int | None, typer.Option(metavar="N", help="Layers of the whole circuit.", show_default="all of the model's")
]
Prune = Annotated[
    float | None,
    typer.Option(
        metavar="F", help="Train without entanglers while the fidelity stays at F, such as 0.99.", show_default="all"
    ),
]
Optimise = Annotated[
    bool | None,
    typer.Option("--optimise", metavar="", help="Merge adjacent rotations and drop those by nearly 0."),
]
Dashboard = Annotated[
    bool, typer.Option("--dashboard", metavar="", help="Show the training in the browser; the link is printed.")
]
DashboardPort = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="N", help="With --dashboard: port of the page; 0 takes any free one.", show_default="8080"
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="TRACKER",
        help="Tell the run to tensorboard[:DIR], mlflow[:URI] or package.module:function; see docs/trackers.md. May be "
        "repeated.",
        show_default="Q_STORE_TRACK",
    ),
]
