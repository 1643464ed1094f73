"""Circuits in from Qiskit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op, op, pauliexp, rx, ry, rz
from q_store.circuits.interop.imported import Imported, require
from q_store.circuits.interop.qiskit_symbols import Symbols
from q_store.errors import CircuitError, GateError, QStoreError

# Qiskit's name -> ours, for gates of equal matrix.
_SAME = {name: name for name in ("x", "y", "z", "h", "s", "t", "swap", "rx", "ry", "rz", "p")} | {
    "sdg": "si",
    "tdg": "ti",
    "sx": "v",
    "sxdg": "vi",
    "u1": "p",
    "rxx": "xx",
    "ryy": "yy",
    "rzz": "zz",
}
_NOTHING = {"id", "delay", "barrier"}
_CONTROL_FLOW = {"if_else", "for_loop", "while_loop", "switch_case", "box", "break_loop", "continue_loop", "store"}


def from_qiskit(qc: Any, features: Any = (), parameters: Any = ()) -> Imported:
    """A `qiskit.QuantumCircuit` as a circuit, equal up to a global phase.

    Gates of the standard library map one to one; others (custom gates, unitaries, state preparations) go through their
    definition or Qiskit's own synthesis. Parameters become theta in Qiskit's order (by name, vectors by index, all
    elements of a vector), those listed in `features` become x. Angles must be linear in 1, theta_i, x_j and
    theta_i x_j. Left out: barriers, delays and measurements at the end (a `Job` says what to measure).

    Args:
        qc: the circuit; qubit k is qc.qubits[k].
        features: the parameters that are data, in the order of the columns: names, `Parameter`s or a `ParameterVector`.
        parameters: in the same way those that come first in theta; by default Qiskit's order holds.

    Returns:
        circuit, parameters (names in order of theta) and features (names in order of x).

    Raises:
        GateError: for what has no unitary: measurement before the end, reset, control flow.
        CircuitError: for an angle that is not linear, or an unknown feature.
        CapabilityError: without the extra `qiskit`.
    """
    require("qiskit", "qiskit")
    return read(qc, Symbols(qc.parameters, features, parameters))


def read(qc: Any, symbols: Symbols) -> Imported:
    """`from_qiskit` with the symbols already sorted."""
    if not qc.num_qubits:
        raise CircuitError("expected a circuit of 1 qubit or more, got one without qubits")
    reader = _Reader(symbols)
    for item in qc.data:
        reader.instruction(item.operation, [qc.find_bit(q).index for q in item.qubits], item.clbits)
    n_params, n_features = len(symbols.parameters), len(symbols.features)
    circuit = Circuit(qc.num_qubits, n_params, n_features, tuple(reader.ops))
    return Imported(circuit, symbols.parameters, symbols.features)


class _Reader:
    """Collects the operations of a circuit while it is walked."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.ops: list[Op] = []
        self.measured: set[int] = set()

    def instruction(self, gate: Any, qubits: Sequence[int], clbits: Sequence[Any] = ()) -> None:
        """One instruction on the circuit's own level."""
        name = _name(gate)
        if name in _NOTHING:
            return
        if self.measured & set(qubits):
            raise _refused(gate, "a qubit is used after its measurement", "measure at the end only")
        if name == "measure":
            self.measured |= set(qubits)
            return
        if clbits or name in _CONTROL_FLOW:
            raise _refused(gate, "it depends on classical bits", "write it with controlled gates")
        self.gate(gate, qubits, ())

    def gate(self, gate: Any, qubits: Sequence[int], controls: tuple[int, ...]) -> None:
        """A gate, controlled by further qubits; phases are exact, since a control makes them matter."""
        name = _name(gate)
        if name in _NOTHING:
            return
        if name == "reset":
            if controls or any(set(op.wires) & set(qubits) for op in self.ops):
                raise _refused(gate, "a qubit is reset after other gates", "use a fresh qubit")
            return
        control, base = _control(gate)
        if control is not None:
            own, targets = tuple(qubits[: control.num_ctrl_qubits]), qubits[control.num_ctrl_qubits :]
            # a control on 0 is one on 1 between two X
            flips = [Op("x", (q,)) for k, q in enumerate(own) if not control.ctrl_state >> k & 1]
            self.ops += flips
            self.gate(base, targets, (*controls, *own))
            self.ops += flips
            return
        ops = self._direct(gate, qubits, controls)
        if ops is None:
            self._definition(gate, qubits, controls)
        else:
            self.ops += ops

    def _direct(self, gate: Any, qubits: Sequence[int], controls: tuple[int, ...]) -> list[Op] | None:
        """The operations of a gate in the table, else None."""
        name = _name(gate)
        if name == "PauliEvolution":
            return [replace(_evolution(gate, qubits, self.symbols), controls=controls)]
        if name not in {*_SAME, *_PRODUCTS, "cu", "global_phase"}:
            return None
        angles = [self.symbols.angle(value) for value in gate.params]
        if name == "global_phase":
            return _phase(angles[0], controls)
        if name == "cu":
            inner = (*controls, qubits[0])
            return [*_phase(angles[3], inner), *(replace(op, controls=inner) for op in _u(angles[:3], qubits[1]))]
        if name in _SAME:
            return [Op(_SAME[name], tuple(qubits), tuple(angles), controls)]
        return [replace(op, controls=controls) for op in _PRODUCTS[name](angles, qubits[0])]

    def _definition(self, gate: Any, qubits: Sequence[int], controls: tuple[int, ...]) -> None:
        inner = _decomposed(gate)
        self.ops += _phase(self.symbols.angle(inner.global_phase), controls)
        for item in inner.data:
            if item.clbits:
                raise _refused(item.operation, f"it stands inside {gate.name!r}", "measure at the end only")
            self.gate(item.operation, [qubits[inner.find_bit(q).index] for q in item.qubits], controls)


