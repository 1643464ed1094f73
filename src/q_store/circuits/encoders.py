"""Encoders: data rows as states, and amplitude preparation as gates.

`amplitude` begins with `prepare`, which exact backends load as it is. `lower` replaces it by RY and CNOT whose angles
are
features: they are computed once per data set, and the circuit stays one structure for all rows.

Lowering        CNOT         state
exact           2^n - 2      the amplitudes, signs included (Möttönen et al., Quantum Inf. Comput. 5, 467)
mps, bond 2     2 n - 3      a matrix-product state close to them; `fidelity` says how close, row by row
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle, x
from q_store.circuits.circuit import Circuit, Op, op, prepare
from q_store.circuits.preparation import Gates, mps, mps_gates, tree_gates
from q_store.errors import CircuitError, DataError, ShapeError, suggestion

Reals = npt.NDArray[np.float64]
METHODS: dict[str, Callable[[Reals, int], Gates]] = {"exact": tree_gates, "mps": mps_gates}
AXES = ("rx", "ry", "rz")


def amplitude(n_qubits: int, number: int | None = None) -> Circuit:
    """|x> = sum_j x_j |j>: data columns 0..number-1 (unit norm; 2^n if None, else padded with zeros) as amplitudes.

    Raises:
        CircuitError: for more than 2^n columns or none.
    """
    op_ = prepare(n_qubits, 0, number)
    return Circuit(n_qubits, 0, op_.columns[1], (op_,))


def angle(n_qubits: int, rotation: str | Sequence[str] = "ry", scale: float = 1.0) -> Circuit:
    """R(scale x_j): feature q on qubit q; with k rotations ('rx', 'ry', 'rz') feature r n + q for rotation r, D = k n.

    Raises:
        CircuitError: for an unknown rotation.
    """
    names = (rotation,) if isinstance(rotation, str) else tuple(rotation)
    for name in names:
        if name not in AXES:
            msg = f"expected rotation to be one of {', '.join(AXES)}, got {name!r}{suggestion(name, AXES)}"
            raise CircuitError(msg)
    ops = [op(name, q, angles=[scale * x(r * n_qubits + q)]) for r, name in enumerate(names) for q in range(n_qubits)]
    return Circuit(n_qubits, 0, len(names) * n_qubits, tuple(ops))


def lower(circuit: Circuit, data: npt.ArrayLike, method: str = "exact", bond: int = 2) -> tuple[Circuit, Reals]:
    """The circuit with its leading `prepare` as gates, and the data for it.

    Args:
        circuit: any circuit; without `prepare` it comes back as it is.
        data: [B, D]; amplitude rows are normalised.
        method: 'exact' or 'mps'.
        bond: bond dimension of the 'mps', which must be 2.

    Returns:
        The circuit over D' features and data[B, D']: first the preparation angles, radians, then the other old columns
        in their order (amplitude columns too where an angle uses them). The state of a row is that of the old circuit,
        sign included; with 'mps' it is close to it, see `fidelity`.

    Raises:
        ShapeError: for data of another shape.
        DataError: for a row with a NaN or an infinity, or without an amplitude other than zero.
        CircuitError: for an unknown method or another bond.
    """
    rows = _checked(circuit, data)
    build = _method(method, bond)
    if circuit.prepare is None:
        return circuit, rows
    first, number = circuit.prepare.columns
    gates = build(_amplitudes(circuit, rows), number)
    used = {j for o in circuit.ops for a in o.angles for j in a.features}
    kept = [j for j in range(circuit.n_features) if j in used or not first <= j < first + number]
    renamed = {j: gates.n_angles + k for k, j in enumerate(kept)}
    rest = [_renamed(o, renamed) for o in circuit.ops[1:]]
    lowered = Circuit(circuit.n_qubits, circuit.n_params, gates.n_angles + len(kept), (*gates.ops, *rest))
    return lowered, np.concatenate([gates.angles, rows[:, kept]], axis=1)


def fidelity(circuit: Circuit, data: npt.ArrayLike, method: str = "mps", bond: int = 2) -> Reals:
    """|<x|x'>|^2 of the amplitudes x of every row and the state x' that `lower` prepares for it, [B]; 1 if exact.

    For the MPS it is the weight that is left after the truncations: every bond keeps the two largest Schmidt vectors,
    and the norm of what remains is the overlap.

    Raises:
        ShapeError, DataError, CircuitError: as `lower`.
    """
    rows = _checked(circuit, data)
    _method(method, bond)
    if circuit.prepare is None or method == "exact":
        return np.ones(len(rows))
    core, _ = mps(_amplitudes(circuit, rows))
    return np.asarray(np.minimum(np.sum(core**2, axis=(1, 2)), 1.0))


def _method(method: str, bond: int) -> Callable[[Reals, int], Gates]:
    if method not in METHODS:
        msg = f"expected the method to be one of {', '.join(METHODS)}, got {method!r}{suggestion(method, METHODS)}"
        raise CircuitError(msg)
    if bond != 2:
        msg = f"expected bond=2, got {bond}; use method='exact' for a closer state"
        raise CircuitError(msg)
    return METHODS[method]


def _checked(circuit: Circuit, data: npt.ArrayLike) -> Reals:
    rows = np.asarray(data, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != circuit.n_features:
        msg = f"expected data of shape [B, {circuit.n_features}], got {list(rows.shape)}"
        raise ShapeError(msg)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        column = int(np.flatnonzero(~np.isfinite(rows[bad[0]]))[0])
        msg = (
            f"expected finite data, got {rows[bad[0], column]} in row {bad[0]}, column {column} ({len(bad)} such rows)"
        )
        raise DataError(msg)
    return rows


def _amplitudes(circuit: Circuit, rows: Reals) -> Reals:
    """[B, 2^n], unit norm, padded with zeros."""
    first, number = circuit.prepare.columns if circuit.prepare else (0, 0)
    given = rows[:, first : first + number]
    largest = np.abs(given).max(axis=1)
    bad = np.flatnonzero(largest == 0)
    if len(bad):
        msg = f"expected amplitudes that are not all zero, got a zero vector in row {bad[0]} ({len(bad)} such); drop it"
        raise DataError(msg)
    given = given / largest[:, None]  # so that squares neither overflow nor vanish
    out = np.zeros((len(rows), 2**circuit.n_qubits))
    out[:, :number] = given / np.linalg.norm(given, axis=1, keepdims=True) + 0.0  # no -0: it would turn empty branches
    return out


def _renamed(operation: Op, features: dict[int, int]) -> Op:
    angles: tuple[Angle, ...] = tuple(a.rename(features=features) for a in operation.angles)
    return replace(operation, angles=angles)
