"""Circuits and observables as plain JSON values, and back; what the model file and the store keep.

    circuit     {"n_qubits", "n_params", "n_features", "ops": [operation, ...]}
    operation   {"gate", "qubits"} and, where they are not empty, "angles", "controls", "paulis", "columns"
    angle       [[i, j, c], ...]: the sum of c theta_i x_j, -1 for "none"
    paulis      [[letters, c], ...]
    observable  {"sum": [[c, letters, qubits], ...]} or {"marginal": qubits}

Numbers go through JSON unchanged (shortest decimal that gives the same float64), so a circuit keeps its digest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.observables import Marginal, Observable, Observables, PauliSum
from q_store.circuits.pauli import Pauli
from q_store.errors import CircuitError

Json = dict[str, Any]
T = TypeVar("T")


def circuit_to_json(circuit: Circuit) -> Json:
    """The circuit as a dict of JSON values."""
    return {
        "n_qubits": circuit.n_qubits,
        "n_params": circuit.n_params,
        "n_features": circuit.n_features,
        "ops": [_op_to_json(op) for op in circuit.ops],
    }


def circuit_from_json(value: Any) -> Circuit:
    """The circuit that `circuit_to_json` took apart.

    Raises:
        CircuitError: where the value is no such dict, naming the operation; GateError for a gate that is unknown.
    """

    def build() -> Circuit:
        _keys(value, {"n_qubits", "n_params", "n_features", "ops"})
        ops = tuple(_read(f"operation {k}", _op_from_json, op) for k, op in enumerate(value["ops"]))
        return Circuit(_whole(value["n_qubits"]), _whole(value["n_params"]), _whole(value["n_features"]), ops)

    return _guarded("a circuit", build)


def observables_to_json(observables: Observables) -> list[Json]:
    """The list as JSON values, in order."""
    return [_observable_to_json(item) for item in observables.items]


def observables_from_json(value: Any) -> Observables:
    """The observables that `observables_to_json` took apart; CircuitError where the value is no such list."""

    def build() -> Observables:
        return Observables(tuple(_read(f"observable {k}", _observable_from_json, item) for k, item in enumerate(value)))

    return _guarded("observables", build)


def _op_to_json(op: Op) -> Json:
    out: Json = {"gate": op.gate, "qubits": list(op.qubits)}
    if op.angles:
        out["angles"] = [[[i, j, c] for (i, j), c in angle.terms] for angle in op.angles]
    if op.controls:
        out["controls"] = list(op.controls)
    if op.paulis:
        out["paulis"] = [[letters, c] for letters, c in op.paulis]
    if op.columns != (0, 0):
        out["columns"] = list(op.columns)
    return out


def _op_from_json(value: Any) -> Op:
    _keys(value, {"gate", "qubits"}, {"angles", "controls", "paulis", "columns"})
    first, number = value.get("columns", (0, 0))
    return Op(
        gate=_text(value["gate"]),
        qubits=_wholes(value["qubits"]),
        angles=tuple(_angle(terms) for terms in value.get("angles", ())),
        controls=_wholes(value.get("controls", ())),
        paulis=tuple((_text(letters), _real(c)) for letters, c in value.get("paulis", ())),
        columns=(_whole(first), _whole(number)),
    )


def _angle(terms: Any) -> Angle:
    return Angle.collect(((_whole(i), _whole(j)), _real(c)) for i, j, c in terms)


def _observable_to_json(item: Observable) -> Json:
    if isinstance(item, Marginal):
        return {"marginal": list(item.qubits)}
    return {"sum": [[c, pauli.letters(pauli.qubits), list(pauli.qubits)] for c, pauli in item.terms]}


def _observable_from_json(value: Any) -> Observable:
    if "marginal" in value:
        _keys(value, {"marginal"})
        return Marginal(_wholes(value["marginal"]))
    _keys(value, {"sum"})
    return PauliSum(tuple((_real(c), Pauli.of(_text(letters), _wholes(qubits))) for c, letters, qubits in value["sum"]))


def _guarded(what: str, build: Callable[[], T]) -> T:
    try:
        return build()
    except CircuitError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        msg = f"expected {what} as q_store writes it, got: {error}; the file is damaged or was edited"
        raise CircuitError(msg) from error


def _read(where: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except CircuitError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{where}: {error}"
        raise ValueError(msg) from error


def _keys(value: Any, needed: set[str], optional: set[str] | None = None) -> None:
    keys = set(value) if isinstance(value, Mapping) else None
    if keys is None or not needed <= keys <= needed | (optional or set()):
        got = type(value).__name__ if keys is None else sorted(keys)
        msg = f"a dict with the keys {sorted(needed)} was expected, not {got}"
        raise ValueError(msg)


def _whole(value: Any) -> int:
    if type(value) is not int:
        msg = f"a whole number was expected, not {value!r}"
        raise ValueError(msg)
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        msg = f"a finite number was expected, not {value!r}"
        raise ValueError(msg)
    return float(value)


def _wholes(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(_whole(value) for value in values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"text was expected, not {value!r}"
        raise ValueError(msg)  # noqa: TRY004  # one kind of error for everything that is damaged
    return value
