"""Everything that changes during training, and what comes out of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.events import EpochDone

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

EPOCHS, FINISH, DONE = "epochs", "finish", "done"


@dataclass(slots=True, eq=False)
class TrainingState:
    """What a checkpoint holds.

    Random numbers come from (seed, epoch) and (seed, step), so their state is the position itself.

    Attributes:
        vector: [N], the parameters. optimiser: its arrays.
        stage: `epochs`, `finish` or `done`. epoch: epochs done. step: steps done in all; also the position of the
            schedule.
        loss_sum: sum of the losses over the rows of the epoch so far.
        best_vector, best_value, best_epoch: of the best `monitor`, smaller is better; the vector only if it is to be
            kept.
        stale: epochs since then. reason: why the epochs ended, empty before.
        circuits, shots, seconds: running totals. history: one record an epoch.
    """

    vector: Reals
    optimiser: dict[str, Array]
    stage: str = EPOCHS
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_vector: Reals | None = None
    best_value: float | None = None
    best_epoch: int = 0
    stale: int = 0
    reason: str = ""
    circuits: int = 0
    shots: int = 0
    seconds: float = 0.0
    history: list[EpochDone] = field(default_factory=list)

    def arrays(self) -> dict[str, Array]:
        """The arrays by name."""
        best = {} if self.best_vector is None else {"best_vector": self.best_vector}
        return {"vector": self.vector, **best, **{f"optimiser.{k}": v for k, v in self.optimiser.items()}}

    def numbers(self) -> dict[str, Any]:
        """The rest, as JSON takes it."""
        kept = {name: getattr(self, name) for name in _NUMBERS}
        return {**kept, "history": [asdict(record) for record in self.history]}

    @staticmethod
    def of(arrays: dict[str, Array], numbers: dict[str, Any]) -> TrainingState:
        """The state that `arrays` and `numbers` came from."""
        optimiser = {k.removeprefix("optimiser."): v for k, v in arrays.items() if k.startswith("optimiser.")}
        state = TrainingState(arrays["vector"], optimiser, best_vector=arrays.get("best_vector"))
        for name in _NUMBERS:
            setattr(state, name, numbers[name])
        state.history = [EpochDone(**record) for record in numbers["history"]]
        return state


_NUMBERS = (
    "stage",
    "epoch",
    "step",
    "loss_sum",
    "best_value",
    "best_epoch",
    "stale",
    "reason",
    "circuits",
    "shots",
    "seconds",
)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """A finished training.

    Attributes:
        parameters: [N] float64, [theta | readout weights].
        history: one record for each epoch and one for the finish.
        epochs: epochs done. reason: `completed` or `early stopping`.
        best_epoch: the epoch with the best `monitor` (epochs + 1 for the finish), 0 if nothing was monitored.
        circuits, shots: totals. seconds: of the whole run, earlier processes included.
    """

    parameters: Reals
    history: tuple[EpochDone, ...]
    epochs: int
    reason: str
    best_epoch: int
    circuits: int
    shots: int
    seconds: float

    @staticmethod
    def of(state: TrainingState) -> TrainingResult:
        """The result in a final state."""
        return TrainingResult(
            state.vector.copy(),
            tuple(state.history),
            state.epoch,
            state.reason,
            state.best_epoch,
            state.circuits,
            state.shots,
            state.seconds,
        )
