"""What training tells. Times are seconds; `circuits` and `shots` are running totals of the run."""

from __future__ import annotations

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
    """A stage begins: `epochs` (mini-batch steps), `finish` (full-batch L-BFGS), or one of a recipe: see there."""

    stage: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step: a mini-batch in the stage `epochs`, an evaluation of the whole set in the stage `finish`.

    Attributes:
        step: number of the step, from 1; counted anew in each stage, but for one of a recipe that comes again.
        epoch: from 1; in the stage `finish` the number of epochs done.
        loss: mean loss over the rows of the step, before the update.
        gradient_norm: Euclidean norm of the whole gradient before clipping.
        learning_rate: of the circuit parameters; 0 in the stage `finish`.
        circuits, shots: running totals.
        seconds: since the start of this process' run.
        depth: layers of the circuit, None without a schedule. shots_each: a circuit of the gradient, None for exact.
        gradient_error: standard error of `gradient_norm` by the shots, None where it is exact or nothing is known.
        metric_cached: whether the metric of a natural gradient was kept from an earlier step, None without a cache.
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
    gradient_error: float | None = None
    metric_cached: bool | None = None


@dataclass(frozen=True, slots=True)
class StepBlocked:
    """A step was taken back, see `training.blocking`; told after its `StepDone`.

    Attributes:
        step: its number. before, after: losses of its rows where it began and where it led to.
        allowed: increase that would have passed.
    """

    step: int
    before: float
    after: float
    allowed: float


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
        train_accuracy: share of right ones of the rows that `train_loss` is of; None where the loss knows none.
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
    train_accuracy: float | None = None


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
        epochs: epochs done. reason: `completed`, `early stopping`, or of a recipe that the accuracy was seen.
        circuits, shots: totals. seconds: of the whole run, earlier processes included; of a recipe: of this process.
    """

    epochs: int
    reason: str
    circuits: int
    shots: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    """A process begins to work on the run, or goes on with it; `version` of q-store."""

    version: str


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """It is done: the run is `completed`, `failed`, `paused` or `stopped` (it can be resumed then); and why."""

    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunHeld:
    """Somebody asked the run to wait (`apps.control`): it waits before its next job."""


@dataclass(frozen=True, slots=True)
class RunReleased:
    """The run goes on after waiting for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RunStopped:
    """Somebody asked the run to stop; it can be resumed."""


TrainingEvent = (
    RunStarted
    | StageStarted
    | StepDone
    | StepBlocked
    | CircuitChosen
    | EpochDone
    | CheckpointSaved
    | EarlyStopped
    | RunFinished
    | ProcessStarted
    | ProcessEnded
    | RunHeld
    | RunReleased
    | RunStopped
)
