"""Derivatives of states: d_s psi = psi(a_s + pi) / 2 for a rotation exp(-i a_s/2 P), and what follows from them.

Every derivative is one more row of the forward kernel. Chunks of rows keep the memory bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from q_store.backends.local.engine import Engine, RowSet, unblock_parts
from q_store.backends.local.program import Diagonal

Array = npt.NDArray[Any]

_BYTES = 64 << 20
# sums may be reassociated here: a dot product is a reduction, and F is symmetric by construction
_jit: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def metric(engine: Engine, rows: RowSet) -> Array:
    """F = 4 Re[<d_i psi, d_j psi> - <d_i psi, psi><psi, d_j psi>], [R, P, P].

    With a complex vector as the real one (Re, Im), Re<a, b> is their product and Im<a, b> that of a with (Im b, -Re b).
    For a unit vector psi, <d_i psi, psi> is imaginary.
    """
    n_params, size = rows.params.shape[1], engine.program.size
    out = np.empty((len(rows), n_params, n_params))
    for piece, states in _derivatives(engine, rows):
        slots = out[piece] if engine.plain else np.empty((len(states), size, size))
        fisher(states, slots)
        jacobian = _angle_jacobian(engine, rows.part(piece))
        if jacobian is not None:
            out[piece] = np.matmul(jacobian.transpose(0, 2, 1), np.matmul(slots, jacobian))
    return out


def jacobian(engine: Engine, rows: RowSet) -> tuple[Array, Array]:
    """Values [R, M] and d value / d theta [R, M, P]: d <O> = 2 Re <psi| O |d psi>."""
    values: list[Array] = []
    out: list[Array] = []
    for piece, states in _derivatives(engine, rows):
        psi, d = states[:, 0], states[:, 1:]
        constant, observed = _observed(engine, psi)
        values.append(constant + np.matmul(observed, psi[:, :, None])[:, :, 0])
        slots = np.matmul(observed, d.transpose(0, 2, 1))
        chain = _angle_jacobian(engine, rows.part(piece))
        out.append(slots if chain is None else np.matmul(slots, chain))
    return np.concatenate(values), np.concatenate(out)


@_jit
def fisher(states, out):
    """out[r, S, S] from the states [r, S + 1, 2 * 2^n] of `_derivatives`."""
    size, dim = out.shape[1], states.shape[2] // 2
    across = np.empty(size)
    for r in range(len(states)):
        psi, d = states[r, 0], states[r, 1:]
        for i in range(size):
            across[i] = 0.0
            for k in range(dim):
                across[i] += d[i, k] * psi[dim + k] - d[i, dim + k] * psi[k]
            for j in range(i + 1):
                total = 0.0
                for k in range(2 * dim):
                    total += d[i, k] * d[j, k]
                out[r, i, j] = out[r, j, i] = total - across[i] * across[j]


def _derivatives(engine: Engine, rows: RowSet) -> Iterator[tuple[slice, Array]]:
    """Portions of the rows with [r, S + 1, 2 * 2^n]: the state and TWICE its derivatives by the angles, as (Re, Im)."""
    size, dim = engine.program.size, engine.dim
    portion = max(1, _BYTES // (8 * (size + 1) * (2 * dim + 3 * size)))
    for start in range(0, len(rows), portion):
        piece = slice(start, min(start + portion, len(rows)))
        chosen = rows.part(piece)
        each = RowSet(chosen.data, chosen.params, chosen.b.repeat(size + 1), chosen.k.repeat(size + 1))
        parts = engine.forward(engine.turned_angles(chosen), each, None, keep=True)
        states = unblock_parts(parts, dim, engine.memory("states", 2 * len(parts[0])))[: len(each)]
        yield piece, states.reshape(len(chosen), size + 1, 2 * dim)


def _angle_jacobian(engine: Engine, rows: RowSet) -> Array | None:
    """d a_s / d theta_i, [r, S, P], [1, S, P] where it does not depend on data, or None for the identity."""
    if engine.plain:
        return None
    table = engine.angle_table
    return table.jacobian(np.asarray(rows.data[rows.b], dtype=float)) if len(table.slot) else table.theta[None]


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
