"""Unitary first: for many data rows and one parameter row, run the 2^n basis states through the circuit and multiply.

With V[j] the final state of basis state j, all final states are X V (one matrix product). The gradient of the whole batch needs the
adjoint sweep over 2^n columns only: sum_b Re <lambda_b| dU x_b> = sum_j Re <Lambda_j| dU e_j> with Lambda = X^T lambda.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local.engine import Engine, RowSet, block, check_norm, unblock
from q_store.backends.local.program import Diagonal
from q_store.backends.local.simd import LANES
from q_store.jobs import Pullback

Floats = npt.NDArray[Any]

MAX_QUBITS = 8
CHUNK = 4096
"""Data rows a matrix product; fixed, so that sums do not depend on the number of threads."""


def pays(engine: Engine, rows: int) -> bool:
    """Whether this path is open to a program with shared angles, and faster for so many rows."""
    program = engine.program
    few = rows < 6 * engine.dim
    return not (few or program.n_qubits > MAX_QUBITS or program.columns is None or not isinstance(program.readout, Diagonal))


class UnitaryFirst:
    """One parameter row of a program, applied to data rows.

    Raises:
        InputError: if a row has not unit norm.
    """

    def __init__(self, engine: Engine, rows: RowSet) -> None:
        """Run the basis states."""
        self.engine = engine
        first, number = engine.program.columns or (0, 0)
        self.x = rows.data[:, first : first + number] if rows.data.shape[1] != number else rows.data
        self.number = number
        dim = engine.dim
        index = np.arange(number)
        basis = RowSet(np.eye(number, max(engine.dim, first + number), first, dtype=engine.dtype), rows.params, index, rows.k[:1].repeat(number))
        self.angles = engine.angles(basis, lanes=False)
        self.states = engine.forward(self.angles, basis, np.zeros((number, engine.width), dtype=engine.dtype), keep=True)
        self.is_real = engine.program.real_prefix == engine.program.size
        parts = self.states[:1] if self.is_real else self.states
        self.v = [unblock(part, number, dim) for part in parts]
        readout = engine.program.readout
        assert isinstance(readout, Diagonal)  # noqa: S101  # `pays` has checked it
        self.table = np.ascontiguousarray(np.concatenate([readout.dense(dim), np.ones((dim, 1))], axis=1), dtype=engine.dtype)

    def _chunks(self) -> list[slice]:
        return [slice(a, min(a + CHUNK, len(self.x))) for a in range(0, len(self.x), CHUNK)]

    def values(self, out: Floats) -> None:
        """Write values [B, M]."""
        for rows in self._chunks():
            self._values([self.x[rows] @ v for v in self.v], out[rows])

    def _values(self, psi: list[Floats], out: Floats) -> None:
        p = psi[0] * psi[0]
        if len(psi) > 1:
            p += psi[1] * psi[1]
        read = p @ self.table
        deviation = np.abs(read[:, -1] - 1).max()
        check_norm(float(deviation))
        out[:] = read[:, :-1]

    def vjp(self, out: Floats, pullback: Pullback) -> Floats:
        """Write values [B, M]; return the slots' derivatives [S]."""
        kept = [[self.x[rows] @ v for v in self.v] for rows in self._chunks()]
        for rows, psi in zip(self._chunks(), kept, strict=True):
            self._values(psi, out[rows])
        cotangents = np.asarray(pullback(out), dtype=self.engine.dtype)
        total = [np.zeros((self.number, self.engine.dim)) for _ in self.v]
        columns = np.ascontiguousarray(self.table[:, :-1].T)
        for rows, psi in zip(self._chunks(), kept, strict=True):
            h = cotangents[rows] @ columns
            for part, amplitude in zip(total, psi, strict=True):
                part += self.x[rows].T @ (h * amplitude)
        blocks = -(-self.number // LANES)
        size = blocks * self.engine.dim * LANES
        for name, part in zip(("lre", "lim"), total, strict=False):
            self.engine.memory(name, size)[:size] = block(part)
        if self.is_real:
            self.engine.memory("lim", size)[:size] = 0
        return self.engine.backward(self.angles, self.number, self.states, None)
