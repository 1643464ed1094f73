"""Which operations merge: those that are powers of one unitary, so that their exponents add.

    family                                      exponent         equal to the identity at multiples of
    rx, ry, rz, xx, yy, zz, pauliexp of one     radians          2 pi, with controls 4 pi
        string; without controls also x y z
        s si t ti v vi p
    z, s, si, t, ti, p with controls            radians          2 pi; controls and target are alike
    x, v, vi with controls; y, h, swap, gpi     radians          2 pi
    gpi and gpi2 of one phase                   radians          2 pi (GPi2^2 = GPi), gpi2 with controls 4 pi
    nzz, ms of equal phases                     turns            1, with controls 2
    pauliexp of several strings                 time             0 only

Without controls everything is up to a global phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial

from q_store.circuits.angle import ONE, Angle
from q_store.circuits.circuit import PREPARE, Op, op, rotation
from q_store.circuits.gates import PAULIEXP, TURN
from q_store.circuits.pauli import Pauli

PI = math.pi
TOLERANCE = 1e-12  # radians; below this a constant is rounding
_LETTERS = {"rx": "X", "ry": "Y", "rz": "Z", "xx": "XX", "yy": "YY", "zz": "ZZ", "p": "Z"}
_FIXED = {
    "x": ("X", PI),
    "v": ("X", PI / 2),
    "vi": ("X", -PI / 2),
    "y": ("Y", PI),
    "z": ("Z", PI),
    "s": ("Z", PI / 2),
    "si": ("Z", -PI / 2),
    "t": ("Z", PI / 4),
    "ti": ("Z", -PI / 4),
}
# letter and eighth turns -> name
_NAMES = {(letter, round(angle / (PI / 4)) % 8): name for name, (letter, angle) in _FIXED.items()}


@dataclass(frozen=True, slots=True)
class Power:
    """An operation as a member of a family.

    Attributes:
        key: the family; operations of one key commute and their angles add.
        angle: the exponent.
        period: the exponents at multiples of which the member is the identity; infinite if only 0 is.
        radians: how much a state turns for each unit of the exponent, for thresholds.
        write: the operation of a given exponent, or None where no single gate has it.
    """

    key: Hashable
    angle: Angle
    period: float
    radians: float
    write: Callable[[Angle], Op | None]

    def is_identity(self, threshold: float = 0.0) -> bool:
        """Whether the exponent is a constant within `threshold` radians of a multiple of the period."""
        tolerance = max(threshold, TOLERANCE)
        return self.angle.is_constant and abs(_wrap(self.angle.constant, self.period)) * self.radians <= tolerance


def merged(first: Power, second: Power) -> Power | None:
    """The product as a power of the same family, or None for different families."""
    if first.key != second.key:
        return None
    scale: dict[tuple[int, int], float] = {}
    for monomial, coefficient in (*first.angle.terms, *second.angle.terms):
        scale[monomial] = scale.get(monomial, 0.0) + abs(coefficient)
    total = first.angle + second.angle
    terms = [(m, c) for m, c in total.terms if m != ONE and abs(c) > 1e-15 * scale[m]]
    constant = _wrap(total.constant, first.period)
    return replace(first, angle=Angle.collect([*terms, (ONE, constant)]))


def power(operation: Op) -> Power | None:
    """The family of an operation and its exponent; None for a preparation."""
    name, controlled = operation.gate, bool(operation.controls)
    if name == PREPARE:
        return None
    if name in _LETTERS and not (name == "p" and controlled):
        return _rotation(operation, _LETTERS[name], operation.angles[0], 1.0)
    if name in _FIXED and not controlled:
        letter, angle = _FIXED[name]
        return _rotation(operation, letter, Angle.of(angle), 1.0)
    return _FAMILIES.get((name, controlled), _involution)(operation)


def _wrap(value: float, period: float) -> float:
    """The value modulo the period, in (-period/2, period/2]; rounding noise becomes 0."""
    wrapped = value if math.isinf(period) else -((period / 2 - value) % period - period / 2)
    return 0.0 if abs(wrapped) < TOLERANCE else wrapped


def _rotation(operation: Op, letters: str, angle: Angle, scale: float) -> Power:
    """exp(-i angle/2 P), angle = scale times the angle of the operation if that has one."""
    string = Pauli.of(letters, operation.qubits)
    controls = frozenset(operation.controls)
    if not controls and not string.x | string.z:
        angle = Angle()  # a global phase
    period = 2 * TURN if controls else TURN

    def write(total: Angle) -> Op:
        if controls or operation.gate == PAULIEXP:
            return replace(operation, angles=(total / scale,))
        return _named(letters, total, operation.qubits)

    return Power(("rotation", string, controls), angle, period, 1.0, write)


def _named(letters: str, angle: Angle, qubits: tuple[int, ...]) -> Op:
    """A fixed gate if there is one of this constant angle, else the rotation."""
    eighths = angle.constant / (PI / 4)
    name = _NAMES.get((letters, round(eighths) % 8))
    if name and angle.is_constant and abs(eighths - round(eighths)) < TOLERANCE:
        return op(name, *qubits)
    return rotation(letters, angle, *qubits)


def _exponential(operation: Op) -> Power:
    (time,) = operation.angles
    if len(operation.paulis) == 1:
        letters, coefficient = operation.paulis[0]
        return _rotation(operation, letters, time * (2 * coefficient), 2 * coefficient or 1.0)
    key = (PAULIEXP, operation.qubits, frozenset(operation.controls), operation.paulis)
    radians = 2 * sum(abs(c) for _, c in operation.paulis)
    return Power(key, time, math.inf, radians, lambda total: replace(operation, angles=(total,)))


def _phase(operation: Op) -> Power:
    angle = operation.angles[0] if operation.gate == "p" else Angle.of(_FIXED[operation.gate][1])

    def write(total: Angle) -> Op:
        named = _named("Z", total, operation.qubits)
        bare = op("p", *operation.qubits, angles=[total]) if named.gate == "rz" else named
        return replace(bare, controls=operation.controls)

    return Power(("phase", frozenset(operation.wires)), angle, TURN, 1.0, write)


def _controlled_x(operation: Op) -> Power:
    key = ("x", operation.qubits, frozenset(operation.controls))

    def write(total: Angle) -> Op:
        return replace(_named("X", total, operation.qubits), controls=operation.controls)

    return Power(key, Angle.of(_FIXED[operation.gate][1]), TURN, 1.0, write)


def _interaction(operation: Op) -> Power:
    phases = operation.angles[:-1]
    ends = zip(operation.qubits, (_turns(p, 1.0)[0] for p in phases) if phases else ("", ""), strict=True)
    key = (operation.gate, frozenset(ends), frozenset(operation.controls))
    period = 2.0 if operation.controls else 1.0

    def write(total: Angle) -> Op:
        return replace(operation, angles=(*phases, total))

    return Power(key, operation.angles[-1], period, TURN, write)


def _half_turn(operation: Op) -> Power:
    """GPi2(phase) as a quarter turn about an axis of the equator, GPi(phase) as a half turn; phase + 1/2 reverses."""
    axis, reverse = _turns(operation.angles[0], 0.5)
    size = PI / 2 if operation.gate == "gpi2" else PI
    names = {1: ("gpi2", 0.0), 2: ("gpi", 0.0), 3: ("gpi2", 0.5)}
    if operation.controls:
        names = {1: ("gpi2", 0.0), 7: ("gpi2", 0.5)}

    def write(total: Angle) -> Op | None:
        quarters = round(total.constant / (PI / 2)) % (8 if operation.controls else 4)
        if quarters not in names:
            return None
        name, extra = names[quarters]
        phase = operation.angles[0] + (0.5 * reverse + extra)
        return replace(operation, gate=name, angles=(phase + _wrap(phase.constant, 1.0) - phase.constant,))

    key = ("gpi", operation.qubits, axis, frozenset(operation.controls))
    return Power(key, Angle.of(-size if reverse else size), 2 * TURN if operation.controls else TURN, 1.0, write)


def _involution(operation: Op) -> Power:
    phases = tuple(_turns(a, 1.0)[0] for a in operation.angles)
    key = (operation.gate, frozenset(operation.qubits), frozenset(operation.controls), phases)
    return Power(key, Angle.of(PI), TURN, 1.0, partial(_unchanged, operation))


def _unchanged(operation: Op, _: Angle) -> Op:
    return operation


def _turns(phase: Angle, period: float) -> tuple[tuple[object, ...], bool]:
    """The phase modulo the period as a key, and whether an odd number of periods was taken off."""
    whole = math.floor(phase.constant / period + TOLERANCE)
    rest = round(phase.constant - whole * period, 11) + 0.0
    return (*(t for t in phase.terms if t[0] != ONE), rest), bool(whole % 2)


_FAMILIES: dict[tuple[str, bool], Callable[[Op], Power]] = {
    **{(name, True): _phase for name in ("z", "s", "si", "t", "ti", "p")},
    **{(name, True): _controlled_x for name in ("x", "v", "vi")},
    **{(name, controlled): _interaction for name in ("ms", "nzz") for controlled in (False, True)},
    **{(PAULIEXP, controlled): _exponential for controlled in (False, True)},
    ("gpi", False): _half_turn,
    ("gpi2", False): _half_turn,
    ("gpi2", True): _half_turn,
}
