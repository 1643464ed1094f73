"""What is computed once for a structure: a key for caches, and angles brought into one period."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit

Reals = npt.NDArray[np.float64]


class Structure:
    """A circuit that is compared by its digest, which is computed once, and not operation by operation."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit

    def __hash__(self) -> int:
        return hash(self.circuit.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self.circuit.digest == other.circuit.digest


def within(angles: Reals, period: Reals) -> Reals:
    """Angles [..., A] in (-period/2, period/2] for period[A]; as they are where the period is 0."""
    width = np.where(period > 0, period, np.inf)
    rest = np.fmod(angles, width)
    rest = np.where(rest > width / 2, rest - width, rest)
    return np.asarray(np.where(rest <= -width / 2, rest + width, rest))
