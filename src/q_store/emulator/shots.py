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

_NUMBERS = 1 << 22  # random numbers and signs at a time


def drawn(state: Ints, weight: Reals, shots: int, rng: np.random.Generator) -> Ints:
    """States [shots] of one distribution, in order of the states."""
    return np.repeat(state, rng.multinomial(shots, weight / weight.sum()))


def trajectories(
    circuit: Unravelled, angles: Reals, shots: int, rng: np.random.Generator, simulator: Simulator
) -> Ints:
    """States [shots] of one circuit with errors, for its rotation angles[R]; shots without one share one run."""
    parts: list[Ints] = []
    clean = 0
    chunk = max(1, _NUMBERS // (1 + len(circuit.channels) + len(circuit.rotations)))
    for first in range(0, shots, chunk):
        some = min(chunk, shots - first)
        errors = draw(circuit, some, rng)
        clean += some - len(errors.flips)
        parts += _with_errors(simulator.batches(angles * errors.signs), errors.flips, rng)
    for ideal in simulator.batches(angles[None]) if clean else ():
        parts.append(drawn(ideal.state, ideal.weight, clean, rng))
    return np.concatenate(parts)


def _with_errors(batches: Iterator[Distributions], flips: Ints, rng: np.random.Generator) -> Iterator[Ints]:
    """One state of each row."""
    done = 0
    for batch in batches:
        reached = np.concatenate([[0.0], np.cumsum(batch.weight)])
        low, high = reached[batch.start[:-1]], reached[batch.start[1:]]
        entry = np.searchsorted(reached, low + rng.random(len(batch)) * (high - low), side="right") - 1
        entry = np.clip(entry, batch.start[:-1], batch.start[1:] - 1)
        yield batch.state[entry] ^ flips[done : done + len(batch)]
        done += len(batch)


def frequencies(states: Ints, shots: int) -> dict[int, float]:
    """k / shots by state, in order of the states."""
    state, count = np.unique(states, return_counts=True)
    return dict(zip(state.tolist(), (count / shots).tolist(), strict=True))
