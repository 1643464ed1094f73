"""From a network to native gates: pulses, virtual Z and entanglers, all phases affine.

A virtual RZ(f) that is due before a pulse waits until after it: GPi(p) RZ(f) = RZ(f) GPi(p - f), phases in radians. The
same holds for GPi2 and for the phases of MS; ZZ commutes with RZ.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace

from q_store.circuits.angle import ONE, Angle
from q_store.circuits.circuit import Op
from q_store.circuits.gates import TURN
from q_store.circuits.native.network import Network
from q_store.circuits.native.path import Stop, pulses_between, shortest_path
from q_store.circuits.native.sphere import (
    CLOSE,
    IDENTITY,
    Z_AXIS,
    Axis,
    Local,
    about,
    after,
    alignment,
    common_normal,
    inverse,
    turned,
)
from q_store.circuits.native.turns import Turn


class Family(enum.Enum):
    """A set of native gates.

    Attributes:
        MS: gpi, gpi2, ms (Aria).
        ZZ: gpi, gpi2, nzz (Forte).
    """

    MS = "ms"
    ZZ = "zz"

    @property
    def entangler(self) -> str:
        """The two-qubit gate's name in `gates.GATES`."""
        return "ms" if self is Family.MS else "nzz"


@dataclass
class _Wire:
    """A qubit while its gates are written.

    Attributes:
        path: the z of each stop and of the end.
        passed: how many stops are behind.
        z: the logical axis along the laboratory's Z.
        lab: the constant pulses so far, as the map from logical to laboratory axes.
        shift: what the virtual RZ adds to the phases, turns.
    """

    path: list[Axis]
    passed: int = 0
    z: Axis = Z_AXIS
    lab: Local = IDENTITY
    shift: Angle = field(default_factory=Angle)


def write(network: Network, family: Family, *, measured: bool) -> list[Op]:
    """The network as native operations; `measured`: up to RZ at the end."""
    ends = [turned(inverse(local), Z_AXIS) for local in network.rest]
    stops: list[list[Stop]] = [[] for _ in ends]
    for turn in network.turns:
        for q, axis in zip(turn.qubits, turn.axes, strict=True):
            stops[q].append(Stop(axis, across=len(turn.qubits) == 2 and family is Family.MS))
    wires = [_Wire([*shortest_path(Z_AXIS, s, end), end]) for s, end in zip(stops, ends, strict=True)]
    ops: list[Op] = []
    for turn in network.turns:
        for q in turn.qubits:
            ops += _advance(wires[q], q)
        if len(turn.qubits) == 1:
            (q,), (axis,) = turn.qubits, turn.axes
            wires[q].shift = wires[q].shift + turn.angle * (-alignment(axis, wires[q].z) / TURN)
        else:
            ops.append(_entangler(turn, wires, family))
    for q, wire in enumerate(wires):
        ops += _advance(wire, q)
    if not measured:
        for q, wire in enumerate(wires):
            ops = _paid(ops, q, _last_z(network.rest[q], wire.lab) / TURN - wire.shift)
    return [replace(op, angles=tuple(_wrapped(a) for a in op.angles)) for op in ops]


def _advance(wire: _Wire, qubit: int) -> list[Op]:
    """The pulses to the next stop."""
    target = wire.path[wire.passed]
    wire.passed += 1
    number = pulses_between(wire.z, target)
    middle = [common_normal(wire.z, target)] if number == 2 else []
    ops = []
    for z in [*middle, *[target] * (number > 0)]:
        x, y, _ = turned(wire.lab, z)
        opposite = alignment(wire.z, z) < 0
        azimuth = 0.0 if opposite else math.atan2(y, x) - math.pi / 2  # a quarter turn takes z to Z
        wire.lab = after(about((math.cos(azimuth), math.sin(azimuth), 0.0), math.pi / (1 if opposite else 2)), wire.lab)
        ops.append(Op("gpi" if opposite else "gpi2", (qubit,), (wire.shift + azimuth / TURN,)))
        wire.z = z
    return ops


def _entangler(turn: Turn, wires: list[_Wire], family: Family) -> Op:
    if family is Family.ZZ:
        sign = math.prod(alignment(axis, wires[q].z) for q, axis in zip(turn.qubits, turn.axes, strict=True))
        return Op("nzz", turn.qubits, (turn.angle * sign / TURN,))
    phases = []
    for q, axis in zip(turn.qubits, turn.axes, strict=True):
        x, y, _ = turned(wires[q].lab, axis)
        phases.append(wires[q].shift + math.atan2(y, x) / TURN)
    angle = turn.angle / TURN
    if angle.is_constant and angle.constant < 0:  # the service takes MS angles from 0
        phases[0], angle = phases[0] + 0.5, -angle
    return Op("ms", turn.qubits, (*phases, angle))


def _last_z(constant: Local, lab: Local) -> float:
    """f with constant = RZ(f) lab."""
    w, _, _, z = after(constant, inverse(lab))
    return 2 * math.atan2(z, w)


def _paid(ops: list[Op], qubit: int, turns: Angle) -> list[Op]:
    """RZ by so many turns at the end as pulses: a GPi has its phase free, a GPi2 needs one more, no pulse two."""
    if turns.is_constant and abs(math.remainder(turns.constant, 1.0)) * TURN < CLOSE:
        return ops
    own = [k for k, op in enumerate(ops) if op.qubits == (qubit,)]
    place = max((k for k in own if ops[k].gate == "gpi"), default=max(own, default=-1))
    if place < 0:
        return [*ops, Op("gpi", (qubit,), (Angle(),)), Op("gpi", (qubit,), (turns / 2,))]
    (phase,) = ops[place].angles
    paid = [Op("gpi", (qubit,), (phase + turns / 2,))]
    if ops[place].gate == "gpi2":
        paid.insert(0, Op("gpi2", (qubit,), (phase + 0.5,)))
    return [*ops[:place], *paid, *(_shifted(op, qubit, turns) for op in ops[place + 1 :])]


def _shifted(op: Op, qubit: int, turns: Angle) -> Op:
    """The operation behind an RZ by so many turns that it did not expect."""
    if qubit not in op.qubits or op.gate == "nzz":
        return op
    place = op.qubits.index(qubit)
    return replace(op, angles=tuple(a + turns if k == place else a for k, a in enumerate(op.angles)))


def _wrapped(angle: Angle) -> Angle:
    """The angle in turns with its constant in [-1/2, 1/2]."""
    constant = math.remainder(angle.constant, 1.0)
    if constant == angle.constant:
        return angle
    return Angle.collect([*(t for t in angle.terms if t[0] != ONE), (ONE, constant)])
