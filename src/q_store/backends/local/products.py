"""Matrix products of float rows, on vectors of sixteen: the dense half of the unitary-first path.

Our own and not the BLAS: its threads spin (a busy machine then loses a factor of ten on products this small) and its
sums may depend on their number. Each kernel runs in the caller's thread; eight rows share every load of the right
factor.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from q_store.backends.local.simd import LANES, lane_sum, load, splat, store

_jit: Any = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def multiply(a, first, b, width, out):
    """out[m, n] = sum_k a[m, first + k] b[k, n].

    a[M, >= K] is 2-D, b[K * width] and out[M * width] are flat, width is a multiple of 16.
    """
    rows, inner, tiles = len(a), len(b) // width, width // LANES
    for m in range(0, rows - 7, 8):
        for n in range(tiles):
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = splat(b, 0.0)
            for k in range(inner):
                v = load(b, k * tiles + n)
                c = first + k
                s0 = s0 + splat(b, a[m, c]) * v
                s1 = s1 + splat(b, a[m + 1, c]) * v
                s2 = s2 + splat(b, a[m + 2, c]) * v
                s3 = s3 + splat(b, a[m + 3, c]) * v
                s4 = s4 + splat(b, a[m + 4, c]) * v
                s5 = s5 + splat(b, a[m + 5, c]) * v
                s6 = s6 + splat(b, a[m + 6, c]) * v
                s7 = s7 + splat(b, a[m + 7, c]) * v
            at = m * tiles + n
            store(out, at, s0)
            store(out, at + tiles, s1)
            store(out, at + 2 * tiles, s2)
            store(out, at + 3 * tiles, s3)
            store(out, at + 4 * tiles, s4)
            store(out, at + 5 * tiles, s5)
            store(out, at + 6 * tiles, s6)
            store(out, at + 7 * tiles, s7)
    for m in range(rows // 8 * 8, rows):
        for n in range(tiles):
            total = splat(b, 0.0)
            for k in range(inner):
                total = total + splat(b, a[m, first + k]) * load(b, k * tiles + n)
            store(out, m * tiles + n, total)


@_jit
def add_transposed(a, first, inner, b, width, out):
    """out[k, n] += sum_m a[m, first + k] b[m, n]; a[M, >= K], b[M * width] and out[K * width] flat, K = inner."""
    rows, tiles = len(a), width // LANES
    whole = inner // 8 * 8
    for k in range(0, whole, 8):
        c = first + k
        for n in range(tiles):
            at = k * tiles + n
            s0, s1 = load(out, at), load(out, at + tiles)
            s2, s3 = load(out, at + 2 * tiles), load(out, at + 3 * tiles)
            s4, s5 = load(out, at + 4 * tiles), load(out, at + 5 * tiles)
            s6, s7 = load(out, at + 6 * tiles), load(out, at + 7 * tiles)
            for m in range(rows):
                v = load(b, m * tiles + n)
                s0 = s0 + splat(b, a[m, c]) * v
                s1 = s1 + splat(b, a[m, c + 1]) * v
                s2 = s2 + splat(b, a[m, c + 2]) * v
                s3 = s3 + splat(b, a[m, c + 3]) * v
                s4 = s4 + splat(b, a[m, c + 4]) * v
                s5 = s5 + splat(b, a[m, c + 5]) * v
                s6 = s6 + splat(b, a[m, c + 6]) * v
                s7 = s7 + splat(b, a[m, c + 7]) * v
            store(out, at, s0)
            store(out, at + tiles, s1)
            store(out, at + 2 * tiles, s2)
            store(out, at + 3 * tiles, s3)
            store(out, at + 4 * tiles, s4)
            store(out, at + 5 * tiles, s5)
            store(out, at + 6 * tiles, s6)
            store(out, at + 7 * tiles, s7)
    for k in range(whole, inner):
        for n in range(tiles):
            total = load(out, k * tiles + n)
            for m in range(rows):
                total = total + splat(b, a[m, first + k]) * load(b, m * tiles + n)
            store(out, k * tiles + n, total)


@_jit
def probabilities(re, im, width, out):
    """out = re^2 + im^2 (re^2 where im is empty), rows of `width`.

    Returns the largest deviation of a row's sum from 1, NaN if there is one.
    """
    tiles = width // LANES
    worst = 0.0
    for m in range(len(out) // width):
        total = splat(out, 0.0)
        for t in range(m * tiles, (m + 1) * tiles):
            a = load(re, t)
            p = a * a
            if len(im):
                b = load(im, t)
                p = p + b * b
            store(out, t, p)
            total = total + p
        deviation = abs(lane_sum(total) - 1.0)
        if deviation > worst or deviation != deviation:
            worst = deviation
    return worst


@_jit
def scale(h, v):
    """v *= h; flat, a multiple of 16."""
    for t in range(len(v) // LANES):
        store(v, t, load(v, t) * load(h, t))
