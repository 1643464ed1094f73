"""`v34`: SPSA as it was tuned before: the readout learns ten times too slowly. The baseline of the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from q_store.training.recipes.spsa import Spsa

NAME = "v34"


@dataclass(frozen=True)
class V34(Spsa):
    """`Spsa` with a readout rate of .03, ending at the last iterate."""

    count: int = 15_000
    readout_rate: float = 0.03
    average: float | None = None
    name: str = NAME
