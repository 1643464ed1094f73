"""Steps that make the loss worse are taken back, and what that costs is counted."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.errors import ConfigError
from q_store.events import StepBlocked, StepDone
from q_store.training import TrainingSettings
from q_store.training.cost import gradient_circuits

QN_SPSA = {"gradient": "spsa", "metric": "spsa", "shots": 30, "blocking": True, "learning_rate": 0.5}


def told(small, **options):
    """Steps and those taken back, of the whole batch by exact gradients too large a step apart."""
    found = []
    long = {"optimiser": "sgd", "momentum": 0.0, "learning_rate": 30.0, "schedule": "constant", "batch_size": 50}
    result = small.fit(sinks=[found.append], epochs=12, validation=False, **{**long, **options})
    steps = [event for event in found if isinstance(event, StepDone)]
    return result, steps, [event for event in found if isinstance(event, StepBlocked)]


def test_the_loss_never_rises_where_no_increase_is_allowed(small):
    _, free, none = told(small)
    assert not none
    assert (np.diff([step.loss for step in free]) > 0).any()
    result, steps, blocked = told(small, blocking=True, allowed_increase=0.0)
    losses = np.array([step.loss for step in steps])
    assert (np.diff(losses) <= 1e-12).all()
    assert blocked
    for event in blocked:
        assert event.after > event.before
        assert event.before == pytest.approx(losses[event.step - 1])
        if event.step < len(losses):
            assert losses[event.step] == losses[event.step - 1]
    assert result.circuits == 12 * 20 * 3
    # the step from there is the same again: a plain descent with a full batch has stopped
    assert len(blocked) == 12 - blocked[0].step + 1


def test_by_default_twice_the_spread_of_the_last_five_losses_is_allowed(small):
    _, steps, blocked = told(small, blocking=True, learning_rate=30.0, batch_size=4)
    losses = [step.loss for step in steps]
    assert 5 < len(blocked) < len(steps) - 5
    for event in blocked:
        assert event.allowed == pytest.approx(2 * np.std(losses[max(0, event.step - 5) : event.step]))
        assert event.after > event.before + event.allowed


def test_moments_of_the_optimiser_are_taken_back_too(small):
    """So a training that takes every step back makes the same step again, as long, and ends where it began."""
    start = small.objective.initial(3)
    options = {"gradient": "adjoint", "optimiser": "adam", "learning_rate": 3.0, "blocking": True}
    result, steps, blocked = told(small, start=start, **options, allowed_increase=0.0)
    assert len(blocked) == len(steps)
    np.testing.assert_array_equal(result.parameters, start)
    assert len({event.after for event in blocked}) == 1


def test_steps_that_pass_are_those_without_blocking(small):
    plain = small.fit(gradient="spsa", shots=30)
    watched = small.fit(gradient="spsa", shots=30, blocking=True, allowed_increase=1e6)
    assert watched.parameters.tobytes() == plain.parameters.tobytes()
    assert watched.circuits == plain.circuits + 3 * 20 * 2
    assert watched.shots == plain.shots + 3 * 20 * 2 * 30


def test_a_run_broken_off_ends_like_a_whole_one(small, tmp_path):
    whole = small.fit(**QN_SPSA, checkpoint_steps=1)
    for stop_at in (4, 9, 13):
        resumed = small.broken_off(tmp_path, stop_at, **QN_SPSA, checkpoint_steps=1)
        assert resumed.parameters.tobytes() == whole.parameters.tobytes()
        assert (resumed.circuits, resumed.shots) == (whole.circuits, whole.shots)


def test_its_circuits_are_known_beforehand(small):
    options = {**QN_SPSA, "epochs": 2, "batch_size": 8}
    expected = gradient_circuits(TrainingSettings(**options), small.objective.circuit, 20)
    assert small.fit(**options, validation=False).circuits == expected


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"allowed_increase": 0.1}, "allowed_increase to be left out .* blocking=False"),
        ({"blocking": True, "allowed_increase": -1}, "allowed_increase"),
        ({"blocking": True, "optimiser": "rotosolve"}, "rotosolve.*uses no gradient"),
    ],
)
def test_contradictions(options, match):
    with pytest.raises(ConfigError, match=match):
        TrainingSettings(**options)
