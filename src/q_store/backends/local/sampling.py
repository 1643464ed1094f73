"""Shots: counts drawn by the alias method, one independent stream a row.

The stream of a row is SplitMix64 started at a hash of (seed, row), so counts do not depend on threads, batches or
arrival (Steele, Lea and Flood, OOPSLA 2014; Vose, IEEE Trans. Softw. Eng. 17, 972). Probabilities are resolved to
2^-32.
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
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_WORK_PER_THREAD = 100_000


@_jit
def _mix(v):
    v = (v ^ (v >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    v = (v ^ (v >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return v ^ (v >> np.uint64(31))


@_jit
def _alias(p, bins, stack):
    """Vose's table: bin j keeps a draw below bins[j] >> 32 (of 2^32), else gives it to bins[j] & (2^32 - 1)."""
    dim = len(p)
    total = 0.0
    for j in range(dim):
        total += max(np.float64(p[j]), 0.0)
    scale = dim / total
    small, large = 0, dim
    share = np.empty(dim, np.float64)
    for j in range(dim):
        share[j] = max(np.float64(p[j]), 0.0) * scale
        bins[j] = (_LOW << _HALF) | np.uint64(j)
        if share[j] < 1.0:
            stack[small] = j
            small += 1
        else:
            large -= 1
            stack[large] = j
    while small > 0 and large < dim:
        small -= 1
        j, k = stack[small], stack[large]
        bins[j] = (np.uint64(share[j] * 4294967295.0) << _HALF) | np.uint64(k)
        share[k] = (share[k] + share[j]) - 1.0
        if share[k] < 1.0:
            large += 1
            stack[small] = k
            small += 1


@_jit
def _pick(bins, j, fraction):
    """The state of a draw, without a branch: which way it goes cannot be predicted."""
    entry = bins[j]
    other = entry & _LOW
    keep = np.uint64(0) - np.uint64(fraction < (entry >> _HALF))
    return other ^ ((other ^ j) & keep)


@_jit
def _count(bins, bits, state, shots, words, even, odd):
    """Draw `shots` states from one stream into the two histograms; up to 8 qubits a 64-bit word serves two shots."""
    shift = np.uint64(bits)
    left, at = shots, np.uint64(0)
    while left > 0:
        each = 2 if bits <= 8 else 1
        used = min(_BUFFER, (left + each - 1) // each)
        for i in range(used):
            words[i] = _mix(state + (at + np.uint64(i + 1)) * _GOLDEN)
        at += np.uint64(used)
        if each == 1:
            for i in range(used):
                word = words[i]
                even[_pick(bins, (word >> _HALF) >> (_HALF - shift), (word << shift) >> _HALF)] += 1
            left -= used
            continue
        pairs = min(left // 2, used)
        for i in range(pairs):
            low, high = words[i] & _LOW, words[i] >> _HALF
            even[_pick(bins, (low << shift) >> _HALF, (low << shift) & _LOW)] += 1
            odd[_pick(bins, (high << shift) >> _HALF, (high << shift) & _LOW)] += 1
        if pairs < used:
            low = words[pairs] & _LOW
            even[_pick(bins, (low << shift) >> _HALF, (low << shift) & _LOW)] += 1
        left -= 2 * pairs + (used - pairs)


@_jit
def sample_rows(probabilities, shots, seed, first, last, counts):
    """counts[r, :] for rows first..last-1 of probabilities[R, 2^n]; shots[R]."""
    dim = probabilities.shape[1]
    bits = 0
    while (1 << bits) < dim:
        bits += 1
    bins = np.empty(dim, np.uint64)
    stack = np.empty(dim, np.int64)
    even, odd = np.empty(dim, np.int32), np.empty(dim, np.int32)
    words = np.empty(_BUFFER, np.uint64)
    start = _mix(seed + _GOLDEN)
    for r in range(first, last):
        _alias(probabilities[r], bins, stack)
        even[:] = 0
        odd[:] = 0
        _count(bins, bits, _mix(start + np.uint64(r) * _GOLDEN), shots[r], words, even, odd)
        for j in range(dim):
            counts[r, j] = even[j] + odd[j]


def sample(
    probabilities: npt.NDArray[Any], shots: npt.NDArray[np.int64], seed: int, n_threads: int
) -> npt.NDArray[np.int32]:
    """Counts [R, 2^n] of `shots[r]` draws from each row of probabilities."""
    rows = len(probabilities)
    counts = np.empty(probabilities.shape, dtype=np.int32)
    start = np.uint64(int(seed) & 0xFFFFFFFFFFFFFFFF)
    parts = n_threads if int(shots.sum()) > _WORK_PER_THREAD else 1

    def task(_: int, first: int, last: int) -> float:
        sample_rows(probabilities, shots, start, first, last, counts)
        return 0.0

    threads.run(task, threads.split(rows, parts, 1))
    return counts
