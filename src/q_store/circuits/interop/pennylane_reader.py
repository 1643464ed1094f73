"""Circuits in from PennyLane; `interop.pennylane` says how wires and qubits correspond."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle, theta, x
from q_store.circuits.circuit import Circuit, Op, rotation
from q_store.circuits.interop.imported import Imported, require
from q_store.circuits.interop.pennylane import ADJOINT, SAME
from q_store.errors import CircuitError, GateError, QStoreError

_BACK = {theirs: ours for ours, theirs in SAME.items()} | {"U1": "p"}
_BACK_ADJOINT = {theirs: ours for ours, theirs in ADJOINT.items()}
_REMEDY = "pass numbers for these parameters, or give the nonlinear part a symbol of its own"
_NOTHING = {"Identity", "Barrier", "WireCut", "Snapshot"}


def parameter_symbols(*shape: int) -> npt.NDArray[np.object_]:
    """theta_0, theta_1, ... in an array of this shape, to call a PennyLane function with."""
    return _symbols(theta, shape)


def feature_symbols(*shape: int) -> npt.NDArray[np.object_]:
    """x_0, x_1, ... in an array of this shape, to call a PennyLane function with."""
    return _symbols(x, shape)


def _symbols(symbol: Callable[[int], Angle], shape: tuple[int, ...]) -> npt.NDArray[np.object_]:
    flat = np.empty(int(np.prod(shape)), dtype=object)
    flat[:] = [symbol(k) for k in range(flat.size)]
    return flat.reshape(shape)


def from_pennylane(
    source: Any, *args: Any, trainable: bool = False, wires: Sequence[Any] | None = None, **kwargs: Any
) -> Imported:
    """The operations of a PennyLane tape, function or QNode as a circuit, equal up to a global phase.

    Symbols pass through a function: `from_pennylane(qnode, parameter_symbols(6), feature_symbols(4))` gives a circuit
    over six parameters and four features, if the angles are linear in 1, theta_i, x_j and theta_i x_j. Measurements at
    the end are left out.

    Args:
        source: a `QuantumScript`, or a callable or QNode that applies operations.
        args: arguments for a callable: numbers, or arrays of symbols.
        trainable: for a tape of numbers: whether its trainable gate parameters become theta, in their order, and their
            numbers `values`.
        wires: wire labels in order of our qubits; by default 0..n-1 if all are integers, else the order of the tape.
        kwargs: keyword arguments for a callable.

    Raises:
        GateError: for an operation without a unitary decomposition (mid-circuit measurement, channel).
        CircuitError: for an angle that is not linear, a batched one, or wires that do not fit.
        CapabilityError: without the extra `pennylane`.
    """
    require("pennylane", "pennylane")
    tape = source if hasattr(source, "operations") else _record(source, args, kwargs)
    values = None
    if trainable:
        tape, values = _symbolic(tape)
    order = _order(tape, wires)
    ops = [op for operation in tape.operations for op in _read(operation, order, ())]
    # symbols that no gate uses keep their place
    symbols = [a for value in (*args, *kwargs.values()) for a in _angles_in(value)]
    unused = [rotation("Z", a, 0) for a in symbols]
    sizes = Circuit.build(max(len(order), 1), [*ops, *unused])
    circuit = replace(sizes, ops=tuple(ops))
    names = tuple(f"theta[{i}]" for i in range(circuit.n_params))
    return Imported(circuit, names, tuple(f"x[{j}]" for j in range(circuit.n_features)), values)


def _record(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The tape of one call, without the transforms of a QNode."""
    import pennylane as qml

    try:
        with qml.queuing.AnnotatedQueue() as queue:
            getattr(function, "func", function)(*args, **kwargs)
    except TypeError as error:
        if "Angle" not in str(error):
            raise
        raise CircuitError(f"expected angles linear in 1, theta, x and theta*x, got: {error}; {_REMEDY}") from error
    return qml.tape.QuantumScript.from_queue(queue)


