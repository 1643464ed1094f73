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
from q_store.backends.local.program import Diagonal, Program, Strings
from q_store.backends.local.simd import LANES
from q_store.circuits.binding import AngleTable
from q_store.errors import InputError

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

THREAD_WORK = 200_000
"""Vector updates (blocks x 2^n x operations) above which a second thread pays; about 0.3 ms."""
NORM_TOLERANCE = 1e-3
LARGEST_ANGLES = 1e15
"""Sum of half angles above which float64 does not resolve a turn any more."""
_ALIGNMENT = 64
_COUNTINGS = 16
_NOTHING: dict[Any, Floats] = {np.float32: np.zeros(0, np.float32), np.float64: np.zeros(0)}


def aligned(size: int, dtype: Any) -> Floats:
    """An uninitialised array whose vectors do not straddle cache lines."""
    item = np.dtype(dtype).itemsize
    raw = np.empty(size * item + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * item].view(dtype)


def frozen(array: Floats) -> Floats:
    """A read-only view: Numba compiles a kernel anew for arrays that differ in this flag alone, so none may."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class RowSet:
    """Which data row and which parameter row every row takes.

    Attributes:
        data: [B, D], contiguous. params: [K, P]. Both `frozen`. b, k: [R]; k is constant where the angles are shared.
    """

    data: Floats
    params: Floats
    b: Ints
    k: Ints

    def __len__(self) -> int:
        return len(self.b)

    def part(self, rows: slice) -> RowSet:
        """Some of the rows."""
        if rows.start == 0 and rows.stop >= len(self.b):
            return self
        return RowSet(self.data, self.params, self.b[rows], self.k[rows])


@dataclass(eq=False)
class Engine:
    """A program, its code for shared and for per-row angles, and the memory that it reuses (one job at a time).

    Attributes:
        sigma: signs of the slots. dim: 2^n. width: number of columns that a readout writes: values, or strings.
        table_count: number of diagonal runs.
        uses_data: whether an angle depends on data.
    """

    program: Program
    dtype: Any
    n_threads: int
    shared: Code = field(init=False)
    single: Code = field(init=False)
    terms: Terms = field(init=False)
    sigma: Floats = field(init=False)
    dim: int = field(init=False)
    width: int = field(init=False)
    table_count: int = field(init=False)
    uses_data: bool = field(init=False)
    _memory: dict[str, Floats] = field(init=False, default_factory=dict)
    _counting: dict[int, tuple[Ints, Ints]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        program = self.program
        self.shared = code(program, self.dtype, lanes=False)
        self.single = code(program, self.dtype, lanes=True)
        self.sigma = signs(program.x, program.z)
        self.terms = terms(list(program.angles), self.sigma)
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

    @cached_property
    def plain(self) -> bool:
        """Whether slot s is parameter s, without a factor."""
        theta = self.angle_table.theta
        square = len(theta) == self.program.n_params
        return square and not len(self.angle_table.slot) and np.array_equal(theta, np.eye(len(theta)))

    @cached_property
    def read_table(self) -> Floats:
        """D of a diagonal readout, [2^n or 16, M], padded with zeros to whole vectors."""
        readout = self.program.readout
        table = readout.dense(self.dim) if isinstance(readout, Diagonal) else np.zeros((self.dim, 0))
        out = np.zeros((max(self.dim, LANES), -(-table.shape[1] // LANES) * LANES), dtype=self.dtype)
        out[: self.dim, : table.shape[1]] = table
        return out

    def memory(self, name: str, size: int) -> Floats:
        """`size` numbers to write to, kept between calls."""
        found = self._memory.get(name)
        if found is None or len(found) < size:
            found = self._memory[name] = aligned(size, self.dtype)
        return found[:size]

    def counting(self, n: int) -> tuple[Ints, Ints]:
        """0..n-1 and n zeros; those of the last few n are kept."""
        found = self._counting.get(n)
        if found is None:
            if len(self._counting) >= _COUNTINGS:
                self._counting.clear()
            found = self._counting[n] = (np.arange(n), np.zeros(n, dtype=np.int64))
        return found

    def angles(self, rows: RowSet, *, lanes: bool) -> Angles:
        """Cosines, sines and tables for the kernels: of the first row, or of every row if `lanes`."""
        size = self.program.size * (-(-len(rows) // LANES) * LANES if lanes else 1)
        half = self._half if len(self._half) == size else np.zeros(size)
        self._half = half
        c, s = self.memory("cosines", size), self.memory("sines", size)
        tables = _NOTHING[self.dtype] if lanes else self._tables
        code = self.single if lanes else self.shared
        p, d = rows.params, rows.data
        check_finite(
            angles.bind(self.terms, code.ops, code.masks, p, d, rows.b, rows.k, lanes, self.dim, half, c, s, tables)
        )
        return Angles(c, s, lanes, tables)

    def turned_angles(self, rows: RowSet) -> Angles:
        """The angles of S + 1 rows for every row: its own, then each angle in turn moved by pi."""
        blocks, size = -(-len(rows) * (self.program.size + 1) // LANES), self.program.size
        c, s = self.memory("cosines", blocks * size * LANES), self.memory("sines", blocks * size * LANES)
        c[-size * LANES :] = 1
        s[-size * LANES :] = 0
        half = np.empty(size)
        check_finite(angles.turned(self.terms, self.sigma, rows.params, rows.data, rows.b, rows.k, half, c, s))
        return Angles(c, s, lanes=True, tables=_NOTHING[self.dtype])

    def ranges(self, blocks: int, ops: int, unit: int) -> list[tuple[int, int]]:
        """The blocks of each thread."""
        if self.n_threads == 1 or blocks * self.dim * ops <= THREAD_WORK:
            return [(0, blocks)]
        return threads.split(blocks, self.n_threads, unit)

    def forward(self, bound: Angles, rows: RowSet, values: Floats | None, *, keep: bool) -> tuple[Floats, Floats]:
        """Run all rows: values[R, width] are written unless None, final states returned as blocks.

        Without `keep` only the last block of each thread is there.
        """
        instructions = self.single if bound.lanes else self.shared
        blocks = -(-len(rows) // LANES)
        ranges = self.ranges(blocks, len(instructions.ops), kernels.GROUP)
        size = self.dim * LANES
        re = self.memory("re", size * (blocks if keep else len(ranges)))
        im = self.memory("im", size * (blocks if keep else len(ranges)))
        work = self.memory("work", (size + LANES) * len(ranges))
        source = Rows(rows.b, rows.data, *(self.program.columns or (0, 0)))
        read = np.empty((len(rows), 0), dtype=self.dtype) if values is None else values

        def task(part: int, first: int, last: int) -> float:
            at = slice(None) if keep else slice(part * size, (part + 1) * size)
            scratch = work[part * (size + LANES) : (part + 1) * (size + LANES)]
            worst: float = kernels.forward(
                instructions, bound, source, self.program.n_qubits, re[at], im[at], keep, first, last, read, scratch
            )
            return worst

        check_norm(*threads.run(task, ranges))
        return re, im

    def backward(
        self, bound: Angles, rows: RowSet, states: tuple[Floats, Floats], cotangents: Floats | None, gradient: Floats
    ) -> None:
        """The adjoint sweep over the states that `forward(keep=True)` left; adds the derivatives to gradient[K, P].

        With `cotangents` None, lambda is taken from memory "lre", "lim" (blocks).
        """
        instructions = self.single if bound.lanes else self.shared
        blocks = -(-len(rows) // LANES)
        groups = blocks if bound.lanes else -(-blocks // kernels.GROUP)
        slots = self.memory("slots", groups * self.program.size * LANES)
        sums = self.memory("sums", groups * self.table_count * self.dim * LANES)
        ranges = self.ranges(blocks, 4 * len(instructions.ops), kernels.GROUP)
        size = self.dim * LANES
        given = cotangents is None
        lre = self.memory("lre", size * (blocks if given else len(ranges)))
        lim = self.memory("lim", size * (blocks if given else len(ranges)))
        work = self.memory("work", (size + LANES) * len(ranges))
        pull = np.zeros((0, 0), dtype=self.dtype) if cotangents is None else cotangents
        n_qubits, k = self.program.n_qubits, int(rows.k[0])
        if len(ranges) == 1 and not bound.lanes:
            place = (*states, lre, lim, given, blocks, pull, slots, sums, work, k, gradient)
            angles.backward_summed(instructions, self.terms, bound, n_qubits, *place)
            return
        slots[:] = 0
        sums[:] = 0

        def task(part: int, first: int, last: int) -> float:
            at = slice(None) if given else slice(part * size, (part + 1) * size)
            place = (*states, lre[at], lim[at], given, first, last, pull, slots, sums, work[part * (size + LANES) :])
            kernels.backward(instructions, bound, n_qubits, *place)
            return 0.0

        threads.run(task, ranges)
        if bound.lanes:
            angles.chain(self.terms, rows.data, rows.b, rows.k, slots, gradient)
        else:
            angles.collect(instructions, self.terms, n_qubits, groups, slots, sums, k, gradient)


def check_finite(check: float) -> None:
    """Raise InputError unless the sum over all |angles| / 2 is finite and small enough for sines to mean something."""
    if not check < LARGEST_ANGLES:
        got = f"angles of {2 * check:.3g} radians in all" if math.isfinite(check) else "NaN or infinity"
        msg = f"expected finite parameters and data, got {got}; check the data, or lower the learning rate"
        raise InputError(msg)


def check_norm(*deviations: float) -> None:
    """Raise InputError unless amplitude rows have unit norm: all deviations are small, none is NaN."""
    if deviations[0] <= NORM_TOLERANCE and (len(deviations) == 1 or all(d <= NORM_TOLERANCE for d in deviations)):
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


def unblock_parts(parts: tuple[Floats, Floats], dim: int, out: Floats) -> Floats:
    """Write real and imaginary vectors [block][dim][lane] beside each other to rows of out, [block * lane, 2 dim]."""
    rows = out.reshape(-1, LANES, 2, dim)
    for p, part in enumerate(parts):
        rows[:, :, p] = part.reshape(-1, dim, LANES).transpose(0, 2, 1)
    return out.reshape(-1, 2 * dim)


def block(matrix: Floats) -> Floats:
    """Vectors [block][dim][lane], flat, from [rows, dim]; unused lanes are zero."""
    rows, dim = matrix.shape
    n = -(-rows // LANES)
    padded = np.zeros((n * LANES, dim), dtype=matrix.dtype)
    padded[:rows] = matrix
    return padded.reshape(n, LANES, dim).transpose(0, 2, 1).reshape(-1)
