"""`v34`: SPSA as it was done before: it begins near zero, and the readout learns ten times too slowly, at one rate.

The baseline of the baseline. What was measured of it is 24 to 30 % after 600 circuits of a long training, 65 % after
7,230 and 70 % after 13,320. Its rates are known, its start is not: with that of `spsa` it would be at 45 % after 600.
`python benchmarks/document.py --part before` compares what each of the differences does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from q_store.training.objective import Objective
from q_store.training.recipes.spsa import Spsa
from q_store.training.recipes.task import Reals

NAME = "v34"


@dataclass(frozen=True)
class V34(Spsa):
    """`Spsa` from a start of .2 radians, with a readout rate of .03 that stays, ending at the last iterate."""

    count: int = 15_000
    readout_rate: float = 0.03
    scale: float = 0.2
    average: float | None = None
    name: str = NAME

    def rates(self, objective: Objective, progress: float) -> Reals:
        """See `Spsa.rates`; that of the readout does not decay."""
        is_readout = np.arange(objective.size) >= objective.circuit.n_params
        return np.where(is_readout, self.readout_rate, super().rates(objective, progress))
