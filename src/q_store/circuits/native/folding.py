"""Bound angles of native circuits in the ranges of the service, for all rows at once and without an extra pulse.

In turns, up to global phases:

    MS(p, q, a + 1/2) = (GPi(p) ⊗ GPi(q)) MS(p, q, a)        MS(p, q, -a) = MS(p + 1/2, q, a)
    ZZ(a + 1/2)       = (Z ⊗ Z) ZZ(a)

What is left over on a qubit, RZ(2 pi s) X^b, moves to the end of the circuit: a later phase p becomes (-1)^b (p - s),
a ZZ angle changes its sign with b of either qubit, and another GPi(p) makes b + 1 and 2 p - s of b and s. For
t = (-1)^b s that is t - 2 (-1)^b p, so b and t are sums over earlier gates: matrix products for all rows. At the end RZ
cannot be seen in Z, and X flips the measured bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.gates import GATES
from q_store.errors import GateError, ShapeError

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Columns = npt.NDArray[np.intp]
ROWS = 64  # at a time: their temporary arrays stay in the cache


class Folded(NamedTuple):
    """Angles in range.

    Attributes:
        angles: [R, A], turns.
        flips: [R] or None where no row needs it: the state that row r measures is that of the circuit ^ flips[r].
    """

    angles: Reals
    flips: Ints | None


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the M MS angles and N ZZ angles are among the A angles of a native circuit, and what comes before what.

    Attributes:
        interactions: [M + N], columns of the MS angles, then of the ZZ angles. first: [M], columns of the first phase
            of each MS. sides: [2 M], columns of the first phases, then of the second ones.
        turns_over: [M, A], on how many of its qubits a phase or a ZZ angle has an MS before it.
        shifts: [2 M + N, A], what a phase on either side of an MS before it, and a ZZ before it, add to a phase.
        ends: [M, n], 1 for the qubits of an MS.
    """

    interactions: Columns
    first: Columns
    sides: Columns
    turns_over: Reals
    shifts: Reals
    ends: Reals


def fold(circuit: Circuit, angles: npt.ArrayLike) -> Folded:
    """Bound angles [R, A] of a native circuit, as `circuit.bind` gives them, in the ranges of the service.

    Phases come into [-1/2, 1/2], MS angles into [0, 1/4], ZZ angles into [-1/4, 1/4], for the same operations. What all
    qubits measure in Z stays the same but for the flips.

    Raises:
        GateError: for a circuit with a gate that is not native.
        ShapeError: for another number of columns.
    """
    layout = _layout(circuit)
    out = np.array(angles, dtype=float, ndmin=2)
    expected = layout.turns_over.shape[1]
    if out.ndim != 2 or out.shape[1] != expected:
        msg = f"expected angles of shape [R, {expected}], got {list(out.shape)}; use circuit.bind of the same circuit"
        raise ShapeError(msg)
    bits = [_fold_rows(layout, out[first : first + ROWS]) for first in range(0, len(out), ROWS)]
    flips = np.concatenate(bits) @ (1 << np.arange(circuit.n_qubits, dtype=np.int64))
    return Folded(out, flips if flips.any() else None)


def _fold_rows(layout: _Layout, angles: Reals) -> Ints:
    """Fold some rows in place and return their flipped bits, [R, n]."""
    number = np.rint(2 * angles[:, layout.interactions])
    angles[:, layout.interactions] -= number / 2
    half_turns = _odd(number)
    if half_turns.any():
        angles[:] = _pushed(layout, angles, half_turns)
    ms = layout.interactions[: len(layout.first)]
    angles[:, layout.first] += 0.5 * (angles[:, ms] < 0)
    angles[:, ms] = np.abs(angles[:, ms])
    angles -= np.rint(angles)  # interactions are below 1/2: this concerns phases
    return _odd(half_turns[:, : len(ms)] @ layout.ends).astype(np.int64)


def _odd(values: Reals) -> Reals:
    """1.0 for odd numbers, 0.0 for even ones."""
    return np.asarray(values - 2 * np.floor(values / 2))


def _pushed(layout: _Layout, angles: Reals, half_turns: Reals) -> Reals:
    """The angles [R, A] after half turns [R, M + N] that leave the interactions have moved to the end."""
    n_ms = len(layout.first)
    ms, zz = half_turns[:, :n_ms], half_turns[:, n_ms:]
    out = angles
    if ms.any():
        out = angles * (1 - 2 * _odd(ms @ layout.turns_over))
    events = np.concatenate([out[:, layout.sides] * np.tile(ms, 2), zz], axis=1)
    return np.asarray(out + events @ layout.shifts)


@dataclass
class _Seen:
    """Some angles: their columns, when they occur, and the qubits that they concern as rows [., n] of 0 and 1."""

    columns: Columns
    times: Ints
    qubits: Reals

    @staticmethod
    def of(entries: list[tuple[int, int, tuple[int, ...]]], n_qubits: int) -> _Seen:
        """From (column, time, qubits)."""
        masks = np.zeros((len(entries), n_qubits))
        for row, (_, _, qubits) in zip(masks, entries, strict=True):
            row[list(qubits)] = 1
        columns, times = (np.array([entry[k] for entry in entries], dtype=np.intp) for k in (0, 1))
        return _Seen(columns, times, masks)

    def before(self, later: _Seen, n_angles: int) -> Reals:
        """[own, A], how many qubits each has in common with a later one."""
        out = np.zeros((len(self.columns), n_angles))
        out[:, later.columns] = self.qubits @ later.qubits.T * (self.times[:, None] < later.times)
        return out


@lru_cache(maxsize=64)
def _layout(circuit: Circuit) -> _Layout:
    phases: list[tuple[int, int, tuple[int, ...]]] = []
    interactions: dict[str, list[tuple[int, int, tuple[int, ...]]]] = {"ms": [], "nzz": []}
    used = 0
    for time, op in enumerate(circuit.ops):
        if op.controls or op.gate not in GATES or not GATES[op.gate].native:
            msg = f"expected native gates, got operation {time} ({op.gate}); compile the circuit with to_native first"
            raise GateError(msg)
        if op.gate != "nzz":
            phases += [(used + k, time, (q,)) for k, q in enumerate(op.qubits)]
        used += len(op.angles)
        if op.gate in interactions:
            interactions[op.gate].append((used - 1, time, op.qubits))
    n = circuit.n_qubits
    ms, zz = (_Seen.of(interactions[name], n) for name in ("ms", "nzz"))
    return _matrices(_Seen.of(phases, n), ms, zz, used)


def _matrices(phases: _Seen, ms: _Seen, zz: _Seen, n_angles: int) -> _Layout:
    first = ms.columns - 2
    sides = np.concatenate([first, first + 1])
    places = np.searchsorted(phases.columns, sides)
    side = _Seen(sides, phases.times[places], phases.qubits[places])
    return _Layout(
        interactions=np.concatenate([ms.columns, zz.columns]),
        first=first,
        sides=sides,
        turns_over=ms.before(phases, n_angles) + ms.before(zz, n_angles),
        shifts=np.concatenate([2 * side.before(phases, n_angles), zz.before(phases, n_angles) / 2]),
        ends=ms.qubits,
    )
