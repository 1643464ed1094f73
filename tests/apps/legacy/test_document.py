"""The Python blocks of the v3.5 document run as written, on emulators; and what they compute is what we compute."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import q_store
from q_store import AmplitudeEncoder, QuantumFashionClassifier, QuantumModel, create_default_backend_manager
from q_store.apps.dashboard import beside, serve
from q_store.apps.history import History
from q_store.apps.legacy.losses import MeanSquares
from q_store.backends.local import LocalBackend
from q_store.jobs import Job, Output
from q_store.models.fashion_mnist import load_bundled
from q_store.models.features import CentredPCA

TEXT = Path(__file__).parents[2].joinpath("data", "document_v35.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
IMAGES = load_bundled()
QUOTED, ORCHESTRATOR, OPTIMIZER, ALLOCATOR, NATURAL, CLASSIFIER, TRAINING, USAGE, MIGRATION = range(9)


def run(number, **names):
    """The names after a block; `await` at its top level works as in a notebook."""
    space = {name: getattr(q_store, name) for name in q_store.LAZY}
    space |= {"asyncio": asyncio, "np": np, "os": os, "logger": logging.getLogger("document"), **names}
    space |= {"List": list, "Dict": dict, "Callable": Callable}
    code = compile(BLOCKS[number], f"block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, space)  # noqa: S307  # the document's own text
    if inspect.iscoroutine(result):
        asyncio.run(result)
    return space


def test_all_blocks_are_here():
    assert len(BLOCKS) == 9
    assert BLOCKS[QUOTED].startswith("# Note: As of Dec 2024")


def test_the_orchestrator_of_the_document_runs_on_our_backends_and_agrees_with_ours():
    circuits = [
        {"qubits": 2, "circuit": [{"gate": "ry", "targets": [0], "rotation": 0.3 * k}, {"gate": "x", "target": 1}]}
        for k in range(10)
    ]
    theirs = run(ORCHESTRATOR)["MultiBackendOrchestrator"]

    class Whole(theirs):
        """With the two methods that the document leaves out."""

        def _merge_results(self, parts, count):
            return [parts[k % len(parts)][k // len(parts)] for k in range(count)]

        def _get_fallback_backend(self, failed):
            return next(each for each in self.backends if each is not failed)

    class Broken:
        name = "broken"

        async def execute_batch(self, *_):
            raise ConnectionError("no route")

    good = create_default_backend_manager().get_backend()
    expected = asyncio.run(Whole([good, good, Broken()]).execute_distributed(circuits, 2000))
    ours = q_store.MultiBackendOrchestrator([good, Broken()])
    got = asyncio.run(ours.execute_distributed(circuits, 2000))
    for k, (a, b) in enumerate(zip(expected, got, strict=True)):
        assert a.total_shots == b.total_shots == 2000
        for result in (a, b):
            assert abs(result.probabilities.get("11", 0) - np.sin(0.15 * k) ** 2) < 6 * 0.5 / np.sqrt(2000)
    assert ours.backend_stats["broken"]["answered"] == 0


@pytest.mark.parametrize("schedule", ["linear", "exponential", "step"])
def test_depths_are_those_of_the_document(schedule):
    theirs = run(OPTIMIZER)["AdaptiveCircuitOptimizer"]
    for deep, shallow in ((4, 2), (6, 1), (3, 3)):
        a, b = theirs(deep, shallow, schedule), q_store.AdaptiveCircuitOptimizer(deep, shallow, schedule)
        for total in (1, 3, 10, 20):
            assert [a.get_depth_for_epoch(e, total) for e in range(total)] == [
                b.get_depth_for_epoch(e, total) for e in range(total)
            ]


def test_shots_are_those_of_the_document():
    theirs = run(ALLOCATOR)["AdaptiveShotAllocator"]
    rng = np.random.default_rng(0)
    for bounds in ((500, 2000, 1000), (100, 150, 120)):
        a, b = theirs(*bounds), q_store.AdaptiveShotAllocator(*bounds)
        for spread in (0.0, 0.005, 0.05, 1.0):
            for count in (0, 2, 3, 7):
                gradients = [1 + spread * rng.normal(size=5) for _ in range(count)]
                for epoch in range(10):
                    assert a.get_shots_for_batch(epoch, 10, gradients) == b.get_shots_for_batch(epoch, 10, gradients)


def test_the_natural_gradient_of_the_document_with_the_right_metric_is_ours():
    theirs = run(NATURAL)["NaturalGradientEstimator"]
    rng = np.random.default_rng(1)
    model = QuantumModel(2, 2, 2, depth=1)
    x, y = rng.normal(size=(3, 2)), np.eye(2)[[0, 1, 1]]
    engine = LocalBackend(precision="float64")
    gradient = asyncio.run(exact_gradient(model, x, y, engine))

    class Whole(theirs):
        """With the methods that the document leaves out."""

        async def _parameter_shift_gradient(self, *_):
            return gradient

        def _get_cache_key(self, model, x):
            return model.parameters.tobytes() + x.tobytes()

        async def _compute_qfim_element(self, model, x, i, j, _):
            job = Job(model.circuit, model.encode(x), model.parameters, output=Output.METRIC)
            return engine.run(job).values.mean(axis=0)[i, j]

    expected = asyncio.run(Whole(engine, 0.01).estimate_natural_gradient(model, x, y, MeanSquares()))
    ours = q_store.NaturalGradientEstimator(engine, regularization=0.01, metric="full")
    got = asyncio.run(ours.estimate_natural_gradient(model, x, y, MeanSquares(), shots=None))
    np.testing.assert_allclose(got.gradients, expected.gradients, atol=1e-6)
    assert got.method == expected.method == "natural_gradient"
    assert got.n_circuit_executions == 3 * (1 + 2 * len(model.parameters)) + 3


async def exact_gradient(model, x, y, engine):
    """By central differences of the loss itself, with values of double precision."""
    model.backend = engine
    start, out = model.parameters.copy(), []
    for k in range(len(start)):
        sides = []
        for sign in (1, -1):
            model.parameters = start + sign * 1e-5 * np.eye(len(start))[k]
            sides.append(np.mean((await model.outputs(x) - y) ** 2))
        out.append((sides[0] - sides[1]) / 2e-5)
    model.parameters = start
    return np.array(out)


class PCA:
    """As scikit-learn's, as far as the document calls it."""

    def __init__(self, n_components):
        self.map = CentredPCA(n_components).fit(IMAGES.train.x[:500])

    def transform(self, x):
        return self.map.transform(np.asarray(x))


