"""The trainer: every option acts, every front works, and what goes wrong is said."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest

from q_store import events
from q_store.backends.local import reference
from q_store.circuits import Circuit, ry, theta, z
from q_store.errors import ConfigError, DataError, ShapeError
from q_store.gradients import ParameterShift
from q_store.jobs import Outcome, Output, drive
from q_store.training import Energy, FunctionLoss, IdentityReadout, Objective, Trainer, TrainingSettings
from q_store.training.plan import data_order, sample_seed


def test_it_learns(small):
    result = small.fit(epochs=30, batch_size=20, learning_rate=0.3, finish_iterations=60)
    last = result.history[-1]
    assert last.stage == "finish"
    assert last.train_loss < 0.35
    assert last.validation_accuracy >= 0.9
    assert result.reason == "completed"
    assert len(result.history) == 31
    assert result.parameters.shape == (8,)


def test_fits_repeat_bit_by_bit(small):
    one, two = (small.fit(finish_iterations=5).parameters for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 2},
        {"batch_size": 5},
        {"learning_rate": 0.2},
        {"readout_learning_rate": 0.3},
        {"schedule": "cosine"},
        {"schedule": "constant"},
        {"optimiser": "sgd"},
        {"momentum": 0.5},
        {"beta2": 0.9},
        {"weight_decay": 0.5},
        {"gradient_clip": 1e-3},
        {"finish_iterations": 3},
        {"seed": 1},
        {"gradient": "parameter_shift", "shots": 50},
    ],
    ids=str,
)
def test_options_change_the_result(small, options):
    assert not np.allclose(small.fit(**options).parameters, small.fit().parameters, rtol=0, atol=1e-7)


def test_options_that_do_not_change_the_result(small):
    base = small.fit(finish_iterations=4).parameters
    shifted = small.fit(finish_iterations=4, gradient="parameter_shift").parameters
    np.testing.assert_allclose(shifted, base, atol=1e-7)
    np.testing.assert_allclose(small.fit(finish_iterations=4, chunk=3).parameters, base, atol=1e-9)


def test_the_first_step_is_what_the_parts_say(small):
    # one batch of all rows: the first step of Adam is rate * g / (|g| + 1e-8) for each entry
    objective = small.objective
    start = objective.initial(0)
    result = small.fit(
        epochs=1, batch_size=20, learning_rate=0.01, readout_learning_rate=0.2, schedule="constant", weight_decay=0.5
    )
    evaluation = drive(objective.evaluate(start, *small.train, ParameterShift()), small.backend)
    rates = np.repeat([0.01, 0.2], 4)
    decayed = start * (1 - rates * np.repeat([0, 0.5], 4))
    step = rates * evaluation.gradient / (np.abs(evaluation.gradient) + 1e-8)
    np.testing.assert_allclose(result.parameters, decayed - step, atol=1e-6)


def test_clipping_is_by_the_norm_of_the_whole_gradient(small):
    seen = []
    options = {"epochs": 1, "batch_size": 20, "optimiser": "sgd", "schedule": "constant", "learning_rate": 1.0}
    clipped = small.fit(sinks=[seen.append], gradient_clip=1e-3, **options).parameters
    start = small.objective.initial(0)
    assert np.linalg.norm(clipped - start) == pytest.approx(1e-3)
    free = small.fit(**options).parameters
    norm = next(e for e in seen if isinstance(e, events.StepDone)).gradient_norm
    assert np.linalg.norm(free - start) == pytest.approx(norm)
    np.testing.assert_allclose((clipped - start) / 1e-3, (free - start) / norm, atol=1e-9)


def test_events_tell_the_whole_story(small):
    seen = []
    result = small.fit(sinks=[seen.append], finish_iterations=4)
    kinds = Counter(type(e).__name__ for e in seen)
    steps = [e for e in seen if isinstance(e, events.StepDone)]
    assert kinds["StepDone"] == 9 + (len(steps) - 9)
    assert (kinds["RunStarted"], kinds["StageStarted"], kinds["EpochDone"], kinds["RunFinished"]) == (1, 2, 4, 1)
    assert seen[0] == events.RunStarted(4, 4, 20, 10, 3, 9)
    assert [e.step for e in steps[:9]] == list(range(1, 10))
    assert [e.epoch for e in steps[:9]] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [e.stage for e in seen if isinstance(e, events.StageStarted)] == ["epochs", "finish"]
    assert [e for e in seen if isinstance(e, events.EpochDone)] == list(result.history)
    assert seen[-1].circuits == result.circuits == 3 * (20 + 10) + (len(steps) - 9) * 20 + 10
    # steps of 8, 8 and 4 rows: the epoch's loss is the mean over rows
    first = steps[:3]
    assert result.history[0].train_loss == pytest.approx(np.average([e.loss for e in first], weights=[8, 8, 4]))


def share_right(small, parameters, part):
    """Of a part, simulated by the oracle."""
    data, labels = part
    objective, right = small.objective, 0
    for row, label in zip(data, labels, strict=True):
        state = reference.state(objective.circuit, row, parameters[:4])[None]
        values = reference.expectations(state, objective.measured, 2)
        right += objective.readout.outputs(values, parameters[4:])[0].argmax() == label
    return right / len(labels)


def test_training_accuracy_is_of_the_rows_as_they_were_visited(small):
    for size in (20, 8):  # of 8: each step is of other rows, at parameters that hardly move
        rate = 0.9 if size == 20 else 1e-9
        options = {"batch_size": size, "learning_rate": rate, "readout_learning_rate": rate, "schedule": "constant"}
        start = np.linspace(2.4, -1.6, 8)
        history = small.fit(start=start, **options).history
        before = [start, *(small.fit(start=start, **{**options, "epochs": k}).parameters for k in (1, 2))]
        assert [e.train_accuracy for e in history] == [share_right(small, each, small.train) for each in before]
        assert len({e.train_accuracy for e in history}) == (3 if size == 20 else 1)


def test_the_outputs_of_the_validation_rows_are_heard_after_every_epoch(small):
    heard = []
    trainer = Trainer(
        small.objective, TrainingSettings(epochs=2, finish_iterations=2), small.backend, validated=heard.append
    )
    result = trainer.fit(small.train, small.validation)
    labels = np.asarray(small.validation[1])
    assert [np.mean(each.argmax(axis=1) == labels) for each in heard] == [
        each.validation_accuracy for each in result.history
    ]


def test_training_accuracy_after_the_finish_is_that_of_the_final_parameters(small):
    result = small.fit(finish_iterations=7)
    assert result.history[-1].train_accuracy == share_right(small, result.parameters, small.train)


def test_training_accuracy_is_of_the_rows_that_were_used(small):
    shares = {e.train_accuracy for e in small.fit(batch_size=20, epochs=6, gradient="spsa", spsa_rows=3).history}
    assert len(shares) > 1
    assert shares <= {0, 1 / 3, 2 / 3, 1}


def test_the_schedule_is_told_as_the_learning_rate(small):
    seen = []
    small.fit(sinks=[seen.append], schedule="cosine", learning_rate=2.0)
    rates = [e.learning_rate for e in seen if isinstance(e, events.StepDone)]
    np.testing.assert_allclose(rates, 1 + np.cos(np.pi * np.arange(9) / 9))


def test_a_failing_sink_does_not_change_the_result(small):
    def broken(_event):
        raise RuntimeError("full")

    with pytest.warns(RuntimeWarning, match="gets no further events"):
        result = small.fit(sinks=[broken])
    np.testing.assert_array_equal(result.parameters, small.fit().parameters)


def test_every_row_is_visited_once_an_epoch_in_an_order_of_its_own():
    orders = [tuple(data_order(0, epoch, 50)) for epoch in range(3)] + [tuple(data_order(1, 0, 50))]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({sample_seed(s, step) for s in range(3) for step in range(-20, 20)}) == 3 * 40


# ------------------------------------------------------------------------------------ early stopping, the best epoch


def scripted(values):
    """A loss whose validation values are given in advance; training sees the other branch."""
    left = iter(values)

    def function(outputs, targets):
        return next(left) + 0 * outputs.sum() if targets[0] else outputs.sum()

    return FunctionLoss(function)


def run_scripted(values, backend, **options):
    circuit = Circuit.build(1, [ry(theta(0), 0)])
    # 1 + 2 C calls an evaluation: the value and both differences
    script = [v for v in values for _ in range(3)]
    objective = Objective(circuit, [z(0)], IdentityReadout(1), scripted(script))
    seen = []
    settings = TrainingSettings(epochs=len(values), learning_rate=0.1, schedule="constant", **options)
    trainer = Trainer(objective, settings, backend, sinks=[seen.append])
    return trainer.fit((None, [0]), (None, [1]), start=[1.0]), seen


def test_early_stopping_counts_epochs_without_a_better_value(backend):
    result, seen = run_scripted([5, 4, 4.5, 4.2, 3, 3.5, 3, 9, 1], backend, early_stopping=3)
    assert result.reason == "early stopping"
    assert result.epochs == 8
    assert result.best_epoch == 5
    assert [e for e in seen if isinstance(e, events.EarlyStopped)] == [events.EarlyStopped(8, 5, "loss", 3.0)]


def test_the_best_value_is_told_with_its_sign(backend):
    _, seen = run_scripted([-5, -4, -3], backend, early_stopping=1)
    assert next(e for e in seen if isinstance(e, events.EarlyStopped)) == events.EarlyStopped(2, 1, "loss", -5.0)


def test_a_validation_loss_that_is_not_finite_ends_the_run(backend):
    with pytest.raises(ConfigError, match=r"got loss nan .* after 2 steps \(2 epochs\)"):
        run_scripted([1, np.nan, 2], backend)


def test_no_early_stopping_without_being_asked(backend):
    result, _ = run_scripted([1, 2, 3, 4, 5], backend)
    assert (result.epochs, result.reason, result.best_epoch) == (5, "completed", 1)


def test_the_best_epoch_is_kept_only_if_asked(backend):
    values = [5, 1, 3, 4]
    last, _ = run_scripted(values, backend)
    best, _ = run_scripted(values, backend, keep_best=True)
    two, _ = run_scripted(values[:2], backend)
    np.testing.assert_array_equal(best.parameters, two.parameters)
    assert last.parameters[0] != best.parameters[0]


def test_a_finish_that_validates_worse_is_not_kept(backend):
    kept, _ = run_scripted([5, 1, 8], backend, keep_best=True)
    values = [5.0, 1, 8, 9]
    circuit = Circuit.build(1, [ry(theta(0), 0)])
    script = [v for v in values for _ in range(3)]
    objective = Objective(circuit, [z(0)], IdentityReadout(1), scripted(script))
    settings = TrainingSettings(epochs=3, learning_rate=0.1, schedule="constant", finish_iterations=5, keep_best=True)
    result = Trainer(objective, settings, backend).fit((None, [0]), (None, [1]), start=[1.0])
    np.testing.assert_array_equal(result.parameters, kept.parameters)
    assert result.best_epoch == 2


def test_the_monitor_may_be_the_accuracy(small):
    result = small.fit(monitor="accuracy", keep_best=True, epochs=8, learning_rate=0.3)
    accuracies = [record.validation_accuracy for record in result.history]
    assert result.best_epoch == 1 + int(np.argmax(accuracies))
    outputs = drive(small.objective.outputs(result.parameters, small.validation[0]), small.backend)
    assert np.mean(outputs.argmax(axis=1) == small.validation[1]) == max(accuracies)


def test_without_validation_rows_the_training_loss_is_monitored(small):
    result = small.fit(validation=False, epochs=4)
    losses = [record.train_loss for record in result.history]
    assert result.best_epoch == 1 + int(np.argmin(losses))
    assert result.history[0].validation_loss is None


# ------------------------------------------------------------------------------------------------------- the fronts


def test_an_asynchronous_executor(small, async_executor):
    trainer = Trainer(small.objective, TrainingSettings(epochs=2, batch_size=8, finish_iterations=3), async_executor)
    result = trainer.fit(small.train, small.validation)
    assert async_executor.calls > 8
    local = Trainer(small.objective, trainer.settings, small.backend).fit(small.train, small.validation)
    np.testing.assert_array_equal(result.parameters, local.parameters)


@pytest.mark.parametrize("kind", ["local", "async"])
def test_fit_works_inside_a_running_loop(small, async_executor, kind):
    executor = small.backend if kind == "local" else async_executor
    trainer = Trainer(small.objective, TrainingSettings(epochs=1, batch_size=8), executor)

    async def notebook():
        direct = await trainer.fit_async(small.train)
        return direct, trainer.fit(small.train)

    direct, nested = asyncio.run(notebook())
    np.testing.assert_array_equal(direct.parameters, nested.parameters)


def test_errors_inside_a_running_loop_reach_the_caller(small, async_executor):
    async def broken(_jobs):
        raise ZeroDivisionError

    async_executor.run_async = broken
    trainer = Trainer(small.objective, TrainingSettings(epochs=1), async_executor)

    async def notebook():
        trainer.fit(small.train)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(notebook())


def test_a_cancelled_finish_leaves_no_thread(small, async_executor):
    trainer = Trainer(small.objective, TrainingSettings(epochs=0, finish_iterations=50), async_executor)

    async def cancelled():
        task = asyncio.ensure_future(trainer.fit_async(small.train))
        third = asyncio.ensure_future(async_executor.third.wait())
        await asyncio.wait([task, third], return_when=asyncio.FIRST_COMPLETED)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = threading.active_count()
    asyncio.run(cancelled())
    assert threading.active_count() == before


def test_a_cancelled_thread_ends_at_the_next_job(small):
    started, steps = threading.Event(), []

    def sink(event):
        if isinstance(event, events.StepDone):
            steps.append(event.step)
            started.set()

    trainer = Trainer(small.objective, TrainingSettings(epochs=5000), small.backend, sinks=[sink])

    async def cancelled():
        task = asyncio.ensure_future(trainer.fit_async(small.train))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())  # returns when the thread has ended
    assert 0 < steps[-1] < 5000


def test_any_executor_will_do_for_any_gradient(small):
    class ValuesOnly:
        capabilities = small.backend.capabilities

        def run(self, job):
            assert job.output is Output.EXPECTATION
            return small.backend.run(job)

    trainer = Trainer(small.objective, TrainingSettings(epochs=1, gradient="parameter_shift"), ValuesOnly())
    assert trainer.fit(small.train).epochs == 1


def test_shots_are_counted(small):
    result = small.fit(epochs=1, batch_size=20, gradient="parameter_shift", shots=30)
    # three angles hold the four parameters
    assert result.circuits == 20 * (1 + 2 * 3) + 10
    assert result.shots == 30 * result.circuits


def test_every_job_with_shots_has_samples_of_its_own(small):
    seeds = []

    class Recording:
        capabilities = small.backend.capabilities

        def run(self, job):
            seeds.append(job.seed)
            return small.backend.run(job)

    for seed in (0, 1):
        settings = TrainingSettings(epochs=2, batch_size=8, gradient="parameter_shift", shots=10, seed=seed)
        Trainer(small.objective, settings, Recording()).fit(small.train, small.validation)
    assert len(seeds) == 2 * (2 * 3 * 2 + 2)
    assert len(set(seeds)) == len(seeds)


# ------------------------------------------------------------------------------------------------------ what is wrong


def test_a_loss_that_is_not_finite_ends_the_run(small):
    calls = []

    def function(outputs, _targets):
        calls.append(1)
        return outputs.sum(axis=1) * (np.nan if len(calls) > 10 else 1)

    objective = Objective(
        small.objective.circuit, small.objective.measured, small.objective.readout, FunctionLoss(function)
    )
    trainer = Trainer(objective, TrainingSettings(epochs=5, batch_size=20), small.backend)
    with pytest.raises(ConfigError, match=r"got loss nan .* after 2 steps \(2 epochs\); lower the learning rates"):
        trainer.fit(small.train[0])


def test_a_gradient_that_is_not_finite_ends_the_finish(small):
    class Broken:
        capabilities = small.backend.capabilities

        def run(self, job):
            outcome = small.backend.run(job)
            return Outcome(outcome.values, gradient=outcome.gradient * np.inf, rows=outcome.rows)

    trainer = Trainer(small.objective, TrainingSettings(epochs=0, finish_iterations=5), Broken())
    with pytest.raises(ConfigError, match="finite loss and gradient"):
        trainer.fit(small.train)


def test_contradictions_are_refused(small, backend):
    energy = Objective(Circuit.build(1, [ry(theta(0), 0)]), [z(0)], IdentityReadout(1), Energy())
    for options in ({"weight_decay": 0.1}, {"readout_learning_rate": 0.1}):
        with pytest.raises(ConfigError, match="readout without weights"):
            Trainer(energy, TrainingSettings(**options), backend)
    with pytest.raises(ConfigError, match="nothing to do"):
        Trainer(energy, TrainingSettings(epochs=0), backend)
    with pytest.raises(ConfigError, match="use monitor='loss'"):
        Trainer(energy, TrainingSettings(monitor="accuracy"), backend).fit(None, (None, None))
    with pytest.raises(ConfigError, match="use monitor='loss'"):
        small.fit(monitor="accuracy", validation=False)
    with pytest.raises(ConfigError, match="run_async"):
        Trainer(energy, TrainingSettings(), object()).fit()


def test_rows_and_starts_are_checked(small):
    with pytest.raises(ShapeError, match="validation data"):
        Trainer(small.objective, TrainingSettings(), small.backend).fit(small.train, (np.zeros((3, 5)), [0, 1, 0]))
    with pytest.raises(DataError, match="class labels"):
        Trainer(small.objective, TrainingSettings(), small.backend).fit(small.train[0])
    for start in (np.zeros(3), np.full(8, np.nan)):
        with pytest.raises(ShapeError, match="8 finite initial parameters"):
            small.fit(start=start)


def test_a_start_is_copied_and_used(small):
    start = np.linspace(0, 1, 8)
    one = small.fit(start=start, epochs=1, learning_rate=1e-9, readout_learning_rate=1e-9)
    np.testing.assert_allclose(one.parameters, np.linspace(0, 1, 8), atol=1e-7)
    np.testing.assert_array_equal(start, np.linspace(0, 1, 8))
