"""`QuantumTrainer` of v3.4 and v3.5, on `training.Trainer` and whatever its configuration names to run circuits."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from q_store.apps.control import Heeding
from q_store.apps.legacy.checkpoints import EpochCheckpoints, file_of
from q_store.apps.legacy.loaders import Batches, read
from q_store.apps.legacy.losses import RowLoss, loss_for
from q_store.apps.legacy.places import Site, opened
from q_store.apps.legacy.report import Usage, Watcher, report
from q_store.apps.legacy.results import TrainingMetrics
from q_store.apps.legacy.settings import Shape, estimator, overruled, settings
from q_store.apps.legacy.variational import Variational
from q_store.apps.meter import Meter
from q_store.apps.watching import Watching, watch
from q_store.blas import single_threaded
from q_store.circuits.pruning import remove_identities
from q_store.config import TrainingConfig
from q_store.events import Announcer, JobSum, Sink
from q_store.gradients import Memory
from q_store.jobs import AnyExecutor, Job, Outcome, Steps, complete
from q_store.training.checkpoint import CheckpointFile, RunIdentity
from q_store.training.depth import prepared
from q_store.training.loss import Loss
from q_store.training.objective import Objective
from q_store.training.optimisers import optimiser
from q_store.training.plan import Plan
from q_store.training.settings import TrainingSettings
from q_store.training.state import EPOCHS, TrainingState
from q_store.training.trainer import Trainer

Array = npt.NDArray[Any]
_NO_PAGE = (
    "enable_dashboard shows what happens in train(), or in `async with QuantumTrainer(config) as trainer`; this step "
    "by itself has no page"
)


class QuantumTrainer:
    """Trains models of v3.4 and v3.5 as a `TrainingConfig` says.

    Connections are made for a call and closed after it, or, in `async with QuantumTrainer(config) as trainer`, once; so
    is the page of `enable_dashboard`, and the run folder behind it.

    Args:
        config: how. backend_manager: a `BackendManager`, or a backend: runs the circuits in place of what the
            configuration names.
        sinks: hear the events of all trainings, see `q_store.events` and `q_store.trackers`.

    Attributes:
        loss_function: a function of (outputs[C], target) of a row, or a `Loss`; None: the mean square, or the
            cross-entropy where targets are class numbers.
        current_epoch: epochs done.
    """

    def __init__(self, config: TrainingConfig, backend_manager: Any = None, sinks: Iterable[Sink] = ()) -> None:
        self.config, self.backend_manager, self.sinks = config, backend_manager, list(sinks)
        monitoring = config.monitoring
        self.watcher = Watcher(
            monitoring.log_interval,
            gradients=monitoring.gradients,
            performance=monitoring.performance,
            folder=monitoring.performance_directory,
        )
        self.usage = Usage()
        self.loss_function: Loss | RowLoss | None = None
        self.current_epoch = 0
        self._batches = 0
        self._state: TrainingState | None = None
        self._identity = RunIdentity({})
        self._loaded: tuple[TrainingState, dict[str, Any]] | None = None
        self._site: Site | None = None
        self._held: Any = None
        self._watching: Watching | None = None
        self._jobs: JobSum | None = None

    # ------------------------------------------------------------------------------------------------------- training

    async def train(
        self, model: Variational, train_loader: Any, val_loader: Any = None, epochs: int | None = None
    ) -> list[TrainingMetrics]:
        """Train; the figures of every epoch. After `load_checkpoint` the run goes on where that was written.

        Args:
            model: what to train, in place.
            train_loader: batches (x, y), synchronous or not, or two arrays, see `loaders.read`. Targets are class
                numbers [B], or values [B, C] such as one-hot rows.
            val_loader: the same; validated after every epoch, at full depth.
            epochs: in place of that of the configuration.

        Raises:
            ConfigError: for a configuration that does not fit the model, the data or the backend, and for a
                `dashboard_port` that is taken. Others as `training.Trainer.fit` and `Pool.run_async`.
            KeyboardInterrupt: where it was stopped on the page; the model has what was learned until then.
        """
        size, first = self.config.training.batch_size, len(self.watcher.history)
        rows = await read(train_loader, size, "training")
        held = None if val_loader is None else await read(val_loader, size, "validation")
        checkpoints = EpochCheckpoints(self.config.training.checkpoint_directory, self._loaded)
        async with self._place(shows=type(model).__name__) as site:
            trainer = self._trainer(model, rows, epochs or self.config.training.epochs, site.executor, checkpoints)
            validation = None if held is None else (model.encode(held.x), held.y)
            cut = len(rows.x) <= rows.size or isinstance(train_loader, tuple)
            for each in overruled(self.config, model.shape, None if cut else rows.size, len(model.weights)):
                warnings.warn(each, UserWarning, stacklevel=2)
            plan = trainer.plan((model.encode(rows.x), rows.y), validation, start=model.vector, resume=True)
            try:
                await self._carry_out(model, plan, site)
            finally:
                self.current_epoch = plan.state.epoch
        self._loaded = None
        self._identity = checkpoints.last[1] if checkpoints.last else self._identity
        return self.watcher.history[first:]

    async def train_epoch(self, model: Variational, data_loader: Any, epoch: int) -> TrainingMetrics:
        """One epoch, number `epoch` from 0, which decides where schedules stand; its figures."""
        rows = await read(data_loader, self.config.training.batch_size, "training")
        await self._one_epoch(model, rows, epoch, self.config.training.seed)
        self.current_epoch = epoch + 1
        return self.watcher.history[-1]

    async def train_batch(self, model: Variational, batch_x: Any, batch_y: Any) -> dict[str, float]:
        """One step on a batch: `loss`, `gradient_norm`, `n_circuits` and `circuit_time_ms`."""
        started, before = time.perf_counter(), len(self.watcher.history)
        rows = await read((np.asarray(batch_x), np.asarray(batch_y)), len(batch_x), "training")
        seed = int(np.random.SeedSequence([self.config.training.seed, 7, self._batches]).generate_state(1)[0])
        self._batches += 1
        await self._one_epoch(model, rows, self.current_epoch, seed)
        found = self.watcher.history.pop()
        del self.watcher.history[before:]
        return {
            "loss": found.loss,
            "gradient_norm": found.gradient_norm,
            "n_circuits": float(found.n_circuit_executions),
            "circuit_time_ms": 1000 * (time.perf_counter() - started),
        }

    async def validate(self, model: Variational, val_loader: Any) -> dict[str, float]:
        """`loss`, `count`, and `accuracy` where the loss knows one, of the whole circuit."""
        rows = await read(val_loader, self.config.training.batch_size, "validation")
        model.shaped(self.config.model)
        objective, chosen = self._objective(model, rows, self.config.training.epochs)
        if self.config.optimisation.does("identities"):
            objective = replace(objective, circuit=remove_identities(objective.circuit, model.parameters))
        targets = objective.loss.prepare(rows.y, len(rows.x), objective.readout.n_outputs)
        async with self._place() as site:
            plan = objective.outputs(model.vector, model.encode(rows.x), chosen.shots, chosen.seed)
            outputs = await advance(plan, site.executor)
        loss, _ = objective.loss.value_and_gradient(outputs, targets)
        accuracy = objective.loss.accuracy(outputs, targets)
        return {"loss": loss, "count": len(rows.x), **({} if accuracy is None else {"accuracy": float(accuracy)})}

    # ----------------------------------------------------------------------------------------------------- checkpoints

    async def save_checkpoint(
        self,
        model: Variational,
        epoch: int,
        metrics: TrainingMetrics | None = None,  # noqa: ARG002  # the history is in the state
    ) -> Path:
        """Write `checkpoint_epoch_<epoch>.npz` into the directory of the configuration; its path."""
        training = self.config.training
        state = self._state
        if state is None:
            rule = optimiser(training.optimizer, training.momentum, 0.999)
            state = TrainingState(model.vector.copy(), rule.start(len(model.vector)))
        path = file_of(training.checkpoint_directory, epoch)
        EpochCheckpoints.write(path, state, self._identity)
        return path

    async def load_checkpoint(self, checkpoint_path: str | Path, model: Variational) -> None:
        """Take the parameters of a checkpoint, and go on from it with the next `train`.

        A run with the same configuration, model and data ends with the same bits as one that was never stopped, where
        its backend gives exact values; another one begins with these parameters, with a warning.

        Raises:
            RunError: for a file that is missing, damaged or of another model.
        """
        state, parts = CheckpointFile(checkpoint_path).load()
        model.load_vector(state.vector)
        self._loaded, self._state, self.current_epoch = (state, parts), state, state.epoch

    # -------------------------------------------------------------------------------------------------------- figures

    @property
    def training_history(self) -> list[TrainingMetrics]:
        """Figures of every epoch."""
        return self.watcher.history

    def get_training_history(self) -> list[TrainingMetrics]:
        """The same."""
        return self.watcher.history

    @property
    def gradient_norms(self) -> list[float]:
        """Of every step, before clipping; empty where `track_gradients` is False."""
        return self.watcher.norms

    def set_loss_function(self, loss_fn: Loss | RowLoss) -> None:
        """Choose the loss, see `loss_function`."""
        self.loss_function = loss_fn

    def performance_report(self) -> str:
        """Circuits, seconds, backends, and hits of the two caches."""
        unfelt = () if self.backend_manager is not None else self.config.unfelt
        return report(self.watcher, self.usage, unfelt)

    def print_performance_report(self) -> None:
        """Print it."""
        print(self.performance_report())  # noqa: T201  # its name says so

    def _repr_html_(self) -> str:
        from q_store.apps.legacy.card import html

        return html(self.watcher, self.usage)

    def print_backend_stats(self) -> None:
        """Print what the backends did."""
        print("\n".join(self.usage.lines()))  # noqa: T201  # its name says so

    @staticmethod
    def get_pinecone_stats() -> dict[str, Any]:
        """Nothing is stored there any more."""
        return {"enabled": False, "initialized": False, "vectors_stored": 0, "index_name": None}

    # ----------------------------------------------------------------------------------------------------------- place

    async def __aenter__(self) -> Self:
        self._held = self._place(shows=type(self).__name__)
        await self._held.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        await held.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _place(self, shows: str = "") -> AsyncIterator[Site]:
        """The place, open; closed by who opened it. With a title of what is done it has a page, where one is wanted."""
        if self._site is not None:
            yield self._site
            return
        manager = self.backend_manager
        backend = manager.get_backend() if hasattr(manager, "get_backend") else manager
        with ExitStack() as ends:
            if shows and (self.config.monitoring.dashboard or self.config.monitoring.track):
                self._watching = ends.enter_context(_watched(self.config, shows))
                ends.callback(setattr, self, "_watching", None)
            site = ends.enter_context(opened(self.config, backend, self._sinks))
            self._site = site = replace(site, executor=self._counted(site.executor))
            try:
                yield site
            finally:
                self._site = None
                self.usage.add(site)
                if site.pool is not None and site.pool is not backend:
                    await site.pool.aclose()

    def _counted(self, executor: AnyExecutor) -> AnyExecutor:
        """The executor, whose jobs are told where it computes here, and held where somebody on the page wants that."""
        if hasattr(executor, "run"):
            own: Any = executor
            executor = meter = Meter(own)
            meter.jobs = self._jobs = JobSum(Announcer(self._sinks))
        return executor if self._watching is None else Heeding(executor, self._watching.control)

    @property
    def _sinks(self) -> list[Sink]:
        return [self.watcher, *([] if self._watching is None else [self._watching.history]), *self.sinks]

    # ------------------------------------------------------------------------------------------------------------ parts

    def _objective(self, model: Variational, rows: Batches, epochs: int) -> tuple[Objective, TrainingSettings]:
        objective = model.objective(loss_for(rows.y, self.loss_function))
        size = min(rows.size, len(rows.x))
        shape = Shape(size, epochs, objective.readout.n_weights, len(objective.circuit.layers))
        chosen = settings(self.config, shape)
        return prepared(objective, chosen), chosen

    def _trainer(
        self,
        model: Variational,
        rows: Batches,
        epochs: int,
        executor: AnyExecutor,
        checkpoints: CheckpointFile | None = None,
        **other: Any,
    ) -> Trainer:
        model.shaped(self.config.model)
        model.fit_features(rows.x)
        objective, chosen = self._objective(model, rows, epochs)
        chosen = chosen.replaced(**other)
        gradient = estimator(self.config, chosen, model.frozen)
        return Trainer(objective, chosen, executor, sinks=self._sinks, checkpoints=checkpoints, estimator=gradient)

    async def _one_epoch(self, model: Variational, rows: Batches, epoch: int, seed: int) -> None:
        epochs = max(self.config.training.epochs, epoch + 1)
        if self.config.monitoring.dashboard and self._site is None:
            warnings.warn(_NO_PAGE, UserWarning, stacklevel=3)
        async with self._place() as site:
            trainer = self._trainer(model, rows, epochs, site.executor, seed=seed)
            plan = trainer.plan((model.encode(rows.x), rows.y), start=model.vector)
            state = plan.state = self._continued(model, plan)
            state.epoch, state.step = epoch, epoch * plan.steps_per_epoch
            state.stage, state.reason = EPOCHS, ""
            state.loss_sum, state.judged, state.right = 0.0, 0, 0
            done = len(state.history) + 1
            await self._carry_out(model, plan, site, lambda: len(state.history) >= done)

    def _continued(self, model: Variational, plan: Plan) -> TrainingState:
        """The state of the last call, with the parameters that the model has now."""
        earlier = self._state
        if earlier is None or len(earlier.vector) != len(model.vector):
            return plan.state
        earlier.vector[:] = model.vector
        if isinstance(plan.estimator, Memory):
            plan.estimator.restore(earlier.estimator)
        earlier.allocator = earlier.allocator or plan.state.allocator
        return earlier

    async def _carry_out(
        self, model: Variational, plan: Plan, site: Site, stop: Callable[[], bool] | None = None
    ) -> None:
        state = plan.state
        if self._watching is not None:
            self._watching.draw(model.circuit)
        self.watcher.begin(state.circuits, state.shots, state.seconds)
        try:
            await advance(plan.steps(), site.executor, stop)
        finally:
            if self._jobs is not None:
                self._jobs.flush()
            self.watcher.end()
            model.load_vector(plan.state.vector)
            if isinstance(plan.estimator, Memory):
                plan.state.estimator = plan.estimator.arrays()
            self._state = plan.state


def _watched(config: TrainingConfig, title: str) -> AbstractContextManager[Watching]:
    """A page and trackers, as a configuration asks for them."""
    training, backends, monitoring = config.training, config.backends, config.monitoring
    about = {
        "model": title,
        "seed": training.seed,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "shots": config.shots.per_circuit,
        "backend": "pool" if backends.several else backends.provider,
    }
    return watch(
        dashboard=monitoring.dashboard,
        port=monitoring.dashboard_port,
        track=monitoring.tracked,
        about=about,
        option="dashboard_port=",
    )


async def advance(steps: Steps[Any], executor: AnyExecutor, stop: Callable[[], bool] | None = None) -> Any:
    """Drive a plan to its end, or until `stop` holds before further jobs; what it returns."""
    with single_threaded(), closing(steps):
        try:
            jobs = next(steps)
            while stop is None or not stop():
                jobs = steps.send(complete(await _outcomes(executor, jobs)))
        except StopIteration as end:
            return end.value
    return None


async def _outcomes(executor: Any, jobs: Sequence[Job]) -> list[Outcome]:
    if hasattr(executor, "run"):  # computation: others of the loop get their turn in between
        await asyncio.sleep(0)
        return [executor.run(job) for job in jobs]
    found: list[Outcome] = await executor.run_async(jobs)
    return found