def _symbolic(tape: Any) -> tuple[Any, npt.NDArray[np.float64]]:
    """The tape with theta in place of its trainable gate parameters, and their numbers."""
    numbers = tape.get_parameters(trainable_only=False, operations_only=True)
    indices = [k for k in tape.trainable_params if k < len(numbers)]
    values = np.array([_angle(numbers[k]).constant for k in indices])
    return tape.bind_new_parameters([theta(i) for i in range(len(indices))], indices), values


def _angles_in(value: Any) -> Iterable[Angle]:
    if isinstance(value, Angle):
        return [value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [a for a in value.flat if isinstance(a, Angle)]
    return []


def _order(tape: Any, wires: Sequence[Any] | None) -> dict[Any, int]:
    """Wire label -> qubit."""
    labels = list(tape.wires)
    if wires is None:
        whole = all(isinstance(w, int) and w >= 0 for w in labels)
        wires = range(max(labels, default=-1) + 1) if whole else labels
    order = {label: q for q, label in enumerate(wires)}
    missing = [label for label in labels if label not in order]
    if missing:
        raise CircuitError(f"expected wires= to list every wire of the circuit, got none of {missing}")
    return order


def _read(operation: Any, order: Mapping[Any, int], controls: tuple[int, ...]) -> list[Op]:
    """One operation, controlled by further qubits; phases are exact, since a control makes them matter."""
    if operation.name in _NOTHING:
        return []
    if hasattr(operation, "control_values") and hasattr(operation, "base"):
        return _read_controlled(operation, order, controls)
    if operation.name == "GlobalPhase":
        # exp(-i phase) where all controls are 1
        phase = -_angle(operation.parameters[0])
        return [Op("p", controls[-1:], (phase,), controls[:-1])] if controls else []
    direct = _direct(operation, tuple(order[w] for w in operation.wires))
    if direct is not None:
        return [replace(direct, controls=controls)]
    return [op for part in _decomposition(operation) for op in _read(part, order, controls)]


def _direct(operation: Any, qubits: tuple[int, ...]) -> Op | None:
    """The operation if we have its like."""
    name = operation.name
    if name in _BACK:
        return Op(_BACK[name], qubits, tuple(map(_angle, operation.parameters)))
    if name in {"PauliRot", "MultiRZ"}:
        word = operation.hyperparameters["pauli_word"] if name == "PauliRot" else "Z" * len(qubits)
        return rotation(word, _angle(operation.parameters[0]), *qubits)
    if name.startswith("Adjoint(") and operation.base.name in _BACK_ADJOINT:
        return Op(_BACK_ADJOINT[operation.base.name], qubits)
    return None


def _read_controlled(operation: Any, order: Mapping[Any, int], controls: tuple[int, ...]) -> list[Op]:
    own = tuple(order[w] for w in operation.control_wires)
    flips = [Op("x", (q,)) for q, value in zip(own, operation.control_values, strict=True) if not value]
    return [*flips, *_read(operation.base, order, (*controls, *own)), *flips]


def _decomposition(operation: Any) -> Sequence[Any]:
    if not operation.has_decomposition:
        raise GateError(
            f"expected a unitary operation that PennyLane can decompose, got {operation.name!r}; "
            "leave out measurements and channels, or write the gate as a QubitUnitary"
        )
    try:
        return list(operation.decomposition())
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, QStoreError):
            raise
        raise CircuitError(
            f"expected a decomposition of {operation.name!r} linear in theta and x, got: {error}; {_REMEDY}"
        ) from error


def _angle(value: Any) -> Angle:
    if isinstance(value, Angle):
        return value
    single = np.asarray(value)
    if single.size != 1:
        raise CircuitError(
            f"expected one number for an angle, got shape {list(single.shape)}; batches go into a Job's data"
        )
    inner = single.reshape(-1)[0]
    return inner if isinstance(inner, Angle) else Angle.of(float(inner.real))
