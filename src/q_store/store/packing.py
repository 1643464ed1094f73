"""Distributions as bytes: a row is a sequence of variable-length integers (LEB128: 7 bits a byte, lowest first).

    form, then  gap[K], value[K]      form 0: counts, form 1: the bits of float64 weights; gaps between sorted states
                value of 0, 1, ..., L form 2 and 3: the same for every state up to the last; the shorter one is taken

A row of 6 qubits and 1000 shots takes at most 130 bytes. Counts come back as count / shots, weights bit by bit, so what
was packed once is packed the same for ever. Whole batches are coded at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from q_store.backends.distributions import Distributions
from q_store.errors import StoreError
from q_store.store.measured import Measured

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
_MORE, _LOW = 0x80, 0x7F
_WEIGHTS, _DENSE = 1, 2
_LONGEST = 10


def pack(measured: Measured) -> list[bytes]:
    """One row of bytes for each row; b"" for a row without an answer."""
    own = measured.distributions
    size, row = np.diff(own.start), own.row
    counted = measured.counted
    shots = np.where(counted, measured.shots, 0)
    values = np.where(counted[row], np.rint(own.weight * shots[row]).astype(np.uint64), own.weight.view(np.uint64))
    width = np.zeros(len(own), np.int64)
    width[size > 0] = own.state[own.start[1:][size > 0] - 1] + 1
    dense = (size > 0) & (width <= 2 * size)
    length = np.where(size > 0, 1 + np.where(dense, width, 2 * size), 0)
    begin = np.concatenate([[0], np.cumsum(length)])
    flat = np.zeros(begin[-1], np.uint64)
    flat[begin[:-1][size > 0]] = (np.where(counted, 0, _WEIGHTS) + np.where(dense, _DENSE, 0))[size > 0]
    place = np.arange(len(row)) - own.start[row]
    head = begin[row] + 1
    flat[head + np.where(dense[row], own.state, size[row] + place)] = values
    sparse = ~dense[row]
    gaps = own.state - np.where(place > 0, np.concatenate([[0], own.state[:-1]]), 0)
    flat[(head + place)[sparse]] = gaps[sparse].astype(np.uint64)
    data, ends = to_varints(flat)
    cuts = np.concatenate([[0], ends])[begin].tolist()
    whole = data.tobytes()
    return [whole[a:b] for a, b in pairwise(cuts)]


def unpack(rows: Sequence[bytes], shots: Ints, n_qubits: int) -> Measured:
    """What was packed; `shots` as `Measured.shots`. Raises StoreError for bytes that `pack` did not write."""
    flat, begin = _words(rows)
    length = np.diff(begin)
    filled = length > 0
    form = np.zeros(len(rows), np.int64)
    form[filled] = flat[begin[:-1][filled]].astype(np.int64)
    dense = (form & _DENSE) > 0
    if (form > (_WEIGHTS | _DENSE)).any() or (~dense & filled & (length % 2 == 0)).any():
        raise _damaged()
    size = np.where(dense, length - 1, (length - 1) // 2) * filled
    row = np.repeat(np.arange(len(rows)), size)
    place = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
    head = begin[row] + 1
    values = flat[head + np.where(dense[row], place, size[row] + place)]
    gaps = flat[head + np.where(dense[row], 0, place)].astype(np.int64)
    summed = np.cumsum(np.where(dense[row], 0, gaps))
    before = np.concatenate([[0], summed])[np.cumsum(size) - size]
    state = np.where(dense[row], place, summed - before[row])
    counted = (form & _WEIGHTS) == 0
    if (counted & filled & (shots <= 0)).any():
        raise _damaged()
    weight = np.where(counted[row], values / np.where(counted, shots, 1)[row], values.view(np.float64))
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    every = Distributions(n_qubits, start, state.astype(np.int64), weight)
    return Measured.of(every, np.where(filled, shots, 0))


def pack_numbers(numbers: npt.ArrayLike) -> bytes:
    """Whole numbers of 0 or more, mostly small."""
    return to_varints(np.asarray(numbers, dtype=np.uint64))[0].tobytes()


def unpack_numbers(data: bytes) -> Ints:
    """What `pack_numbers` packed."""
    return _words([data])[0].astype(np.int64)


def to_varints(values: Words) -> tuple[Bytes, Ints]:
    """The bytes of all values, and where each ends."""
    length = np.ones(len(values), np.int64)
    for k in range(1, _LONGEST):
        length += values >= np.uint64(1) << np.uint64(7 * k)
    ends = np.cumsum(length)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    first, left = ends - length, values
    which = np.arange(len(values))
    for k in range(_LONGEST):
        which = which[length[which] > k]
        if not len(which):
            break
        more = np.where(length[which] > k + 1, _MORE, 0)
        out[first[which] + k] = (left[which] >> np.uint64(7 * k)) & np.uint64(_LOW) | more.astype(np.uint64)
    return out, ends


def _words(rows: Sequence[bytes]) -> tuple[Words, Ints]:
    """All values, and where those of each row begin (one more entry at the end)."""
    data = np.frombuffer(b"".join(rows), np.uint8)
    ends = np.flatnonzero(data < _MORE)
    cuts = np.cumsum([0, *(len(row) for row in rows)])
    if len(data) and (data[cuts[1:][np.diff(cuts) > 0] - 1] >= _MORE).any():
        raise _damaged()
    first = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else np.zeros(0, np.int64)
    place = np.arange(len(data)) - np.repeat(first, np.diff(np.concatenate([first, [len(data)]])))
    if (place >= _LONGEST).any():
        raise _damaged()
    parts = (data & _LOW).astype(np.uint64) << (7 * place).astype(np.uint64)
    values = np.add.reduceat(parts, first) if len(first) else np.zeros(0, np.uint64)
    return values.astype(np.uint64), np.searchsorted(ends, cuts - 1, side="right").astype(np.int64)


def _damaged() -> StoreError:
    return StoreError(
        "expected a packed distribution, got other bytes; the store is damaged: restore a copy, or start a new one"
    )
