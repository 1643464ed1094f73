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
            sign = same_axes(earlier, turn)
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


def same_axes(a: Turn, b: Turn) -> int:
    """1 for turns about the same axes, -1 for opposite ones, else 0."""
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
