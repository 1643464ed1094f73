from __future__ import annotations

import pytest

from q_store.errors import ConfigError
from q_store.training import TrainingSettings


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lerning_rate": 1}, "did you mean 'learning_rate'"),
        ({"learning_rate": 0}, "learning_rate, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"epochs": -1}, "epochs, got -1"),
        ({"epochs": 1.5}, "epochs, got 1.5"),
        ({"batch_size": 0}, "batch_size"),
        ({"momentum": 1.0}, "momentum"),
        ({"monitor": "acuracy"}, "monitor"),
        ({"gradient": "sspa"}, "gradient"),
        ({"schedule": "one-cycle"}, "did you mean 'one_cycle'"),
        ({"optimiser": "sdg"}, "did you mean 'sgd'"),
        ({"shots": 100}, "parameter_shift"),
        ({"shots": 100, "gradient": "parameter_shift", "finish_iterations": 5}, "L-BFGS needs exact values"),
        ({"shots": 0, "gradient": "parameter_shift"}, "shots"),
        ({"early_stopping": 0}, "early_stopping"),
        ({"checkpoint_steps": 0}, "checkpoint_steps"),
    ],
)
def test_unusable_options(options, match):
    with pytest.raises(ConfigError, match=match):
        TrainingSettings(**options)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        TrainingSettings().epochs = 3


def test_replaced_checks_again():
    settings = TrainingSettings(epochs=3)
    assert settings.replaced(seed=5) == TrainingSettings(epochs=3, seed=5)
    with pytest.raises(ConfigError, match="epochs"):
        settings.replaced(epochs=-2)


def test_every_option_is_described():
    described = TrainingSettings.__doc__
    assert [name for name in TrainingSettings.model_fields if f"{name}:" not in described] == []
