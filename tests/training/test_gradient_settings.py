"""The settings of gradients: each acts, contradictions are refused, and what is remembered is in the checkpoint."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.circuits import Circuit, ry, rz, templates, theta, z
from q_store.errors import CapabilityError, ConfigError
from q_store.events import StepDone
from q_store.gradients import QNSPSA, NaturalGradient, circuits, make
from q_store.jobs import drive
from q_store.training import CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings
from q_store.training.cost import gradient_circuits

SAMPLED = {"gradient": "spsa", "shots": 40}
NATURAL = {"gradient": "parameter_shift", "metric": "block", "shots": 40}

ACTING = [
    ({"gradient": "adjoint"}, {"gradient": "spsa"}),
    ({"gradient": "spsa"}, {"gradient": "random_shift"}),
    ({"gradient": "random_shift"}, {"gradient": "finite_difference"}),
    ({"gradient": "finite_difference"}, {"gradient": "finite_difference", "difference_step": 0.5}),
    (SAMPLED, {**SAMPLED, "spsa_perturbation": 0.3}),
    (SAMPLED, {**SAMPLED, "spsa_pairs": 2}),
    (SAMPLED, {**SAMPLED, "spsa_rows": 3}),
    (SAMPLED, {**SAMPLED, "common_samples": True}),
    ({"gradient": "random_shift"}, {"gradient": "random_shift", "shift_parameters": 2}),
    (SAMPLED, {**SAMPLED, "metric": "spsa"}),
    (SAMPLED, {**SAMPLED, "metric": "diagonal"}),
    (NATURAL, {**NATURAL, "metric": "diagonal"}),
    ({}, {"metric": "full"}),
    (NATURAL, {**NATURAL, "metric_rows": 2}),
    (NATURAL, {**NATURAL, "metric_regularization": 0.5}),
    ({**SAMPLED, "metric": "spsa"}, {**SAMPLED, "metric": "spsa", "metric_rows": None}),
    ({**SAMPLED, "metric": "spsa"}, {**SAMPLED, "metric": "spsa", "metric_regularization": 0.5}),
    (SAMPLED, {**SAMPLED, "blocking": True, "allowed_increase": 0.0}),
    (SAMPLED, {**SAMPLED, "seed": 3}),
    ({"gradient": "spsa"}, {"gradient": "spsa", "seed": 3}),
]


@pytest.mark.parametrize(("one", "other"), ACTING)
def test_every_option_changes_the_result(one, other, small):
    start = small.objective.initial(0)
    results = [small.fit(**options, start=start, validation=False) for options in (one, other)]
    assert not np.allclose(results[0].parameters, results[1].parameters, atol=1e-9)


def test_the_size_of_the_cache_is_passed_on():
    assert make(TrainingSettings(**NATURAL, metric_cache=7)).cache_size == 7
    assert make(TrainingSettings(**NATURAL)).cache_size == 100


def test_names_are_what_they_say():
    assert isinstance(make(TrainingSettings(**NATURAL)), NaturalGradient)
    assert isinstance(make(TrainingSettings(gradient="spsa", metric="spsa")), QNSPSA)
    settings = TrainingSettings(gradient="spsa", metric="spsa", spsa_perturbation=0.2, spsa_pairs=3)
    assert (make(settings).perturbation, make(settings).pairs) == (0.2, 3)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"gradient": "spsa", "spsa_pairs": 0}, "spsa_pairs"),
        ({"gradient": "spsa", "spsa_perturbation": 0}, "spsa_perturbation"),
        ({"gradient": "random_shift", "shift_parameters": 0}, "shift_parameters"),
        ({"metric": "blok"}, "metric"),
        ({"metric": "full", "metric_rows": 0}, "metric_rows"),
        ({"metric": "full", "metric_regularization": -1}, "metric_regularization"),
        ({"spsa_pairs": 2}, "spsa_pairs to be left out .* neither gradient='spsa' nor metric='spsa'"),
        ({"gradient": "parameter_shift", "spsa_rows": 2}, "spsa_rows to be left out"),
        ({"gradient": "spsa", "common_samples": True}, "nothing is sampled"),
        ({"gradient": "spsa", "shift_parameters": 2}, "shift_parameters to be left out"),
        ({"gradient": "spsa", "difference_step": 0.1}, "difference_step to be left out"),
        ({"metric_regularization": 0.1}, "metric_regularization to be left out .* metric=None"),
        ({"metric_rows": 3}, "metric_rows to be left out"),
        ({"metric_cache": 3}, "metric_cache to be left out"),
        ({"gradient": "spsa", "metric": "spsa", "metric_cache": 3}, "metric='spsa', which is not kept"),
        ({**NATURAL, "metric": "full"}, "'diagonal', 'block' and 'spsa' are measured with shots"),
        ({"gradient": "spsa", "finish_iterations": 3}, "L-BFGS needs the gradient itself"),
        ({"metric": "full", "finish_iterations": 3}, "L-BFGS needs the gradient itself"),
        ({"optimiser": "rotosolve", "gradient": "spsa"}, "rotosolve.*uses no gradient"),
        ({"optimiser": "rotosolve", "metric": "full"}, "rotosolve.*uses no gradient"),
    ],
)
def test_contradictions(options, match):
    with pytest.raises(ConfigError, match=match):
        TrainingSettings(**options)


def test_a_backend_that_has_no_states_is_known_before_the_start(small):
    settings = TrainingSettings(gradient="parameter_shift", metric="full")
    with pytest.raises(CapabilityError, match="'diagonal', 'block' and 'spsa', and LocalBackend supplies 'full'"):
        Trainer(small.objective, settings, LocalService())


METHODS = [
    SAMPLED,
    {**SAMPLED, "metric": "spsa"},
    {**SAMPLED, "metric": "block"},
    {**SAMPLED, "spsa_rows": 3, "common_samples": True, "spsa_pairs": 2},
    {"gradient": "spsa", "metric": "spsa"},
    {"gradient": "random_shift", "shots": 40},
    {"gradient": "finite_difference", "shots": 40},
    NATURAL,
    {"metric": "full"},
]


@pytest.mark.parametrize("options", METHODS, ids=lambda options: "-".join(map(str, options.values())))
def test_a_run_broken_off_ends_like_a_whole_one(options, small, tmp_path):
    options = {**options, "checkpoint_steps": 1}
    whole = small.fit(**options)
    for stop_at in (5, 12):
        resumed = small.broken_off(tmp_path, stop_at, **options)
        assert resumed.parameters.tobytes() == whole.parameters.tobytes()
        assert (resumed.circuits, resumed.shots) == (whole.circuits, whole.shots)


def test_a_trainer_that_fits_twice_remembers_nothing(small):
    settings = TrainingSettings(epochs=1, batch_size=8, gradient="spsa", metric="spsa", shots=40)
    trainer = Trainer(small.objective, settings, small.backend)
    first, second = (trainer.fit(small.train).parameters for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("options", METHODS, ids=lambda options: "-".join(map(str, options.values())))
def test_the_number_of_circuits_is_known_beforehand(options, small):
    settings = TrainingSettings(**options, batch_size=8, epochs=1)
    estimator = make(settings)
    evaluation = drive(
        small.objective.evaluate(
            small.objective.initial(0), small.train[0][:8], small.train[1][:8], estimator, shots=settings.shots, seed=1
        ),
        small.backend,
    )
    expected = circuits(settings, small.objective.circuit, 8)
    if settings.gradient == "random_shift":
        assert evaluation.circuits <= expected
    else:
        assert evaluation.circuits == expected


def test_the_most_that_random_shifts_come_to():
    circuit = templates.hardware_efficient(2, 1, ("ry", "rz"))
    settings = TrainingSettings(gradient="random_shift", shift_parameters=3)
    assert circuits(settings, circuit, 10, 2) == 10 * (1 + 6) * 2


@pytest.mark.parametrize("options", [SAMPLED, NATURAL, {**SAMPLED, "metric": "spsa"}, {"metric": "full"}])
def test_the_circuits_of_a_training_are_known_beforehand(options, small):
    options = {**options, "epochs": 2, "batch_size": 8}
    expected = gradient_circuits(TrainingSettings(**options), small.objective.circuit, 20)
    assert small.fit(**options, validation=False).circuits == expected


def test_the_circuits_of_rotosolve_are_known_beforehand():
    settings = TrainingSettings(epochs=5, optimiser="rotosolve", batch_size=4)
    assert gradient_circuits(settings, templates.hardware_efficient(2, 1), 6, bases=2) == 5 * 3 * 6 * 2


def test_steps_tell_whether_the_metric_was_kept():
    """A parameter that moves no value stays where it is, so the metric of the first step is that of all."""
    circuit = Circuit.build(1, [ry(0.7, 0), rz(theta(0), 0)])
    objective = Objective(circuit, [z(0)], LinearReadout(1, 2), CrossEntropy())
    steps = []
    for cache in (100, 0):
        settings = TrainingSettings(epochs=3, metric="block", metric_cache=cache)
        Trainer(objective, settings, LocalBackend(threads=1), sinks=[steps.append]).fit(
            (np.zeros((4, 0)), [0, 1, 0, 1])
        )
    cached = [event.metric_cached for event in steps if isinstance(event, StepDone)]
    assert cached == [False, True, True, None, None, None]
    circuits = [event.circuits for event in steps if isinstance(event, StepDone)]
    assert circuits[2] < circuits[5]
