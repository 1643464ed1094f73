"""The options of a training run. Every option acts; an unknown one is an error."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from q_store.errors import ConfigError, suggestion
from q_store.training import adaptive
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
        optimiser: `adam`, `sgd`, or `rotosolve`: one circuit parameter a step to the minimum along it, without a
            gradient; the readout by Adam.
        momentum: of SGD; beta1 of Adam.
        beta2: of Adam.
        weight_decay: decoupled decay of the readout weights (AdamW), per unit of learning rate.
        gradient_clip: largest Euclidean norm of the whole gradient; None for no limit.
        finish_iterations: iterations of full-batch L-BFGS after the epochs; 0 for none.
        early_stopping: stop after this many epochs without a better `monitor`; None for never.
        monitor: `loss` or `accuracy`, of the validation rows; without them the training loss.
        keep_best: end with the parameters of the epoch (or finish) with the best `monitor`.
        seed: of the initial parameters, the order of the data and the samples.
        shots: shots a circuit; None for exact values. Validation always has so many.
        shot_schedule: shots of the gradient: `constant`, `phase` or `variance`, see `training.shots`.
        min_shots: of a schedule; None for half of `shots`. max_shots: None for twice `shots`.
        noise_share: for `variance`: noise of the gradient that shots may cause, as a share of its norm.
        depth_schedule: layers that are trained: `fixed`, `linear`, `exponential`, `step` or `grow`, see
            `training.depth`.
        min_depth: layers, of a schedule; None for 2. max_depth: layers of the whole circuit; None for all it has.
        prune: after 30 % of the epochs, each trains without entanglers that its first state hardly needs, with at least
            this fidelity; None for no pruning.
        optimise: whether adjacent rotations are merged, and rotations by nearly 0 left out of the result.
        gradient: `adjoint` (exact backends), `parameter_shift`, `finite_difference`, `spsa` or `random_shift`.
        difference_step: of finite differences; None for 0.01, with shots 0.1.
        spsa_perturbation: c of SPSA, of the gradient and of the metric `spsa`. spsa_pairs: directions averaged.
        spsa_rows: rows of a batch that SPSA uses, drawn for each step; None for all.
        common_samples: both sides of an SPSA pair draw their samples alike.
        shift_parameters: parameters drawn for each step by `random_shift`.
        metric: of natural gradients: `diagonal`, `block`, `full` (exact backends), `spsa`, or None for the plain
            gradient. metric_rows: rows of a batch that it is the average of; None for all.
        metric_regularization: added to its diagonal. metric_cache: metrics kept for when circuit, parameters and data
            are the same again.
        blocking: take a step back that makes the loss of its rows worse, at two circuits a row more.
        allowed_increase: by how much it may be worse; None for twice the standard deviation of the last five losses.
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
    shot_schedule: Literal["constant", "phase", "variance"] = "constant"
    min_shots: int | None = Field(None, ge=1)
    max_shots: int | None = Field(None, ge=1)
    noise_share: float | None = Field(None, gt=0)
    depth_schedule: Literal["fixed", "linear", "exponential", "step", "grow"] = "fixed"
    min_depth: int | None = Field(None, ge=0)
    max_depth: int | None = Field(None, ge=1)
    prune: float | None = Field(None, gt=0, le=1)
    optimise: bool = False
    gradient: Literal["adjoint", "parameter_shift", "finite_difference", "spsa", "random_shift"] = "adjoint"
    difference_step: float | None = Field(None, gt=0)
    spsa_perturbation: float = Field(0.15, gt=0)
    spsa_pairs: int = Field(1, ge=1)
    spsa_rows: int | None = Field(None, ge=1)
    common_samples: bool = False
    shift_parameters: int = Field(1, ge=1)
    metric: Literal["diagonal", "block", "full", "spsa"] | None = None
    metric_rows: int | None = Field(4, ge=1)
    metric_regularization: float = Field(0.01, ge=0)
    metric_cache: int = Field(100, ge=0)
    blocking: bool = False
    allowed_increase: float | None = Field(None, ge=0)
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
        if self.optimiser == "rotosolve":
            _refuse(self, "optimiser='rotosolve', which uses no gradient", ("gradient", "metric", "blocking"))
        elif self.shots is not None and self.gradient == "adjoint":
            msg = (
                f"expected shots=None with gradient='adjoint', got {self.shots};"
                " choose gradient='parameter_shift' or 'spsa' for sampled values"
            )
            raise ConfigError(msg)
        if self.shots is not None and self.finish_iterations:
            msg = f"expected finish_iterations=0 with shots, got {self.finish_iterations}; L-BFGS needs exact values"
            raise ConfigError(msg)
        if not self.blocking:
            _refuse(self, "blocking=False", ("allowed_increase",))
        self._check_gradient()
        adaptive.check(self)

    def _check_gradient(self) -> None:
        """Options of a gradient that is not chosen would not act, and so are refused."""
        spsa, metric = self.gradient == "spsa", self.metric is not None
        if not (spsa or self.metric == "spsa"):
            _refuse(self, "neither gradient='spsa' nor metric='spsa'", ("spsa_perturbation", "spsa_pairs"))
        if not spsa:
            _refuse(self, f"gradient={self.gradient!r}", ("spsa_rows", "common_samples"))
        if self.shots is None:
            _refuse(self, "shots=None, where nothing is sampled", ("common_samples",))
        if self.gradient != "random_shift":
            _refuse(self, f"gradient={self.gradient!r}", ("shift_parameters",))
        if self.gradient != "finite_difference":
            _refuse(self, f"gradient={self.gradient!r}", ("difference_step",))
        if not metric:
            _refuse(self, "metric=None", ("metric_rows", "metric_regularization"))
        if not metric or self.metric == "spsa":
            _refuse(self, f"metric={self.metric!r}, which is not kept", ("metric_cache",))
        if self.metric == "full" and self.shots is not None:
            msg = (
                f"expected shots=None with metric='full', an exact quantity, got {self.shots}; 'diagonal', 'block' and "
                "'spsa' are measured with shots"
            )
            raise ConfigError(msg)
        if self.finish_iterations and (metric or self.gradient in {"spsa", "random_shift"}):
            what = f"metric={self.metric!r}" if metric else f"gradient={self.gradient!r}"
            msg = f"expected finish_iterations=0 with {what}, got {self.finish_iterations}"
            raise ConfigError(f"{msg}; L-BFGS needs the gradient itself")


def _refuse(settings: TrainingSettings, chosen: str, names: tuple[str, ...]) -> None:
    """Raise ConfigError for the first of these options that is not as it is by default."""
    for name in names:
        value, default = getattr(settings, name), TrainingSettings.model_fields[name].default
        if value != default:
            msg = f"expected {name} to be left out ({default!r}) with {chosen}, got {value!r}; it would have no effect"
            raise ConfigError(msg)
