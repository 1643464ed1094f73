"""Everything that changes during training, and what comes out of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.events import EpochDone

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

EPOCHS, FINISH, DONE = "epochs", "finish", "done"


@dataclass(slots=True, eq=False)
class TrainingState:
    """What a checkpoint holds.

    Random numbers come from (seed, epoch) and (seed, step), so their state is the position itself.

    Attributes:
        vector: [N], the parameters. optimiser: its arrays. estimator: what the gradient estimator remembers.
        stage: `epochs`, `finish` or `done`. epoch: epochs done. step: steps done in all; also the position of the
            schedule.
        loss_sum: sum of the losses over the rows of the epoch so far.
        judged, right: rows of the epoch so far of which it is known whether the output was right, and those that were.
        best_vector, best_value, best_epoch: of the best `monitor`, smaller is better; the vector only if it is to be
            kept.
        stale: epochs since then. reason: why the epochs ended, empty before.
        circuits, shots, seconds: running totals. history: one record an epoch.
        allocator: what the shot rule remembers of the last steps.
        depth, removed: the form of the circuit in this epoch, see `training.depth.Form`.
        best_depth, best_removed: that of the best epoch.
    """

    vector: Reals
    optimiser: dict[str, Array]
    stage: str = EPOCHS
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    judged: int = 0
    right: int = 0
    best_vector: Reals | None = None
    best_value: float | None = None
    best_epoch: int = 0
    stale: int = 0
    reason: str = ""
    circuits: int = 0
    shots: int = 0
    seconds: float = 0.0
    history: list[EpochDone] = field(default_factory=list)
    estimator: dict[str, Array] = field(default_factory=dict)
    allocator: dict[str, Array] = field(default_factory=dict)
    depth: int | None = None
    removed: list[int] = field(default_factory=list)
    best_depth: int | None = None
    best_removed: list[int] = field(default_factory=list)

    def arrays(self) -> dict[str, Array]:
        """The arrays by name."""
        best = {} if self.best_vector is None else {"best_vector": self.best_vector}
        kept = {"optimiser": self.optimiser, "estimator": self.estimator, "allocator": self.allocator}
        return {
            "vector": self.vector,
            **best,
            **{k: v for kind in kept for k, v in _prefixed(kind, kept[kind]).items()},
        }

    def numbers(self) -> dict[str, Any]:
        """The rest, as JSON takes it."""
        kept = {name: getattr(self, name) for name in _NUMBERS}
        return {**kept, "history": [asdict(record) for record in self.history]}

    @staticmethod
    def of(arrays: dict[str, Array], numbers: dict[str, Any]) -> TrainingState:
        """The state that `arrays` and `numbers` came from."""
        state = TrainingState(arrays["vector"], _named("optimiser", arrays), best_vector=arrays.get("best_vector"))
        state.estimator, state.allocator = _named("estimator", arrays), _named("allocator", arrays)
        for name in _NUMBERS:
            if name in numbers or name not in _LATER:
                setattr(state, name, numbers[name])
        state.history = [EpochDone(**record) for record in numbers["history"]]
        return state


def _prefixed(kind: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {f"{kind}.{name}": array for name, array in arrays.items()}


def _named(kind: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(f"{kind}."): array for name, array in arrays.items() if name.startswith(f"{kind}.")}


_NUMBERS = (
    "stage",
    "epoch",
    "step",
    "loss_sum",
    "judged",
    "right",
    "best_value",
    "best_epoch",
    "stale",
    "reason",
    "circuits",
    "shots",
    "seconds",
    "depth",
    "removed",
    "best_depth",
    "best_removed",
)
_LATER = frozenset({"judged", "right"})
"""Not in the checkpoints of earlier versions."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """A finished training.

    Attributes:
        parameters: [N] float64, [theta | readout weights].
        history: one record for each epoch and one for the finish.
        epochs: epochs done. reason: `completed` or `early stopping`.
        best_epoch: the epoch with the best `monitor` (epochs + 1 for the finish), 0 if nothing was monitored.
        circuits, shots: totals. seconds: of the whole run, earlier processes included.
        circuit: what the parameters were trained for, where that is not the circuit of the objective: shallower,
            pruned or merged, over the same parameters.
    """

    parameters: Reals
    history: tuple[EpochDone, ...]
    epochs: int
    reason: str
    best_epoch: int
    circuits: int
    shots: int
    seconds: float
    circuit: Circuit | None = None

    def _repr_html_(self) -> str:
        from q_store.training.card import html

        return html(self)

    @staticmethod
    def of(state: TrainingState, circuit: Circuit | None = None) -> TrainingResult:
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
            circuit,
        )
