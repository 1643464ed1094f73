"""The end of a training run in words that somebody new to this can use, with the classical control always beside it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from q_store.apps.clock import STAGES
from q_store.apps.place import HERE
from q_store.apps.progress import plain
from q_store.models.metrics import wilson_interval

KINDS = {"logistic": "logistic regression", "mlp": "neural network"}
"""Kinds of control in words."""


def show(console: Console, result: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Print the figures of a finished run. `details` are those of `measure`."""
    console.print()
    console.print(Text(details["title"], style="bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    accuracy, remote = result["accuracy"], result["remote"]
    kept = f"{details['test_rows']:,} {details['unit']} kept for this"
    if remote is None:
        table.add_row("test accuracy", accuracy_line(accuracy["test"], result["test_interval"], kept))
    else:
        asked = f"{remote['test_rows']:,} of the {kept}, measured by {remote['place']}"
        table.add_row("test accuracy", accuracy_line(remote["test_accuracy"], remote["test_interval"], asked))
        simulated = f"{kept}, simulated exactly on this machine"
        table.add_row("the same, simulated", accuracy_line(accuracy["test"], result["test_interval"], simulated))
    recipe = result.get("recipe")
    if recipe is not None:
        table.add_row("recipe", recipe_line(recipe))
    table.add_row("classical control", control_line(result["classical_control"]))
    table.add_row("validation, training", f"{percent(accuracy['validation'])}, {percent(accuracy['train'])}")
    table.add_row("parameters", parameters_line(result["parameters"]))
    table.add_row("two-qubit gates", gates_line(result["two_qubit_gates"]))
    if remote is not None:
        trained = f"trained on {details['train_rows']:,} {details['unit']}"
        table.add_row("remote", f"{trained}; {remote_line(remote)}")
        for line in remote["proof"]:
            table.add_row("proof", line)
    table.add_row("time", time_line(result, details))
    console.print(table)
    console.print()
    for line in (verdict(result), details.get("honest", HERE.honest)):
        plain(console, line)
    console.print()
    _next(console, result)


def rows(result: Mapping[str, Any], details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same figures as plain text, names and what they are; without times, which a ledger says better."""
    remote, recipe, shares = result["remote"], result.get("recipe"), result["accuracy"]
    kept = f"{details['test_rows']:,} {details['unit']} kept for this"
    simulated = accuracy_line(shares["test"], result["test_interval"], kept).plain
    found = [("test accuracy", simulated)]
    if remote is not None:
        asked = f"{remote['test_rows']:,} of the {kept}, measured by {remote['place']}"
        measured = accuracy_line(remote["test_accuracy"], remote["test_interval"], asked).plain
        found = [("test accuracy", measured), ("the same, simulated here", simulated)]
    found.append(("classical control", _control_with_interval(result["classical_control"], details["test_rows"])))
    found.append(("validation, training", f"{percent(shares['validation'])}, {percent(shares['train'])}"))
    if recipe is not None:
        found.append(("recipe", recipe_line(recipe)))
    return [
        *found,
        ("parameters", parameters_line(result["parameters"])),
        ("two-qubit gates", gates_line(result["two_qubit_gates"])),
    ]


def _control_with_interval(control: Mapping[str, Any] | None, test_rows: int) -> str:
    """`control_line` with the Wilson interval of the same test rows."""
    line = control_line(control)
    if control is None:
        return line
    low, high = wilson_interval(round(control["test_accuracy"] * test_rows), test_rows)
    return line.replace("(", f"(95 % interval {100 * low:.1f} to {percent(high)}, ", 1)


def accuracy_line(share: float, interval: Sequence[float], rows: str) -> Text:
    """The accuracy, its 95 % interval, and on how many rows it was found."""
    low, high = interval
    return Text.assemble((percent(share), "bold"), f"  (95 % interval {100 * low:.1f} to {percent(high)}, {rows})")


def remote_line(remote: Mapping[str, Any]) -> str:
    """What ran there, and what it cost."""
    shots = "exact values" if remote["shots"] is None else f"{remote['shots']:,} shots each"
    rate = remote["circuits"] / remote["seconds"] if remote["seconds"] else 0.0
    charged = f"{remote['cost']:,.2f} charged" if remote["cost"] else "nothing charged"
    return f"{remote['circuits']:,} circuits ({shots}) in {remote['seconds']:.1f} s, {rate:,.0f} circuits/s; {charged}"


def recipe_line(recipe: Mapping[str, Any]) -> str:
    """Which, where, with how many circuits."""
    spent = recipe["circuits"]
    parts = ", ".join(f"{spent[name]:,} for {name}" for name in ("training", "validation", "test"))
    line = f"{recipe['name']}: {recipe['where']}; circuits: {parts}"
    if recipe["accuracy_asked"] is None:
        return line
    after = recipe["reached_after"]
    asked = percent(recipe["accuracy_asked"])
    return f"{line}; {asked} " + ("not reached" if after is None else f"reached after {after:,} circuits of training")


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
    line = f"{seconds['total']:.1f} s from the command to here: {stages}, {rest} {others:.1f}"
    if result["remote"] is not None:
        return line
    return (
        f"{line}; {100 * details['outside_share']:.0f} % of the training was spent outside the kernels; "
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
