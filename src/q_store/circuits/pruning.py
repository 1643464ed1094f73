"""Smaller circuits at given parameters: operations that turn nearly nothing, and entanglers that change little.

`merge` is exact. `remove_identities` drops rotations by at most `threshold` radians. `prune` drops entanglers, always
the one that costs least, while the fidelity with the state of the whole circuit stays high enough on every given row:

    F_r = |<psi_r(all operations) | psi_r(those kept)>|^2 >= bound for every row r

The fidelity is measured, by simulating both circuits here with dense state vectors; no circuit is sent for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import ONE, Angle
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.gates import PAULIEXP, gate, rotation_matrix
from q_store.circuits.layers import without
from q_store.circuits.metrics import Metrics
from q_store.circuits.powers import power
from q_store.circuits.simplify import simplify
from q_store.errors import CircuitError, ConfigError, ShapeError

Reals = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

THRESHOLD = 1e-6
"""Radians; that of the design document."""
MOST_QUBITS = 14
"""Of a circuit whose states are simulated here."""
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Pruned:
    """A circuit without some of its entanglers.

    Attributes:
        circuit: what is left. removed: positions in the whole circuit of what is gone, ascending.
        bound: what was asked for. fidelity: the smallest of all rows, as reached. mean_fidelity: over the rows.
        before, after: sizes.
    """

    circuit: Circuit
    removed: tuple[int, ...]
    bound: float
    fidelity: float
    mean_fidelity: float
    before: Metrics
    after: Metrics


def merge(circuit: Circuit) -> Circuit:
    """`simplify`: neighbours of one family become one, for all parameters and data; layers are no longer known."""
    return simplify(circuit)


def remove_identities(circuit: Circuit, params: npt.ArrayLike, threshold: float = THRESHOLD) -> Circuit:
    """The circuit without the operations that turn a state by at most `threshold` radians at these parameters [P].

    With data in the angle, the constant and the coefficient of every feature must all be that small: for data of up to
    1 in absolute value the state then moves by at most half of their sum.

    Raises:
        ConfigError: for a threshold out of 0..pi/4. ShapeError: for parameters of another shape.
    """
    if not 0 <= threshold < np.pi / 4:
        msg = f"expected a threshold of 0 to less than pi/4 radians, got {threshold!r}"
        raise ConfigError(msg)
    values = _vector(circuit, params)
    gone = [k for k, op in enumerate(circuit.ops) if op.gate != PREPARE and _is_still(op, values, threshold)]
    return without(circuit, gone)


def prune(
    circuit: Circuit,
    data: npt.ArrayLike | None,
    params: npt.ArrayLike,
    bound: float,
    candidates: Sequence[int] | None = None,
) -> Pruned:
    """Drop entanglers, the least important first, while the fidelity on every row stays at `bound` or above.

    Args:
        circuit: at most 14 qubits.
        data: rows [R, D] to judge by; None for a circuit without features.
        params: [P].
        bound: in (0, 1]; 1 drops only what changes nothing.
        candidates: positions of the operations that may go; None for all on two or more qubits.

    One forward and one backward sweep give the fidelity without each single candidate; so E entanglers among G
    operations cost at most 2 E G gate applications a row.

    Raises:
        ConfigError: for a bound out of range. CircuitError: for more qubits. ShapeError: for other shapes.
    """
    if not 0 < bound <= 1:
        msg = f"expected a fidelity bound above 0 and at most 1, got {bound!r}; 0.99, for example"
        raise ConfigError(msg)
    gates = _Gates.of(circuit, data, params)
    asked = [k for k, op in enumerate(circuit.ops) if op.is_entangling] if candidates is None else candidates
    left, removed = set(asked), set[int]()
    whole = gates.forward(removed)[-1]
    reached = np.ones(len(whole))
    while left:
        found = gates.without_each(sorted(left), removed, whole)
        best = max(found, key=lambda k: (found[k].min(), found[k].mean(), -k))
        if found[best].min() < bound - ROUNDING:
            break
        left.discard(best)
        removed.add(best)
        reached = found[best]
    smaller = without(circuit, removed)
    sizes = Metrics.of(circuit), Metrics.of(smaller)
    return Pruned(smaller, tuple(sorted(removed)), bound, float(reached.min()), float(reached.mean()), *sizes)


def fidelities(circuit: Circuit, other: Circuit, data: npt.ArrayLike | None, params: npt.ArrayLike) -> Reals:
    """|<psi_r | phi_r>|^2 of two circuits over the same parameters and features, [R]; simulated here."""
    a, b = (_Gates.of(each, data, params).forward(set())[-1] for each in (circuit, other))
    return _overlaps(a, b)


def _is_still(op: Op, params: Reals, threshold: float) -> bool:
    family = power(op)
    if family is None:
        return False
    angle = _at(family.angle, params)
    turning = [abs(c) * family.radians for monomial, c in angle.terms if monomial != ONE]
    alone = replace(family, angle=Angle.of(angle.constant))
    return alone.is_identity(threshold) and all(turn <= threshold for turn in turning)


def _at(angle: Angle, params: Reals) -> Angle:
    """The angle with numbers in place of the parameters."""
    return Angle.collect(((-1, j), c * (params[i] if i >= 0 else 1.0)) for (i, j), c in angle.terms)


def _vector(circuit: Circuit, params: npt.ArrayLike) -> Reals:
    values = np.asarray(params, dtype=np.float64)
    if values.shape != (circuit.n_params,):
        msg = f"expected parameters of shape [{circuit.n_params}], got {list(values.shape)}"
        raise ShapeError(msg)
    return values


@dataclass(frozen=True, eq=False)
class _Gates:
    """The matrices of every operation of R bound rows.

    `unitaries[k]` is [1 or R, 2^w, 2^w] over `wires[k]`, the first the least significant; empty for a preparation.
    `start` is [R, 2^n].
    """

    n_qubits: int
    start: Complex
    wires: list[tuple[int, ...]]
    unitaries: list[Complex]

    @staticmethod
    def of(circuit: Circuit, data: npt.ArrayLike | None, params: npt.ArrayLike) -> _Gates:
        if circuit.n_qubits > MOST_QUBITS:
            msg = f"expected at most {MOST_QUBITS} qubits where states are compared, got {circuit.n_qubits}"
            raise CircuitError(f"{msg}; leave out pruning")
        rows = None if data is None else np.atleast_2d(np.asarray(data, dtype=float))
        angles = circuit.bind(rows, _vector(circuit, params))
        if rows is not None and len(angles) < len(rows):
            angles = np.repeat(angles, len(rows), axis=0)
        start = np.zeros((len(angles), 2**circuit.n_qubits), dtype=complex)
        if circuit.prepare is not None and rows is not None:
            first, number = circuit.prepare.columns
            amplitudes = rows[:, first : first + number]
            start[:, :number] = amplitudes / np.linalg.norm(amplitudes, axis=1, keepdims=True)  # float32 rounds
        else:
            start[:, 0] = 1
        wires, unitaries, used = [], [], 0
        for op in circuit.ops:
            wires.append(op.wires)
            unitaries.append(_unitaries(op, angles[:, used : used + len(op.angles)]))
            used += len(op.angles)
        return _Gates(circuit.n_qubits, start, wires, unitaries)

    def forward(self, removed: set[int]) -> list[Complex]:
        """The states before each operation, and the final ones last."""
        states = [self.start]
        for k in range(len(self.wires)):
            states.append(states[-1] if k in removed else self._applied(k, states[-1]))
        return states

    def without_each(self, candidates: Sequence[int], removed: set[int], target: Complex) -> dict[int, Reals]:
        """Fidelities [R] with `target` without `removed` and without one more, for each candidate."""
        before, wanted = self.forward(removed), set(candidates)
        found: dict[int, Reals] = {}
        back = target
        for k in reversed(range(len(self.wires))):
            if k in wanted:
                found[k] = _overlaps(back, before[k])
            if k not in removed:
                back = self._applied(k, back, inverse=True)
        return found

    def _applied(self, k: int, states: Complex, *, inverse: bool = False) -> Complex:
        unitary = self.unitaries[k]
        if not unitary.size:
            return states
        if inverse:
            unitary = unitary.conj().swapaxes(1, 2)
        wires = self.wires[k]
        n, rows = self.n_qubits, len(states)
        axes = [n - q for q in reversed(wires)]  # of [R, qubit n-1, ..., qubit 0]; the first wire varies fastest
        moved = np.moveaxis(states.reshape(rows, *[2] * n), axes, range(1, len(wires) + 1))
        turned = (unitary @ moved.reshape(rows, 2 ** len(wires), -1)).reshape(moved.shape)
        return np.moveaxis(turned, range(1, len(wires) + 1), axes).reshape(rows, -1)


def _overlaps(a: Complex, b: Complex) -> Reals:
    return np.asarray(np.abs(np.einsum("rs,rs->r", a.conj(), b)) ** 2)


def _unitaries(op: Op, angles: Reals) -> Complex:
    """[1 or R, 2^w, 2^w] over `op.wires`; 1 where every row has the same."""
    if op.gate == PREPARE:
        return np.zeros((0, 0, 0), dtype=complex)
    rows = angles[:1] if not angles.size or (angles == angles[0]).all() else angles
    if op.gate == PAULIEXP:
        targets = np.eye(2 ** len(op.qubits), dtype=complex)
        for letters, coefficient in op.paulis:  # they commute
            targets = rotation_matrix(letters, 2 * coefficient * rows[:, 0]) @ targets
    else:
        targets = gate(op.gate).matrix(rows)
    size, controls = targets.shape[-1], len(op.controls)
    targets = np.broadcast_to(targets, (len(rows), size, size))
    if not op.controls:
        return targets
    out = np.repeat(np.eye(size << controls, dtype=complex)[None], len(targets), axis=0)
    on = np.arange(size) << controls | ((1 << controls) - 1)  # controls are the low bits
    out[:, on[:, None], on[None, :]] = targets
    return out
