"""The training loop as a plan without I/O: it yields jobs, receives outcomes, tells events, asks for checkpoints.

The data of epoch e come in the order default_rng([seed, 1, e]).permutation(rows), and samples of step s from the seed
([seed, 2, s]), so that a position (epoch, step) is all that a resumed run needs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store import events
from q_store.circuits.circuit import Circuit
from q_store.circuits.metrics import Metrics
from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimator, Memory
from q_store.jobs import Steps
from q_store.training.blocking import Standing
from q_store.training.depth import Form, Forms
from q_store.training.finish import lbfgs
from q_store.training.objective import Evaluation, Objective
from q_store.training.optimisers import ROTOSOLVE, Optimiser, optimiser
from q_store.training.rotosolve import Rotosolve
from q_store.training.rows import Rows
from q_store.training.schedules import Schedule, schedule
from q_store.training.settings import TrainingSettings
from q_store.training.shots import Constant, ShotRule, Step
from q_store.training.state import DONE, EPOCHS, FINISH, TrainingResult, TrainingState

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]
Save = Callable[[TrainingState], str]


@dataclass(slots=True, eq=False)
class Plan:
    """One run.

    Attributes:
        objective, settings, estimator: what and how.
        train, validation: checked rows.
        state: where the run stands; changed in place.
        tell: receives events.
        save: keeps a checkpoint and returns its path; None for no checkpoints.
        shot_rule: another one than `settings.shots` for every step.
        validated: hears the outputs [R, C] of the validation rows after every epoch.
    """

    objective: Objective
    settings: TrainingSettings
    estimator: GradientEstimator
    train: Rows
    validation: Rows | None
    state: TrainingState
    tell: events.Announcer
    save: Save | None = None
    shot_rule: ShotRule | None = None
    validated: Callable[[Array], None] | None = None
    started: float = field(default_factory=time.perf_counter)
    earlier: float = 0.0
    optimiser: Optimiser = field(init=False)
    schedule: Schedule = field(init=False)
    rates: Reals = field(init=False)
    forms: Forms = field(init=False)
    allotted: ShotRule = field(init=False)
    active: npt.NDArray[np.bool_] | None = field(init=False, default=None)
    decay: Reals | None = field(init=False)

    def __post_init__(self) -> None:
        s = self.settings
        self.earlier = self.state.seconds
        if isinstance(self.estimator, Memory):
            self.estimator.restore(self.state.estimator)
        self.forms = Forms(self.objective, s)
        self.allotted = self.shot_rule or Constant(s.shots)
        if not self.state.allocator:
            self.state.allocator = self.allotted.start()
        self._use(self.form)
        self.optimiser = optimiser(s.optimiser, s.momentum, s.beta2)
        self.schedule = schedule(s.schedule)
        is_readout = np.arange(self.objective.size) >= self.objective.circuit.n_params
        self.rates = np.where(is_readout, s.readout_learning_rate or s.learning_rate, s.learning_rate)
        self.decay = np.where(is_readout, s.weight_decay, 0.0) if s.weight_decay else None

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch."""
        return -(-self.train.count // self.settings.batch_size)

    def steps(self) -> Steps[TrainingResult]:
        """The whole run from where the state stands."""
        self._announce_start()
        if self.state.stage == EPOCHS:
            yield from self._epochs()
        if self.state.stage == FINISH:
            yield from self._finish()
        self._clock()
        self.tell(
            events.RunFinished(
                self.state.epoch, self.state.reason, self.state.circuits, self.state.shots, self.state.seconds
            )
        )
        return TrainingResult.of(self.state, self._result_circuit())

    def _announce_start(self) -> None:
        theta = self.objective.circuit.n_params
        steps = self.settings.epochs * self.steps_per_epoch
        held_out = self.validation.count if self.validation else 0
        sizes = theta, self.objective.size - theta, self.train.count, held_out
        self.tell(events.RunStarted(*sizes, self.settings.epochs, steps, self.state.step))

    def _clock(self) -> float:
        self.state.seconds = self.earlier + time.perf_counter() - self.started
        return self.state.seconds

    # ---------------------------------------------------------------------------------------------------------- epochs

    def _epochs(self) -> Steps[None]:
        state = self.state
        self.tell(events.StageStarted(EPOCHS))
        while state.epoch < self.settings.epochs and not state.reason:
            yield from self._epoch()
        state.reason = state.reason or "completed"
        if self.settings.keep_best and state.best_vector is not None:
            self._return_to_best(state.best_vector)
        state.stage = FINISH if self.settings.finish_iterations else DONE
        self._keep()

    def _epoch(self) -> Steps[None]:
        state, steps = self.state, self.steps_per_epoch
        if state.step == state.epoch * steps:
            self._enter()
        order = None if steps == 1 else data_order(self.settings.seed, state.epoch, self.train.count)
        size, every = self.settings.batch_size, self.settings.checkpoint_steps
        for number in range(state.step - state.epoch * steps, steps):
            if order is None:
                data, targets = self.train.data, self.train.targets
            else:
                data, targets = self.train.take(order[number * size : (number + 1) * size])
            shots = self._shots()
            evaluation = yield from self._evaluate(data, targets, shots)
            standing = Standing.of(state) if self.settings.blocking else None
            self._apply(evaluation, 1 if data is None else len(data), shots)
            if standing is not None:
                yield from standing.judge(self, data, targets, shots)
            if every and state.step % every == 0 and number + 1 < steps:
                self._keep()
        yield from self._close_epoch()

    def _evaluate(self, data: Array | None, targets: Array | None, shots: int | None) -> Steps[Evaluation]:
        """Loss and gradient of a step; Rotosolve has moved a circuit parameter then."""
        vector, step = self.state.vector, self.state.step
        seed = sample_seed(self.settings.seed, step)
        objective, spread = self.forms.at(self.form), self.allotted.spread(shots)
        if self.settings.optimiser == ROTOSOLVE:
            return (yield from Rotosolve(objective).step(vector, data, targets, step, shots=shots, seed=seed))
        evaluation = objective.evaluate(vector, data, targets, self.estimator, shots=shots, seed=seed, spread=spread)
        return (yield from evaluation)

    def _apply(self, evaluation: Evaluation, rows: int, shots: int | None) -> None:
        state, gradient = self.state, evaluation.gradient
        if self.active is not None:
            gradient *= self.active
        norm = math.sqrt(float(gradient @ gradient))
        self._require_finite(evaluation.loss, norm)
        if shots is not None:
            self._remember(evaluation, norm, shots)
        error = norm_error(gradient, evaluation.variance, norm) if self.tell else None
        if self.settings.gradient_clip is not None and norm > self.settings.gradient_clip:
            gradient *= self.settings.gradient_clip / norm
        factor = self._factor(state.step)
        rates = self.rates * factor if self.active is None else self.rates * factor * self.active
        self.optimiser.step(state.vector, gradient, rates, state.optimiser, self.decay)
        state.step += 1
        state.loss_sum += evaluation.loss * rows
        if evaluation.accuracy is not None:
            judged = len(evaluation.outputs)
            state.judged, state.right = state.judged + judged, state.right + round(judged * evaluation.accuracy)
        state.circuits += evaluation.circuits
        state.shots += evaluation.shots
        if self.tell:
            rate = self.settings.learning_rate * factor
            about = state.step, state.epoch + 1, evaluation.loss, norm, rate
            self._tell_step(*about, shots=shots, error=error, cached=evaluation.metric_cached)

    def _factor(self, step: int) -> float:
        return self.schedule(step / (self.settings.epochs * self.steps_per_epoch))

    def _tell_step(
        self,
        step: int,
        epoch: int,
        loss: float,
        norm: float,
        rate: float,
        *,
        shots: int | None = None,
        error: float | None = None,
        cached: bool | None = None,
    ) -> None:
        state, seconds = self.state, time.perf_counter() - self.started
        about = step, epoch, loss, norm, rate, state.circuits, state.shots, seconds
        self.tell(events.StepDone(*about, state.depth, shots, error, cached))

    # ------------------------------------------------------------------------------------------------ shots and circuit

    @property
    def form(self) -> Form:
        """The form of the circuit that is trained now."""
        return Form(self.state.depth, tuple(self.state.removed))

    def _shots(self) -> int | None:
        return self.allotted.shots(self.state.epoch / max(1, self.settings.epochs), self.state.allocator)

    def _remember(self, evaluation: Evaluation, norm: float, shots: int) -> None:
        n, variance, noise = self.objective.circuit.n_params, evaluation.variance, evaluation.shot_noise
        circuit = evaluation.gradient[:n]
        if self.active is not None and noise and variance is not None and variance.sum():
            noise *= float(variance[self.active[:n]].sum() / variance.sum())
        circuit_norm = math.sqrt(float(circuit @ circuit))
        self.allotted.record(self.state.allocator, Step(evaluation.loss, norm, shots, circuit_norm, noise))

    def _enter(self) -> None:
        """Choose the circuit of the epoch that begins."""
        if not self.forms.changing:
            return
        form, pruned = self.forms.enter(self.state.epoch, self.state.vector, self.train.data)
        if form != self.form or not self.state.epoch:
            before, after = (Metrics.of(each.circuit).figures() for each in (self.objective, self.forms.at(form)))
            reached = (None, None) if pruned is None else (pruned.bound, pruned.fidelity)
            self.tell(events.CircuitChosen(self.state.epoch + 1, form.depth, before, after, *reached))
        self._use(form)

    def _use(self, form: Form) -> None:
        self.state.depth, self.state.removed = form.depth, list(form.removed)
        self.active = self.forms.active(form) if self.forms.changing else None

    def _result_circuit(self) -> Circuit | None:
        found = self.forms.result(self.form, self.state.vector)
        return None if found.ops == self.objective.circuit.ops else found

    def _require_finite(self, loss: float, norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            msg = (
                f"expected a finite loss and gradient, got loss {loss} and gradient norm {norm} "
                f"after {self.state.step} steps ({self.state.epoch} epochs); "
                "lower the learning rates or set gradient_clip"
            )
            raise ConfigError(msg)

    def _close_epoch(self) -> Steps[None]:
        state = self.state
        loss = state.loss_sum / self.train.count
        accuracy = state.right / state.judged if state.judged else None
        state.epoch, state.loss_sum, state.judged, state.right = state.epoch + 1, 0.0, 0, 0
        yield from self._record(EPOCHS, loss, accuracy, self.settings.learning_rate * self._factor(state.step - 1))
        patience = self.settings.early_stopping
        if patience is not None and state.stale >= patience and state.epoch < self.settings.epochs:
            state.reason = "early stopping"
            self.tell(events.EarlyStopped(state.epoch, state.best_epoch, self.settings.monitor, self._best()))
        if state.epoch % self.settings.checkpoint_epochs == 0 or state.reason:
            self._keep()

    # ---------------------------------------------------------------------------------------------------------- finish

    def _finish(self) -> Steps[None]:
        """L-BFGS from the vector of the last epoch; a killed finish starts over, with the same result."""
        state = self.state
        self.tell(events.StageStarted(FINISH))
        search = lbfgs(state.vector, self.settings.finish_iterations)
        try:
            point, number = next(search), 0
            least: tuple[float, float | None] = math.inf, None  # as the search has its minimum
            while True:
                evaluation = yield from self._whole_set(point)
                number += 1
                if evaluation.loss < least[0]:
                    least = evaluation.loss, evaluation.accuracy
                if self.tell:
                    norm = math.sqrt(float(evaluation.gradient @ evaluation.gradient))
                    self._tell_step(number, state.epoch, evaluation.loss, norm, 0.0)
                point = search.send((evaluation.loss, evaluation.gradient))
        except StopIteration as stop:
            minimum = stop.value
        finally:
            search.close()
        state.vector = minimum.vector
        yield from self._record(FINISH, minimum.value, least[1], 0.0)
        if self.settings.keep_best and state.best_vector is not None:
            self._return_to_best(state.best_vector)
        state.stage = DONE
        self._keep()

    def _whole_set(self, vector: Reals) -> Steps[Evaluation]:
        evaluation = yield from self.forms.at(self.form).evaluate_all(
            vector, self.train.data, self.train.targets, self.estimator, self.settings.chunk
        )
        self._require_finite(evaluation.loss, float(np.abs(evaluation.gradient).max(initial=0.0)))
        self.state.circuits += evaluation.circuits
        if self.active is not None:
            evaluation.gradient[~self.active] = 0.0
        return evaluation

    # -------------------------------------------------------------------------------------- records, best, checkpoints

    def _record(self, stage: str, train_loss: float, train_accuracy: float | None, rate: float) -> Steps[None]:
        state, whole = self.state, self.forms.whole
        own: tuple[float | None, float | None] = (None, None)
        if self.form != whole:
            own = yield from self._validate(self.form)
        if self.form == whole or self.forms.validates_whole:
            loss, accuracy = yield from self._validate(whole)
        else:
            loss, accuracy = own
        about = state.epoch, stage, train_loss, loss, accuracy, rate, state.circuits, state.shots, self._clock()
        record = events.EpochDone(*about, state.depth, *own, train_accuracy)
        state.history.append(record)
        self._compare(record)
        self.tell(record)

    def _validate(self, form: Form) -> Steps[tuple[float | None, float | None]]:
        rows, settings = self.validation, self.settings
        if rows is None:
            return None, None
        objective, seed = self.forms.at(form), sample_seed(settings.seed, -self.state.epoch)
        outputs = yield from objective.outputs(self.state.vector, rows.data, settings.shots, seed, settings.chunk)
        circuits = rows.count * (1 if settings.shots is None else len(objective.measured.groups()))
        self.state.circuits += circuits
        self.state.shots += circuits * (settings.shots or 0)
        loss, _ = objective.loss.value_and_gradient(outputs, rows.targets)
        self._require_finite(loss, 0.0)
        if self.validated is not None:
            self.validated(outputs)
        return loss, objective.loss.accuracy(outputs, rows.targets)

    def _compare(self, record: events.EpochDone) -> None:
        state = self.state
        shown = record.validation_loss if record.trained_loss is None else record.trained_loss
        value = record.train_loss if shown is None else shown
        if self.settings.monitor == "accuracy":
            accuracy = record.validation_accuracy if record.trained_accuracy is None else record.trained_accuracy
            value = -(accuracy or 0.0)
        if state.best_value is not None and value >= state.best_value:
            state.stale += 1
            return
        state.best_value, state.stale = value, 0
        state.best_epoch = record.epoch + (record.stage == FINISH)
        if self.settings.keep_best:
            state.best_vector = state.vector.copy()
            state.best_depth, state.best_removed = state.depth, list(state.removed)

    def _return_to_best(self, vector: Reals) -> None:
        self.state.vector = vector.copy()
        self._use(Form(self.state.best_depth, tuple(self.state.best_removed)))

    def _best(self) -> float:
        """The best monitored value as the user knows it: accuracies are kept negative, so that smaller is better."""
        value = self.state.best_value or 0.0
        return -value if self.settings.monitor == "accuracy" else value

    def _keep(self) -> None:
        if self.save is None:
            return
        self._clock()
        if isinstance(self.estimator, Memory):
            self.state.estimator = self.estimator.arrays()
        path = self.save(self.state)
        self.tell(events.CheckpointSaved(path, self.state.epoch, self.state.step))


def norm_error(gradient: Reals, variance: Reals | None, norm: float) -> float | None:
    """Standard error of |g| to first order: sqrt(sum_i g_i^2 Var g_i) / |g|, of the P entries where it is known."""
    if variance is None or not norm:
        return None
    return math.sqrt(float(gradient[: len(variance)] ** 2 @ variance)) / norm


def data_order(seed: int, epoch: int, rows: int) -> npt.NDArray[np.intp]:
    """The order of the rows in an epoch (counted from 0)."""
    return np.random.default_rng([seed, 1, epoch]).permutation(rows)


def sample_seed(seed: int, step: int) -> int:
    """The seed of the samples of a step; the validation after epoch e is step -e."""
    return int(np.random.SeedSequence([seed, 2 if step >= 0 else 3, abs(step)]).generate_state(1)[0])
