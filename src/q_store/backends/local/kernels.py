"""The compiled kernels: blocks of sixteen samples through Pauli rotations, forward and adjoint.

Layout: the state of a block is `re` and `im`, each [2^n] vectors of sixteen lanes, a lane a row of the job. For a
string P = i^m X^x Z^z and a basis state j with partner k = j ^ x,

    -i P |j> = sigma (-1)^|j & z| |k>        (m odd: real rotations, as RY)
    -i P |j> = -i sigma (-1)^|j & z| |k>     (m even, as RX, RZ),   sigma = +-1 by m, folded into the sine.

The adjoint sweep keeps psi and lambda = H psi, H the effective observable sum_m cotangent_m O_m, and gets the
derivative by the angle of P as Re <lambda| -i P psi> (Jones and Gacon, arXiv:2009.02823, for all samples and
observables in one sweep).

All kernels of the family live in this file, because Numba's file cache does not see edits in functions of other files.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from q_store.backends.local.simd import LANES, load, splat, store

REAL, IMAGINARY, DIAGONAL, TABLE = 0, 1, 2, 3
"""Kinds of an operation, column 0 of `ops`; columns 1-4: x mask, z mask, first slot, number of slots (tables)."""
GROUP = 16
"""Blocks whose gradients share an accumulator, in order; fixed, so that sums do not depend on the threads."""

_jit: Any = njit(nogil=True, cache=True, error_model="numpy")
_inline: Any = njit(nogil=True, cache=True, error_model="numpy", inline="always")


@_inline
def parity(j, z):
    """Parity of the bits of j & z."""
    bits = j & z
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    bits ^= bits >> 2
    bits ^= bits >> 1
    return bits & 1


@_inline
def _base(i, low):
    """The i-th basis state whose bit `low` is 0."""
    return ((i & ~(low - 1)) << 1) | (i & (low - 1))


@_jit
def _rotate_real(v, at, dim, x, z, c, s):
    """Real rotation of one component (re or im); it acts on both alike."""
    low = x & -x
    negative = splat(v, 0.0) - s
    for i in range(dim >> 1):
        j = _base(i, low)
        k = j ^ x
        t = negative if parity(j, z) else s
        a = load(v, at + j)
        b = load(v, at + k)
        store(v, at + j, c * a - t * b)
        store(v, at + k, c * b + t * a)


@_jit
def _rotate_imaginary(re, im, at, dim, x, z, c, s):
    low = x & -x
    negative = splat(re, 0.0) - s
    for i in range(dim >> 1):
        j = _base(i, low)
        k = j ^ x
        t = negative if parity(j, z) else s
        a, b = load(re, at + j), load(im, at + j)
        d, e = load(re, at + k), load(im, at + k)
        store(re, at + j, c * a + t * e)
        store(im, at + j, c * b - t * d)
        store(re, at + k, c * d + t * b)
        store(im, at + k, c * e - t * a)


@_jit
def _rotate_diagonal(re, im, at, dim, z, c, s):
    negative = splat(re, 0.0) - s
    for j in range(dim):
        t = negative if parity(j, z) else s
        a, b = load(re, at + j), load(im, at + j)
        store(re, at + j, c * a + t * b)
        store(im, at + j, c * b - t * a)


@_jit
def _apply_table(re, im, at, dim, tables, first):
    for j in range(dim):
        c = splat(re, tables[first + j])
        s = splat(re, tables[first + dim + j])
        a, b = load(re, at + j), load(im, at + j)
        store(re, at + j, c * a - s * b)
        store(im, at + j, c * b + s * a)


@_jit
def _back_real(v, w, at, dim, x, z, c, s):
    """One component of psi (v) and lambda (w): this rotation's derivative, then the rotation undone on both."""
    low = x & -x
    negative = splat(v, 0.0) - s
    total = splat(v, 0.0)
    for i in range(dim >> 1):
        j = _base(i, low)
        k = j ^ x
        odd = parity(j, z)
        t = negative if odd else s
        a, b = load(v, at + j), load(v, at + k)
        p, q = load(w, j), load(w, k)
        part = q * a - p * b
        total = total - part if odd else total + part
        store(v, at + j, c * a + t * b)
        store(v, at + k, c * b - t * a)
        store(w, j, c * p + t * q)
        store(w, k, c * q - t * p)
    return total


@_jit
def _back_imaginary(re, im, lre, lim, at, dim, x, z, c, s):
    low = x & -x
    negative = splat(re, 0.0) - s
    total = splat(re, 0.0)
    for i in range(dim >> 1):
        j = _base(i, low)
        k = j ^ x
        odd = parity(j, z)
        t = negative if odd else s
        a, b, d, e = load(re, at + j), load(im, at + j), load(re, at + k), load(im, at + k)
        p, q, u, v = load(lre, j), load(lim, j), load(lre, k), load(lim, k)
        part = u * b - v * a + p * e - q * d
        total = total - part if odd else total + part
        store(re, at + j, c * a - t * e)
        store(im, at + j, c * b + t * d)
        store(re, at + k, c * d - t * b)
        store(im, at + k, c * e + t * a)
        store(lre, j, c * p - t * v)
        store(lim, j, c * q + t * u)
        store(lre, k, c * u - t * q)
        store(lim, k, c * v + t * p)
    return total


