"""Shots: counts drawn by the alias method, one independent stream a row.

The stream of a row is SplitMix64 started at a hash of (seed, row), so counts do not depend on threads, batches or arrival (Steele, Lea
and Flood, OOPSLA 2014; Vose, IEEE Trans. Softw. Eng. 17, 972). Probabilities are resolved to 2^-32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from q_store.backends.local import threads

_jit: Any = njit(nogil=True, cache=True, error_model="numpy")
_BUFFER = 512
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORK_PER_THREAD = 100_000
DENSE_QUBITS = 12
"""Counts are dense arrays up to this many qubits."""


@_jit
def _mix(v):  # type: ignore[no-untyped-def]
    v = (v ^ (v >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    v = (v ^ (v >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return v ^ (v >> np.uint64(31))


@_jit
def _alias(p, threshold, other, stack):  # type: ignore[no-untyped-def]
    """Vose's tables: bin j keeps a draw below threshold[j] / 2^32, else gives it to other[j]."""
    dim = len(p)
    total = 0.0
    for j in range(dim):
        total += max(np.float64(p[j]), 0.0)
    scale = dim / total
    small, large = 0, dim
    share = np.empty(dim, np.float64)
    for j in range(dim):
        share[j] = max(np.float64(p[j]), 0.0) * scale
        other[j] = j
        if share[j] < 1.0:
            stack[small] = j
            small += 1
        else:
            large -= 1
            stack[large] = j
    while small > 0 and large < dim:
        small -= 1
        j, k = stack[small], stack[large]
        threshold[j] = np.uint64(share[j] * 4294967296.0)
        other[j] = k
        share[k] = (share[k] + share[j]) - 1.0
        if share[k] < 1.0:
            large += 1
            stack[small] = k
            small += 1
    for i in range(small):
        threshold[stack[i]] = np.uint64(4294967296)
    for i in range(large, dim):
        threshold[stack[i]] = np.uint64(4294967296)


@_jit
def sample_rows(probabilities, shots, seed, first, last, counts):  # type: ignore[no-untyped-def]
    """counts[r, :] for rows first..last-1 of probabilities[R, 2^n]; shots[R]."""
    dim = probabilities.shape[1]
    bits = 0
    while (1 << bits) < dim:
        bits += 1
    threshold = np.zeros(dim, np.uint64)
    other = np.zeros(dim, np.int64)
    stack = np.zeros(dim, np.int64)
    words = np.empty(_BUFFER, np.uint64)
    low = np.uint64(0xFFFFFFFF)
    for r in range(first, last):
        _alias(probabilities[r], threshold, other, stack)
        state = _mix(_mix(seed + _GOLDEN) + np.uint64(r) * _GOLDEN)
        counts[r, :] = 0
        left = shots[r]
        at = np.uint64(0)
        while left > 0:
            # up to 8 qubits a 64-bit word serves two shots
            used = min(_BUFFER, (left + 1) // 2 if bits <= 8 else left)
            for i in range(used):
                words[i] = _mix(state + (at + np.uint64(i + 1)) * _GOLDEN)
            at += np.uint64(used)
            if bits > 8:
                for i in range(used):
                    j = np.int64(words[i] >> np.uint64(64 - bits))
                    fraction = (words[i] << np.uint64(bits)) >> np.uint64(32)
                    counts[r, j if fraction < threshold[j] else other[j]] += 1
                left -= used
                continue
            pair = min(left, 2 * used)
            for i in range(pair):
                half = (words[i >> 1] >> np.uint64(32 * (i & 1))) & low
                j = np.int64((half << np.uint64(bits)) >> np.uint64(32))
                fraction = (half << np.uint64(bits)) & low
                counts[r, j if fraction < threshold[j] else other[j]] += 1
            left -= pair


def sample(probabilities: npt.NDArray[Any], shots: npt.NDArray[np.int64], seed: int, n_threads: int) -> npt.NDArray[np.int32]:
    """Counts [R, 2^n] of `shots[r]` draws from each row of probabilities."""
    rows = len(probabilities)
    counts = np.empty(probabilities.shape, dtype=np.int32)
    start = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    parts = n_threads if int(shots.sum()) > _WORK_PER_THREAD else 1

    def task(_: int, first: int, last: int) -> float:
        sample_rows(probabilities, shots, start, first, last, counts)
        return 0.0

    threads.run(task, threads.split(rows, parts, 1))
    return counts
