"""Circuits out to Qiskit; the way in is `qiskit_reader`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.gates import TURN
from q_store.circuits.interop.elementary import expand
from q_store.circuits.interop.imported import require
from q_store.circuits.interop.substitution import amplitudes, bound

# ours -> class of qiskit.circuit.library, for gates of equal matrix
_FIXED = {name: f"{name.upper()}Gate" for name in ("x", "y", "z", "h", "s", "t")} | {
    "si": "SdgGate",
    "ti": "TdgGate",
    "v": "SXGate",
    "vi": "SXdgGate",
    "swap": "SwapGate",
}
_ROTATIONS = {name: f"{name.upper()}Gate" for name in ("rx", "ry", "rz")} | {
    "xx": "RXXGate",
    "yy": "RYYGate",
    "zz": "RZZGate",
    "p": "PhaseGate",
}
_ONE_CONTROL = {"rx": "CRXGate", "ry": "CRYGate", "rz": "CRZGate", "p": "CPhaseGate"}


def to_qiskit(circuit: Circuit, params: npt.ArrayLike | None = None, data: npt.ArrayLike | None = None) -> Any:
    """The circuit as a `qiskit.QuantumCircuit`, equal up to a global phase.

    Native gates become `RGate`, `RXXGate` and `RZZGate`; `pauliexp` becomes `RXXGate` and the like or a CNOT ladder (2
    CNOT for an SO(4) pair); a leading `prepare` becomes `StatePreparation`. Rotations with several controls are
    decomposed (2^m CNOT for m controls).

    Args:
        circuit: the circuit.
        params: params[P], or None to keep the elements of a `ParameterVector` "theta" of length P.
        data: data[D], one row, or None to keep the elements of a `ParameterVector` "x" of length D.

    Raises:
        GateError: for a `prepare` without data; pass the row, or lower the circuit to gates first.
        ShapeError: for values of another shape.
        CapabilityError: without the extra `qiskit`.
    """
    require("qiskit", "qiskit")
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    numbers, x = bound(circuit, params, data)
    theta, features = ParameterVector("theta", circuit.n_params), ParameterVector("x", circuit.n_features)
    out = QuantumCircuit(circuit.n_qubits)
    prepare = numbers.prepare
    if prepare is not None:
        out.append(_state_preparation(prepare, circuit.n_qubits, x), range(circuit.n_qubits))
    for op in expand(numbers.ops[prepare is not None :], _is_known):
        instruction = _instruction(op, [_expression(a, theta, features) for a in op.angles])
        out.append(instruction, op.wires)
    return out


def _state_preparation(prepare: Op, n_qubits: int, x: npt.NDArray[np.float64] | None) -> Any:
    from qiskit.circuit.library import StatePreparation

    return StatePreparation(amplitudes(prepare, n_qubits, x))


def _is_known(op: Op) -> bool:
    if op.controls:
        return op.gate in {"x", "z"} or (len(op.controls) == 1 and op.gate in {*_ONE_CONTROL, *_FIXED})
    return op.gate in {*_FIXED, *_ROTATIONS, "gpi", "gpi2", "nzz"}


def _instruction(op: Op, angles: Sequence[Any]) -> Any:
    from qiskit.circuit import library

    if op.gate in _NATIVE:
        return _NATIVE[op.gate](library, angles[0])
    if op.controls and op.gate in _ONE_CONTROL:
        return getattr(library, _ONE_CONTROL[op.gate])(angles[0])
    gate = getattr(library, _FIXED.get(op.gate) or _ROTATIONS[op.gate])(*angles)
    return gate.control(len(op.controls), annotated=False) if op.controls else gate


# GPi(f) = R(pi, 2 pi f) up to phase, GPi2(f) = R(pi/2, 2 pi f): angles of native gates are turns
_NATIVE: dict[str, Callable[[Any, Any], Any]] = {
    "gpi": lambda library, angle: library.RGate(math.pi, TURN * angle),
    "gpi2": lambda library, angle: library.RGate(math.pi / 2, TURN * angle),
    "nzz": lambda library, angle: library.RZZGate(TURN * angle),
}


def _expression(angle: Angle, theta: Sequence[Any], x: Sequence[Any]) -> Any:
    """The angle over Qiskit's parameters; a float if it has none."""
    total: Any = 0.0
    for (i, j), coefficient in angle.terms:
        term: Any = coefficient
        if i >= 0:
            term = term * theta[i]
        if j >= 0:
            term = term * x[j]
        total = total + term
    return total
