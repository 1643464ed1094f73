"""What a run tells those who watch it: small frozen events, handed to callables.

    Sink = Callable[[Event], None]

Logs, progress bars, run folders and trackers are sinks. Times are seconds; `circuits` and `shots` are running totals
of the run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Training begins, or goes on from a checkpoint.

    Attributes:
        circuit_parameters, readout_parameters: sizes of the two parts of the parameter vector.
        rows: training rows. validation_rows: validation rows, 0 if there are none.
        epochs, steps: planned epochs and optimiser steps in all.
        first_step: steps that a checkpoint had already done.
    """

    circuit_parameters: int
    readout_parameters: int
    rows: int
    validation_rows: int
    epochs: int
    steps: int
    first_step: int = 0


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins: `epochs` (mini-batch steps) or `finish` (full-batch L-BFGS)."""

    stage: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step: a mini-batch in the stage `epochs`, an evaluation of the whole set in the stage `finish`.

    Attributes:
        step: number of the step, from 1; counted anew in each stage.
        epoch: from 1; in the stage `finish` the number of epochs done.
        loss: mean loss over the rows of the step, before the update.
        gradient_norm: Euclidean norm of the whole gradient before clipping.
        learning_rate: of the circuit parameters; 0 in the stage `finish`.
        circuits, shots: running totals.
        seconds: since the start of this process' run.
        depth: layers of the circuit, None without a schedule. shots_each: a circuit of the gradient, None for exact.
    """

    step: int
    epoch: int
    loss: float
    gradient_norm: float
    learning_rate: float
    circuits: int
    shots: int
    seconds: float
    depth: int | None = None
    shots_each: int | None = None


@dataclass(frozen=True, slots=True)
class CircuitChosen:
    """The circuit that the coming epochs train, where a schedule or pruning chooses it; told when it changes.

    Attributes:
        epoch: the first one, from 1. depth: whole layers, None without a schedule.
        before, after: sizes of the whole circuit and of the chosen one: `gates`, `two_qubit`, `depth`, and the number
            of each kind of gate.
        bound, fidelity: asked for by pruning, and the smallest one measured; None without pruning.
    """

    epoch: int
    depth: int | None
    before: dict[str, int]
    after: dict[str, int]
    bound: float | None = None
    fidelity: float | None = None


@dataclass(frozen=True, slots=True)
class EpochDone:
    """One epoch, or the finish as a whole.

    Attributes:
        epoch: from 1.
        stage: `epochs` or `finish`.
        train_loss: mean over the rows of the epoch as they were visited; after the finish at the final parameters.
        validation_loss, validation_accuracy: None without validation rows, accuracy also where the loss knows none.
        learning_rate: of the circuit parameters at the last step.
        circuits, shots: running totals. seconds: since the start of the run, earlier processes included.
        depth: layers of the circuit that was trained, None without a schedule.
        trained_loss, trained_accuracy: validation by that circuit, shallower or pruned; None where it is the whole
            one, by which `validation_loss` and `validation_accuracy` always are.
    """

    epoch: int
    stage: str
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    circuits: int
    shots: int
    seconds: float
    depth: int | None = None
    trained_loss: float | None = None
    trained_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint is on the disk."""

    path: str
    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class EarlyStopped:
    """No improvement for `patience` epochs; `best_epoch` had the best `monitor` value."""

    epoch: int
    best_epoch: int
    monitor: str
    value: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Training ended by itself.

    Attributes:
        epochs: epochs done. reason: `completed` or `early stopping`.
        circuits, shots: totals. seconds: of the whole run, earlier processes included.
    """

    epochs: int
    reason: str
    circuits: int
    shots: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PoolPaused:
    """No backend of a pool works; it waits for one to return, `patience` seconds at most."""

    reason: str
    patience: float


@dataclass(frozen=True, slots=True)
class PoolResumed:
    """A backend has returned after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PoolBought:
    """Circuits that a member of a pool took, perhaps ran and perhaps charged, are bought again elsewhere."""

    member: str
    circuits: int
    reason: str


Event = (
    RunStarted
    | StageStarted
    | StepDone
    | CircuitChosen
    | EpochDone
    | CheckpointSaved
    | EarlyStopped
    | RunFinished
    | PoolPaused
    | PoolResumed
    | PoolBought
)
Sink = Callable[[Event], None]


class Announcer:
    """Hands events to sinks in order. A sink that raises is warned about once, dropped, and never stops the run.

    Only `Exception` is caught: KeyboardInterrupt and the like pass through. `if announcer:` is false when nobody
    listens, so that the caller need not even build the event.

    Args:
        sinks: the callables, called in the thread of the run.
    """

    def __init__(self, sinks: Iterable[Sink] = ()) -> None:
        self._sinks = list(sinks)

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def __call__(self, event: Event) -> None:
        """Hand one event to every sink."""
        for sink in tuple(self._sinks):
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001  # a watcher must not end hours of training
                self._sinks.remove(sink)
                name = getattr(sink, "__qualname__", type(sink).__name__)
                warnings.warn(
                    f"the event sink {name} failed on {type(event).__name__} and gets no further events: {error!r}",
                    RuntimeWarning,
                    stacklevel=2,
                )