@_jit
def _back_diagonal(re, im, lre, lim, at, dim, z, c, s):
    negative = splat(re, 0.0) - s
    total = splat(re, 0.0)
    for j in range(dim):
        odd = parity(j, z)
        t = negative if odd else s
        a, b, p, q = load(re, at + j), load(im, at + j), load(lre, j), load(lim, j)
        part = p * b - q * a
        total = total - part if odd else total + part
        store(re, at + j, c * a - t * b)
        store(im, at + j, c * b + t * a)
        store(lre, j, c * p - t * q)
        store(lim, j, c * q + t * p)
    return total


@_jit
def _back_table(re, im, lre, lim, at, dim, tables, first, sums, place):
    """Undo a table; add Im(conj(lambda) psi) of every basis state to `sums`."""
    for j in range(dim):
        c = splat(re, tables[first + j])
        s = splat(re, tables[first + dim + j])
        a, b, p, q = load(re, at + j), load(im, at + j), load(lre, j), load(lim, j)
        store(sums, place + j, load(sums, place + j) + (p * b - q * a))
        store(re, at + j, c * a + s * b)
        store(im, at + j, c * b - s * a)
        store(lre, j, c * p + s * q)
        store(lim, j, c * q - s * p)


@_jit
def _start(rows, block, re, at, dim):
    """Load a block's amplitudes (or |0...0>); the largest deviation of a squared norm from 1, NaN if there is one."""
    zero = splat(re, 0.0)
    for j in range(dim):
        store(re, at + j, zero)
    worst = 0.0
    for lane in range(min(LANES, len(rows.row) - block * LANES)):
        if rows.columns == 0:
            re[at * LANES + lane] = 1.0
            continue
        row = rows.row[block * LANES + lane]
        norm = 0.0
        for j in range(rows.columns):
            value = rows.data[row, rows.first + j]
            re[(at + j) * LANES + lane] = value
            norm += value * value
        deviation = abs(norm - 1.0)
        if deviation > worst or deviation != deviation:
            worst = deviation
    return worst


@_jit
def _run(code, angles, block, re, im, at, dim):
    """All operations on one block; the imaginary part is filled in where it first is needed."""
    zero = splat(re, 0.0)
    first = 0
    for o in range(len(code.ops)):
        kind, x, z, slot = code.ops[o, 0], code.ops[o, 1], code.ops[o, 2], code.ops[o, 3]
        if o == code.real_ops:
            for j in range(dim):
                store(im, at + j, zero)
        if kind == TABLE:
            _apply_table(re, im, at, dim, angles.tables, first)
            first += 2 * dim
            continue
        if angles.lanes:
            c, s = load(angles.c, block * len(code.masks) + slot), load(angles.s, block * len(code.masks) + slot)
        else:
            c, s = splat(re, angles.c[slot]), splat(re, angles.s[slot])
        if kind == REAL:
            _rotate_real(re, at, dim, x, z, c, s)
            if o >= code.real_ops:
                _rotate_real(im, at, dim, x, z, c, s)
        elif kind == IMAGINARY:
            _rotate_imaginary(re, im, at, dim, x, z, c, s)
        else:
            _rotate_diagonal(re, im, at, dim, z, c, s)
    if code.real_ops >= len(code.ops):
        for j in range(dim):
            store(im, at + j, zero)


@_jit
def _put(values, block, m, vector, scratch):
    """Write a vector to column m of the block's rows."""
    store(scratch, 0, vector)
    start = block * LANES
    for lane in range(min(LANES, len(values) - start)):
        values[start + lane, m] = scratch[lane]


@_jit
def _read_diagonal(code, re, im, at, dim, block, values, work):
    """values = probabilities @ D, D by columns; `work` holds 2^n + 1 vectors."""
    for j in range(dim):
        a, b = load(re, at + j), load(im, at + j)
        store(work, j + 1, a * a + b * b)
    for m in range(len(code.column) - 1):
        total = splat(re, 0.0)
        for t in range(code.column[m], code.column[m + 1]):
            total = total + splat(re, code.weight[t]) * load(work, code.state[t] + 1)
        _put(values, block, m, total, work)


@_jit
def _read_strings(code, re, im, at, dim, block, values, work):
    for t in range(len(code.string_x)):
        x, z = code.string_x[t], code.string_z[t]
        even = parity(x, z) == 0
        total = splat(re, 0.0)
        for j in range(dim):
            k = j ^ x
            a, b, d, e = load(re, at + j), load(im, at + j), load(re, at + k), load(im, at + k)
            part = d * a + e * b if even else e * a - d * b
            total = total - part if parity(j, z) else total + part
        _put(values, block, t, splat(re, code.string_sign[t]) * total, work)


