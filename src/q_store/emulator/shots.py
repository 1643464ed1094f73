"""Measured shots: how often each state was seen, from one stream of random numbers a circuit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from q_store.backends.distributions import Distributions
from q_store.emulator.simulators import Simulator
from q_store.emulator.trajectories import Unravelled, draw

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Seen = tuple[Ints, Ints]
"""States, each perhaps more than once, and how often each was seen."""

_NOTHING = np.zeros(0, np.int64), np.zeros(0, np.int64)
_NUMBERS = 1 << 22  # random numbers and signs at a time
_SECONDS = 1e-8  # a random number or a sign


def drawn(state: Ints, weight: Reals, shots: int, rng: np.random.Generator) -> Seen:
    """Shots of one distribution."""
    return state, rng.multinomial(shots, weight / weight.sum())


def evenly(n_qubits: int, shots: int, rng: np.random.Generator) -> Seen:
    """Shots that see every state alike."""
    return rng.integers(0, 1 << n_qubits, shots), np.ones(shots, np.int64)


def trajectories(
    circuit: Unravelled, angles: Reals, shots: int, rng: np.random.Generator, simulator: Simulator
) -> Seen:
    """Shots of one circuit with errors, for its rotation angles[R]; those without an error share one run."""
    parts = [_NOTHING]
    clean = 0
    chunk = max(1, _NUMBERS // _numbers(circuit))
    for first in range(0, shots, chunk):
        some = min(chunk, shots - first)
        errors = draw(circuit, some, rng)
        clean += some - len(errors.flips)
        parts += _with_errors(simulator.batches(angles * errors.signs), errors.flips, rng)
    for ideal in simulator.batches(angles[None]) if clean else ():
        parts.append(drawn(ideal.state, ideal.weight, clean, rng))
    return joined(parts)


def drawing_seconds(circuit: Unravelled, shots: int) -> float:
    """About what it takes to draw the errors of so many shots."""
    return _SECONDS * _numbers(circuit) * shots


def _numbers(circuit: Unravelled) -> int:
    return 1 + len(circuit.channels) + len(circuit.rotations)


def _with_errors(batches: Iterator[Distributions], flips: Ints, rng: np.random.Generator) -> Iterator[Seen]:
    """One shot of each row."""
    done = 0
    for batch in batches:
        reached = np.concatenate([[0.0], np.cumsum(batch.weight)])
        low, high = reached[batch.start[:-1]], reached[batch.start[1:]]
        entry = np.searchsorted(reached, low + rng.random(len(batch)) * (high - low), side="right") - 1
        entry = np.clip(entry, batch.start[:-1], batch.start[1:] - 1)
        yield batch.state[entry] ^ flips[done : done + len(batch)], np.ones(len(batch), np.int64)
        done += len(batch)


def joined(parts: list[Seen]) -> Seen:
    """All of the parts."""
    return np.concatenate([state for state, _ in parts]), np.concatenate([count for _, count in parts])


def frequencies(seen: Seen, shots: int) -> dict[int, float]:
    """k / shots by state, in order of the states; those that were not seen are left out."""
    state, place = np.unique(seen[0], return_inverse=True)
    count = np.bincount(place, seen[1], minlength=len(state))
    there = count > 0
    return dict(zip(state[there].tolist(), (count[there] / shots).tolist(), strict=True))
