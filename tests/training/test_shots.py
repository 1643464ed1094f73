"""Rules for shots: the document's allocator to the letter, measured noise, rows by their noise; all of it resumable."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store import events
from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.backends.local import LocalBackend
from q_store.errors import ConfigError
from q_store.gradients import SPSA, ParameterShift
from q_store.jobs import drive
from q_store.pool.membership import together
from q_store.training import CheckpointFile, Trainer, TrainingSettings
from q_store.training.shots import (
    WINDOW,
    Bounds,
    Constant,
    Phase,
    Step,
    Variance,
    is_flat,
    phase_shots,
    shot_rule,
    spread,
    variance_shots,
)

SHIFT = {"gradient": "parameter_shift", "shots": 100}
BOUNDS = Bounds(500, 1000, 2000)


def document(epoch, total_epochs, recent_gradients, *, min_shots, max_shots, base_shots):
    """`AdaptiveShotAllocator.get_shots_for_batch` of the v3.5 design, copied."""
    progress = epoch / total_epochs
    if progress < 0.3:
        shots = min_shots
    elif progress < 0.7:
        shots = base_shots
    else:
        shots = max_shots
    if len(recent_gradients) >= 3:
        variance = np.std([np.linalg.norm(g) for g in recent_gradients])
        if variance > 0.1:
            shots = int(shots * 1.5)
        elif variance < 0.01:
            shots = int(shots * 0.75)
    return np.clip(shots, min_shots, max_shots)


@given(
    st.integers(0, 99),
    st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), max_size=8),
    st.sampled_from([1.0, 0.1, 0.01]),
    st.tuples(st.integers(1, 3000), st.integers(0, 2000), st.integers(0, 2000)),
)
def test_phases_are_those_of_the_document(epoch, gradients, scale, sizes):
    least, base, most = sizes[0], sizes[0] + sizes[1], sizes[0] + sizes[1] + sizes[2]
    gradients = [scale * np.array(g) for g in gradients]
    norms = np.array([np.linalg.norm(g) for g in gradients])
    found = phase_shots(epoch / 100, norms, np.zeros(0), Bounds(least, base, most))
    assert found == document(epoch, 100, gradients, min_shots=least, max_shots=most, base_shots=base)


@pytest.mark.parametrize(
    ("progress", "norms", "shots"),
    [
        (0.0, [], 500),
        (0.29, [1, 1], 500),
        (0.3, [], 1000),
        (0.5, [1, 1, 1], 750),
        (0.5, [1, 2, 3], 1500),
        (0.5, [1, 1.05, 1.1], 1000),
        (0.7, [], 2000),
        (0.9, [1, 1, 1], 1500),
        (0.9, [1, 2, 3], 2000),
    ],
)
def test_the_document_s_own_figures(progress, norms, shots):
    assert phase_shots(progress, np.array(norms, dtype=float), np.zeros(0), BOUNDS) == shots


def test_a_flat_loss_lowers_the_shots():
    flat, falling = np.full(WINDOW, 0.7), np.linspace(1, 0.5, WINDOW)
    assert phase_shots(0.5, np.zeros(0), flat, BOUNDS) == 750
    assert phase_shots(0.5, np.ones(3), flat, BOUNDS) == 562
    assert phase_shots(0.5, np.zeros(0), falling, BOUNDS) == 1000
    assert phase_shots(0.1, np.zeros(0), flat, BOUNDS) == 500
    assert not is_flat(flat[1:])
    assert is_flat(flat + 0.004 * np.tile([1, -1], WINDOW // 2))
    assert not is_flat(np.full(WINDOW, 0.7) + np.linspace(0, 0.02, WINDOW))


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1e3), max_size=WINDOW),
    st.lists(st.floats(-1e3, 1e3), max_size=WINDOW),
    st.tuples(st.floats(-1e3, 1e3), st.floats(0, 1e6), st.floats(1e-3, 10)),
    st.tuples(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 5000)),
)
def test_shots_stay_within_bounds_and_few_values_are_used(progress, norms, losses, measured, sizes):
    bounds = Bounds(sizes[0], sizes[0] + sizes[1], sum(sizes))
    assert bounds.least <= phase_shots(progress, np.array(norms), np.array(losses), bounds) <= bounds.most
    assert variance_shots(*measured, bounds) in bounds.levels
    assert bounds.levels[0] == bounds.least
    assert bounds.levels[-1] == bounds.most
    assert len(bounds.levels) <= 2 + np.log2(bounds.most / bounds.least)


def test_measured_variance_asks_for_the_share_that_is_wanted():
    bounds = Bounds(100, 1000, 3200)
    # 400 shots give noise of single / 400 = .25 |g|^2, half of the norm
    assert variance_shots(4.0, 400.0, 0.5, bounds) == 400
    assert variance_shots(4.0, 401.0, 0.5, bounds) == 800
    assert variance_shots(4.0, 400.0, 0.25, bounds) == 1600
    assert variance_shots(-1.0, 400.0, 0.5, bounds) == 3200  # nothing but noise
    assert variance_shots(4.0, 0.0, 0.5, bounds) == 100


def test_variance_remembers_a_window_without_the_noise():
    rule = Variance(Bounds(100, 1000, 3200), 0.5)
    memory = rule.start()
    for k in range(3):
        assert rule.shots(0, memory) == 1000
        rule.record(memory, Step(1.0, 9.9, 400, np.sqrt(5.0), 1.0))
        assert len(memory["squares"]) == k + 1
    np.testing.assert_allclose(memory["squares"], 4.0)
    assert rule.shots(0, memory) == 400
    rule.record(memory, Step(1.0, 9.9, 400, 1.0, None))
    assert len(memory["squares"]) == 3
    for _ in range(2 * WINDOW):
        rule.record(memory, Step(1.0, 9.9, 800, np.sqrt(5.0), 1.0))
    assert len(memory["squares"]) == WINDOW
    assert rule.shots(0, memory) == 800


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=40), st.integers(1, 5000), st.integers(1, 4), st.integers(1, 8))
def test_rows_share_the_shots_by_their_noise(noise, least, low, high):
    shots = low * least
    bounds = Bounds(least, shots, shots * high)
    noise = np.array(noise)
    found = spread(noise, shots, bounds)
    assert len(np.unique(found)) <= 4
    assert found.min() >= bounds.least
    assert found.max() <= bounds.most
    assert found.sum() <= shots * len(noise)
    assert np.sum(noise / found) <= np.sum(noise / shots) * (1 + 1e-12)
    order = np.argsort(noise, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


def test_rows_of_unlike_noise_get_unlike_shots():
    noise = np.array([0.0, 1.0, 1.0, 100.0])
    found = spread(noise, 400, Bounds(100, 400, 1600))
    assert found[0] == 100
    assert found[3] == 800
    assert np.sum(noise / found) < 0.75 * np.sum(noise / 400)
    assert spread(np.zeros(3), 400, BOUNDS).tolist() == [400, 400, 400]


# ------------------------------------------------------------------------------------------------------ in the training


def steps_of(small, **options):
    told = []
    result = small.fit(sinks=[told.append], **{**SHIFT, **options})
    return [event for event in told if isinstance(event, events.StepDone)], result


def test_every_step_says_its_shots(small):
    told, result = steps_of(small, epochs=10, shot_schedule="phase")
    assert all(50 <= event.shots_each <= 200 for event in told)
    assert [event.shots_each for event in told][:3] == [50, 50, 50]
    assert max(event.shots_each for event in told) >= 150
    constant, plain = steps_of(small, epochs=10)
    assert {event.shots_each for event in constant} == {100}
    assert not np.array_equal(result.parameters, plain.parameters)
    exact = []
    small.fit(sinks=[exact.append])
    assert {event.shots_each for event in exact if isinstance(event, events.StepDone)} == {None}


@pytest.mark.parametrize(
    ("options", "fewer"), [({"noise_share": 50.0}, True), ({"noise_share": 0.001}, False), ({"max_shots": 150}, True)]
)
def test_measured_variance_acts(small, options, fewer):
    told, _ = steps_of(small, epochs=4, shot_schedule="variance", min_shots=25, **{"max_shots": 400, **options})
    late = {event.shots_each for event in told[3:]}
    assert [event.shots_each for event in told[:3]] == [100] * 3
    if "max_shots" in options:
        assert max(late) <= 150
    else:
        assert late == ({25} if fewer else {400})


class Recording:
    def __init__(self, backend):
        self.backend, self.capabilities, self.asked = backend, backend.capabilities, []

    def run(self, job):
        self.asked.append(job.shots)
        return self.backend.run(job)


def test_rows_get_shots_of_their_own_at_most_four_values_a_step(small):
    recording = Recording(small.backend)
    settings = TrainingSettings(
        epochs=3, batch_size=10, shot_schedule="variance", min_shots=20, max_shots=2000, **{**SHIFT, "shots": 200}
    )
    Trainer(small.objective, settings, recording).fit(small.train)
    of_rows = [shots for shots in recording.asked if isinstance(shots, np.ndarray)]
    assert of_rows
    assert all(len(np.unique(shots)) <= 4 and shots.min() >= 20 for shots in of_rows)


def test_noise_of_rows_with_unlike_shots_is_the_reported_one(small):
    """The spread of many estimates against the variance that each reports."""
    objective, (data, labels) = small.objective, small.train
    vector = objective.initial(3) * 5
    targets = objective.loss.prepare(labels, len(labels), 2)
    shots = np.resize([50, 100, 200, 400], len(data))

    def estimate(seed):
        steps = objective.evaluate(
            vector, data, targets, ParameterShift(), shots=200, seed=seed, spread=lambda _: shots
        )
        return drive(steps, small.backend)

    found = [estimate(seed) for seed in range(300)]
    measured = np.var([each.gradient[:4] for each in found], axis=0).sum()
    told = np.mean([each.shot_noise for each in found])
    # the reported one leaves out the noise of the cotangents, which is small here
    assert measured == pytest.approx(told, rel=0.25)
    assert found[0].shots == len(data) * 200 + 6 * int(shots.sum())  # two shifts of each of three angles


def test_spsa_separates_the_noise_of_shots_from_that_of_directions(small):
    objective, (data, labels) = small.objective, small.train
    vector, targets = objective.initial(3) * 5, objective.loss.prepare(labels, len(labels), 2)
    few, many = (
        [drive(objective.evaluate(vector, data, targets, SPSA(), shots=n, seed=s), small.backend) for s in range(50)]
        for n in (100, 1600)
    )
    ratio = np.mean([e.shot_noise for e in few]) / np.mean([e.shot_noise for e in many])
    assert ratio == pytest.approx(16, rel=0.2)
    assert np.mean([e.variance.sum() for e in many]) > 2 * np.mean([e.shot_noise for e in many])


class Ideal:
    """A backend that ignores shots."""

    def __init__(self, backend, **can):
        self.backend = backend
        self.capabilities = replace(backend.capabilities, **can)

    def run(self, job):
        return self.backend.run(job)


@pytest.mark.parametrize("schedule", ["phase", "variance"])
def test_a_backend_that_ignores_shots_is_not_pretended_to_save(small, schedule):
    settings = TrainingSettings(epochs=4, batch_size=10, shot_schedule=schedule, **SHIFT)
    told = []
    trainer = Trainer(small.objective, settings, Ideal(small.backend, shots_matter=False), sinks=[told.append])
    with pytest.warns(
        UserWarning, match=f"shot_schedule='{schedule}' saves nothing on .*: every step asks for 100"
    ) as w:
        trainer.fit(small.train)
    assert len(w) == 1
    assert {event.shots_each for event in told if isinstance(event, events.StepDone)} == {100}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(small.objective, settings, small.backend).fit(small.train)


def test_the_threshold_of_a_backend_is_kept(small):
    settings = TrainingSettings(epochs=4, batch_size=10, shot_schedule="phase", min_shots=50, **SHIFT)
    told = []
    Trainer(small.objective, settings, Ideal(small.backend, least_shots=90), sinks=[told.append]).fit(small.train)
    assert min(event.shots_each for event in told if isinstance(event, events.StepDone)) == 90
    with pytest.raises(ConfigError, match="expected shots of 500 or more, the least of this backend, got 100"):
        Trainer(small.objective, settings, Ideal(small.backend, least_shots=500)).fit(small.train)


@pytest.mark.parametrize("schedule", ["phase", "variance"])
@pytest.mark.parametrize("killed_at", [2, 5, 8])
def test_a_resumed_run_is_the_unbroken_one(small, tmp_path, interrupted, schedule, killed_at):
    options = {**SHIFT, "epochs": 4, "shot_schedule": schedule, "min_shots": 25, "checkpoint_steps": 1}
    whole, _ = steps_of(small, **options)
    unbroken = small.fit(**options)

    def kill(event):
        if isinstance(event, events.StepDone) and event.step == killed_at:
            raise interrupted

    path = tmp_path / "run.ckpt"
    with pytest.raises(interrupted):
        small.fit(sinks=[kill], checkpoints=CheckpointFile(path), **options)
    told = []
    resumed = small.fit(sinks=[told.append], checkpoints=CheckpointFile(path), resume=True, **options)
    np.testing.assert_array_equal(resumed.parameters, unbroken.parameters)
    assert (resumed.shots, resumed.circuits) == (unbroken.shots, unbroken.circuits)
    later = [event.shots_each for event in told if isinstance(event, events.StepDone)]
    assert later == [event.shots_each for event in whole][-len(later) :]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"shot_schedule": "phase", "shots": None}, "expected shots with shot_schedule='phase', got None"),
        (
            {"shot_schedule": "phase", "min_shots": 300, "max_shots": 200},
            "min_shots <= shots <= max_shots, got 300, 100",
        ),
        ({"shot_schedule": "phase", "min_shots": 200}, "got 200, 100 and 200"),
        ({"shot_schedule": "variance", "max_shots": 50}, "got 50, 100 and 50"),
        ({"shot_schedule": "variance", "min_shots": 0}, "usable min_shots, got 0"),
        ({"shots": 0}, "usable shots, got 0"),
        ({"min_shots": 50}, "shot_schedule with min_shots, got 'constant'"),
        ({"max_shots": 500}, "shot_schedule with max_shots, got 'constant'"),
        ({"shot_schedule": "phase", "noise_share": 0.5}, "shot_schedule='variance' with noise_share, got 'phase'"),
        ({"shot_schedule": "phases"}, "usable shot_schedule, got 'phases'"),
        (
            {"shot_schedule": "variance", "optimiser": "rotosolve", "gradient": "adjoint"},
            "which has none; take 'phase'",
        ),
    ],
)
def test_unusable_options_get_one_clear_line(options, match):
    if options.get("max_shots") == 50:
        options, match = {**options, "min_shots": 10}, "got 10, 100 and 50"
    with pytest.raises(ConfigError, match=match) as caught:
        TrainingSettings(**{**SHIFT, **options})
    assert "\n" not in str(caught.value)


def test_the_rule_is_the_one_that_the_settings_ask_for():
    assert shot_rule(TrainingSettings()) == Constant(None)
    assert shot_rule(TrainingSettings(**SHIFT)) == Constant(100)
    phase = TrainingSettings(**SHIFT, shot_schedule="phase")
    assert shot_rule(phase) == Phase(Bounds(50, 100, 200))
    measured = TrainingSettings(**SHIFT, shot_schedule="variance", min_shots=10, max_shots=300, noise_share=0.2)
    assert shot_rule(measured) == Variance(Bounds(10, 100, 300), 0.2)
    assert shot_rule(measured, 64) == Variance(Bounds(64, 100, 300), 0.2)


@pytest.mark.parametrize(("debiasing", "least"), [(True, 500), (False, 1)])
def test_debiasing_has_a_threshold_which_a_pool_passes_on(backend, debiasing, least):
    backend_of_pool = IonQBackend(
        IonQSettings(key="k", url="http://ionq.test/v0.4", backend="qpu.forte-1", debiasing=debiasing)
    )
    assert backend_of_pool.capabilities.least_shots == least
    members = [
        SimpleNamespace(backend=each, spec=SimpleNamespace(outputs=set())) for each in (backend_of_pool, backend)
    ]
    assert together(members).least_shots == least


def test_the_local_backend_knows_that_shots_matter():
    assert LocalBackend().capabilities.shots_matter
    assert LocalBackend().capabilities.least_shots == 1
