"""The training loop as a plan without I/O: it yields jobs, receives outcomes, tells events, asks for checkpoints.

The data of epoch e come in the order default_rng([seed, 1, e]).permutation(rows), and samples of step s from the seed
([seed, 2, s]), so that a position (epoch, step) is all that a resumed run needs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from q_store import events
from q_store.errors import ConfigError
from q_store.gradients.estimator import GradientEstimator
from q_store.jobs import Steps
from q_store.training.finish import lbfgs
from q_store.training.objective import Evaluation, Objective
from q_store.training.optimisers import Optimiser, optimiser
from q_store.training.rows import Rows
from q_store.training.schedules import Schedule, schedule
from q_store.training.settings import TrainingSettings
from q_store.training.state import DONE, EPOCHS, FINISH, TrainingResult, TrainingState

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
    """

    objective: Objective
    settings: TrainingSettings
    estimator: GradientEstimator
    train: Rows
    validation: Rows | None
    state: TrainingState
    tell: events.Announcer
    save: Save | None = None
    started: float = field(default_factory=time.perf_counter)
    earlier: float = 0.0
    optimiser: Optimiser = field(init=False)
    schedule: Schedule = field(init=False)
    rates: Reals = field(init=False)
    decay: Reals | None = field(init=False)

    def __post_init__(self) -> None:
        s = self.settings
        self.earlier = self.state.seconds
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
        return TrainingResult.of(self.state)

    def _announce_start(self) -> None:
        theta = self.objective.circuit.n_params
        steps = self.settings.epochs * self.steps_per_epoch
        held_out = self.validation.count if self.validation else 0
        self.tell(
            events.RunStarted(
                theta,
                self.objective.size - theta,
                self.train.count,
                held_out,
                self.settings.epochs,
                steps,
                self.state.step,
            )
        )

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
            state.vector = state.best_vector.copy()
        state.stage = FINISH if self.settings.finish_iterations else DONE
        self._keep()

    def _epoch(self) -> Steps[None]:
        state, steps = self.state, self.steps_per_epoch
        order = None if steps == 1 else data_order(self.settings.seed, state.epoch, self.train.count)
        size, every = self.settings.batch_size, self.settings.checkpoint_steps
        for number in range(state.step - state.epoch * steps, steps):
            if order is None:
                data, targets = self.train.data, self.train.targets
            else:
                data, targets = self.train.take(order[number * size : (number + 1) * size])
            evaluation = yield from self.objective.evaluate(
                state.vector,
                data,
                targets,
                self.estimator,
                shots=self.settings.shots,
                seed=self._sample_seed(state.step),
            )
            self._apply(evaluation, 1 if data is None else len(data))
            if every and state.step % every == 0 and number + 1 < steps:
                self._keep()
        yield from self._close_epoch()

    def _apply(self, evaluation: Evaluation, rows: int) -> None:
        state, gradient = self.state, evaluation.gradient
        norm = math.sqrt(float(gradient @ gradient))
        self._require_finite(evaluation.loss, norm)
        if self.settings.gradient_clip is not None and norm > self.settings.gradient_clip:
            gradient *= self.settings.gradient_clip / norm
        factor = self._factor(state.step)
        self.optimiser.step(state.vector, gradient, self.rates * factor, state.optimiser, self.decay)
        state.step += 1
        state.loss_sum += evaluation.loss * rows
        state.circuits += evaluation.circuits
        state.shots += evaluation.shots
        if self.tell:
            rate = self.settings.learning_rate * factor
            self._tell_step(state.step, state.epoch + 1, evaluation.loss, norm, rate)

    def _factor(self, step: int) -> float:
        return self.schedule(step / (self.settings.epochs * self.steps_per_epoch))

    def _sample_seed(self, step: int) -> int:
        return 0 if self.settings.shots is None else sample_seed(self.settings.seed, step)

    def _tell_step(self, step: int, epoch: int, loss: float, norm: float, rate: float) -> None:
        seconds = time.perf_counter() - self.started
        self.tell(events.StepDone(step, epoch, loss, norm, rate, self.state.circuits, self.state.shots, seconds))

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
        state.epoch, state.loss_sum = state.epoch + 1, 0.0
        yield from self._record(EPOCHS, loss, self.settings.learning_rate * self._factor(state.step - 1))
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
            while True:
                evaluation = yield from self._whole_set(point)
                number += 1
                if self.tell:
                    norm = math.sqrt(float(evaluation.gradient @ evaluation.gradient))
                    self._tell_step(number, state.epoch, evaluation.loss, norm, 0.0)
                point = search.send((evaluation.loss, evaluation.gradient))
        except StopIteration as stop:
            minimum = stop.value
        finally:
            search.close()
        state.vector = minimum.vector
        yield from self._record(FINISH, minimum.value, 0.0)
        if self.settings.keep_best and state.best_vector is not None:
            state.vector = state.best_vector.copy()
        state.stage = DONE
        self._keep()

    def _whole_set(self, vector: Reals) -> Steps[Evaluation]:
        evaluation = yield from self.objective.evaluate_all(
            vector, self.train.data, self.train.targets, self.estimator, self.settings.chunk
        )
        self._require_finite(evaluation.loss, float(np.abs(evaluation.gradient).max(initial=0.0)))
        self.state.circuits += evaluation.circuits
        return evaluation

    # -------------------------------------------------------------------------------------- records, best, checkpoints

    def _record(self, stage: str, train_loss: float, rate: float) -> Steps[None]:
        loss, accuracy = yield from self._validate()
        state = self.state
        record = events.EpochDone(
            state.epoch, stage, train_loss, loss, accuracy, rate, state.circuits, state.shots, self._clock()
        )
        state.history.append(record)
        self._compare(record)
        self.tell(record)

    def _validate(self) -> Steps[tuple[float | None, float | None]]:
        rows, settings = self.validation, self.settings
        if rows is None:
            return None, None
        seed = self._sample_seed(-self.state.epoch)
        outputs = yield from self.objective.outputs(self.state.vector, rows.data, settings.shots, seed, settings.chunk)
        self.state.circuits += rows.count
        self.state.shots += rows.count * (settings.shots or 0)
        loss, _ = self.objective.loss.value_and_gradient(outputs, rows.targets)
        self._require_finite(loss, 0.0)
        return loss, self.objective.loss.accuracy(outputs, rows.targets)

    def _compare(self, record: events.EpochDone) -> None:
        state = self.state
        value = record.train_loss if record.validation_loss is None else record.validation_loss
        if self.settings.monitor == "accuracy":
            value = -(record.validation_accuracy or 0.0)
        if state.best_value is not None and value >= state.best_value:
            state.stale += 1
            return
        state.best_value, state.stale = value, 0
        state.best_epoch = record.epoch + (record.stage == FINISH)
        if self.settings.keep_best:
            state.best_vector = state.vector.copy()

    def _best(self) -> float:
        """The best monitored value as the user knows it: accuracies are kept negative, so that smaller is better."""
        value = self.state.best_value or 0.0
        return -value if self.settings.monitor == "accuracy" else value

    def _keep(self) -> None:
        if self.save is None:
            return
        self._clock()
        path = self.save(self.state)
        self.tell(events.CheckpointSaved(path, self.state.epoch, self.state.step))


def data_order(seed: int, epoch: int, rows: int) -> npt.NDArray[np.intp]:
    """The order of the rows in an epoch (counted from 0)."""
    return np.random.default_rng([seed, 1, epoch]).permutation(rows)


def sample_seed(seed: int, step: int) -> int:
    """The seed of the samples of a step; the validation after epoch e is step -e."""
    return int(np.random.SeedSequence([seed, 2 if step >= 0 else 3, abs(step)]).generate_state(1)[0])
