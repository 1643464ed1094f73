"""`q-store models`: what can be trained, how large it is, and what a quantum computer would have to do for it."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

NOTES = (
    "Parameters: circuit + readout, for ten classes; unsupervised preprocessing (SVD) is not counted. Two-qubit gates: "
    "of the trained circuit + to load the data exactly. Train one with: q-store train compact"
)


def rows() -> list[dict[str, Any]]:
    """One row a model, as `models --json` prints them."""
    from q_store.models import zoo

    return [
        {
            "name": name,
            "qubits": definition.circuit.n_qubits,
            "parameters": definition.parameters()._asdict(),
            "two_qubit_gates": definition.two_qubit_gates._asdict(),
            "summary": definition.summary,
        }
        for name in zoo.names()
        for definition in [zoo.definition(name)]
    ]


def show(*, as_json: bool) -> None:
    """Run the command."""
    found = rows()
    console = Console(stderr=as_json)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("model", "qubits", "parameters", "two-qubit gates"):
        table.add_column(title, no_wrap=True, justify="left" if title == "model" else "right")
    table.add_column("what it is", ratio=1)
    for row in found:
        parameters, gates = row["parameters"], row["two_qubit_gates"]
        table.add_row(
            row["name"],
            str(row["qubits"]),
            f"{parameters['circuit']} + {parameters['readout']}",
            f"{gates['ansatz']} + {gates['preparation']}",
            row["summary"],
        )
    console.print(table)
    console.print()
    console.print(NOTES, style="dim", highlight=False)
    if as_json:
        print(json.dumps(found), flush=True)  # noqa: T201  # the one thing on stdout
