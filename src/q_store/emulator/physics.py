"""What the emulated machines measure.

- `simulator` without noise: exact probabilities.
- `simulator` with a noise model, and every `qpu.*` with the model of its name: frequencies of so many shots.
- On every backend, as if the service itself were so: `depolarising` P mixes the measured distribution of a circuit as
  (1 - P) p + P / 2^n, and `angle_error` S puts every angle of a circuit off by a draw from N(0, S^2) radians that
  depends on its place in the gate list and on the seed alone.

Debiasing changes nothing here: this noise has no bias that it could remove.
"""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import numpy.typing as npt

from q_store.backends.ionq.noise import MODELS
from q_store.backends.ionq.wire.limits import SIMULATOR
from q_store.backends.ionq.wire.parse import Received
from q_store.circuits.circuit import Circuit
from q_store.circuits.gates import GATES, TURN
from q_store.emulator.answers import Answers, Instrument, exact, sampled
from q_store.emulator.limits import Budget
from q_store.emulator.simulators import Engine

Reals = npt.NDArray[np.float64]

_MOST_ANGLES = 3  # of a gate


def noise_model(received: Received, backend: str) -> str:
    """The name of the noise model that a job meets: a machine has its own, the simulator the one asked for."""
    if backend != SIMULATOR:
        return backend.removeprefix("qpu.")
    return received.noise_model or "ideal"


class Physics:
    """The emulated machines.

    Args:
        seed: of all that is random.
        depolarising: P, from 0 to 1.
        angle_error: S, radians, 0 or more.
    """

    def __init__(self, seed: int = 0, depolarising: float = 0.0, angle_error: float = 0.0) -> None:
        self._seed, self._depolarising, self._angle_error = seed, depolarising, angle_error
        self._engine = Engine()

    def distributions(self, received: Received, backend: str) -> list[dict[int, float]]:
        """{state: probability} of every circuit in order; exact, or k / shots.

        Samples depend on the emulator's seed, the job's `noise.seed` and `metadata.seed`, backend, noise model, shots,
        the circuit (structure and angles as sent), and on how often the same circuit came before in the job.

        Raises:
            ImpossibleJobError: for a job that is too large to simulate here.
        """
        rates = MODELS[noise_model(received, backend)]
        budget = Budget()
        streams = [] if rates is None else self._streams(received, backend)
        found: Answers = {}
        for group in received.groups:
            angles = group.angles + self._offsets(group.circuit)
            numbers = group.numbers.tolist()
            if rates is None:
                rows = exact(group.circuit, angles, self._depolarising, self._engine, budget)
            else:
                instrument = Instrument(rates, received.shots, self._depolarising, self._engine, budget)
                rows = sampled(group.circuit, angles, [streams[number] for number in numbers], instrument)
            found.update(zip(numbers, rows, strict=True))
        return [found[number] for number in sorted(found)]

    def _offsets(self, circuit: Circuit) -> Reals:
        """[A], by how much each angle is off, in the unit of its gate."""
        draws = np.random.default_rng(self._seed).normal(size=(len(circuit.ops), _MOST_ANGLES))
        out = np.zeros(circuit.n_params)
        for place, op in enumerate(circuit.ops):
            unit = TURN if op.gate in GATES and GATES[op.gate].native else 1.0
            for k, angle in enumerate(op.angles):
                out[list(angle.params)] = draws[place, k] * self._angle_error / unit
        return out

    def _streams(self, received: Received, backend: str) -> list[np.random.Generator]:
        """A stream of random numbers for each circuit."""
        model, seed = noise_model(received, backend), (received.metadata or {}).get("seed")
        job = repr((self._seed, received.noise_seed, seed, backend, model, received.shots)).encode()
        contents = {
            number: group.circuit.digest.encode() + row.tobytes()
            for group in received.groups
            for number, row in zip(group.numbers.tolist(), group.angles + 0.0, strict=True)  # -0 = 0
        }
        before: Counter[bytes] = Counter()
        streams = []
        for _, content in sorted(contents.items()):
            digest = hashlib.blake2b(job + before[content].to_bytes(8, "little") + content, digest_size=16).digest()
            streams.append(np.random.default_rng(int.from_bytes(digest, "little")))
            before[content] += 1
        return streams
