"""What a notebook shows of a model, see `drawing.card`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from q_store.circuits.draw import svg
from q_store.drawing.card import card
from q_store.models.saved import Fixed
from q_store.training import card as training

if TYPE_CHECKING:
    from q_store.models.model import Model

SHOWN = 12
"""Classes that are named."""


def html(model: Model) -> str:
    """The card of a model, trained or not yet."""
    circuit = model.trained.objective.circuit if model.is_trained else model.circuit
    kind = "as saved" if isinstance(model.features, Fixed) else type(model.features).__name__
    size = f"{circuit.n_qubits} qubits, {circuit.n_params} parameters, {circuit.two_qubit_gates} two-qubit gates"
    rows: list[tuple[str, object]] = [
        ("features", f"{kind}, {circuit.n_features} components"),
        ("circuit", size),
    ]
    drawn = svg(circuit)
    if not model.is_trained:
        return card(f"{model.name}: not trained", rows, circuit=drawn, soft="fit(x, y) trains it.")
    names = [str(each) for each in (model.class_names or model.classes)]
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    parameters = model.parameters
    rows += [
        (
            "parameters",
            f"{sum(parameters):,}: {parameters.circuit:,} in the circuit, {parameters.readout:,} in the readout",
        ),
        ("classes", ", ".join(names[:SHOWN]) + rest),
    ]
    if model.result is None:
        return card(model.name, rows, circuit=drawn)
    rows += [(name, value) for name, value in training.rows(model.result) if name != "parameters"]
    pictures, warnings = training.curves(model.result.history), training.warnings(model.result)
    return card(model.name, rows, pictures=pictures, circuit=drawn, warnings=warnings)
