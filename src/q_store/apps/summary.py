"""The end of a training run in words that somebody new to this can use, with the classical control always beside it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from q_store.apps.clock import STAGES
from q_store.apps.progress import plain

LOCAL = "Trained locally, on an exact simulation of the circuit, not on quantum hardware."

KINDS = {"logistic": "logistic regression", "mlp": "neural network"}
"""Kinds of control in words."""


def show(console: Console, result: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Print the figures of a finished run. `details` are those of `measure`."""
    console.print()
    console.print(Text(details["title"], style="bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    low, high = result["test_interval"]
    accuracy = result["accuracy"]
    kept = f"{details['test_rows']:,} {details['unit']} kept for this"
    interval = f"  (95 % interval {100 * low:.1f} to {percent(high)}, {kept})"
    table.add_row("test accuracy", Text.assemble((percent(accuracy["test"]), "bold"), interval))
    table.add_row("classical control", control_line(result["classical_control"]))
    table.add_row("validation, training", f"{percent(accuracy['validation'])}, {percent(accuracy['train'])}")
    table.add_row("parameters", parameters_line(result["parameters"]))
    table.add_row("two-qubit gates", gates_line(result["two_qubit_gates"]))
    table.add_row("time", time_line(result, details))
    console.print(table)
    console.print()
    for line in (verdict(result), LOCAL):
        plain(console, line)
    console.print()
    _next(console, result)


def percent(share: float) -> str:
    """`83.1 %`."""
    return f"{100 * share:.1f} %"


def control_line(control: Mapping[str, Any] | None) -> str:
    """What the control is and reaches."""
    if control is None:
        return "skipped (--no-control)"
    kind = KINDS.get(control["kind"], control["kind"])
    return (
        f"{percent(control['test_accuracy'])}  ({kind} with {control['parameters']:,} parameters, "
        "same features, trained to convergence)"
    )


def parameters_line(parameters: Mapping[str, int]) -> str:
    """How many, where, and what is not counted."""
    circuit, readout = parameters["circuit"], parameters["readout"]
    return (
        f"{circuit + readout:,}: {circuit:,} in the circuit, {readout:,} in the readout (unsupervised preprocessing "
        "(SVD) is not counted, alike for ours and for the control)"
    )


def gates_line(gates: Mapping[str, int]) -> str:
    """How many, and what for."""
    loading = f"{gates['preparation']:,} to load the data exactly" if gates["preparation"] else "none to load the data"
    return f"{gates['ansatz']:,} in the trained circuit, {loading}"


def time_line(result: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """Where the seconds went."""
    seconds = result["seconds"]
    stages = ", ".join(f"{name} {seconds[name]:.1f}" for name in STAGES)
    rest = "start-up and control" if result["classical_control"] else "start-up"
    others = seconds["total"] - sum(seconds[name] for name in STAGES)
    return (
        f"{seconds['total']:.1f} s from the command to here: {stages}, {rest} {others:.1f}; "
        f"{100 * details['outside_share']:.0f} % of the training was spent outside the kernels; "
        f"{result['samples_per_second']:,.0f} {details['unit']}/s"
    )


def verdict(result: Mapping[str, Any]) -> str:
    """How the run compares with its control, as far as one test part can tell."""
    control = result["classical_control"]
    if control is None:
        return "No control was trained, so nothing is said about classical models."
    low, high = result["test_interval"]
    classical = control["test_accuracy"]
    difference = 100 * (result["accuracy"]["test"] - classical)
    if classical > high:
        return f"The classical model of the same size is better, by {-difference:.1f} points."
    if classical < low:
        return (
            f"{difference:.1f} points above the classical control on this test part; a claim would need other seeds, "
            "a paired test and stronger controls."
        )
    return "Level with a good classical model of the same size: the difference is within the statistical error."


def _next(console: Console, result: Mapping[str, Any]) -> None:
    run = result["run"]
    other = "wide" if result["model"] != "wide" else "lean"
    note = {"wide": "four times the parameters", "lean": "no state to prepare: 24 two-qubit gates in all"}[other]
    plain(console, f"In {run}: the model, metrics, confusion.png, learning_curve.png. Next:")
    for command, purpose in (
        (f"q-store evaluate {shlex.quote(run)} --shots 1000", "the same test with 1,000 measurements a circuit"),
        (f"q-store train {other}", note),
    ):
        console.print(Text.assemble(f"  {command}", (f"   {purpose}", "dim")), soft_wrap=True)
