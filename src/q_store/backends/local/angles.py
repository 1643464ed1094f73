"""Kernels for angles: binding, sines and cosines, phase tables, and the chain rule back to the parameters.

Everything is done row by row and term by term, so that a row's angles do not depend on the rows beside it, nor on
threads or batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from q_store.backends.local.kernels import GROUP, TABLE, backward, parity
from q_store.backends.local.simd import LANES, lane_sum, load

_jit: Any = njit(nogil=True, cache=True, error_model="numpy")
_inline: Any = njit(nogil=True, cache=True, error_model="numpy", inline="always")


@_inline
def _sine(x, y):
    """Taylor series to x^17, y = x^2."""
    p = 2.8114572543455206e-15
    p = p * y - 7.647163731819816e-13
    p = p * y + 1.6059043836821613e-10
    p = p * y - 2.505210838544172e-8
    p = p * y + 2.7557319223985893e-6
    p = p * y - 1.984126984126984e-4
    p = p * y + 8.333333333333333e-3
    p = p * y - 1.6666666666666666e-1
    return x + x * y * p


@_inline
def _cosine(y):
    """Taylor series to x^16, y = x^2."""
    p = 4.779477332387385e-14
    p = p * y - 1.1470745597729725e-11
    p = p * y + 2.08767569878681e-9
    p = p * y - 2.755731922398589e-7
    p = p * y + 2.48015873015873e-5
    p = p * y - 1.388888888888889e-3
    p = p * y + 4.1666666666666664e-2
    return 1.0 - 0.5 * y + y * y * p


@_jit
def sine_cosine(half, s, c):
    """Sines and cosines by quadrants of pi/2 and Taylor series, error below 4e-16 for |x| < 1e5.

    Plain arithmetic that LLVM turns into vectors, the same for every element whatever lies beside it.
    """
    for i in range(len(half)):
        turns = np.rint(half[i] * 0.6366197723675814)
        x = (half[i] - turns * 1.5707963267341256) - turns * 6.077100506303966e-11
        x -= turns * 2.0222662487959506e-21
        sine, cosine = _sine(x, x * x), _cosine(x * x)
        quadrant = np.int64(turns) & 3
        swapped = quadrant & 1
        a = cosine if swapped else sine
        b = sine if swapped else cosine
        s[i] = -a if quadrant & 2 else a
        c[i] = -b if (quadrant + 1) & 2 else b


@_jit
def half_angles(terms, params, data, row_b, row_k, lanes, out):
    """Half angles of rows: out[S] for the first row, or out[block][S][lane] if `lanes` (zero in unused lanes).

    Row by row and term by term, so that a row's angles do not depend on the rows beside it. Returns the sum of their
    absolute values, which is not finite if one of them is not.
    """
    slots = len(terms.first) - 1
    check = 0.0
    for r in range(len(row_b) if lanes else 1):
        for s in range(slots):
            total = 0.0
            for t in range(terms.first[s], terms.first[s + 1]):
                value = terms.weight[t]
                if terms.param[t] >= 0:
                    value *= params[row_k[r], terms.param[t]]
                if terms.feature[t] >= 0:
                    value *= data[row_b[r], terms.feature[t]]
                total += value
            out[((r // LANES) * slots + s) * LANES + r % LANES if lanes else s] = total
            check += abs(total)
    return check


@_jit
def phase_tables(ops, masks, dim, c, s, tables):
    """Fill the tables exp(-i/2 sum_s a_s (-1)^|j & z_s|) of the TABLE operations, in order of `ops`.

    Each is 2^n cosines, then 2^n sines.
    """
    first = 0
    for o in range(len(ops)):
        if ops[o, 0] != TABLE:
            continue
        for j in range(dim):
            tables[first + j] = 1.0
            tables[first + dim + j] = 0.0
        for slot in range(ops[o, 3], ops[o, 3] + ops[o, 4]):
            for j in range(dim):
                a, b = tables[first + j], tables[first + dim + j]
                t = s[slot] if parity(j, masks[slot]) else -s[slot]
                tables[first + j] = a * c[slot] - b * t
                tables[first + dim + j] = a * t + b * c[slot]
        first += 2 * dim


@_jit
def bind(terms, ops, masks, params, data, row_b, row_k, lanes, dim, half, c, s, tables):
    """Half angles of rows, their cosines and sines, and the phase tables if there are any; the sum of |half|."""
    check = half_angles(terms, params, data, row_b, row_k, lanes, half)
    sine_cosine(half, s, c)
    if len(tables):
        phase_tables(ops, masks, dim, c, s, tables)
    return check


@_jit
def turned(terms, sigma, params, data, row_b, row_k, half, c, s):
    """Cosines and sines of S + 1 rows for every row: its own angles, then each angle in turn moved by pi.

    c and s are [block][S][lane] over the R (S + 1) rows; half and its sines are scratch. Returns the sum of |half|.
    """
    slots = len(sigma)
    check = 0.0
    sine, cosine = np.empty(slots), np.empty(slots)
    for r in range(len(row_b)):
        check += half_angles(terms, params, data, row_b[r : r + 1], row_k[r : r + 1], False, half)  # noqa: FBT003
        sine_cosine(half, sine, cosine)
        for t in range(slots + 1):
            row = r * (slots + 1) + t
            base = (row // LANES) * slots * LANES + row % LANES
            for slot in range(slots):
                c[base + slot * LANES] = cosine[slot]
                s[base + slot * LANES] = sine[slot]
            if t > 0:
                c[base + (t - 1) * LANES] = -sigma[t - 1] * sine[t - 1]
                s[base + (t - 1) * LANES] = sigma[t - 1] * cosine[t - 1]
    return check


@_jit
def gradients(code, n_qubits, groups, slots, sums, out):
    """out[S], float64: derivatives by sigma_s a_s, summed over lanes and groups, tables resolved into their slots."""
    dim = 1 << n_qubits
    n_slots = len(code.masks)
    tables = 0
    for o in range(len(code.ops)):
        tables += code.ops[o, 0] == TABLE
    out[:] = 0.0
    for group in range(groups):
        table = 0
        for o in range(len(code.ops)):
            slot = code.ops[o, 3]
            if code.ops[o, 0] != TABLE:
                out[slot] += lane_sum(load(slots, group * n_slots + slot))
                continue
            for j in range(dim):
                value = lane_sum(load(sums, (group * tables + table) * dim + j))
                for s in range(slot, slot + code.ops[o, 4]):
                    out[s] += -value if parity(j, code.masks[s]) else value
            table += 1


@_jit
def chain_shared(terms, slots, k, out):
    """out[k, i] += sum over slots of slots[S] d (sigma_s a_s) / d theta_i, for angles that do not depend on data."""
    for s in range(len(slots)):
        for t in range(terms.first[s], terms.first[s + 1]):
            if terms.param[t] >= 0:
                out[k, terms.param[t]] += 2.0 * terms.weight[t] * slots[s]


@_jit
def chain(terms, data, row_b, row_k, slots, out):
    """out[k, i] += sum over rows and slots of slots[block][s][lane] d (sigma_s a_s) / d theta_i."""
    n_slots = len(terms.first) - 1
    for r in range(len(row_b)):
        for s in range(n_slots):
            g = 2.0 * slots[((r // LANES) * n_slots + s) * LANES + r % LANES]
            for t in range(terms.first[s], terms.first[s + 1]):
                if terms.param[t] >= 0:
                    value = terms.weight[t] * g
                    if terms.feature[t] >= 0:
                        value *= data[row_b[r], terms.feature[t]]
                    out[row_k[r], terms.param[t]] += value


@_jit
def backward_summed(
    code, terms, angles, n_qubits, re, im, lre, lim, given, blocks, cotangents, slots, sums, work, k, gradient
):
    """`kernels.backward` over all blocks for shared angles, then `collect`: one call for a small job."""
    slots[:] = 0
    sums[:] = 0
    backward(code, angles, n_qubits, re, im, lre, lim, given, 0, blocks, cotangents, slots, sums, work)
    collect(code, terms, n_qubits, -(-blocks // GROUP), slots, sums, k, gradient)


@_jit
def collect(code, terms, n_qubits, groups, slots, sums, k, gradient):
    """Add the derivatives of shared angles, summed over lanes and groups, to gradient[k, P]."""
    summed = np.empty(len(code.masks))
    gradients(code, n_qubits, groups, slots, sums, summed)
    chain_shared(terms, summed, k, gradient)
