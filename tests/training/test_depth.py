"""Schedules of depth, pruning and merging: the document's formulas, nothing jumps, nothing drifts, all resumable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store import events
from q_store.backends.local import LocalBackend, reference
from q_store.circuits import Circuit, Observables, cnot, encoders, ry, theta
from q_store.circuits.layers import parameters, truncated
from q_store.circuits.templates import hardware_efficient, reuploading, so4_layers
from q_store.errors import CircuitError, ConfigError
from q_store.gradients import ParameterShift
from q_store.jobs import drive
from q_store.models import zoo
from q_store.training import CheckpointFile, CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings
from q_store.training.cost import gradient_circuits, validations
from q_store.training.depth import depth_at
from q_store.training.state import TrainingState

QUBITS = 3


def document(epoch, total_epochs, schedule, initial_depth=4, min_depth=2):
    """`AdaptiveCircuitOptimizer.get_depth_for_epoch` of the v3.5 design, copied."""
    progress = epoch / total_epochs
    if schedule == "linear":
        depth = initial_depth - ((initial_depth - min_depth) * progress)
    elif schedule == "exponential":
        depth = min_depth + ((initial_depth - min_depth) * np.exp(-3 * progress))
    elif progress < 0.3:
        depth = initial_depth
    elif progress < 0.7:
        depth = (initial_depth + min_depth) / 2
    else:
        depth = min_depth
    return int(np.ceil(depth))


@given(st.sampled_from(["linear", "exponential", "step"]), st.integers(1, 200), st.data())
def test_depths_are_those_of_the_document(schedule, total, data):
    epoch = data.draw(st.integers(0, total))
    lowest = data.draw(st.integers(0, 12))
    highest = lowest + data.draw(st.integers(0, 12))
    assert depth_at(schedule, epoch / total, lowest, highest) == document(epoch, total, schedule, highest, lowest)


@pytest.mark.parametrize(
    ("schedule", "depths"),
    [
        ("fixed", [4] * 10),
        ("linear", [4, 4, 4, 4, 4, 3, 3, 3, 3, 3]),
        ("exponential", [4, 4, 4, 3, 3, 3, 3, 3, 3, 3]),
        ("step", [4, 4, 4, 3, 3, 3, 3, 2, 2, 2]),
        ("grow", [2, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
    ],
)
def test_ten_epochs_between_four_and_two_layers(schedule, depths):
    assert [depth_at(schedule, epoch / 10, 2, 4) for epoch in range(10)] == depths


@given(st.sampled_from(["fixed", "linear", "exponential", "step", "grow"]), st.floats(0, 1), st.data())
def test_depths_stay_within_bounds_and_go_one_way(schedule, progress, data):
    lowest = data.draw(st.integers(0, 20))
    highest = lowest + data.draw(st.integers(0, 20))
    depth = depth_at(schedule, progress, lowest, highest)
    later = depth_at(schedule, data.draw(st.floats(progress, 1)), lowest, highest)
    assert lowest <= depth <= highest
    assert later >= depth if schedule == "grow" else later <= depth


# ------------------------------------------------------------------------------------------------------ in the training


class Watched:
    """A backend that keeps the circuits and parameters it was asked for."""

    def __init__(self):
        self.backend = LocalBackend(threads=1, precision="float64")
        self.capabilities = self.backend.capabilities
        self.asked = []

    def run(self, job):
        self.asked.append(replace(job, params=job.params.copy()))  # the vector itself goes on
        return self.backend.run(job)


def rows(count, seed):
    data = np.random.default_rng(seed).uniform(-1, 1, (count, QUBITS))
    return data, (data[:, 0] * data[:, 1] > 0).astype(int)


def objective(ansatz):
    circuit = ansatz if ansatz.n_features else encoders.angle(QUBITS) + ansatz
    return Objective(circuit, Observables.local_z(QUBITS), LinearReadout(QUBITS, 2), CrossEntropy())


def fit(ansatz, *, validation=True, resume=False, checkpoints=None, sinks=(), start=None, **options):
    watched, told = Watched(), []
    settings = TrainingSettings(**{"epochs": 10, "batch_size": 10, "learning_rate": 0.1, **options})
    trainer = Trainer(objective(ansatz), settings, watched, sinks=[told.append, *sinks], checkpoints=checkpoints)
    result = trainer.fit(rows(20, 1), rows(8, 2) if validation else None, resume=resume, start=start)
    return result, told, watched


RING = hardware_efficient(QUBITS, 4, ("ry",), "ring")
SO4 = so4_layers(QUBITS, 4)
UPLOADS = reuploading(QUBITS, 4, QUBITS)


def told_of(told, kind):
    return [event for event in told if isinstance(event, kind)]


@pytest.mark.parametrize("schedule", ["linear", "exponential", "step", "grow"])
def test_every_step_and_epoch_says_its_depth(schedule):
    _, told, watched = fit(SO4, depth_schedule=schedule, validation=False)
    depths = [depth_at(schedule, epoch / 10, 2, 4) for epoch in range(10)]
    assert [event.depth for event in told_of(told, events.EpochDone)] == depths
    assert [event.depth for event in told_of(told, events.StepDone)] == [d for d in depths for _ in range(2)]
    whole = objective(SO4).circuit
    assert [job.circuit.ops for job in watched.asked] == [truncated(whole, d).ops for d in depths for _ in range(2)]


def test_a_shallower_step_is_the_step_of_the_shallower_circuit():
    """Ten steps at depth 2 of 4 against a circuit that only has the two layers."""
    found, _, _ = fit(RING, max_depth=2, validation=False)
    whole = objective(RING)
    used = parameters(truncated(whole.circuit, 2))
    shallow = objective(hardware_efficient(QUBITS, 2, ("ry",), "ring"))
    n, start = whole.circuit.n_params, whole.initial(0)
    few = np.concatenate([start[:n][used], start[n:]])
    settings = TrainingSettings(epochs=10, batch_size=10, learning_rate=0.1)
    expected = Trainer(shallow, settings, Watched()).fit(rows(20, 1), start=few).parameters
    np.testing.assert_allclose(np.concatenate([found.parameters[:n][used], found.parameters[n:]]), expected, atol=1e-12)
    np.testing.assert_array_equal(found.parameters[:n][~used], start[:n][~used])


@pytest.mark.parametrize("gradient", [{}, {"gradient": "spsa"}, {"optimiser": "sgd"}, {"gradient_clip": 0.01}])
@pytest.mark.parametrize("schedule", ["linear", "step"])
def test_parameters_of_dropped_layers_stand_still(schedule, gradient):
    vectors = []

    class Vectors:
        def __call__(self, event):
            if isinstance(event, events.EpochDone):
                vectors.append(plan.state.vector.copy())

    settings = TrainingSettings(epochs=10, batch_size=10, depth_schedule=schedule, min_depth=1, **gradient)
    trainer = Trainer(objective(RING), settings, Watched(), sinks=[Vectors()])
    plan = trainer.plan(rows(20, 1))
    drive(plan.steps(), trainer.executor)
    circuit = objective(RING).circuit
    for epoch in range(1, 10):
        used = parameters(truncated(circuit, depth_at(schedule, epoch / 10, 1, 4)))
        moved = vectors[epoch][: circuit.n_params] != vectors[epoch - 1][: circuit.n_params]
        assert not (moved & ~used).any()
        assert moved[used].all()
    assert not used.all()


@pytest.mark.parametrize("options", [{"optimiser": "sgd"}, {}], ids=["sgd", "adam"])
def test_layers_that_have_not_entered_have_no_moments(options):
    """SPSA moves every parameter and sees a slope along all of them, those of no layer at all included."""
    settings = TrainingSettings(
        epochs=10, batch_size=10, depth_schedule="grow", min_depth=1, gradient="spsa", **options
    )
    trainer, circuit = Trainer(objective(SO4), settings, Watched()), objective(SO4).circuit
    plan = trainer.plan(rows(20, 1))
    steps = plan.steps()
    jobs = next(steps)
    for _ in range(5):  # the third epoch begins
        jobs = steps.send([trainer.executor.run(job) for job in jobs])
    later = parameters(circuit) & ~parameters(truncated(circuit, 1))
    for name in {"m", "v", "u"} & set(plan.state.optimiser):
        moments = plan.state.optimiser[name][: circuit.n_params]
        assert not moments[later].any()
        assert moments[~later].all()


@pytest.mark.parametrize("ansatz", [SO4, UPLOADS], ids=["so4", "reuploading"])
def test_nothing_jumps_when_a_layer_enters(ansatz):
    """At the vector with which an epoch begins, the deeper and the shallower circuit give the same state."""
    result, told, watched = fit(ansatz, depth_schedule="grow", min_depth=1)
    entered = [event for event in told_of(told, events.CircuitChosen) if event.epoch > 1]
    assert [event.depth for event in entered] == [2, 3, 4]
    whole, row = objective(ansatz).circuit, rows(1, 5)[0][0]
    jobs = [job for job in watched.asked if job.pullback is not None]
    for event in entered:
        first = jobs[2 * (event.epoch - 1)]
        assert first.circuit.ops == truncated(whole, event.depth).ops
        before = reference.state(truncated(whole, event.depth - 1), row, first.params[0])
        np.testing.assert_allclose(reference.state(first.circuit, row, first.params[0]), before, atol=1e-14)
        np.testing.assert_allclose(reference.state(whole, row, first.params[0]), before, atol=1e-14)
    records = told_of(told, events.EpochDone)
    assert all(each.trained_loss in {None, each.validation_loss} for each in records)
    later = parameters(whole) & ~parameters(truncated(whole, 1))
    assert np.abs(result.parameters[: whole.n_params][later]).max() > 1e-3


def test_a_layer_that_enters_takes_first_steps_as_any_other():
    """Adam counts its steps from its entry: a stale bias correction would make the first ones too long."""
    _, _, watched = fit(SO4, depth_schedule="grow", min_depth=1, schedule="constant", batch_size=20, learning_rate=0.01)
    params = np.array([job.params[0] for job in watched.asked if job.pullback is not None])
    whole = objective(SO4).circuit
    grown = parameters(truncated(whole, 2)) & ~parameters(truncated(whole, 1))
    entry = next(k for k in range(10) if depth_at("grow", k / 10, 1, 4) == 2)
    assert not params[entry][grown].any()
    first = np.abs(params[entry + 1][grown])
    np.testing.assert_allclose(first[first > 1e-6], 0.01, rtol=1e-3)


def test_validation_is_reported_at_full_and_at_training_depth():
    _, told, _ = fit(RING, depth_schedule="step", min_depth=1)
    records = told_of(told, events.EpochDone)
    assert [each.trained_loss is None for each in records] == [True] * 3 + [False] * 7
    assert all(each.trained_loss != each.validation_loss for each in records)
    last, whole = records[-1], objective(RING)
    state = fit(RING, depth_schedule="step", min_depth=1)[0].parameters
    data, labels = rows(8, 2)
    for circuit, loss in ((whole.circuit, last.validation_loss), (truncated(whole.circuit, 1), last.trained_loss)):
        own = Objective(circuit, whole.observables, whole.readout, whole.loss)
        evaluation = drive(own.evaluate(state, data, labels, ParameterShift()), Watched())
        assert evaluation.loss == pytest.approx(loss, abs=1e-9)


def test_the_best_by_the_trained_circuit_is_kept_with_its_depth():
    result, told, _ = fit(RING, depth_schedule="linear", min_depth=1, keep_best=True)
    records = told_of(told, events.EpochDone)
    shown = [each.validation_loss if each.trained_loss is None else each.trained_loss for each in records]
    best = int(np.argmin(shown))
    assert result.best_epoch == best + 1
    expected = truncated(objective(RING).circuit, records[best].depth)
    assert (objective(RING).circuit if result.circuit is None else result.circuit).ops == expected.ops


def test_the_result_names_the_circuit_that_was_trained():
    assert fit(RING)[0].circuit is None
    assert fit(SO4, depth_schedule="grow")[0].circuit is None
    assert fit(RING, depth_schedule="step")[0].circuit.ops == truncated(objective(RING).circuit, 2).ops
    finished = fit(RING, depth_schedule="step", finish_iterations=4)
    assert finished[0].circuit.ops == truncated(objective(RING).circuit, 2).ops
    dropped = parameters(objective(RING).circuit) & ~parameters(finished[0].circuit)
    before = fit(RING, depth_schedule="step")[0].parameters
    np.testing.assert_array_equal(finished[0].parameters[: len(dropped)][dropped], before[: len(dropped)][dropped])


# -------------------------------------------------------------------------------------------------- pruning and merging


def test_pruned_epochs_keep_the_fidelity_and_say_it():
    result, told, watched = fit(SO4, prune=0.97, learning_rate=0.3)
    chosen = told_of(told, events.CircuitChosen)
    assert (chosen[0].epoch, chosen[0].fidelity, chosen[0].before) == (1, None, chosen[0].after)
    assert chosen[1].epoch == 4
    whole = objective(SO4).circuit
    assert all(each.before["two_qubit"] == whole.two_qubit_gates == each.before["pauliexp"] for each in chosen)
    assert min(each.after["two_qubit"] for each in chosen) < whole.two_qubit_gates
    data = rows(20, 1)[0][np.linspace(0, 19, 16).astype(int)]
    jobs = [job for job in watched.asked if job.pullback is not None]
    for event in chosen[1:]:
        job = jobs[2 * (event.epoch - 1)]
        states = [[reference.state(each, row, job.params[0]) for row in data] for each in (whole, job.circuit)]
        reached = min(abs(np.vdot(a, b)) ** 2 for a, b in zip(*states, strict=True))
        assert event.fidelity == pytest.approx(reached, abs=1e-9)
        assert reached >= event.bound - 1e-9 == 0.97 - 1e-9
    assert result.circuit.two_qubit_gates < whole.two_qubit_gates


def test_merging_trains_the_same_with_fewer_gates():
    double = Circuit.build(QUBITS, [*(ry(theta(k % 6), k % 3) for k in range(6)), cnot(0, 1), cnot(0, 1)])
    plain, _, _ = fit(double, gradient="parameter_shift")
    merged, _, watched = fit(double, gradient="parameter_shift", optimise=True)
    np.testing.assert_allclose(merged.parameters, plain.parameters, atol=1e-9)
    assert merged.circuits < plain.circuits
    assert {job.circuit.two_qubit_gates for job in watched.asked} == {0}
    assert merged.circuit.two_qubit_gates == 0


def test_what_training_left_at_zero_is_not_in_the_result():
    ansatz = hardware_efficient(QUBITS, 1, ("ry",), entangler="rzz", final_rotations=False)
    start = objective(ansatz).initial(0)
    start[3] = 0  # the first RZZ turns only phases of what is measured next
    result, _, _ = fit(ansatz, optimise=True, start=start)
    assert result.parameters[3] == 0
    assert result.circuit.counts["zz"] == 1
    assert fit(ansatz, start=start)[0].circuit is None


# ------------------------------------------------------------------------------------------------ checkpoints, mistakes

ADAPTIVE = [
    {"depth_schedule": "linear", "min_depth": 1},
    {"depth_schedule": "grow", "min_depth": 1},
    {"depth_schedule": "step", "prune": 0.95, "optimise": True, "keep_best": True},
    {"prune": 0.9, "finish_iterations": 2},
    {"prune": 0.99, "epochs": 6, "batch_size": 4},  # pruned in the middle of an epoch, it would be another circuit
]


@pytest.mark.parametrize("options", ADAPTIVE, ids=str)
@pytest.mark.parametrize("killed_at", [3, 9, 10, 14, 18])
def test_a_resumed_run_is_the_unbroken_one(tmp_path, interrupted, options, killed_at):
    options = {**options, "checkpoint_steps": 1, "learning_rate": 0.3}
    unbroken, whole, _ = fit(SO4, **options)

    def kill(event):
        if isinstance(event, events.StepDone) and event.step == killed_at:
            raise interrupted

    path = tmp_path / "run.ckpt"
    with pytest.raises(interrupted):
        fit(SO4, sinks=[kill], checkpoints=CheckpointFile(path), **options)
    resumed, told, _ = fit(SO4, checkpoints=CheckpointFile(path), resume=True, **options)
    np.testing.assert_array_equal(resumed.parameters, unbroken.parameters)
    assert (resumed.circuits, resumed.best_epoch) == (unbroken.circuits, unbroken.best_epoch)
    assert (resumed.circuit and resumed.circuit.ops) == (unbroken.circuit and unbroken.circuit.ops)
    expected = [event.depth for event in told_of(whole, events.StepDone)]
    later = [event.depth for event in told_of(told, events.StepDone)]
    assert later == expected[-len(later) :]


@pytest.mark.parametrize("name", ["linear", "exponential", "step", "grow", "max_depth", "prune", "optimise"])
def test_every_option_acts(name):
    options = {"max_depth": {"max_depth": 2}, "prune": {"prune": 0.9}, "optimise": {"optimise": True}}
    ansatz = Circuit.build(QUBITS, [*SO4.ops, *(ry(theta(SO4.n_params + k), 0) for k in range(2))]).layered(SO4.layers)
    plain, _, before = fit(ansatz)
    found, _, after = fit(ansatz, **options.get(name, {"depth_schedule": name}))
    assert {job.circuit.digest for job in after.asked} != {job.circuit.digest for job in before.asked}
    assert np.array_equal(found.parameters, plain.parameters) is False


@pytest.mark.parametrize(
    "options",
    [
        {"depth_schedule": "linear", "min_depth": 1},
        {"depth_schedule": "grow"},
        {"max_depth": 2},
        {"optimise": True},
        {},
    ],
    ids=str,
)
def test_circuits_are_known_beforehand(options):
    options = {**options, "gradient": "parameter_shift"}
    result, _, _ = fit(SO4, **options)
    settings = TrainingSettings(epochs=10, batch_size=10, **options)
    circuit = objective(SO4).circuit
    assert gradient_circuits(settings, circuit, 20) + 8 * validations(settings, circuit) == result.circuits


def test_a_fixed_depth_is_free():
    """The same objects as without any of this: nothing is rebuilt, no event is told."""
    _, told, watched = fit(SO4)
    assert len({id(job.circuit) for job in watched.asked}) == 1
    assert told_of(told, events.CircuitChosen) == []
    assert {event.depth for event in told_of(told, events.StepDone)} == {None}


def test_a_checkpoint_holds_everything_that_is_chosen():
    state = TrainingState(np.ones(2), {"m": np.ones(2)}, depth=3, removed=[1, 4], best_depth=2, best_removed=[7])
    state.allocator = {"norms": np.array([0.5])}
    again = TrainingState.of(state.arrays(), state.numbers())
    assert again.numbers() == state.numbers()
    assert (again.depth, again.removed, again.best_depth, again.best_removed) == (3, [1, 4], 2, [7])
    assert again.allocator["norms"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"depth_schedule": "linear", "min_depth": 3, "max_depth": 2}, "min_depth <= max_depth, got 3 and 2"),
        ({"min_depth": 2}, "depth_schedule with min_depth, got 'fixed'"),
        ({"depth_schedule": "linaer"}, "usable depth_schedule, got 'linaer'"),
        ({"max_depth": 0}, "usable max_depth, got 0"),
        ({"prune": 0}, "usable prune, got 0"),
        ({"prune": 1.1}, "usable prune, got 1.1"),
        ({"prune": 0.9, "epochs": 1}, "2 epochs or more with prune"),
        ({"prune": 0.9, "depth_schedule": "grow"}, "prune or depth_schedule='grow', got both"),
        ({"depth_schedule": "step", "epochs": 0, "finish_iterations": 3}, "epochs above 0"),
        ({"depth_schedule": "step", "optimiser": "rotosolve"}, "one circuit with optimiser='rotosolve'"),
    ],
)
def test_contradicting_settings_get_one_clear_line(options, match):
    with pytest.raises(ConfigError, match=match) as caught:
        TrainingSettings(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ansatz", "options", "error", "match"),
    [
        (
            RING,
            {"depth_schedule": "linear", "min_depth": 5},
            ConfigError,
            "<= the 4 layers of the circuit, got 5 and 4",
        ),
        (RING, {"depth_schedule": "linear", "max_depth": 5}, ConfigError, "got 2 and 5; lower them, or take a deeper"),
        (RING, {"max_depth": 5}, ConfigError, "got 2 and 5"),
        (RING, {"depth_schedule": "grow"}, ConfigError, "cx on qubits .* in layer 2 stays .*; take so4_layers or"),
        (
            Circuit.build(QUBITS, [ry(theta(0), 0)]),
            {"depth_schedule": "linear"},
            CircuitError,
            r"whole layers, got one without; take one of q_store.circuits.templates, or name the layers",
        ),
    ],
)
def test_circuits_that_do_not_fit_are_refused_before_anything_runs(ansatz, options, error, match):
    with pytest.raises(error, match=match) as caught:
        fit(ansatz, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", zoo.names())
def test_models_of_the_zoo_train_with_a_schedule_and_predict_with_what_was_trained(name, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 40)
    x = rng.normal(size=(40, 3)) + y[:, None]
    model = zoo.definition(name).fitting(x).model()
    model.settings = model.settings.replaced(epochs=4, finish_iterations=0, depth_schedule="step")
    model.fit(x, y)
    trained = model.trained.objective.circuit
    assert trained.ops == truncated(model.circuit, 2).ops
    model.save(tmp_path / "model.npz")
    again = type(model).load(tmp_path / "model.npz")
    assert again.trained.objective.circuit == trained
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
