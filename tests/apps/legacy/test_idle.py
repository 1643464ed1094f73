"""What was given and does not act changes nothing, and is said."""

from __future__ import annotations

import asyncio
import warnings

import numpy as np
import pytest
from tests.apps.legacy.conftest import batch

from q_store import QuantumFashionClassifier, QuantumModel, QuantumTrainer, TrainingConfig
from q_store.config.idle import POOL, SERVICE

SMALL = {"n_qubits": 2, "circuit_depth": 1, "epochs": 2, "batch_size": 2, "gradient_method": "spsa"}
ODD = {
    "quantum_api_key": "k", "use_native_gates": False, "batch_submission_timeout": 0.001, "batch_timeout": 0.001,
    "enable_smart_caching": False, "enable_circuit_cache": False, "use_concurrent_submission": False,
    "enable_batch_execution": False, "enable_circuit_batching": False, "max_queue_wait_time": 0.001,
    "max_concurrent_circuits": 1, "max_parallel_circuits": 1, "adaptive_batch_sizing": True, "cache_size": 0,
    "connection_pool_size": 1,
}  # fmt: skip


def trained(model=None, loader=None, **names):
    """The parameters after a training on this machine, and its report."""
    trainer, model = QuantumTrainer(TrainingConfig(**{**SMALL, **names})), model or QuantumModel()
    asyncio.run(trainer.train(model, loader or batch(6, 2, 2)))
    return model.vector, trainer.performance_report()


def test_every_name_has_an_odd_value():
    assert set(ODD) == {*SERVICE, *POOL}


@pytest.mark.parametrize("name", ODD)
def test_what_only_a_service_feels_changes_nothing_here_and_is_in_the_report(name):
    plain, before = trained()
    same, report = trained(**{name: ODD[name]})
    np.testing.assert_array_equal(same, plain)
    assert f"without effect where these circuits ran: {name}" in report
    assert "without effect" not in before


@pytest.mark.parametrize(
    ("names", "model", "loader", "said"),
    [
        ({"n_qubits": 4}, QuantumModel(2, 2, depth=1), None, "n_qubits=4 has no effect: the model was made with 2"),
        ({"circuit_depth": 3}, QuantumModel(2, 2, depth=1), None, "circuit_depth=3 has no effect"),
        (
            {"entanglement": "ring"},
            QuantumModel(2, 2, entanglement="linear"),
            None,
            "entanglement='ring' has no effect",
        ),
        (
            {"hardware_efficient_ansatz": False},
            QuantumModel(2, 2, 2, None, 1, True),
            None,
            "hardware_efficient_ansatz=",
        ),
        ({"batch_size": 5}, None, [batch(2, 2, 2), batch(2, 2, 2)], "batch_size=5 .* the loader brings batches of 2"),
        ({"learning_rate": 0.5, "spsa_a_initial": 0.1}, None, None, "learning_rate=0.5 has no effect: spsa_a_initial"),
    ],
)
def test_what_the_model_or_the_loader_overrules_is_said(names, model, loader, said):
    with pytest.warns(UserWarning, match=said):
        trained(model, loader, **names)


def test_a_classifier_says_its_own_size_and_equal_words_are_no_contradiction():
    images = np.random.default_rng(1).random((80, 4, 4))
    data = images, np.arange(80) % 2
    with pytest.warns(UserWarning, match="n_qubits=2 has no effect: the model was made with 3"):
        trained(QuantumFashionClassifier(n_qubits=3, circuit_depth=1, n_classes=2), data, batch_size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(QuantumModel(2, 2, depth=1, entanglement="ring"), entanglement="circular")
        trained(None, [batch(2, 2, 2), batch(2, 2, 2), batch(1, 2, 2)])
        trained(None, [batch(1, 2, 2)])
