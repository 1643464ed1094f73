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

Array = npt.NDArray[Any]

_BYTES = 64 << 20


def metric(engine: Engine, rows: RowSet) -> Array:
    """F = 4 Re[<d_i psi, d_j psi> - <d_i psi, psi><psi, d_j psi>], [R, P, P].

    With a complex vector as the real one (Re, Im), Re<a, b> is their product and Im<a, b> that of a with (Im b, -Re b).
    """
    n_params, dim = rows.params.shape[1], engine.dim
    out = np.zeros((len(rows), n_params, n_params))
    for piece, psi, d in _derivatives(engine, rows):
        turned = np.concatenate([psi[:, dim:], -psi[:, :dim]], axis=1)
        overlap = np.matmul(d, np.stack([psi, turned], axis=2))
        slots = np.matmul(d, d.transpose(0, 2, 1)) - np.matmul(overlap, overlap.transpose(0, 2, 1))
        jacobian = _angle_jacobian(engine, rows.part(piece))
        out[piece] = 4 * (
            slots if jacobian is None else np.matmul(jacobian.transpose(0, 2, 1), np.matmul(slots, jacobian))
        )
    return out


def jacobian(engine: Engine, rows: RowSet) -> tuple[Array, Array]:
    """Values [R, M] and d value / d theta [R, M, P]: d <O> = 2 Re <psi| O |d psi>."""
    values: list[Array] = []
    out: list[Array] = []
    for piece, psi, d in _derivatives(engine, rows):
        constant, observed = _observed(engine, psi)
        values.append(constant + np.matmul(observed, psi[:, :, None])[:, :, 0])
        slots = 2 * np.matmul(observed, d.transpose(0, 2, 1))
        chain = _angle_jacobian(engine, rows.part(piece))
        out.append(slots if chain is None else np.matmul(slots, chain))
    return np.concatenate(values), np.concatenate(out)


def _derivatives(engine: Engine, rows: RowSet) -> Iterator[tuple[slice, Array, Array]]:
    """Portions of the rows with their states [r, 2 * 2^n] and derivatives by angle [r, S, 2 * 2^n], as (Re, Im)."""
    size, dim = engine.program.size, engine.dim
    turn = math.pi / 2 * signs(engine.program.x, engine.program.z)
    portion = max(1, _BYTES // (8 * (size + 1) * (2 * dim + 3 * size)))
    for start in range(0, len(rows), portion):
        piece = slice(start, min(start + portion, len(rows)))
        chosen = rows.part(piece)
        half = np.repeat(engine.half_angles(chosen)[:, None, :], size + 1, axis=1)
        half[:, np.arange(1, size + 1), np.arange(size)] += turn
        each = RowSet(chosen.data, chosen.params, chosen.b.repeat(size + 1), chosen.k.repeat(size + 1))
        unread = np.empty((len(each), engine.width), dtype=engine.dtype)
        parts = engine.forward(engine.angles_from(half.reshape(len(each), size)), each, unread, keep=True)
        states = np.concatenate([unblock(part, len(each), dim) for part in parts], axis=1)
        states = states.reshape(len(chosen), size + 1, 2 * dim)
        yield piece, states[:, 0], states[:, 1:] / 2


def _angle_jacobian(engine: Engine, rows: RowSet) -> Array | None:
    """d a_s / d theta_i, [r, S, P], [1, S, P] where it does not depend on data, or None for the identity."""
    table = engine.angle_table
    if len(table.slot):
        return table.jacobian(np.asarray(rows.data[rows.b], dtype=float))
    size, n_params = table.theta.shape
    return None if size == n_params and np.array_equal(table.theta, np.eye(size)) else table.theta[None]


def _observed(engine: Engine, psi: Array) -> tuple[Array, Array]:
    """Constant [M], and O_m psi without it, [r, M, 2 * 2^n]."""
    readout, dim = engine.program.readout, engine.dim
    if isinstance(readout, Diagonal):
        table = readout.dense(dim).T
        return np.zeros(len(table)), np.concatenate([table, table], axis=1) * psi[:, None, :]
    if readout is None:
        return np.zeros(0), np.zeros((len(psi), 0, 2 * dim))
    states, amplitudes = np.arange(dim), psi[:, :dim] + 1j * psi[:, dim:]
    total = np.zeros((len(psi), len(readout.constant), dim), dtype=complex)
    for x, z, weights in zip(readout.x, readout.z, readout.weights, strict=True):
        source = states ^ x
        sign = 1 - 2.0 * (np.bitwise_count(source & z) & 1)
        total += weights[:, None] * (1j ** int(np.bitwise_count(x & z)) * sign * amplitudes[:, source])[:, None, :]
    return readout.constant, np.concatenate([total.real, total.imag], axis=2)
