"""Distributions of many circuits of one structure, exact or sampled, by the simulator that fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from q_store.backends.distributions import Distributions
from q_store.backends.ionq.noise import Rates
from q_store.circuits.circuit import Circuit
from q_store.emulator import density
from q_store.emulator.limits import Budget
from q_store.emulator.noise import Noisy, unravel
from q_store.emulator.shots import Seen, drawing_seconds, drawn, evenly, frequencies, joined, trajectories
from q_store.emulator.simulators import Engine, Large, Simulator, Small, is_small
from q_store.emulator.trajectories import unravelled

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Answer = dict[int, float]
Answers = dict[int, Answer]

DENSITY_QUBITS = 8
"""Density matrices up to this size, whatever the shots."""
MOST_DENSITY_QUBITS = 10
"""And up to this one, if there are more shots than states."""


@dataclass(frozen=True)
class Instrument:
    """What measures shots.

    Attributes:
        rates: of the channels after its gates.
        shots: of each circuit.
        depolarising: share of the shots that see any state alike.
        engine, budget: to simulate with.
    """

    rates: Rates
    shots: int
    depolarising: float
    engine: Engine
    budget: Budget


def exact(circuit: Circuit, angles: Reals, depolarising: float, engine: Engine, budget: Budget) -> Iterator[Answer]:
    """Probabilities of a circuit with parameter i as angle i, for each row of angles[S, A]; states in order."""
    for batch in _ideal(circuit, angles, engine, budget):
        if depolarising:
            budget.hold(len(batch) << circuit.n_qubits)
            found = Distributions.from_dense((1 - depolarising) * batch.dense() + depolarising / 2**circuit.n_qubits)
        else:
            budget.hold(len(batch.state))
            found = batch
        for state, weight in _rows(found):
            yield dict(zip(state.tolist(), weight.tolist(), strict=True))


def _ideal(circuit: Circuit, angles: Reals, engine: Engine, budget: Budget) -> Iterator[Distributions]:
    if is_small(circuit.n_qubits, len(circuit.ops)):
        return Small(engine, circuit, budget).batches(angles)
    rotations = unravelled(unravel(circuit, None), clifford=False)
    return Large(rotations, budget).batches(rotations.angles(angles))


def sampled(
    circuit: Circuit, angles: Reals, streams: Sequence[np.random.Generator], instrument: Instrument
) -> Iterator[Answer]:
    """Frequencies of a noisy circuit with parameter i as angle i, for each row of angles[S, A], a stream each."""
    noisy = unravel(circuit, instrument.rates)
    n, shots = circuit.n_qubits, instrument.shots
    few = n <= DENSITY_QUBITS or (n <= MOST_DENSITY_QUBITS and 2**n <= shots)
    lost = [int(rng.binomial(shots, instrument.depolarising)) for rng in streams]
    ways = (_density if few else _trajectories)(noisy, angles, streams, [shots - some for some in lost], instrument)
    for rng, some, seen in zip(streams, lost, ways, strict=True):
        yield frequencies(joined([seen, evenly(n, some, rng)]) if some else seen, shots)


def _density(
    noisy: Noisy, angles: Reals, streams: Sequence[np.random.Generator], shots: Sequence[int], instrument: Instrument
) -> Iterator[Seen]:
    rows = unravelled(noisy, clifford=False).angles(angles)
    instrument.budget.spend(density.seconds(noisy, len(rows)))
    found = Distributions.from_dense(density.distributions(noisy, rows))
    for (state, weight), rng, count in zip(_rows(found), streams, shots, strict=True):
        yield drawn(state, weight, count, rng)


def _trajectories(
    noisy: Noisy, angles: Reals, streams: Sequence[np.random.Generator], shots: Sequence[int], instrument: Instrument
) -> Iterator[Seen]:
    small = is_small(noisy.n_qubits, len(noisy.rotations))
    circuit = unravelled(noisy, clifford=small)
    budget = instrument.budget
    simulator: Simulator
    simulator = Small(instrument.engine, circuit.circuit, budget) if small else Large(circuit, budget)
    budget.spend(drawing_seconds(circuit, sum(shots)))
    for row, rng, count in zip(circuit.angles(angles), streams, shots, strict=True):
        yield trajectories(circuit, row, count, rng, simulator)


def _rows(found: Distributions) -> Iterator[tuple[Ints, Reals]]:
    """States and weights of each row."""
    for row in range(len(found)):
        part = slice(found.start[row], found.start[row + 1])
        yield found.state[part], found.weight[part]
