"""The options of a training run. Every option acts; an unknown one is an error."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from q_store.errors import ConfigError, suggestion
from q_store.training.optimisers import OPTIMISERS
from q_store.training.schedules import SCHEDULES

# where and how often to save does not change the result: a run may be resumed with other values
NOT_IN_DIGEST = frozenset({"checkpoint_epochs", "checkpoint_steps"})


class TrainingSettings(BaseModel):
    """Options of `Trainer`, frozen.

    Attributes:
        epochs: passes over the training rows by the optimiser.
        batch_size: rows a step; the last batch of an epoch may be smaller.
        learning_rate: of the circuit parameters, at the top of the schedule.
        readout_learning_rate: of the readout weights; None for the same.
        schedule: `one_cycle`, `cosine` or `constant`, a factor on both rates.
        optimiser: `adam` or `sgd`.
        momentum: of SGD; beta1 of Adam.
        beta2: of Adam.
        weight_decay: decoupled decay of the readout weights (AdamW), per unit of learning rate.
        gradient_clip: largest Euclidean norm of the whole gradient; None for no limit.
        finish_iterations: iterations of full-batch L-BFGS after the epochs; 0 for none.
        early_stopping: stop after this many epochs without a better `monitor`; None for never.
        monitor: `loss` or `accuracy`, of the validation rows; without them the training loss.
        keep_best: end with the parameters of the epoch (or finish) with the best `monitor`.
        seed: of the initial parameters, the order of the data and the samples.
        shots: shots a circuit; None for exact values.
        gradient: `adjoint` (exact backends) or `parameter_shift`.
        chunk: rows a job where the whole set is evaluated (finish, validation); bounds the memory.
        checkpoint_epochs: epochs between checkpoints. checkpoint_steps: steps between further checkpoints; None for
            none.

    Raises:
        ConfigError: for an unknown option, a value out of range, or options that contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(20, ge=0)
    batch_size: int = Field(500, ge=1)
    learning_rate: float = Field(0.08, gt=0)
    readout_learning_rate: float | None = Field(None, gt=0)
    schedule: str = "one_cycle"
    optimiser: str = "adam"
    momentum: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    gradient_clip: float | None = Field(None, gt=0)
    finish_iterations: int = Field(0, ge=0)
    early_stopping: int | None = Field(None, ge=1)
    monitor: Literal["loss", "accuracy"] = "loss"
    keep_best: bool = False
    seed: int = Field(0, ge=0)
    shots: int | None = Field(None, ge=1)
    gradient: Literal["adjoint", "parameter_shift"] = "adjoint"
    chunk: int = Field(16384, ge=1)
    checkpoint_epochs: int = Field(1, ge=1)
    checkpoint_steps: int | None = Field(None, ge=1)

    def __init__(self, **options: Any) -> None:
        for name in options:
            if name not in type(self).model_fields:
                msg = f"expected an option of TrainingSettings, got {name!r}{suggestion(name, type(self).model_fields)}"
                raise ConfigError(msg)
        try:
            super().__init__(**options)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            msg = f"expected a usable {place}, got {first['input']!r}: {first['msg']}"
            raise ConfigError(msg) from None
        self._check()

    def replaced(self, **options: Any) -> TrainingSettings:
        """A copy with other values for some options, checked like a new one."""
        return TrainingSettings(**{**self.model_dump(), **options})

    def _check(self) -> None:
        for what, name, known in (("schedule", self.schedule, SCHEDULES), ("optimiser", self.optimiser, OPTIMISERS)):
            if name not in known:
                msg = f"expected a known {what}, got {name!r}{suggestion(name, known)}"
                raise ConfigError(msg)
        if self.shots is not None and self.gradient == "adjoint":
            msg = (
                f"expected shots=None with gradient='adjoint', got {self.shots};"
                " choose gradient='parameter_shift' for sampled values"
            )
            raise ConfigError(msg)
        if self.shots is not None and self.finish_iterations:
            msg = f"expected finish_iterations=0 with shots, got {self.finish_iterations}; L-BFGS needs exact values"
            raise ConfigError(msg)