def _name(gate: Any) -> str:
    """The name of a gate of Qiskit's own classes; empty for custom ones, which may share a name."""
    kind = getattr(gate, "base_class", type(gate))  # the class itself, also for a singleton
    own = kind.__module__.startswith("qiskit.circuit.") and kind.__name__ not in {
        "Gate",
        "Instruction",
        "ControlledGate",
    }
    return str(gate.name) if own else ""


def _control(gate: Any) -> tuple[Any, Any]:
    """(what holds num_ctrl_qubits and ctrl_state, the gate without these controls), or (None, gate)."""
    name = _name(gate)
    if name == "annotated":
        *inner, outer = gate.modifiers
        if hasattr(outer, "num_ctrl_qubits"):
            return outer, type(gate)(gate.base_op, inner) if inner else gate.base_op
    elif getattr(gate, "num_ctrl_qubits", 0) and name != "cu":
        # a cu has a phase of its own, which its base gate does not
        return gate, gate.base_gate
    return None, gate


def _u(angles: Sequence[Angle], qubit: int) -> list[Op]:
    """U(t, f, l) = P(f) RY(t) P(l)."""
    turn, left, right = angles
    return [op("p", qubit, angles=[right]), ry(turn, qubit), op("p", qubit, angles=[left])]


def _u2(angles: Sequence[Angle], qubit: int) -> list[Op]:
    return _u([Angle.of(np.pi / 2), *angles], qubit)


def _r(angles: Sequence[Angle], qubit: int) -> list[Op]:
    """R(t, f) = RZ(f) RX(t) RZ(-f)."""
    turn, axis = angles
    return [rz(-axis, qubit), rx(turn, qubit), rz(axis, qubit)]


_PRODUCTS = {"u": _u, "u3": _u, "u2": _u2, "r": _r}


def _phase(angle: Angle, controls: tuple[int, ...]) -> list[Op]:
    """e^{i angle} where all controls are 1; nothing without controls."""
    return [Op("p", controls[-1:], (angle,), controls[:-1])] if controls and angle.terms else []


def _evolution(gate: Any, qubits: Sequence[int], symbols: Symbols) -> Op:
    """A time evolution under commuting strings with real weights; others have no exact product."""
    from qiskit.quantum_info import SparsePauliOp

    operator = gate.operator
    if isinstance(operator, list):
        raise _refused(gate, "it is a product formula over several operators", "call decompose() on the circuit first")
    if not hasattr(operator, "to_list"):
        operator = SparsePauliOp.from_sparse_observable(operator)
    terms = [(label[::-1], complex(c)) for label, c in operator.to_list()]
    if any(abs(c.imag) > 1e-12 for _, c in terms):
        raise _refused(gate, "a coefficient is not real", "use a Hermitian operator")
    if len(SparsePauliOp([p for p, _ in terms]).group_commuting()) > 1:
        raise _refused(
            gate, "its terms do not commute", "choose a product formula: call decompose() on the circuit first"
        )
    return pauliexp([(p, c.real) for p, c in terms], symbols.angle(gate.time), *qubits)


def _decomposed(gate: Any) -> Any:
    """The gate as a circuit of simpler ones."""
    from qiskit import QuantumCircuit, transpile
    from qiskit.exceptions import QiskitError

    inner = getattr(gate, "definition", None)
    if inner is not None:
        return inner
    if type(gate).__name__ in {"Gate", "Instruction"}:
        raise _refused(gate, "it is opaque: it has no definition", "give it a definition or a matrix (UnitaryGate)")
    whole = QuantumCircuit(gate.num_qubits)
    whole.append(gate, range(gate.num_qubits))
    try:
        # the other qubits of the gate are not fresh ancillas
        return transpile(whole, basis_gates=["u", "cx"], optimization_level=0, qubits_initially_zero=False)
    except QiskitError as error:
        raise _refused(gate, str(error), "decompose it in Qiskit first") from None


def _refused(gate: Any, reason: str, remedy: str) -> QStoreError:
    return GateError(f"expected a unitary gate, got {gate.name!r}: {reason}; {remedy}")
