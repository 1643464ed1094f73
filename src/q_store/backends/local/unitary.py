"""Unitary first: for many data rows and one parameter row, run the 2^n basis states through the circuit and multiply.

With V[j] the final state of basis state j, all final states are X V (one matrix product). The gradient of the whole
batch needs the adjoint sweep over 2^n columns only: sum_b Re <lambda_b| dU x_b> = sum_j Re <Lambda_j| dU e_j> with
Lambda = X^T lambda.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local import products, threads
from q_store.backends.local.engine import Engine, RowSet, aligned, block, check_norm, frozen, unblock
from q_store.backends.local.program import Diagonal
from q_store.backends.local.simd import LANES
from q_store.jobs import Pullback

Floats = npt.NDArray[Any]

MAX_QUBITS = 8
CHUNK = 512
"""Data rows a product; fixed, so that sums do not depend on the number of threads."""
THREAD_WORK = 2_000_000
"""Vector products above which a second thread pays; about 0.6 ms."""
KEEP_BYTES = 64 << 20
"""Final states are kept for the backward pass up to this size, else computed twice."""


def pays(engine: Engine, rows: int) -> bool:
    """Whether this path is open to a program with shared angles, and faster for so many rows.

    Costs in vector operations a row: 2^n for each operation, against 2^n for each column of V, with 2^n rows through
        the circuit first.
    """
    program = engine.program
    if program.n_qubits > MAX_QUBITS or program.columns is None or not isinstance(program.readout, Diagonal):
        return False
    direct = rows * len(engine.shared.ops) * _OPERATION
    return direct > engine.dim * (rows + len(engine.shared.ops) * _OPERATION)


_OPERATION = 3.0
"""Vector operations of a rotation over those of one column of a product, measured."""


class UnitaryFirst:
    """One parameter row of a program, applied to data rows.

    Raises:
        InputError: if a row has not unit norm.
    """

    def __init__(self, engine: Engine, rows: RowSet) -> None:
        """Run the basis states."""
        self.engine, self.x = engine, rows.data
        self.first, self.number = engine.program.columns or (0, 0)
        self.width = max(engine.dim, LANES)
        index = np.arange(self.number)
        basis = np.eye(self.number, self.first + self.number, self.first, dtype=engine.dtype)
        self.columns = RowSet(frozen(basis), rows.params, index, rows.k[:1].repeat(self.number))
        self.angles = engine.angles(self.columns, lanes=False)
        self.states = engine.forward(self.angles, self.columns, None, keep=True)
        self.is_real = engine.program.real_prefix == engine.program.size
        self.v = [
            self._padded(unblock(part, self.number, engine.dim)) for part in self.states[: 1 if self.is_real else 2]
        ]
        self.table, self.n_values = engine.read_table, engine.width
        self.read_width = self.table.shape[1]

    def _padded(self, v: Floats) -> Floats:
        out = aligned(self.number * self.width, self.engine.dtype)
        out[:] = 0
        out.reshape(self.number, self.width)[:, : v.shape[1]] = v
        return out

    def _scratch(self, part: int) -> Floats:
        """Room of a thread for the final states of a chunk, [parts, rows * width]."""
        return self.engine.memory(f"psi{part}", len(self.v) * CHUNK * self.width).reshape(len(self.v), -1)

    def _ranges(self) -> list[tuple[int, int]]:
        work = len(self.x) * self.number * len(self.v) * self.width // LANES
        parts = self.engine.n_threads if work > THREAD_WORK else 1
        return threads.split(-(-len(self.x) // CHUNK), parts, 1)

    def _psi(self, x: Floats, out: Floats) -> list[Floats]:
        """Final states of some rows, written to out[parts, rows * width]."""
        for v, part in zip(self.v, out, strict=True):
            products.multiply(x, self.first, v, self.width, part)
        return list(out)

    def _read(self, part: int, psi: list[Floats], out: Floats) -> float:
        rows, memory = len(out), self.engine.memory
        p, read = memory(f"p{part}", rows * self.width), memory(f"read{part}", rows * self.read_width)
        deviation: float = products.probabilities(psi[0], psi[1] if len(psi) > 1 else psi[0][:0], self.width, p)
        products.multiply(frozen(p).reshape(rows, self.width), 0, self.table.reshape(-1), self.read_width, read)
        out[:] = read.reshape(rows, self.read_width)[:, : self.n_values]
        return deviation

    def values(self, out: Floats, kept: Floats | None = None) -> None:
        """Write values [B, M]; keep the final states in kept[parts, B * width]."""

        def task(part: int, first: int, last: int) -> float:
            scratch = self._scratch(part)
            worst = []
            for chunk in range(first, last):
                rows = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self.x)))
                size = (rows.stop - rows.start) * self.width
                place = (
                    scratch[:, :size]
                    if kept is None
                    else kept[:, rows.start * self.width : rows.start * self.width + size]
                )
                worst.append(self._read(part, self._psi(self.x[rows], place), out[rows]))
            return float(np.max(worst))

        check_norm(*threads.run(task, self._ranges()))

    def vjp(self, out: Floats, pullback: Pullback, gradient: Floats) -> None:
        """Write values [B, M]; add the derivatives to gradient[K, P]."""
        size = len(self.x) * self.width
        keep = size * len(self.v) * np.dtype(self.engine.dtype).itemsize <= KEEP_BYTES
        kept = self.engine.memory("kept", len(self.v) * size).reshape(len(self.v), size) if keep else None
        self.values(out, kept)
        lam = self._pulled(frozen(np.ascontiguousarray(pullback(out), dtype=self.engine.dtype)), kept)
        length = -(-self.number // LANES) * LANES * self.engine.dim
        for name, part in zip(("lre", "lim"), lam, strict=False):
            self.engine.memory(name, length)[:] = block(part[:, : self.engine.dim])
        self.engine.backward(self.angles, self.columns, self.states, None, gradient)

    def _pulled(self, cotangents: Floats, kept: Floats | None) -> Floats:
        """Lambda [parts, columns, width]: sums over fixed chunks, added up in order."""
        chunks = -(-len(self.x) // CHUNK)
        length = self.number * self.width
        sums = np.zeros((chunks, len(self.v), length), dtype=self.engine.dtype)
        columns = np.ascontiguousarray(self.table[:, : self.n_values].T).reshape(-1)

        def task(part: int, first: int, last: int) -> float:
            scratch = self._scratch(part)
            weights = self.engine.memory(f"p{part}", CHUNK * self.width)
            for chunk in range(first, last):
                rows = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self.x)))
                size, x = (rows.stop - rows.start) * self.width, self.x[rows]
                if kept is None:
                    psi = self._psi(x, scratch[:, :size])
                else:
                    psi = list(kept[:, rows.start * self.width : rows.start * self.width + size])
                h = weights[:size]
                products.multiply(cotangents[rows], 0, columns, self.width, h)
                for amplitudes, total in zip(psi, sums[chunk], strict=True):
                    products.scale(h, amplitudes)
                    products.add_transposed(x, self.first, self.number, amplitudes, self.width, total)
            return 0.0

        threads.run(task, self._ranges())
        total: Floats = sums.sum(axis=0, dtype=np.float64)
        return total.reshape(len(self.v), self.number, self.width)
