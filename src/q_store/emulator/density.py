"""Exact noisy distributions of few qubits: density matrices in the basis of Pauli strings, many circuits at a time.

    rho = 2^-n sum_Q v_Q Q,    v_Q real, Q = i^|x & z| X^x Z^z at index x 2^n + z

A depolarising channel multiplies v_Q by 1 - r where Q is not the identity on its qubits. A rotation exp(-i a/2 P) turns
the pairs (Q, R = -+i P Q) of strings that anticommute with P by the angle a. So no product of matrices is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.linalg import hadamard

from q_store.backends.local import threads
from q_store.emulator.noise import Noisy

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LANES = 8
_SECONDS = 1e-9  # a coefficient and a step
_THREAD_SECONDS = 2e-3


def distributions(noisy: Noisy, angles: Reals) -> Reals:
    """Probabilities [S, 2^n] of S circuits for their rotation angles [S, R], radians."""
    n, size = noisy.n_qubits, len(angles)
    steps, keep = _steps(noisy)
    blocks = -(-size // LANES)
    padded = np.zeros((blocks * LANES, angles.shape[1]))
    padded[:size] = angles
    lanes = np.ascontiguousarray(padded.reshape(blocks, LANES, -1).transpose(0, 2, 1))
    turns = np.stack([np.cos(lanes), np.sin(lanes)], axis=1)
    diagonal = np.empty((blocks, 2**n, LANES))
    ones = np.bitwise_count(np.arange(2**n)).astype(np.int64)

    def task(_: int, first: int, last: int) -> float:
        strings = np.empty((4**n, LANES))
        for block in range(first, last):
            strings[:] = 0
            strings[: 2**n] = 1  # |0..0>: every string of Z and I
            _evolve(strings, steps, keep, turns[block], ones)
            diagonal[block] = strings[: 2**n]
        return 0.0

    parts = threads.available() if seconds(noisy, size) > _THREAD_SECONDS else 1
    threads.run(task, threads.split(blocks, parts, 1))
    weights = diagonal.transpose(0, 2, 1).reshape(-1, 2**n)[:size]
    signs: Reals = hadamard(2**n).astype(float)
    return np.asarray(np.maximum(weights @ signs / 2**n, 0.0))


def seconds(noisy: Noisy, size: int) -> float:
    """About what the distributions of S circuits take on one core."""
    return _SECONDS * size * float(4**noisy.n_qubits) * (len(noisy.rotations) + len(noisy.sites))


def _steps(noisy: Noisy) -> tuple[Ints, Reals]:
    """In time order (rotation, x, z), or (-1, qubits, 0) for a channel, and what each channel keeps."""
    steps: list[tuple[int, int, int]] = []
    keep: list[float] = []
    sites = iter(noisy.sites)
    site = next(sites, None)
    for position in range(len(noisy.rotations) + 1):
        while site is not None and site.position == position:
            steps.append((-1, site.mask, 0))
            keep.append(1 - site.rate)
            site = next(sites, None)
        if position < len(noisy.rotations):
            pauli = noisy.rotations[position].pauli
            steps.append((position, pauli.x, pauli.z))
            keep.append(1.0)
    return np.array(steps, dtype=np.int64).reshape(-1, 3), np.array(keep)


def _run(v: Reals, steps: Ints, keep: Reals, turns: Reals, ones: Ints) -> None:
    """Every step on v[4^n, lanes]; turns are cosines and sines [2, R, lanes], ones[2^n] counts the bits of an index."""
    cosines, sines = turns
    low = len(ones) - 1
    n = ones[low]
    for k in range(len(steps)):
        r, px, pz = steps[k]
        for q in range(len(v)):
            qx, qz = q >> n, q & low
            if r < 0:
                if (qx | qz) & px:
                    for lane in range(v.shape[1]):
                        v[q, lane] *= keep[k]
                continue
            rx, rz = qx ^ px, qz ^ pz
            partner = (rx << n) | rz
            if partner < q or not (ones[px & qz] + ones[pz & qx]) & 1:
                continue
            # P Q = i^power R, and so e^{-i a/2 P} Q e^{i a/2 P} = cos a Q - i sin a P Q = cos a Q +- sin a R
            power = (ones[px & pz] + ones[qx & qz] - ones[rx & rz] + 2 * ones[pz & qx]) & 3
            sign = 2.0 - power
            for lane in range(v.shape[1]):
                a, b, sine = v[q, lane], v[partner, lane], sign * sines[r, lane]
                v[q, lane] = cosines[r, lane] * a - sine * b
                v[partner, lane] = cosines[r, lane] * b + sine * a


_evolve: Any = njit(_run, nogil=True, cache=True, error_model="numpy")
