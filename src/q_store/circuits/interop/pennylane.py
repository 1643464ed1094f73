"""Circuits out to PennyLane; the way in is `pennylane_reader`.

Qubit q is the wire labelled q. But PennyLane writes the first wire of a list as the MOST significant bit of a state
index, we write qubit 0 as the least: index 1 of wires [0, 1] is wire 1 there, qubit 0 here. Give a device the wires in
falling order, `qml.device("default.qubit", wires=range(n)[::-1])`, and `qml.state()` and
`qml.probs(wires=range(n)[::-1])` are in our order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.interop.elementary import op_factors
from q_store.circuits.interop.imported import require

# ours -> PennyLane's class, for gates of equal matrix
_NAMES = "PauliX x, PauliY y, PauliZ z, Hadamard h, S s, T t, SX v, SWAP swap, RX rx, RY ry, RZ rz, PhaseShift p"
_ISING = "IsingXX xx, IsingYY yy, IsingZZ zz"
SAME = {ours: theirs for theirs, ours in (pair.split() for pair in f"{_NAMES}, {_ISING}".split(", "))}
ADJOINT = {"si": "S", "ti": "T", "vi": "SX"}


def to_pennylane(circuit: Circuit) -> Callable[..., None]:
    """The circuit as a function (params[P], data[D]) that applies PennyLane operations, for use inside a QNode.

    Equal up to a global phase, qubit q on wire q (see the module for the order of bits). Parameters may be arrays of
    any library that PennyLane differentiates. A leading `prepare` becomes `StatePrep`, padded with zeros; native gates
    and `pauliexp` become `PauliRot`.

    Raises:
        CapabilityError: without the extra `pennylane`.
    """
    require("pennylane", "pennylane")

    def apply(params: Any = (), data: Any = ()) -> None:
        """Apply the circuit with params[P] and data[D]."""
        for op in circuit.ops:
            _apply(op, params, data)

    return apply


def _apply(op: Op, params: Any, data: Any) -> None:
    import pennylane as qml

    if op.gate == PREPARE:
        first, number = op.columns
        state = qml.math.stack(
            [data[first + k] if k < number else 0.0 * data[first] for k in range(2 ** len(op.qubits))]
        )
        qml.StatePrep(state, wires=op.qubits[::-1])
    elif op.gate in SAME:
        _emit(getattr(qml, SAME[op.gate]), [_number(a, params, data) for a in op.angles], op.qubits, op.controls)
    elif op.gate in ADJOINT:
        _emit(qml.adjoint(getattr(qml, ADJOINT[op.gate])), [], op.qubits, op.controls)
    else:
        for letters, angle in op_factors(op):
            _apply_rotation(letters, _number(angle, params, data), op)


def _apply_rotation(letters: str, angle: Any, op: Op) -> None:
    import pennylane as qml

    def pauli_rotation(value: Any, wires: Sequence[int]) -> Any:
        return qml.PauliRot(value, letters, wires=wires)

    if set(letters) == {"I"}:
        # exp(-i a/2) where all controls are 1
        if op.controls:
            _emit(qml.PhaseShift, [-0.5 * angle], op.controls[-1:], op.controls[:-1])
        return
    _emit(pauli_rotation, [angle], op.qubits, op.controls)


def _emit(make: Any, angles: Sequence[Any], wires: Sequence[int], controls: Sequence[int]) -> None:
    import pennylane as qml

    if controls:
        make = qml.ctrl(make, control=list(controls))
    make(*angles, wires=list(wires))


def _number(angle: Angle, params: Any, data: Any) -> Any:
    """The angle with values put in; sums and products only, so that PennyLane can differentiate it."""
    total: Any = 0.0
    for (i, j), coefficient in angle.terms:
        total = total + coefficient * (params[i] if i >= 0 else 1.0) * (data[j] if j >= 0 else 1.0)
    return total
