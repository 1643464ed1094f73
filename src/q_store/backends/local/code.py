"""Programs as the flat arrays that the kernels read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from q_store.backends.local.kernels import DIAGONAL, IMAGINARY, REAL, TABLE
from q_store.backends.local.program import Diagonal, Program, Strings
from q_store.circuits.angle import Angle

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[Any]


class Code(NamedTuple):
    """A program for the kernels.

    Attributes:
        ops: [O, 5], see `kernels.REAL`. masks: z of every slot.
        real_ops: number of leading operations under which amplitudes stay real.
        column, state, weight: a diagonal readout by columns, else empty.
        string_x, string_z, string_sign: a readout of Pauli strings, else empty.
    """

    ops: Ints
    masks: Ints
    real_ops: int
    column: Ints
    state: Ints
    weight: Floats
    string_x: Ints
    string_z: Ints
    string_sign: Floats


class Terms(NamedTuple):
    """Half angles sigma_s a_s / 2 as sums of monomials: entries first[s]..first[s + 1] - 1 of slot s.

    Attributes:
        param, feature: index or -1. weight: coefficient.
    """

    first: Ints
    param: Ints
    feature: Ints
    weight: Floats


class Angles(NamedTuple):
    """Cosines and sines of half angles, [S] for all rows or [block][S][lane] if `lanes`; tables of diagonal runs."""

    c: Floats
    s: Floats
    lanes: bool
    tables: Floats


class Rows(NamedTuple):
    """Rows of a job: row r starts from data[row[r], first : first + columns], or |0...0> if columns = 0."""

    row: Ints
    data: Floats
    first: int
    columns: int


def signs(x: Ints, z: Ints) -> Floats:
    """sigma of strings: +1 where the number of Y is 0 or 1 modulo 4, else -1."""
    return np.where(np.bitwise_count(x & z) % 4 < 2, 1.0, -1.0)


def code(program: Program, dtype: Any, *, lanes: bool) -> Code:
    """The program's code; with angles of their own for every row (`lanes`) diagonal rotations stay single."""
    kinds = np.where(program.x == 0, DIAGONAL, np.where(np.bitwise_count(program.x & program.z) & 1, REAL, IMAGINARY))
    ops: list[tuple[int, int, int, int, int]] = []
    for slot in range(program.size):
        kind, x, z = int(kinds[slot]), int(program.x[slot]), int(program.z[slot])
        if kind != DIAGONAL or lanes:
            ops.append((kind, x, z, slot, 1))
        elif ops and ops[-1][0] == TABLE:
            ops[-1] = (TABLE, 0, 0, ops[-1][3], ops[-1][4] + 1)
        else:
            ops.append((TABLE, 0, 0, slot, 1))
    readout = program.readout
    none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=dtype)
    diagonal = readout if isinstance(readout, Diagonal) else Diagonal(none, none, nothing)
    strings = readout if isinstance(readout, Strings) else Strings(none, none, nothing, nothing)
    return Code(
        np.array(ops, dtype=np.int64).reshape(-1, 5),
        program.z,
        program.real_prefix,
        diagonal.column,
        diagonal.state,
        diagonal.weight.astype(dtype),
        strings.x,
        strings.z,
        signs(strings.x, strings.z).astype(dtype),
    )


def terms(angles: list[Angle], sigma: Floats) -> Terms:
    """The slots' half angles."""
    entries = [(i, j, sign * c / 2) for angle, sign in zip(angles, sigma, strict=True) for (i, j), c in angle.terms]
    first = np.concatenate([[0], np.cumsum([len(a.terms) for a in angles])]).astype(np.int64)
    table = np.array(entries, dtype=float).reshape(-1, 3)
    return Terms(first, table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), np.ascontiguousarray(table[:, 2]))
