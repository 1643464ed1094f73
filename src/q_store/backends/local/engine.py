"""Execution of one compiled program: values, states and gradients of all rows, in fixed slices over the threads."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local import angles, kernels, threads
from q_store.backends.local.code import Angles, Code, Rows, Terms, code, signs, terms
from q_store.backends.local.program import Program, Strings
from q_store.backends.local.simd import LANES
from q_store.circuits.binding import AngleTable
from q_store.errors import InputError

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

THREAD_WORK = 200_000
"""Vector updates (blocks x 2^n x operations) above which a second thread pays; about 0.3 ms."""
NORM_TOLERANCE = 1e-3
_ALIGNMENT = 64
_NOTHING: dict[Any, Floats] = {np.float32: np.zeros(0, np.float32), np.float64: np.zeros(0)}


def aligned(size: int, dtype: Any) -> Floats:
    """An uninitialised array whose vectors do not straddle cache lines."""
    item = np.dtype(dtype).itemsize
    raw = np.empty(size * item + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * item].view(dtype)


@dataclass(frozen=True, eq=False)
class RowSet:
    """Which data row and which parameter row every row takes.

    Attributes:
        data: [B, D], contiguous. params: [K, P]. b, k: [R]; k is constant where the angles are shared.
    """

    data: Floats
    params: Floats
    b: Ints
    k: Ints

    def __len__(self) -> int:
        return len(self.b)

    def part(self, rows: slice) -> RowSet:
        """Some of the rows."""
        return RowSet(self.data, self.params, self.b[rows], self.k[rows])


@dataclass(eq=False)
class Engine:
    """A program, its code for shared and for per-row angles, and the memory that it reuses (one job at a time).

    Attributes:
        dim: 2^n. width: number of columns that a readout writes: values, or strings. table_count: number of diagonal
            runs.
        uses_data: whether an angle depends on data.
    """

    program: Program
    dtype: Any
    n_threads: int
    shared: Code = field(init=False)
    single: Code = field(init=False)
    terms: Terms = field(init=False)
    dim: int = field(init=False)
    width: int = field(init=False)
    table_count: int = field(init=False)
    uses_data: bool = field(init=False)
    _memory: dict[str, Floats] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        program = self.program
        self.shared = code(program, self.dtype, lanes=False)
        self.single = code(program, self.dtype, lanes=True)
        self.terms = terms(list(program.angles), signs(program.x, program.z))
        self.uses_data = any(a.uses_data for a in program.angles)
        self.dim = 1 << program.n_qubits
        readout = program.readout
        self.width = (
            0 if readout is None else len(readout.x) if isinstance(readout, Strings) else len(readout.column) - 1
        )
        self.table_count = int(np.count_nonzero(self.shared.ops[:, 0] == kernels.TABLE))
        self._tables = aligned(2 * self.dim * self.table_count, self.dtype)
        self._half = np.zeros(program.size)

    @cached_property
    def angle_table(self) -> AngleTable:
        """The program's angles as matrices over parameters and features."""
        return AngleTable.of(self.program.angles, self.program.n_params, self.program.n_features)

    def memory(self, name: str, size: int) -> Floats:
        """`size` numbers to write to, kept between calls."""
        found = self._memory.get(name)
        if found is None or len(found) < size:
            found = self._memory[name] = aligned(size, self.dtype)
        return found[:size]

    def half_angles(self, rows: RowSet) -> Floats:
        """sigma_s a_s / 2 in float64, [R, S]."""
        size, blocks = self.program.size, -(-len(rows) // LANES)
        out = np.zeros(blocks * size * LANES)
        angles.half_angles(self.terms, rows.params, rows.data, rows.b, rows.k, True, out)  # noqa: FBT003  # kernels take positions
        return unblock(out, len(rows), size)

    def angles(self, rows: RowSet, *, lanes: bool) -> Angles:
        """Cosines, sines and tables for the kernels: of the first row, or of every row if `lanes`."""
        size = self.program.size * (-(-len(rows) // LANES) * LANES if lanes else 1)
        half = self._half if len(self._half) == size else np.zeros(size)
        self._half = half
        c, s = self.memory("cosines", size), self.memory("sines", size)
        tables = _NOTHING[self.dtype] if lanes else self._tables
        code = self.single if lanes else self.shared
        angles.bind(
            self.terms,
            code.ops,
            code.masks,
            rows.params,
            rows.data,
            rows.b,
            rows.k,
            lanes,
            self.dim,
            half,
            c,
            s,
            tables,
        )
        return Angles(c, s, lanes, tables)

    def angles_from(self, half: Floats) -> Angles:
        """The same for given half angles [R, S], every row its own."""
        blocks = block(half)
        c, s = self.memory("cosines", len(blocks)), self.memory("sines", len(blocks))
        angles.sine_cosine(blocks, s, c)
        return Angles(c, s, True, _NOTHING[self.dtype])  # noqa: FBT003  # a tuple for the kernels

    def ranges(self, blocks: int, ops: int, unit: int) -> list[tuple[int, int]]:
        """The blocks of each thread."""
        parts = self.n_threads if blocks * self.dim * ops > THREAD_WORK else 1
        return threads.split(blocks, parts, unit)

    def forward(self, angles: Angles, rows: RowSet, values: Floats, *, keep: bool) -> tuple[Floats, Floats]:
        """Run all rows: values[R, width] are written, final states returned as blocks.

        Without `keep` only the last block of each thread is there.
        """
        instructions = self.single if angles.lanes else self.shared
        blocks = -(-len(rows) // LANES)
        ranges = self.ranges(blocks, len(instructions.ops), kernels.GROUP)
        size = self.dim * LANES
        re = self.memory("re", size * (blocks if keep else len(ranges)))
        im = self.memory("im", size * (blocks if keep else len(ranges)))
        work = self.memory("work", (size + LANES) * len(ranges))
        source = Rows(rows.b, rows.data, *(self.program.columns or (0, 0)))

        def task(part: int, first: int, last: int) -> float:
            at = slice(None) if keep else slice(part * size, (part + 1) * size)
            scratch = work[part * (size + LANES) : (part + 1) * (size + LANES)]
            worst: float = kernels.forward(
                instructions, angles, source, self.program.n_qubits, re[at], im[at], keep, first, last, values, scratch
            )
            return worst

        check_norm(*threads.run(task, ranges))
        return re, im

    def backward(self, angles: Angles, n_rows: int, states: tuple[Floats, Floats], cotangents: Floats | None) -> Floats:
        """The adjoint sweep over the states that `forward(keep=True)` left.

        With `cotangents` None, lambda is taken from memory "lre", "lim" (blocks). Returns the slots' derivatives as
        [group][S][lane] vectors, or summed [S] for shared angles.
        """
        instructions = self.single if angles.lanes else self.shared
        blocks = -(-n_rows // LANES)
        groups = blocks if angles.lanes else -(-blocks // kernels.GROUP)
        slots = self.memory("slots", groups * self.program.size * LANES)
        sums = self.memory("sums", groups * self.table_count * self.dim * LANES)
        slots[:] = 0
        sums[:] = 0
        ranges = self.ranges(blocks, 4 * len(instructions.ops), kernels.GROUP)
        size = self.dim * LANES
        given = cotangents is None
        lre = self.memory("lre", size * (blocks if given else len(ranges)))
        lim = self.memory("lim", size * (blocks if given else len(ranges)))
        work = self.memory("work", (size + LANES) * len(ranges))
        pull = np.zeros((0, 0), dtype=self.dtype) if cotangents is None else cotangents

        def task(part: int, first: int, last: int) -> float:
            at = slice(None) if given else slice(part * size, (part + 1) * size)
            kernels.backward(
                instructions,
                angles,
                self.program.n_qubits,
                *states,
                lre[at],
                lim[at],
                given,
                first,
                last,
                pull,
                slots,
                sums,
                work[part * (size + LANES) :],
            )
            return 0.0

        threads.run(task, ranges)
        if angles.lanes:
            return slots
        out = np.zeros(self.program.size)
        kernels.gradients(instructions, self.program.n_qubits, groups, slots, sums, out)
        return out


def check_norm(*deviations: float) -> None:
    """Raise InputError unless amplitude rows have unit norm: all deviations are small, none is NaN."""
    if all(deviation <= NORM_TOLERANCE for deviation in deviations):
        return
    what = (
        "a value that is not a number"
        if any(math.isnan(d) for d in deviations)
        else f"a squared norm off by {max(deviations):.3g}"
    )
    msg = f"expected amplitude rows of unit norm, got {what}; scale each row to norm 1 first"
    raise InputError(msg)


def unblock(blocks: Floats, rows: int, dim: int) -> Floats:
    """[rows, dim] from vectors [block][dim][lane]."""
    n = -(-rows // LANES)
    return np.ascontiguousarray(blocks.reshape(n, dim, LANES).transpose(0, 2, 1)).reshape(n * LANES, dim)[:rows]


def block(matrix: Floats) -> Floats:
    """Vectors [block][dim][lane], flat, from [rows, dim]; unused lanes are zero."""
    rows, dim = matrix.shape
    n = -(-rows // LANES)
    padded = np.zeros((n * LANES, dim), dtype=matrix.dtype)
    padded[:rows] = matrix
    return padded.reshape(n, LANES, dim).transpose(0, 2, 1).reshape(-1)
