"""Execution of one compiled program: values, final states and gradients of all rows, in fixed slices over the threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local import kernels, threads
from q_store.backends.local.code import Angles, Code, Rows, Terms, code, signs, terms
from q_store.backends.local.program import Program, Strings
from q_store.backends.local.simd import LANES
from q_store.errors import InputError

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

THREAD_WORK = 200_000
"""Vector updates (blocks x 2^n x operations) above which a second thread pays; about 0.3 ms."""
NORM_TOLERANCE = 1e-3
_ALIGNMENT = 64


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
    """A program, its code for shared and for per-row angles, and the memory that it reuses (one job at a time)."""

    program: Program
    dtype: Any
    n_threads: int
    shared: Code = field(init=False)
    single: Code = field(init=False)
    terms: Terms = field(init=False)
    _memory: dict[str, Floats] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        program = self.program
        self.shared = code(program, self.dtype, lanes=False)
        self.single = code(program, self.dtype, lanes=True)
        self.terms = terms(list(program.angles), signs(program.x, program.z))
        self.uses_data = any(a.uses_data for a in program.angles)

    @property
    def dim(self) -> int:
        """2^n."""
        return 1 << self.program.n_qubits

    @property
    def width(self) -> int:
        """Number of columns that a readout writes: values, or strings."""
        readout = self.program.readout
        if readout is None:
            return 0
        return len(readout.x) if isinstance(readout, Strings) else len(readout.column) - 1

    def memory(self, name: str, size: int) -> Floats:
        """At least `size` numbers to write to, kept between calls."""
        found = self._memory.get(name)
        if found is None or len(found) < size:
            found = self._memory[name] = aligned(size, self.dtype)
        return found

    def half_angles(self, rows: RowSet, *, lanes: bool) -> Floats:
        """Half angles in float64: [S], or [block * S * 16] if `lanes`."""
        size = len(self.terms.first) - 1
        out = np.zeros(-(-len(rows) // LANES) * size * LANES if lanes else size)
        kernels.half_angles(self.terms, rows.params, rows.data, rows.b, rows.k, lanes, out)
        return out

    def angles(self, half: Floats, *, lanes: bool) -> Angles:
        """Cosines, sines and tables for the kernels."""
        c, s = np.cos(half), np.sin(half)
        if self.dtype is not np.float64:
            c, s = c.astype(self.dtype), s.astype(self.dtype)
        tables = np.zeros(0, dtype=self.dtype)
        if not lanes:
            tables = self.memory("tables", 2 * self.dim * self.table_count)
            if self.table_count:
                kernels.phase_tables(self.shared.ops, self.shared.masks, self.dim, c, s, tables)
        return Angles(c, s, lanes, tables)

    @property
    def table_count(self) -> int:
        """Number of diagonal runs with shared angles."""
        return int(np.count_nonzero(self.shared.ops[:, 0] == kernels.TABLE))

    def ranges(self, blocks: int, ops: int, unit: int) -> list[tuple[int, int]]:
        """The blocks of each thread."""
        parts = self.n_threads if blocks * self.dim * ops > THREAD_WORK else 1
        return threads.split(blocks, parts, unit)

    def forward(self, angles: Angles, rows: RowSet, values: Floats, *, keep: bool) -> tuple[Floats, Floats]:
        """Run all rows; values[R, width] are written, final states returned as blocks (only the last of each thread unless `keep`)."""
        instructions = self.single if angles.lanes else self.shared
        blocks = -(-len(rows) // LANES)
        ranges = self.ranges(blocks, len(instructions.ops), kernels.GROUP)
        size = self.dim * LANES
        re = self.memory("re", size * (blocks if keep else len(ranges)))
        im = self.memory("im", size * (blocks if keep else len(ranges)))
        work = self.memory("work", (size + LANES) * len(ranges))
        columns = self.program.columns or (0, 0)
        source = Rows(rows.b, rows.data, *columns)

        def task(part: int, first: int, last: int) -> float:
            at = slice(None) if keep else slice(part * size, (part + 1) * size)
            scratch = work[part * (size + LANES) : (part + 1) * (size + LANES)]
            worst: float = kernels.forward(
                instructions, angles, source, self.program.n_qubits, re[at], im[at], keep, first, last, values, scratch
            )
            return worst

        check_norm(max(threads.run(task, ranges), key=lambda v: (v != v, v)))
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
        slots[: groups * self.program.size * LANES] = 0
        sums[: groups * self.table_count * self.dim * LANES] = 0
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
                instructions, angles, self.program.n_qubits, *states, lre[at], lim[at], given, first, last, pull, slots, sums,
                work[part * (size + LANES) :],
            )
            return 0.0

        threads.run(task, ranges)
        if angles.lanes:
            return slots
        out = np.zeros(self.program.size)
        kernels.gradients(instructions, self.program.n_qubits, groups, slots, sums, out)
        return out


def check_norm(deviation: float) -> None:
    """Raise InputError unless amplitude rows have unit norm."""
    if not deviation <= NORM_TOLERANCE:
        what = "a value that is not a number" if deviation != deviation else f"a squared norm off by {deviation:.3g}"
        msg = f"expected amplitude rows of unit norm, got {what}; scale each row with q_store.circuits.encoders.normalise"
        raise InputError(msg)
