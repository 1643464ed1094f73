"""A circuit as two-qubit rotations and symbolic single-qubit rotations, with constant single-qubit gates at the end.

R_m C = C R_m' for a constant local gate C, with the axis m' = C^-1 m: so constants move to the end through everything,
and only change axes. What is left are the entanglers, the rotations by parameters and data, and one constant for each
qubit. Rotations about equal axes merge, also past rotations that commute with them; those by a multiple of 2 pi vanish,
two-qubit rotations by pi are two local ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from q_store.circuits.angle import ONE, Angle
from q_store.circuits.native.sphere import (
    CLOSE,
    IDENTITY,
    Z_AXIS,
    Axis,
    Local,
    about,
    after,
    alignment,
    cross,
    inverse,
    perpendicular,
)
from q_store.circuits.native.sphere import turned as turned_axis
from q_store.circuits.native.turns import Turn

PI = math.pi


@dataclass
class Network:
    """Turns in time order, then one constant local gate for each qubit.

    Attributes:
        rest: the constant of each qubit.
        turns: two-qubit turns, and single-qubit turns whose angle is symbolic.
        commuting: whether turns merge past others that commute with them.
    """

    rest: list[Local]
    turns: list[Turn] = field(default_factory=list)
    commuting: bool = True

    @staticmethod
    def of(n_qubits: int, turns: Iterable[Turn], *, commuting: bool = True) -> Network:
        """The network of these turns."""
        out = Network([IDENTITY] * n_qubits, commuting=commuting)
        for turn in turns:
            out.add(turn)
        return out

    @property
    def entanglers(self) -> int:
        """Number of two-qubit turns."""
        return sum(len(turn.qubits) == 2 for turn in self.turns)

    def add(self, turn: Turn) -> None:
        """Append a turn."""
        if len(turn.qubits) == 1 and turn.angle.is_constant:
            (qubit,), (axis,) = turn.qubits, turn.axes
            self.rest[qubit] = after(about(axis, turn.angle.constant), self.rest[qubit])
            return
        axes = (turned_axis(inverse(self.rest[q]), a) for q, a in zip(turn.qubits, turn.axes, strict=True))
        self._place(Turn(turn.qubits, tuple(axes), turn.angle))

    def along_z(self, qubit: int, axis: Axis) -> int:
        """Whether an axis behind the constants is Z (1) or -Z (-1) before them; else 0."""
        return alignment(turned_axis(inverse(self.rest[qubit]), axis), Z_AXIS)

    def finish(self, locals_: Iterable[tuple[int, Local]]) -> None:
        """Append constant local gates."""
        for qubit, local in locals_:
            self.rest[qubit] = after(local, self.rest[qubit])

    def _place(self, turn: Turn) -> None:
        """Merge the turn with the last one of its axes that it can reach, else append it."""
        for k in range(len(self.turns) - 1, -1, -1):
            earlier = self.turns[k]
            sign = _same(earlier, turn)
            if sign:
                self._replace(k, Turn(earlier.qubits, earlier.axes, _sum(earlier.angle, turn.angle * sign)))
                return
            if not commute(earlier, turn, strictly=not self.commuting):
                break
        self.turns.append(turn)
        self._replace(len(self.turns) - 1, turn)

    def _replace(self, k: int, turn: Turn) -> None:
        """Put the turn at place k; if it is local and constant it moves to the end."""
        self.turns[k] = turn
        if not turn.angle.is_constant:
            return
        if len(turn.qubits) == 1:
            del self.turns[k]
            self._move_to_end(k, turn.qubits[0], about(turn.axes[0], turn.angle.constant))
            return
        halves = round(turn.angle.constant / PI)
        rest = turn.angle.constant - halves * PI
        if abs(rest) < CLOSE:
            del self.turns[k]
        else:
            self.turns[k] = Turn(turn.qubits, turn.axes, Angle.of(rest))
        if halves % 2:
            for qubit, axis in zip(turn.qubits, turn.axes, strict=True):
                self._move_to_end(k, qubit, about(axis, PI))

    def _move_to_end(self, k: int, qubit: int, local: Local) -> None:
        """A constant gate before turn k; the axes of what it passes change (its own turn commutes with it)."""
        back = inverse(local)
        for j in range(k, len(self.turns)):
            turn = self.turns[j]
            if qubit in turn.qubits:
                axes = (turned_axis(back, a) if q == qubit else a for q, a in zip(turn.qubits, turn.axes, strict=True))
                self.turns[j] = Turn(turn.qubits, tuple(axes), turn.angle)
        self.rest[qubit] = after(self.rest[qubit], local)


def commute(a: Turn, b: Turn, *, strictly: bool = False) -> bool:
    """Whether two turns commute whatever their angles; `strictly`: because they share no qubit."""
    shared = [
        (m, n) for q, m in zip(a.qubits, a.axes, strict=True) for p, n in zip(b.qubits, b.axes, strict=True) if p == q
    ]
    if strictly or not shared:
        return not shared
    odd = 0
    for m, n in shared:
        if alignment(m, n):
            continue
        if not perpendicular(m, n):
            return False
        odd += 1
    return odd % 2 == 0


def _same(a: Turn, b: Turn) -> int:
    """1 for rotations about the same axes, -1 for opposite ones, else 0."""
    if a.qubits == b.qubits:
        axes = b.axes
    elif a.qubits == b.qubits[::-1]:
        axes = b.axes[::-1]
    else:
        return 0
    sign = 1
    for m, n in zip(a.axes, axes, strict=True):
        sign *= alignment(m, n)
    return sign


def _sum(a: Angle, b: Angle) -> Angle:
    """a + b without the coefficients that are rounding noise."""
    total = a + b
    if total.is_constant:
        return total
    scale = {m: 0.0 for m, _ in total.terms}
    for monomial, coefficient in (*a.terms, *b.terms):
        if monomial in scale:
            scale[monomial] = max(scale[monomial], abs(coefficient))
    return Angle.collect((m, c) for m, c in total.terms if m == ONE or abs(c) > 1e-14 * scale[m])


def blocks(turns: Iterable[Turn]) -> list[list[Turn]]:
    """The turns in an equivalent order as runs of constant two-qubit turns on one pair; others are alone."""
    out: list[list[Turn]] = []
    current: dict[int, int] = {}
    for turn in turns:
        places = {current.get(q, -1) for q in turn.qubits}
        place = places.pop()
        fits = len(turn.qubits) == 2 and turn.angle.is_constant and not places and place >= 0
        if fits and out[place][0].angle.is_constant and set(out[place][0].qubits) == set(turn.qubits):
            out[place].append(turn)
            continue
        current |= dict.fromkeys(turn.qubits, len(out))
        out.append([turn])
    return out


def collapsed(turns: list[Turn]) -> list[Turn]:
    """The turns with fewer entanglers where a quarter turn, one other rotation and the quarter turn back are one.

    With K = a ⊗ b and m at right angles to a, exp(i s pi/4 K) m exp(-i s pi/4 K) = -s (a × m) ⊗ b: CNOT, RZ on the
    target and CNOT are one RZZ.
    """
    place = 0
    while place < len(turns):
        fewer = _collapsed_at(turns, place)
        if fewer is None:
            place += 1
        else:
            turns = fewer
    return turns


def _collapsed_at(turns: list[Turn], place: int) -> list[Turn] | None:
    first = turns[place]
    if not _is_quarter(first):
        return None
    later = range(place + 1, len(turns))
    obstacles = list(islice((k for k in later if not commute(first, turns[k])), 2))
    image = _conjugated(first, turns[obstacles[0]]) if obstacles else None
    if image is None:
        return None
    k, limit = (*obstacles, len(turns))[:2]
    for j in range(k + 1, limit):
        sign = _same(first, turns[j]) if _is_quarter(turns[j]) else 0
        if sign:
            both = Turn(first.qubits, first.axes, first.angle + turns[j].angle * sign)
            return [*turns[:place], *turns[place + 1 : k], image, both, *turns[k + 1 : j], *turns[j + 1 :]]
    return None


def _is_quarter(turn: Turn) -> bool:
    """Whether it is a constant two-qubit turn by pi/2 either way."""
    return len(turn.qubits) == 2 and turn.angle.is_constant and abs(abs(turn.angle.constant) - PI / 2) < CLOSE


def _conjugated(quarter: Turn, turn: Turn) -> Turn | None:
    """quarter^-1 turn quarter, if that is a rotation of one or two qubits again."""
    axes = dict(zip(turn.qubits, turn.axes, strict=True))
    ends = dict(zip(quarter.qubits, quarter.axes, strict=True))
    moved = [q for q, m in axes.items() if q in ends and perpendicular(m, ends[q])]
    if len(moved) != 1 or not set(axes) <= set(ends):
        return None
    (q,) = moved
    (p,) = set(ends) - {q}
    image = cross(ends[q], axes[q])
    angle = turn.angle * -math.copysign(1, quarter.angle.constant)
    if p not in axes:
        return Turn((q, p), (image, ends[p]), angle)
    side = alignment(axes[p], ends[p])
    return Turn((q,), (image,), angle * side) if side else None


def without_unseen(network: Network, axes: list[Axis]) -> list[Turn]:
    """The turns without those that no measurement along `axes`, one for each qubit, can see."""
    kept: list[Turn] = []
    for turn in reversed(network.turns):
        seen = not all(alignment(m, axes[q]) for q, m in zip(turn.qubits, turn.axes, strict=True))
        if seen or not all(commute(turn, later) for later in kept):
            kept.append(turn)
    return kept[::-1]


def from_zero(network: Network) -> Network:
    """A network that does the same to |0...0>: a turn along Z of a qubit that is still 0 does not need this qubit."""
    out = Network.of(len(network.rest), ())
    moved: set[int] = set()
    for turn in network.turns:
        sides = [0 if q in moved else out.along_z(q, m) for q, m in zip(turn.qubits, turn.axes, strict=True)]
        left = [k for k, side in enumerate(sides) if not side]
        if left:
            qubits, sign = tuple(turn.qubits[k] for k in left), math.prod(side for side in sides if side)
            out.add(Turn(qubits, tuple(turn.axes[k] for k in left), turn.angle * sign))
            if len(left) == 2 or not turn.angle.is_constant:
                moved.update(qubits)
    out.finish(enumerate(network.rest))
    return out
