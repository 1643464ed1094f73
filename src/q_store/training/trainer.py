"""The trainer: drives the plan of a training run against an executor."""

from __future__ import annotations

import asyncio
import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.blas import single_threaded
from q_store.errors import CapabilityError, ConfigError, ShapeError
from q_store.events import Announcer, Sink
from q_store.gradients import GradientEstimator, make
from q_store.jobs import AnyExecutor, Job, Outcome, Output, SyncExecutor, drive, drive_async
from q_store.training.checkpoint import CheckpointFile, RunIdentity
from q_store.training.depth import Forms, prepared, silenced
from q_store.training.objective import Objective
from q_store.training.optimisers import optimiser
from q_store.training.plan import Plan, Save
from q_store.training.rows import Rows
from q_store.training.settings import NOT_IN_DIGEST, TrainingSettings
from q_store.training.shots import Constant, ShotRule, shot_rule
from q_store.training.state import TrainingResult, TrainingState

# (data, targets), data alone, or None for a circuit without features
Given = tuple[Any, Any] | npt.NDArray[Any] | Sequence[Any] | None


class Trainer:
    """Minimises an objective.

    Args:
        objective: what to minimise.
        settings: how.
        executor: a synchronous backend (`run`), driven without an event loop, or an asynchronous executor
            (`run_async`); a pool is both (`run_all`).
        sinks: receive events; see `q_store.events`.
        checkpoints: where to keep checkpoints; None for nowhere.
        estimator: another gradient estimator than the settings describe.
        validated: hears the outputs [R, C] of the validation rows after every epoch.

    Raises:
        ConfigError: when options contradict the objective. CapabilityError: when the executor cannot supply the metric.
    """

    def __init__(
        self,
        objective: Objective,
        settings: TrainingSettings,
        executor: AnyExecutor,
        *,
        sinks: Iterable[Sink] = (),
        checkpoints: CheckpointFile | None = None,
        estimator: GradientEstimator | None = None,
        validated: Callable[[npt.NDArray[Any]], None] | None = None,
    ) -> None:
        self.objective = prepared(objective, settings)
        self.settings = settings
        self.executor = executor
        self._sinks = tuple(sinks)
        self._checkpoints = checkpoints
        self._estimator = estimator or make(settings)
        self._validated = validated
        self._check_options()

    def fit(
        self, train: Given = None, validation: Given = None, *, start: npt.ArrayLike | None = None, resume: bool = False
    ) -> TrainingResult:
        """Train; also inside a running event loop.

        Args:
            train: (data[B, D], targets), data alone where the loss needs no targets, or None for a circuit without
                features.
            validation: the same, or None for no validation.
            start: the vector to start from, [N]; None for `objective.initial(seed)`.
            resume: go on from the checkpoint, if there is one.

        Raises:
            DataError, ShapeError: for rows that do not fit. ConfigError: when the loss stops being finite.
            RunError: for a checkpoint that exists (without `resume`), is damaged, or is of another run. StorageError:
                when it cannot be saved.
        """
        return _drive(self.plan(train, validation, start=start, resume=resume), self.executor)

    async def fit_async(
        self, train: Given = None, validation: Given = None, *, start: npt.ArrayLike | None = None, resume: bool = False
    ) -> TrainingResult:
        """`fit` for a coroutine. With a synchronous backend it runs in a thread, and so do the sinks.

        Cancelled, it ends at the next job; the last checkpoint stays.
        """
        plan = self.plan(train, validation, start=start, resume=resume)
        executor: Any = self.executor
        if hasattr(executor, "run"):
            breakable = _Breakable(executor)
            try:
                return await asyncio.to_thread(_drive, plan, breakable)
            finally:
                breakable.broken = True
        with single_threaded(), closing(plan.steps()) as steps:
            return await drive_async(steps, executor)

    def plan(
        self, train: Given = None, validation: Given = None, *, start: npt.ArrayLike | None = None, resume: bool = False
    ) -> Plan:
        """The run as a plan, with its state new or from the checkpoint; arguments as in `fit`."""
        rows = Rows.of(*_pair(train), self.objective)
        held_out = None if validation is None else Rows.of(*_pair(validation), self.objective, "validation")
        self._check_monitor(held_out)
        vector = silenced(self._start_vector(start), self.objective, self.settings)
        state, save = self._stored(rows, held_out, vector, resume=resume)
        if state is None:
            rule = optimiser(self.settings.optimiser, self.settings.momentum, self.settings.beta2)
            begin = rule.start(len(vector), resting=Forms(self.objective, self.settings).changing)
            state = TrainingState(vector, begin)
        parts = self.objective, self.settings, self._estimator, rows, held_out, state, Announcer(self._sinks), save
        return Plan(*parts, self._shot_rule(), self._validated)

    def _shot_rule(self) -> ShotRule:
        capabilities = getattr(self.executor, "capabilities", None)
        if capabilities and not capabilities.shots_matter and self.settings.shot_schedule != "constant":
            warnings.warn(
                f"shot_schedule={self.settings.shot_schedule!r} saves nothing on {capabilities.name}, which gives the "
                f"same answers for any number of shots: every step asks for {self.settings.shots}",
                UserWarning,
                stacklevel=4,
            )
            return Constant(self.settings.shots)
        return shot_rule(self.settings, 1 if capabilities is None else capabilities.least_shots)

    def _stored(
        self, rows: Rows, held_out: Rows | None, vector: npt.NDArray[np.float64], *, resume: bool
    ) -> tuple[TrainingState | None, Save | None]:
        checkpoints = self._checkpoints
        if checkpoints is None:
            return None, None
        options = {k: v for k, v in self.settings.model_dump().items() if k not in NOT_IN_DIGEST}
        identity = RunIdentity(
            {
                **options,
                "objective": self.objective.digest,
                "training data": rows.fingerprint(),
                "validation data": held_out.fingerprint() if held_out else "none",
                "initial parameters": hashlib.sha256(vector.tobytes()).hexdigest(),
            }
        )
        state = checkpoints.open(identity, resume=resume)
        return state, lambda current: checkpoints.save(current, identity)

    def _start_vector(self, start: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
        if start is None:
            return self.objective.initial(self.settings.seed)
        vector = np.array(start, dtype=np.float64)
        if vector.shape != (self.objective.size,) or not np.isfinite(vector).all():
            msg = f"expected {self.objective.size} finite initial parameters, got shape {list(vector.shape)}"
            raise ShapeError(msg)
        return vector

    def _check_options(self) -> None:
        s, weights, executor = self.settings, self.objective.readout.n_weights, self.executor
        if not (hasattr(executor, "run") or hasattr(executor, "run_async")):
            msg = (
                f"expected an executor with run(job) or run_async(jobs), got {type(executor).__name__};"
                " pass LocalBackend()"
            )
            raise ConfigError(msg)
        capabilities = getattr(executor, "capabilities", None)
        if s.metric == "full" and capabilities and Output.METRIC not in capabilities.outputs:
            msg = (
                f"expected a backend that computes states for metric='full', got {capabilities.name!r}; it can measure"
                " 'diagonal', 'block' and 'spsa', and LocalBackend supplies 'full'"
            )
            raise CapabilityError(msg)
        if not weights and (s.weight_decay or s.readout_learning_rate is not None):
            msg = (
                "expected no weight_decay and no readout_learning_rate with a readout without weights, got one;"
                " leave them out"
            )
            raise ConfigError(msg)
        if not s.epochs and not s.finish_iterations:
            msg = "expected epochs or finish_iterations above 0, got 0 and 0; there is nothing to do"
            raise ConfigError(msg)

    def _check_monitor(self, validation: Rows | None) -> None:
        if self.settings.monitor == "loss":
            return
        loss = self.objective.loss
        blank = np.zeros((1, self.objective.readout.n_outputs))
        if (
            validation is None
            or loss.accuracy(blank, None if validation.targets is None else validation.targets[:1]) is None
        ):
            msg = (
                f"expected validation rows and a loss with an accuracy for monitor='accuracy', got {loss.identity};"
                " use monitor='loss'"
            )
            raise ConfigError(msg)


def _pair(given: Given) -> tuple[Any, Any]:
    return given if isinstance(given, tuple) else (given, None)


class _Breakable:
    """A synchronous executor that another thread can end: a thread itself cannot be cancelled."""

    def __init__(self, executor: SyncExecutor) -> None:
        self.capabilities = executor.capabilities
        self.broken = False
        self._run = executor.run

    def run(self, job: Job) -> Outcome:
        if self.broken:
            raise asyncio.CancelledError
        return self._run(job)


def _drive(plan: Plan, executor: AnyExecutor) -> TrainingResult:
    # closing at once ends SciPy's thread, which otherwise lives as long as the traceback of an error
    with single_threaded(), closing(plan.steps()) as steps:
        return drive(steps, executor)