@_jit
def forward(code, angles, rows, n_qubits, re, im, keep, first_block, last_block, values, work):
    """Blocks first_block..last_block-1 through the program; values[R, M] are read out where M > 0.

    Block b of the final states is written at b if `keep`, else every block overwrites the one before. Returns the
    largest deviation of a squared norm of the data from 1 (NaN if a value is not a number).
    """
    dim = 1 << n_qubits
    worst = 0.0
    for block in range(first_block, last_block):
        at = block * dim if keep else 0
        deviation = _start(rows, block, re, at, dim)
        if deviation > worst or deviation != deviation:
            worst = deviation
        _run(code, angles, block, re, im, at, dim)
        if values.shape[1] == 0:
            continue
        if len(code.column) > 1:
            _read_diagonal(code, re, im, at, dim, block, values, work)
        elif len(code.string_x):
            _read_strings(code, re, im, at, dim, block, values, work)
    return worst


@_jit
def _get(cotangents, block, m, scratch, at):
    start = block * LANES
    rows = min(LANES, len(cotangents) - start)
    for lane in range(rows):
        scratch[at * LANES + lane] = cotangents[start + lane, m]
    for lane in range(rows, LANES):
        scratch[at * LANES + lane] = 0.0
    return load(scratch, at)


@_jit
def _observe_diagonal(code, re, im, lre, lim, at, dim, block, cotangents):
    """lambda = sum_m cotangent_m O_m psi for diagonal O_m; the sum is gathered in lre."""
    for j in range(dim):
        store(lre, j, splat(re, 0.0))
    for m in range(len(code.column) - 1):
        cotangent = _get(cotangents, block, m, lim, 0)
        for t in range(code.column[m], code.column[m + 1]):
            j = code.state[t]
            store(lre, j, load(lre, j) + splat(re, code.weight[t]) * cotangent)
    for j in range(dim):
        h = load(lre, j)
        store(lre, j, h * load(re, at + j))
        store(lim, j, h * load(im, at + j))


@_jit
def _observe_strings(code, re, im, lre, lim, at, dim, block, cotangents, work):
    for j in range(dim):
        store(lre, j, splat(re, 0.0))
        store(lim, j, splat(re, 0.0))
    for t in range(len(code.string_x)):
        x, z = code.string_x[t], code.string_z[t]
        even = parity(x, z) == 0
        weight = splat(re, code.string_sign[t]) * _get(cotangents, block, t, work, 0)
        negative = splat(re, 0.0) - weight
        for j in range(dim):
            k = j ^ x
            w = negative if parity(j, z) else weight
            a, b = w * load(re, at + j), w * load(im, at + j)
            if even:
                store(lre, k, load(lre, k) + a)
                store(lim, k, load(lim, k) + b)
            else:
                store(lre, k, load(lre, k) - b)
                store(lim, k, load(lim, k) + a)


@_jit
def _sweep(code, angles, block, group, re, im, lre, lim, at, dim, slots, sums):
    """Back through the operations of one block, adding derivatives to slots[group] and sums[group]."""
    tables = 0
    for o in range(len(code.ops)):
        tables += code.ops[o, 0] == TABLE
    place = group * tables
    for o in range(len(code.ops) - 1, -1, -1):
        kind, x, z, slot = code.ops[o, 0], code.ops[o, 1], code.ops[o, 2], code.ops[o, 3]
        if kind == TABLE:
            tables -= 1
            _back_table(re, im, lre, lim, at, dim, angles.tables, 2 * dim * tables, sums, (place + tables) * dim)
            continue
        if angles.lanes:
            c, s = load(angles.c, block * len(code.masks) + slot), load(angles.s, block * len(code.masks) + slot)
        else:
            c, s = splat(re, angles.c[slot]), splat(re, angles.s[slot])
        if kind == REAL:
            total = _back_real(re, lre, at, dim, x, z, c, s)
            if o >= code.real_ops:
                total = total + _back_real(im, lim, at, dim, x, z, c, s)
        elif kind == IMAGINARY:
            total = _back_imaginary(re, im, lre, lim, at, dim, x, z, c, s)
        else:
            total = _back_diagonal(re, im, lre, lim, at, dim, z, c, s)
        target = group * len(code.masks) + slot
        store(slots, target, load(slots, target) + total)


@_jit
def backward(code, angles, n_qubits, re, im, lre, lim, given, first_block, last_block, cotangents, slots, sums, work):
    """The adjoint sweep over blocks whose final states lie in re, im (they are consumed).

    lambda is made from the cotangents[R, M] of the values, or lies in lre, lim block by block if `given`. Adds to
    slots[group][S] vectors of the derivatives by sigma_s a_s over the lanes, and to sums[group][table][2^n] for
    tables. With angles of their own for every row a group is one block, else GROUP blocks.
    """
    dim = 1 << n_qubits
    for block in range(first_block, last_block):
        at = block * dim
        group = block if angles.lanes else block // GROUP
        if given:
            p, q = lre[at * LANES : (at + dim) * LANES], lim[at * LANES : (at + dim) * LANES]
        else:
            p, q = lre[:], lim[:]
            if len(code.column) > 1:
                _observe_diagonal(code, re, im, p, q, at, dim, block, cotangents)
            else:
                _observe_strings(code, re, im, p, q, at, dim, block, cotangents, work)
        _sweep(code, angles, block, group, re, im, p, q, at, dim, slots, sums)
