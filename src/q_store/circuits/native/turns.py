"""Any operation as rotations of one and two qubits, exp(-i a/2 m.σ) and exp(-i a/2 m.σ ⊗ n.σ), about any axes.

The two-qubit rotations are what costs. With one each: every controlled single-qubit gate, XX, YY, ZZ and every Pauli
string of two letters. A string of w letters costs 2 (w - 2) + 1: a quarter turn about A ⊗ P2, A at right angles to P1,
takes the string P1 P2 ... to one without P2.

Several controls, C^k R a rotation with k controls (g), C^k U with a phase on the controls besides (f):

    k                                     1     2     3     4     5
    g, any angle                          1     4     8    14    20
    f, any gate                           1     5    13    27    47
    f, a half turn and a spare qubit      1     5    13    20    28

- C^k R_m(a) = M C^b R_m(-a/2) M^-1 C^b R_m(a/2), where M turns m over if the other k - b controls are 1 and else leaves
  it alone (Barenco et al., Phys. Rev. A 52, 3457). M may add phases that are diagonal in the basis of m, as
  relative-phase Toffoli gates do (Maslov, Phys. Rev. A 93, 022311), so it costs 1 or 2 + g.
- A half turn with a spare qubit d in any state: exp(i pi/2 Z_d b), Z_d turned over by a, exp(-i pi/2 Z_d b) and back is
  (-1)^(a b).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from q_store.circuits.angle import Angle, AngleLike
from q_store.circuits.circuit import PREPARE, Op
from q_store.circuits.gates import PAULIEXP, TURN, gate
from q_store.circuits.native.sphere import AXES, CLOSE, X_AXIS, Z_AXIS, Axis, cross, from_matrix, normal, unit
from q_store.errors import GateError

PI = math.pi
Qubits = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """exp(-i angle/2 P), P the product of axes[k].σ on qubits[k]; one or two qubits, unit axes, radians."""

    qubits: Qubits
    axes: tuple[Axis, ...]
    angle: Angle


def turns(op: Op, n_qubits: int) -> list[Turn]:
    """The operation in time order, up to a global phase, on a register of n qubits.

    Raises:
        GateError: for a `prepare`.
    """
    if op.gate == PREPARE:
        msg = "expected gates, got 'prepare'; q_store.circuits.encoders.lower(circuit, data) makes gates of it"
        raise GateError(msg)
    if not op.controls:
        return [turn for letters, angle in _factors(op) for turn in _string(letters, op.qubits, angle)]
    if op.gate == "swap":
        a, b = op.qubits
        exchange = controlled_phase((*op.controls, a, b), Angle.of(PI), n_qubits)
        return [*_cnot(b, a), *_hadamard(b), *exchange, *_hadamard(b), *_cnot(b, a)]
    if _is_constant(op):
        return _controlled_constant(op, n_qubits)
    if op.gate in {"gpi", "gpi2", "ms"}:
        return _controlled_native(op, n_qubits)
    return _controlled_factors(_factors(op), op, n_qubits)


def _is_constant(op: Op) -> bool:
    """Whether it is a single-qubit gate without angles."""
    return op.gate != PAULIEXP and len(op.qubits) == 1 and not op.angles


def _factors(op: Op) -> list[tuple[str, Angle]]:
    out = []
    for letters, constant, coefficients in op.factors:
        total = Angle.of(constant)
        for coefficient, angle in zip(coefficients, op.angles, strict=False):
            total = total + angle * coefficient
        out.append((letters, total))
    return out


def _string(letters: str, qubits: Qubits, angle: Angle) -> list[Turn]:
    """exp(-i angle/2 P) of a Pauli string."""
    support = [(q, AXES[letter]) for letter, q in zip(letters, qubits, strict=True) if letter != "I"]
    if len(support) < 2:
        return [Turn((qubit,), (axis,), angle) for qubit, axis in support]
    *gathered, (last, other) = support
    before, (kept, axis) = _gathered(gathered)
    return [*before, Turn((kept, last), (axis, other), angle), *_reversed(before)]


def _gathered(support: Sequence[tuple[int, Axis]]) -> tuple[list[Turn], tuple[int, Axis]]:
    """Turns V, and a qubit and an axis n with V P V^-1 = n.σ on that qubit."""
    (kept, axis), *others = support
    out = []
    for qubit, letter in others:
        quarter = normal(axis)
        out.append(Turn((kept, qubit), (quarter, letter), Angle.of(PI / 2)))
        axis = cross(quarter, axis)
    return out, (kept, axis)


def _reversed(done: Sequence[Turn]) -> list[Turn]:
    """The inverse of a sequence."""
    return [Turn(turn.qubits, turn.axes, -turn.angle) for turn in reversed(done)]


def _hadamard(qubit: int) -> list[Turn]:
    return [Turn((qubit,), (unit((1.0, 0.0, 1.0)),), Angle.of(PI))]


def _cnot(control: int, target: int) -> list[Turn]:
    quarter = Turn((control,), (Z_AXIS,), Angle.of(PI / 2))
    return [*controlled_rotation((control,), target, X_AXIS, Angle.of(PI)), quarter]


# ------------------------------------------------------------------------------------------------- gates with controls


def _controlled_constant(op: Op, n_qubits: int) -> list[Turn]:
    """Each of these gates is diag(1, e^{i angle}) in the basis of some axis, so the controlled gate is a phase."""
    (target,) = op.qubits
    axis, angle = _eigenphase(op.gate)
    towards = _towards_z(target, axis)
    phase = controlled_phase((*op.controls, target), Angle.of(angle), n_qubits)
    return [*towards, *phase, *_reversed(towards)]


@cache
def _eigenphase(name: str) -> tuple[Axis, float]:
    (w, *v), phase = from_matrix(np.asarray(gate(name).matrix(np.zeros(0))))
    size = math.hypot(*v)
    half = math.atan2(size, w)
    sign = 1 if abs(math.remainder(phase - half, TURN)) < CLOSE else -1
    return (sign * v[0] / size, sign * v[1] / size, sign * v[2] / size), 2 * sign * half


def _towards_z(qubit: int, axis: Axis) -> list[Turn]:
    """A half turn that takes the axis to Z."""
    if axis == Z_AXIS:
        return []
    middle = (axis[0], axis[1], axis[2] + 1)
    return [Turn((qubit,), (unit(middle) if axis[2] > -0.9 else X_AXIS,), Angle.of(PI))]


def _controlled_native(op: Op, n_qubits: int) -> list[Turn]:
    """GPi(f), GPi2(f) and MS are X, RX(pi/2) and XX between RZ(-2 pi f) and RZ(2 pi f): those need no control."""
    phases = dict(zip(op.qubits, op.angles, strict=False))
    frame = [Turn((q,), (Z_AXIS,), phase * TURN) for q, phase in phases.items()]
    if op.gate == "gpi":
        inner = _controlled_constant(replace(op, gate="x", angles=()), n_qubits)
    elif op.gate == "gpi2":
        inner = _controlled_factors([("X", Angle.of(PI / 2))], op, n_qubits)
    else:
        inner = _controlled_factors([("XX", op.angles[2] * TURN)], op, n_qubits)
    return [*_reversed(frame), *inner, *frame]


def _controlled_factors(factors: Sequence[tuple[str, Angle]], op: Op, n_qubits: int) -> list[Turn]:
    out: list[Turn] = []
    for letters, angle in factors:
        support = [(q, AXES[letter]) for letter, q in zip(letters, op.qubits, strict=True) if letter != "I"]
        if support:
            before, (target, axis) = _gathered(support)
            out += [*before, *controlled_rotation(op.controls, target, axis, angle), *_reversed(before)]
        else:
            out += controlled_phase(op.controls, angle * -0.5, n_qubits)
    return out


def controlled_phase(qubits: Qubits, angle: Angle, n_qubits: int) -> list[Turn]:
    """e^{i angle} where all the qubits are 1."""
    *controls, target = qubits
    if not controls:
        return [Turn((target,), (Z_AXIS,), angle)]
    spare = next((q for q in range(n_qubits) if q not in qubits), None)
    if spare is not None and angle.is_constant and abs(angle.constant - PI) < 1e-12:
        number = min(range(1, len(qubits)), key=lambda a: _flip_cost(a) + _rotation_cost(len(qubits) - a))
        if 2 * (_flip_cost(number) + _rotation_cost(len(qubits) - number)) < _phase_cost(len(qubits)):
            over = _flip(qubits[:number], spare, Z_AXIS)
            half = controlled_rotation(qubits[number:], spare, Z_AXIS, angle)
            return [*half, *over, *_reversed(half), *_reversed(over)]
    return [
        *controlled_rotation(tuple(controls), target, Z_AXIS, angle),
        *controlled_phase(tuple(controls), angle / 2, n_qubits),
    ]


def controlled_rotation(controls: Qubits, target: int, axis: Axis, angle: AngleLike) -> list[Turn]:
    """exp(-i angle/2 axis.σ) on the target where all controls are 1."""
    angle = Angle.of(angle)
    if not controls:
        return [Turn((target,), (axis,), angle)]
    if len(controls) == 1:
        half = angle / 2
        return [Turn((target,), (axis,), half), Turn((*controls, target), (Z_AXIS, axis), -half)]
    flipping = _split(len(controls))
    over = _flip(controls[:flipping], target, axis)
    rest = controls[flipping:]
    return [
        *controlled_rotation(rest, target, axis, angle / 2),
        *_reversed(over),
        *controlled_rotation(rest, target, axis, angle * -0.5),
        *over,
    ]


def _flip(controls: Qubits, target: int, axis: Axis) -> list[Turn]:
    """Turns the axis over where all controls are 1, and else about itself only."""
    other = normal(axis)
    if len(controls) == 1:
        return controlled_rotation(controls, target, other, PI)
    middle = unit((axis[0] + other[0], axis[1] + other[1], axis[2] + other[2]))
    outer = controlled_rotation(controls[-1:], target, middle, PI)
    return [*_reversed(outer), *controlled_rotation(controls[:-1], target, axis, PI), *outer]


@cache
def _split(k: int) -> int:
    """How many of k controls turn the axis over."""
    return min(range(1, k + 1), key=lambda a: (_flip_cost(a) + _rotation_cost(k - a), a))


@cache
def _rotation_cost(k: int) -> int:
    return k if k < 2 else 2 * (_flip_cost(_split(k)) + _rotation_cost(k - _split(k)))


@cache
def _flip_cost(k: int) -> int:
    return 1 if k == 1 else 2 + _rotation_cost(k - 1)


@cache
def _phase_cost(n: int) -> int:
    """Of a phase on n qubits without a spare one."""
    return sum(_rotation_cost(k) for k in range(1, n))
