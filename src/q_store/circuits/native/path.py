"""Which way a qubit faces at each of its gates: the fewest pulses on one qubit.

A pulse GPi2 or GPi turns a qubit about an axis of the equator by a quarter or a half turn; turns about Z are free,
since they only shift the phases of later pulses. So all that counts is which logical axis z points along the
laboratory's Z: from z to z' costs 0 if they are equal, 1 at right angles or opposite, else 2. A gate says which z it
can work with:

    virtual rotation about m, or ZZ along m     z = m or -m
    MS along m                                  z at right angles to m
    start, end                                  z = Z, z = C^-1 Z for the constant C of the qubit

The cheapest path through these stops is found by dynamic programming. For MS there is a circle of choices at every
stop; those that can save pulses lie where circles meet, or at right angles to the choices of the stops around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from q_store.circuits.native.sphere import Axis, alignment, common_normal, negated, normal, perpendicular

WIDTH = 6  # candidates kept for a stop, up to sign


@dataclass(frozen=True, slots=True)
class Stop:
    """A gate's condition on z: along the axis, or `across` it."""

    axis: Axis
    across: bool = False

    def admits(self, z: Axis) -> bool:
        """Whether z fulfils the condition."""
        return perpendicular(self.axis, z) if self.across else bool(alignment(self.axis, z))

    def nearest(self, z: Axis) -> Axis:
        """A z of this stop that costs nothing or one pulse from the given one."""
        if not self.across:
            return self.axis
        if alignment(self.axis, z):
            return normal(self.axis)
        return z if perpendicular(self.axis, z) else common_normal(self.axis, z)


def pulses_between(z: Axis, towards: Axis) -> int:
    """The number of pulses that turn z into the other."""
    side = alignment(z, towards)
    return 0 if side > 0 else 1 if side < 0 or perpendicular(z, towards) else 2


def shortest_path(start: Axis, stops: Sequence[Stop], end: Axis) -> list[Axis]:
    """The z at every stop of a path from start to end with the fewest pulses."""
    ahead = _ahead(stops, end)
    layers: list[list[tuple[int, Axis, int]]] = [[(0, start, -1)]]  # (cost, z, place of the predecessor)
    for stop, hints in zip(stops, ahead, strict=True):
        layers.append(_layer(layers[-1], [*hints, *_reachable(stop, layers[-1])]))
    layers.append(_step(layers[-1], [end]))
    path, place = [], layers[-1][0][2]
    for layer in layers[-2:0:-1]:
        _, z, place_before = layer[place]
        path.append(z)
        place = place_before
    return path[::-1]


def _layer(before: list[tuple[int, Axis, int]], candidates: Iterable[Axis]) -> list[tuple[int, Axis, int]]:
    signed = [s for z in _different(candidates) for s in (z, negated(z))]
    found = sorted(_step(before, signed), key=lambda entry: entry[0])
    return [entry for entry in found[: 2 * WIDTH] if entry[0] < found[0][0] + 3]


def _step(before: list[tuple[int, Axis, int]], candidates: Sequence[Axis]) -> list[tuple[int, Axis, int]]:
    out = []
    for z in candidates:
        cost, place = min((cost + pulses_between(w, z), k) for k, (cost, w, _) in enumerate(before))
        out.append((cost, z, place))
    return out


def _reachable(stop: Stop, before: list[tuple[int, Axis, int]]) -> list[Axis]:
    return [stop.nearest(z) for _, z, _ in before] if stop.across else [stop.axis]


def _ahead(stops: Sequence[Stop], end: Axis) -> list[list[Axis]]:
    """For every stop candidates that suit what comes after it."""
    out: list[list[Axis]] = []
    later = [end]
    following: list[Axis] = [end]  # of the next stops whose axes differ
    for stop in reversed(stops):
        if stop.across:
            meeting = [common_normal(stop.axis, axis) for axis in following if not alignment(stop.axis, axis)]
            later = _different([*(stop.nearest(z) for z in later), *meeting])[:WIDTH]
        else:
            later = [stop.axis]
        out.append(later)
        if not alignment(stop.axis, following[0]):
            following = [stop.axis, *following][:2]
    return out[::-1]


def _different(axes: Iterable[Axis]) -> list[Axis]:
    """Without repetitions, signs disregarded."""
    out: list[Axis] = []
    for axis in axes:
        if not any(alignment(axis, other) for other in out):
            out.append(axis)
    return out
