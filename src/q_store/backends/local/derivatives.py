"""Derivatives of states: d_s psi = psi(a_s + pi) / 2 for a rotation exp(-i a_s/2 P), and what follows from them.

Every derivative is one more row of the forward kernel. Chunks of rows keep the memory bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local.code import signs
from q_store.backends.local.engine import Engine, RowSet, unblock
from q_store.backends.local.program import Diagonal
from q_store.circuits.binding import AngleTable

Array = npt.NDArray[Any]

_BYTES = 64 << 20


def metric(engine: Engine, rows: RowSet) -> Array:
    """F = 4 Re[<d_i psi, d_j psi> - <d_i psi, psi><psi, d_j psi>], [R, P, P]."""
    n_params = rows.params.shape[1]
    out = np.zeros((len(rows), n_params, n_params))
    for piece, psi, d in _derivatives(engine, rows):
        conjugate = d.conj()
        overlap = np.matmul(conjugate, psi[:, :, None])[:, :, 0]
        gram = np.matmul(conjugate, d.transpose(0, 2, 1)).real
        slots = 4 * (gram - (overlap[:, :, None] * overlap.conj()[:, None, :]).real)
        jacobian = _angle_jacobian(engine, rows.part(piece))
        out[piece] = np.matmul(jacobian.transpose(0, 2, 1), np.matmul(slots, jacobian))
    return out


def jacobian(engine: Engine, rows: RowSet) -> tuple[Array, Array]:
    """Values [R, M] and d value / d theta [R, M, P]: d <O> = 2 Re <psi| O |d psi>."""
    readout = engine.program.readout
    table = readout.dense(engine.dim) if isinstance(readout, Diagonal) else None
    width = 0 if readout is None else (table.shape[1] if table is not None else len(readout.constant))  # type: ignore[union-attr]
    values = np.zeros((len(rows), width))
    out = np.zeros((len(rows), width, rows.params.shape[1]))
    for piece, psi, d in _derivatives(engine, rows):
        if table is not None:
            values[piece] = (np.abs(psi) ** 2) @ table
            slots = np.matmul(2 * (psi.conj()[:, None, :] * d).real, table).transpose(0, 2, 1)
        else:
            observed = _observed(engine, psi)
            values[piece] = readout.constant + np.einsum("rmj,rj->rm", observed.conj(), psi).real  # type: ignore[union-attr]
            slots = 2 * np.matmul(observed.conj(), d.transpose(0, 2, 1)).real
        out[piece] = np.matmul(slots, _angle_jacobian(engine, rows.part(piece)))
    return values, out


def _derivatives(engine: Engine, rows: RowSet) -> Iterator[tuple[slice, Array, Array]]:
    """Portions of the rows with their states [r, 2^n] and derivatives by angle [r, S, 2^n]."""
    size, dim = engine.program.size, engine.dim
    row_bytes = 4 * (size + 1) * (dim + size) * np.dtype(engine.dtype).itemsize
    portion = max(1, _BYTES // row_bytes)
    for start in range(0, len(rows), portion):
        piece = slice(start, min(start + portion, len(rows)))
        chosen = rows.part(piece)
        half = engine.half_angles(chosen)
        every = np.repeat(half[:, None, :], size + 1, axis=1)
        every[:, np.arange(1, size + 1), np.arange(size)] += math.pi / 2 * signs(engine.program.x, engine.program.z)
        each = RowSet(chosen.data, chosen.params, np.repeat(chosen.b, size + 1), np.repeat(chosen.k, size + 1))
        nothing = np.empty((len(each), engine.width), dtype=engine.dtype)
        angles = engine.angles_from(every.reshape(len(each), size))
        re, im = engine.forward(angles, each, nothing, keep=True)
        states = unblock(re, len(each), dim) + 1j * unblock(im, len(each), dim)
        states = states.reshape(len(chosen), size + 1, dim)
        yield piece, states[:, 0], states[:, 1:] / 2


def _angle_jacobian(engine: Engine, rows: RowSet) -> Array:
    """d a_s / d theta_i, [r, S, P]; [1, S, P] where no data occur."""
    table = AngleTable.of(engine.program.angles, rows.params.shape[1], rows.data.shape[1])
    if not len(table.slot):
        return table.theta[None]
    return table.jacobian(np.asarray(rows.data[rows.b], dtype=float))


def _observed(engine: Engine, psi: Array) -> Array:
    """O_m psi without constants, [r, M, 2^n]."""
    readout = engine.program.readout
    assert readout is not None and not isinstance(readout, Diagonal)  # noqa: S101, PT018  # the caller's branch
    states = np.arange(engine.dim)
    terms = []
    for x, z in zip(readout.x, readout.z, strict=True):
        source = states ^ x
        sign = 1 - 2.0 * (np.bitwise_count(source & z) & 1)
        terms.append(1j ** int(np.bitwise_count(x & z)) * sign * psi[:, source])
    return np.einsum("trj,tm->rmj", np.array(terms), readout.weights)