def test_the_classifier_of_the_document_runs_on_our_encoder_and_layer():
    torch = pytest.importorskip("torch")

    def softmax(logits):
        return torch.softmax(logits, dim=-1)

    theirs = run(CLASSIFIER, PCA=PCA, nn=torch.nn, softmax=softmax)["QuantumFashionClassifier"]

    class Whole(theirs):
        """With the method that the document leaves out."""

        def _measure_expectations(self, state):
            return torch.as_tensor(state.expectations, dtype=torch.float32)

    images = IMAGES.test.x[:4]
    found = asyncio.run(Whole(create_default_backend_manager().get_backend()).forward(images))
    assert found.shape == (4, 10)
    assert torch.allclose(found.sum(dim=1), torch.ones(4))


def test_our_classifier_is_the_architecture_of_the_document():
    images = IMAGES.train.x[:300]
    model = QuantumFashionClassifier(create_default_backend_manager().get_backend())
    with pytest.raises(q_store.errors.RunError, match="fit_features"):
        asyncio.run(model.forward(images[:2]))
    model.fit_features(images)
    assert (len(model.parameters), len(model.weights), model.n_qubits, model.depth) == (48, 70, 6, 4)
    found = asyncio.run(model.forward(images[:3]))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    state = AmplitudeEncoder(6).encode(model.pca.transform(images[:3]))
    direct = asyncio.run(model.vqc.forward(state)).expectations
    exact = asyncio.run(model.outputs(images[:3]))
    table = model.weights.reshape(7, 10)
    np.testing.assert_allclose(direct @ table[:6] + table[6], exact, atol=1e-5)


@pytest.mark.slow
def test_the_training_configuration_trains_the_classifier(wire):
    with pytest.warns(DeprecationWarning, match="is now called") as warned:
        config = run(TRAINING)["config"]
    assert {str(each.message).split()[0] for each in warned} == {
        "multi_backend_orchestration",
        "adaptive_circuit_complexity",
    }
    assert config.method == "natural_gradient"
    assert (config.n_qubits, config.circuit_depth, config.batch_size, config.epochs) == (6, 4, 10, 20)
    config.epochs = 2
    data = IMAGES.train
    model = QuantumFashionClassifier()
    model.fit_features(data.x[:200])
    with pytest.warns(UserWarning, match="saves nothing on"):  # an ideal simulator ignores shots
        history = asyncio.run(
            q_store.QuantumTrainer(config).train(model, [(data.x[:2], data.y[:2])], [(data.x[2:4], data.y[2:4])])
        )
    assert len(history) == 2
    assert wire.circuits > 2 * (2 * 2 * 6 * 3)
    assert wire.gates <= {"gpi", "gpi2", "ms"}


@pytest.mark.slow
@pytest.mark.socket
@pytest.mark.filterwarnings("ignore:Aer finds no GPU")
def test_the_usage_example_trains_on_three_backends(wire, capsys, monkeypatch):
    pytest.importorskip("qiskit_aer")
    asked = []

    def any_port(host, port, option):  # 8080 may be taken here
        asked.append(port)
        return serve.listen(host, 0, option)

    monkeypatch.setattr(beside, "listen", any_port)
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 8)), np.array([0, 1])
    names = {"key1": "first", "key2": "second", "model": QuantumModel(8, 8, 2)}
    space = run(USAGE, **names, train_loader=[(x, y)], val_loader=[(x, y)])
    assert asked == [8080]
    assert "dashboard: http://127.0.0.1:" in capsys.readouterr().err
    kinds = [entry.kind for entry in History(Path("runs") / "QuantumModel-seed0").read()]
    assert {"RunStarted", "StepDone", "JobEnded"} <= set(kinds)
    assert kinds[-1] == "ProcessEnded"
    trainer = space["trainer"]
    assert len(trainer.training_history) == 20
    assert set(wire.emulators) == {"first", "second"}
    trainer.print_performance_report()
    said = capsys.readouterr().out
    assert all(name in said for name in ("ionq-1", "ionq-2", "qiskit_aer-3", "cache of structures"))


def test_the_migration_example_warns_of_the_old_name_alone():
    with pytest.warns(DeprecationWarning, match="use_batch_api is now called use_concurrent_submission") as warned:
        config = run(MIGRATION)["config"]
    assert len(warned) == 1
    assert config.use_concurrent_submission
    assert config.enable_all_v35_features
    assert config.method == "natural_gradient"
