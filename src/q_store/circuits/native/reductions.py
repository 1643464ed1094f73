"""Fewer turns: runs on one pair, quarter turns around one rotation, and what neither zeros nor measurements notice."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice

from q_store.circuits.native.network import Network, commute, same_axes
from q_store.circuits.native.sphere import CLOSE, Axis, alignment, cross, perpendicular
from q_store.circuits.native.turns import Turn

PI = math.pi


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
        sign = same_axes(first, turns[j]) if _is_quarter(turns[j]) else 0
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
