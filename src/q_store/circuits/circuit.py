"""Circuits: an ordered list of operations whose angles are symbolic in parameters and data.

Qubit 0 is the least significant bit of a state index. A circuit knows nothing of backends.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle, AngleLike
from q_store.circuits.binding import AngleTable
from q_store.circuits.gates import PAULIEXP, Factor, gate
from q_store.circuits.pauli import Pauli
from q_store.errors import CircuitError, GateError, ShapeError

PREPARE = "prepare"
MAX_CONTROLS = 7


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    Attributes:
        gate: a name of `gates.GATES`, `pauliexp` or `prepare`.
        qubits: target qubits; the first is the least significant bit of the gate's matrix.
        angles: one symbolic angle per gate angle; radians, turns for native gates.
        controls: qubits that must all be 1.
        paulis: for `pauliexp` only: (letters, coefficient) pairs; letters[k] acts on qubits[k].
        columns: for `prepare` only: (first, number) of the data columns that hold the amplitudes.
    """

    gate: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()
    controls: tuple[int, ...] = ()
    paulis: tuple[tuple[str, float], ...] = ()
    columns: tuple[int, int] = (0, 0)

    @property
    def wires(self) -> tuple[int, ...]:
        """Controls and targets."""
        return self.controls + self.qubits

    @property
    def is_entangling(self) -> bool:
        """Whether it acts on two or more qubits (a preparation is counted by what it lowers to)."""
        return len(self.wires) > 1 and self.gate != PREPARE

    @property
    def frequencies(self) -> tuple[tuple[float, ...], ...]:
        """Frequencies of an expectation value in each angle.

        A control adds a level to a generator, so half frequencies to rotations. In a phase of gpi2 or ms (frequencies f
        and 2 f, from the conjugation) it shifts nothing.
        """
        if self.gate == PAULIEXP:
            moving = [2 * abs(c) for letters, c in self.paulis if self.controls or letters.strip("I")]
            base: tuple[tuple[float, ...], ...] = (_sums(moving),)
        elif self.gate == PREPARE:
            base = ()
        else:
            base = gate(self.gate).frequencies
        if not self.controls or self.gate == "p":
            return base
        return tuple(
            tuple(sorted({f / 2 for f in fs} | set(fs))) if len(fs) == 1 or self.gate == PAULIEXP else fs for fs in base
        )

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The uncontrolled operation as Pauli rotations in time order, see `gates.Gate.factors`."""
        if self.gate == PAULIEXP:
            return tuple((letters, 0.0, (2 * c,)) for letters, c in self.paulis)
        return gate(self.gate).factors


def _sums(frequencies: list[float]) -> tuple[float, ...]:
    """Positive differences of the eigenvalues of sum_k (+-f_k/2) with commuting terms."""
    values = {0.0}
    for f in frequencies:
        values = {round(v + s * f, 12) for v in values for s in (-1, 0, 1)}
    return tuple(sorted(v for v in values if v > 0))


@dataclass(frozen=True)
class Circuit:
    """A circuit of n qubits over P parameters and D features.

    Attributes:
        n_qubits: number of qubits, 1 or more.
        n_params: P; parameters that no gate uses are allowed and have gradient zero.
        n_features: D, the number of data columns, amplitudes of a leading `prepare` included.
        ops: the operations in time order.
        layers: (first, last + 1) operation of every whole layer, in the order in which a shallower circuit keeps them;
            see `circuits.layers`. A remark about the circuit, not part of it: what rewrites operations drops it.

    Raises:
        CircuitError, GateError: for a qubit, parameter or feature out of range, a repeated qubit, an unknown gate, a
            wrong number of angles, a `prepare` that is not first, or more than 7 controls.
    """

    n_qubits: int
    n_params: int
    n_features: int
    ops: tuple[Op, ...]
    layers: tuple[tuple[int, int], ...] = field(default=(), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.n_qubits < 1:
            msg = f"expected a circuit of 1 qubit or more, got {self.n_qubits}"
            raise CircuitError(msg)
        for k, op in enumerate(self.ops):
            _check(self, k, op)

    @staticmethod
    def build(n_qubits: int, ops: Iterable[Op]) -> Circuit:
        """A circuit with as many parameters and features as the operations use."""
        ops = tuple(ops)
        params = [i for op in ops for a in op.angles for i in a.params]
        features = [j for op in ops for a in op.angles for j in a.features]
        columns = [op.columns[0] + op.columns[1] for op in ops if op.gate == PREPARE]
        used = max([*(j + 1 for j in features), *columns], default=0)
        return Circuit(n_qubits, max(params, default=-1) + 1, used, ops)

    def __add__(self, other: Circuit) -> Circuit:
        """This circuit, then the other, over the SAME parameters and features."""
        joined = Circuit(
            max(self.n_qubits, other.n_qubits),
            max(self.n_params, other.n_params),
            max(self.n_features, other.n_features),
            self.ops + other.ops,
        )
        behind = len(self.ops)
        return joined.layered([*self.layers, *((first + behind, last + behind) for first, last in other.layers)])

    def shifted(self, params: int = 0, features: int = 0) -> Circuit:
        """The circuit with every parameter and feature index moved up, to be joined behind another one."""
        p = {i: i + params for i in range(self.n_params)}
        f = {j: j + features for j in range(self.n_features)}
        ops = tuple(
            replace(
                op,
                angles=tuple(a.rename(p, f) for a in op.angles),
                columns=(op.columns[0] + features, op.columns[1]) if op.gate == PREPARE else op.columns,
            )
            for op in self.ops
        )
        return Circuit(self.n_qubits, self.n_params + params, self.n_features + features, ops).layered(self.layers)

    def layered(self, layers: Iterable[tuple[int, int]]) -> Circuit:
        """The same circuit with whole layers: (first, last + 1) operation of each, in the order of keeping them.

        Raises:
            CircuitError: for a layer that is empty, out of range, holds the preparation or overlaps with another.
        """
        chosen = tuple((int(first), int(last)) for first, last in layers)
        least = 1 if self.prepare else 0
        ends = [least, *(end for layer in sorted(chosen) for end in layer), len(self.ops)]
        if ends != sorted(ends) or any(first == last for first, last in chosen):
            msg = (
                f"expected separate layers of one operation or more in {least}..{len(self.ops)}, got {list(chosen)}; "
                "a layer is (first, last + 1) of its operations, the preparation in none"
            )
            raise CircuitError(msg)
        copy = replace(self)
        object.__setattr__(copy, "layers", chosen)
        return copy

    @property
    def prepare(self) -> Op | None:
        """The leading amplitude preparation, if there is one."""
        return self.ops[0] if self.ops and self.ops[0].gate == PREPARE else None

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the structure (not over parameter values or data), hexadecimal."""
        body = [
            [op.gate, op.qubits, [a.terms for a in op.angles], op.controls, op.paulis, op.columns] for op in self.ops
        ]
        text = json.dumps([self.n_qubits, self.n_params, self.n_features, body], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def angle_table(self) -> AngleTable:
        """All angles of the circuit in order of their operations, ready to bind."""
        return AngleTable.of([a for op in self.ops for a in op.angles], self.n_params, self.n_features)

    def bind(self, data: npt.ArrayLike | None, params: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Angles of rows (b, k) = (r, r), shape [R, A]: row r takes data[r] and params[r]; one row is broadcast.

        Shapes: data[R, D] (None if D = 0), params[R, P]. Angles are in the unit of their gates.

        Raises:
            ShapeError: for other shapes.
        """
        theta = np.atleast_2d(np.asarray(params, dtype=float))
        features = np.zeros((1, 0)) if data is None else np.atleast_2d(np.asarray(data, dtype=float))
        got, expected = (theta.shape[1:], features.shape[1:]), ((self.n_params,), (self.n_features,))
        rows = max(len(theta), len(features))
        if got != expected or {len(theta), len(features)} - {1, rows}:
            msg = (
                f"expected params [R, {self.n_params}] and data [R, {self.n_features}] with as many rows, or one, "
                f"got {list(theta.shape)} and {list(features.shape)}"
            )
            raise ShapeError(msg)
        angles = self.angle_table.bind(theta, features)
        return np.repeat(angles, rows, axis=0) if len(angles) < rows else angles

    def count(self, gate_name: str | None = None) -> int:
        """Number of operations, or of those with this gate name (controlled ones included)."""
        return sum(gate_name is None or op.gate == gate_name for op in self.ops)

    @property
    def counts(self) -> Mapping[str, int]:
        """Operations by name; controls are written as leading c's: `cx`, `ccx`, `crz`."""
        out: dict[str, int] = {}
        for op in self.ops:
            name = "c" * len(op.controls) + op.gate
            out[name] = out.get(name, 0) + 1
        return out

    @property
    def two_qubit_gates(self) -> int:
        """Number of operations on two or more qubits, the preparation not counted."""
        return sum(op.is_entangling for op in self.ops)

    @property
    def depth(self) -> int:
        """Length of the longest path of operations through shared qubits (the preparation counts 1)."""
        level = [0] * self.n_qubits
        for op in self.ops:
            reached = 1 + max(level[q] for q in op.wires)
            for q in op.wires:
                level[q] = reached
        return max(level)


def _check(circuit: Circuit, position: int, op: Op) -> None:
    where = f"operation {position} ({op.gate})"
    if len(set(op.wires)) != len(op.wires) or not all(0 <= q < circuit.n_qubits for q in op.wires):
        msg = f"{where}: expected different qubits in 0..{circuit.n_qubits - 1}, got {op.wires}"
        raise CircuitError(msg)
    if not op.qubits:
        msg = f"{where}: expected one target qubit or more, got none"
        raise CircuitError(msg)
    if len(op.controls) > MAX_CONTROLS:
        msg = f"{where}: expected at most {MAX_CONTROLS} controls, got {len(op.controls)}; split the gate"
        raise CircuitError(msg)
    if op.gate == PREPARE:
        _check_prepare(circuit, position, op)
        return
    n_qubits, n_angles = _arity(op)
    if len(op.qubits) != n_qubits or len(op.angles) != n_angles:
        msg = f"{where}: expected {n_qubits} qubits and {n_angles} angles, got {len(op.qubits)} and {len(op.angles)}"
        raise GateError(msg)
    for angle in op.angles:
        if any(i >= circuit.n_params for i in angle.params) or any(j >= circuit.n_features for j in angle.features):
            limits = f"parameters below {circuit.n_params} and features below {circuit.n_features}"
            msg = f"{where}: expected {limits}, got {angle}"
            raise CircuitError(msg)


def _arity(op: Op) -> tuple[int, int]:
    if op.gate != PAULIEXP:
        return gate(op.gate).n_qubits, gate(op.gate).n_angles
    strings = [Pauli.of(letters, op.qubits) for letters, _ in op.paulis]
    if not strings or not all(a.commutes(b) for a in strings for b in strings):
        msg = (
            f"expected a pauliexp of one or more commuting strings, got {op.paulis}; "
            "write non-commuting terms as a product of exponentials"
        )
        raise GateError(msg)
    if not all(math.isfinite(c) for _, c in op.paulis):
        msg = f"expected finite coefficients of a pauliexp, got {op.paulis}"
        raise GateError(msg)
    return len(op.qubits), 1


def _check_prepare(circuit: Circuit, position: int, op: Op) -> None:
    first, number = op.columns
    if position or op.controls or op.qubits != tuple(range(circuit.n_qubits)):
        msg = (
            f"expected `prepare` as the first operation, on all {circuit.n_qubits} qubits in order, "
            f"got position {position} on {op.wires}"
        )
        raise CircuitError(msg)
    if not 0 < number <= 2**circuit.n_qubits or first < 0 or first + number > circuit.n_features:
        msg = (
            f"expected 1..{2**circuit.n_qubits} amplitude columns within {circuit.n_features} features, "
            f"got columns {first}..{first + number - 1}; use more qubits or fewer components"
        )
        raise CircuitError(msg)


def op(name: str, *qubits: int, angles: Sequence[AngleLike] = (), controls: Sequence[int] = ()) -> Op:
    """An operation by name: `op("rx", 0, angles=[theta(0)])`, `op("x", 1, controls=[0])`."""
    return Op(gate(name).name, _ints(qubits), tuple(Angle.of(a) for a in angles), _ints(controls))


def _ints(qubits: Iterable[int]) -> tuple[int, ...]:
    """As Python integers: NumPy's have no JSON form, which the digest needs."""
    return tuple(int(q) for q in qubits)


def cnot(control: int, target: int) -> Op:
    """X on `target` where `control` is 1."""
    return op("x", target, controls=[control])


def cz(control: int, target: int) -> Op:
    """Z on `target` where `control` is 1."""
    return op("z", target, controls=[control])


def rx(angle: AngleLike, qubit: int) -> Op:
    """exp(-i angle/2 X)."""
    return op("rx", qubit, angles=[angle])


def ry(angle: AngleLike, qubit: int) -> Op:
    """exp(-i angle/2 Y)."""
    return op("ry", qubit, angles=[angle])


def rz(angle: AngleLike, qubit: int) -> Op:
    """exp(-i angle/2 Z)."""
    return op("rz", qubit, angles=[angle])


def rotation(letters: str, angle: AngleLike, *qubits: int) -> Op:
    """exp(-i angle/2 P) for any Pauli string; letters[k] acts on qubits[k]. IonQ's gate if there is one."""
    name = {"X": "rx", "Y": "ry", "Z": "rz", "XX": "xx", "YY": "yy", "ZZ": "zz"}.get(letters)
    if name:
        return op(name, *qubits, angles=[angle])
    return pauliexp([(letters, 0.5)], angle, *qubits)


def pauliexp(paulis: Sequence[tuple[str, float]], time: AngleLike, *qubits: int) -> Op:
    """exp(-i time sum_k c_k P_k) for commuting strings; letters[k] acts on qubits[k].

    IonQ's wire format reverses the letters. Strings that occur more than once are merged.
    """
    merged: dict[str, float] = {}
    for letters, coefficient in paulis:
        merged[letters] = merged.get(letters, 0.0) + float(coefficient)
    return Op(PAULIEXP, _ints(qubits), (Angle.of(time),), (), tuple(merged.items()))


def prepare(n_qubits: int, first: int = 0, number: int | None = None) -> Op:
    """Load data columns first..first+number-1 (unit norm, padded with zeros) as real amplitudes at the start."""
    return Op(PREPARE, tuple(range(n_qubits)), columns=(first, 2**n_qubits if number is None else number))
