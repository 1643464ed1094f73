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

from dataclasses import dataclass, field
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
    """Where the F phases, M MS angles and N ZZ angles of a native circuit are, and what comes before what.

    Attributes:
        phases, ms, zz: columns. first: [M], columns of the first phase of each MS. sides: [2 M], the places among the
            phases of both phases of each MS, the first ones of all first.
        ms_phase, zz_phase: [M, F] and [N, F], 1 for a gate before a phase, on its qubit.
        side_phase: [2 M, F], 1 for a side of an MS before a phase, on its qubit.
        ms_zz: [M, N], how many qubits an MS shares with a later ZZ. ms_end: [M, n], 1 for its qubits.
    """

    phases: Columns
    ms: Columns
    zz: Columns
    first: Columns
    sides: Columns
    ms_phase: Reals
    zz_phase: Reals
    side_phase: Reals
    ms_zz: Reals
    ms_end: Reals


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
    expected = len(layout.phases) + len(layout.ms) + len(layout.zz)
    if out.ndim != 2 or out.shape[1] != expected:
        msg = f"expected angles of shape [R, {expected}], got {list(out.shape)}; use circuit.bind of the same circuit"
        raise ShapeError(msg)
    ms, zz = _take_half_turns(out, layout.ms), _take_half_turns(out, layout.zz)
    rows = np.flatnonzero(ms.any(axis=1) | zz.any(axis=1))
    if len(rows):
        out[rows] = _pushed(layout, out[rows], ms[rows], zz[rows])
    interactions = out[:, layout.ms]
    out[:, layout.first] += 0.5 * (interactions < 0)
    out[:, layout.ms] = np.abs(interactions)
    phases = out[:, layout.phases]
    out[:, layout.phases] = phases - np.rint(phases)
    return Folded(out, _flips(_odd(ms @ layout.ms_end)) if ms.any() else None)


def _odd(values: Reals) -> Reals:
    """1.0 for odd numbers, 0.0 for even ones."""
    return np.asarray(values - 2 * np.floor(values / 2))


def _take_half_turns(angles: Reals, columns: Columns) -> Reals:
    """Bring the columns into [-1/4, 1/4] and return 1.0 where an odd number of half turns was taken off."""
    number = np.rint(2 * angles[:, columns])
    angles[:, columns] -= number / 2
    return _odd(number)


def _flips(bits: Reals) -> Ints:
    """bits [R, n] as numbers [R], qubit 0 the least significant."""
    return np.asarray(bits.astype(np.int64) @ (1 << np.arange(bits.shape[1], dtype=np.int64)))


def _pushed(layout: _Layout, angles: Reals, ms: Reals, zz: Reals) -> Reals:
    """The angles [R, A] after half turns ms [R, M] and zz [R, N] that leave the entanglers have moved to the end."""
    out = angles.copy()
    signs = 1 - 2 * _odd(ms @ layout.ms_phase)
    phases = signs * angles[:, layout.phases]
    sides = phases[:, layout.sides] * np.tile(ms, 2)
    out[:, layout.phases] = phases + 2 * (sides @ layout.side_phase) + (zz @ layout.zz_phase) / 2
    out[:, layout.zz] *= 1 - 2 * _odd(ms @ layout.ms_zz)
    return out


@dataclass
class _Seen:
    """Angles of one kind: their columns, the qubits they act on as rows [., n] of 0 and 1, and when they occur."""

    n_qubits: int
    columns: list[int] = field(default_factory=list)
    qubits: list[Reals] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def add(self, column: int, qubits: Reals, time: int) -> None:
        self.columns.append(column)
        self.qubits.append(qubits)
        self.times.append(time)

    def before(self, later: _Seen) -> Reals:
        """[own, later], how many qubits each has in common with a later one."""
        earlier = np.array(self.times)[:, None] < np.array(later.times)
        return np.asarray(self.masks @ later.masks.T * earlier)

    @property
    def masks(self) -> Reals:
        """[own, n]."""
        return np.array(self.qubits, dtype=float).reshape(len(self.qubits), self.n_qubits)


@lru_cache(maxsize=64)
def _layout(circuit: Circuit) -> _Layout:
    bits = np.eye(circuit.n_qubits)
    phases, ms, zz = (_Seen(circuit.n_qubits) for _ in range(3))
    firsts = []
    used = 0
    for time, op in enumerate(circuit.ops):
        if op.controls or op.gate not in GATES or not GATES[op.gate].native:
            msg = f"expected native gates, got operation {time} ({op.gate}); compile the circuit with to_native first"
            raise GateError(msg)
        if op.gate == "ms":
            firsts.append(len(phases.columns))
        if op.gate != "nzz":
            for k, q in enumerate(op.qubits):
                phases.add(used + k, bits[q], time)
        if len(op.qubits) == 2:
            kind = ms if op.gate == "ms" else zz
            kind.add(used + len(op.angles) - 1, bits[list(op.qubits)].sum(axis=0), time)
        used += len(op.angles)
    return _matrices(phases, ms, zz, np.array(firsts, dtype=np.intp))


def _matrices(phases: _Seen, ms: _Seen, zz: _Seen, firsts: Columns) -> _Layout:
    sides = np.concatenate([firsts, firsts + 1])
    side = _Seen(phases.n_qubits, [], [phases.qubits[k] for k in sides], [phases.times[k] for k in sides])
    columns = np.array(phases.columns, dtype=np.intp)
    return _Layout(
        phases=columns,
        ms=np.array(ms.columns, dtype=np.intp),
        zz=np.array(zz.columns, dtype=np.intp),
        first=columns[firsts],
        sides=sides,
        ms_phase=ms.before(phases),
        zz_phase=zz.before(phases),
        side_phase=side.before(phases),
        ms_zz=ms.before(zz),
        ms_end=ms.masks,
    )
