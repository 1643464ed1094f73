"""The classes of v3.4 and v3.5 one by one: what they compute, against something independent, and what they refuse."""

from __future__ import annotations

import asyncio
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.apps.legacy.conftest import batch

from q_store import (
    AdaptiveCircuitOptimizer,
    AdaptiveShotAllocator,
    AmplitudeEncoder,
    ExecutionResult,
    GradientResult,
    HardwareEfficientQuantumLayer,
    MultiBackendOrchestrator,
    NaturalGradientEstimator,
    QuantumBackend,
    QuantumModel,
    QuantumTrainer,
    TrainingConfig,
)
from q_store.apps.legacy.choice import Adaptive
from q_store.apps.legacy.dicts import circuit_of
from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, ry, theta
from q_store.emulator.clock import run_virtual
from q_store.errors import (
    AuthenticationError,
    CapabilityError,
    ConfigError,
    DataError,
    IncompleteError,
    InputError,
    RunError,
    ShapeError,
)
from q_store.gradients import Problem
from q_store.jobs import Job, Output, drive

ENGINE = LocalBackend(precision="float64")


def state_of(circuit):
    found, angles = circuit_of(circuit)
    return ENGINE.run(Job(found, params=angles, output=Output.STATE)).values[0]


# -------------------------------------------------------------------------------------------------------- a user's own


class Own:
    """A user's backend: exact, answered by counts or probabilities."""

    def __init__(self, name, *, broken=False, field="counts"):
        self.name, self.broken, self.field, self.seen = name, broken, field, []

    async def execute_batch(self, circuits, shots):
        self.seen += circuits
        await asyncio.sleep(0)
        if self.broken:
            raise TimeoutError("no answer")
        return [self.answer(each, shots) for each in circuits]

    def answer(self, circuit, shots):
        weights = np.abs(state_of(circuit)) ** 2
        bits = {format(k, f"0{circuit['qubits']}b"): float(p) for k, p in enumerate(weights) if p > 1e-12}
        counts = {key: round(p * shots) for key, p in bits.items()}
        if self.field == "counts":
            return ExecutionResult(counts, {}, shots, {})
        return {"probabilities": bits}


def turned(k):
    gates = [{"gate": "ry", "targets": [0], "rotation": 0.2 * k}, {"gate": "cnot", "control": 0, "target": 1}]
    return {"qubits": 2, "circuit": gates}


@pytest.mark.parametrize("field", ["counts", "probabilities"])
def test_backends_of_a_user_share_circuits_and_a_broken_one_leaves_them_to_the_others(field):
    backends = [Own("a", field=field), Own("b", broken=True), Own("c", field=field)]
    assert all(isinstance(each, QuantumBackend) for each in backends)

    async def go():
        found = MultiBackendOrchestrator(backends)
        results = await found.execute_distributed([turned(k) for k in range(30)], 1000)
        stats = found.backend_stats
        await found.aclose()
        return results, stats

    results, stats = asyncio.run(go())
    for k, result in enumerate(results):
        assert result.total_shots == 1000
        assert result.backend in {"a", "c"}
        assert abs(result.probabilities.get("11", 0) - np.sin(0.1 * k) ** 2) < 0.1
    assert stats["a"]["answered"] + stats["c"]["answered"] == 30
    assert stats["b"]["failed"]
    gates = {gate["gate"] for each in backends[0].seen for gate in each["circuit"]}
    assert gates == {"ry", "cnot"}


def test_a_user_s_backend_trains_a_model():
    own = Own("mine")
    trainer = QuantumTrainer(TrainingConfig(epochs=2, gradient_method="spsa", learning_rate=0.1), own)
    history = asyncio.run(trainer.train(QuantumModel(2, 2, depth=1), batch(4, 2, 2)))
    assert len(history) == 2
    assert len(own.seen) == 2 * 4 * 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [([], "one a circuit, got 0"), ([{}], "counts or probabilities"), ([{"counts": {"111": 3}}], "states of 2 qubits")],
)
def test_what_a_user_s_backend_answers_wrongly_is_said(answer, said):
    class Wrong:
        name = "wrong"

        async def execute_batch(self, *_):
            return answer

    with pytest.raises(IncompleteError, match=said):
        run_virtual(MultiBackendOrchestrator([Wrong()]).execute_distributed([turned(1)], 10))


def test_results_can_be_made():
    made = ExecutionResult({"0": 1}, {"0": 1.0}, 1, {"a": 2})
    assert (made.counts, made.probabilities, made.total_shots, made.metadata) == ({"0": 1}, {"0": 1.0}, 1, {"a": 2})
    result = GradientResult(
        gradients=np.zeros(2), function_value=None, n_circuit_executions=4, computation_time_ms=0, method="x"
    )
    assert result.n_circuit_executions == 4


# ------------------------------------------------------------------------------------------------------------ adaptive


def ansatz(depth, qubits=4, seed=0, tiny=False):
    """Layers of RY and RZ on every qubit and a CNOT chain."""
    rng, gates = np.random.default_rng(seed), []
    for _ in range(depth):
        for name in ("ry", "rz"):
            gates += [
                {"gate": name, "targets": [q], "rotation": 1e-8 if tiny else float(rng.normal())} for q in range(qubits)
            ]
        gates += [{"gate": "cnot", "control": q, "target": q + 1} for q in range(qubits - 1)]
    return {"qubits": qubits, "circuit": gates}


def cnots(circuit):
    return sum(gate["gate"] == "cnot" for gate in circuit["circuit"])


@pytest.mark.parametrize("target", [1, 2, 3, 4, 9])
def test_depth_is_a_number_of_whole_layers_and_what_is_left_is_the_ansatz(target):
    """The earlier one took the number of gates for the depth and left 2 of 12 CNOTs."""
    optimizer, whole = AdaptiveCircuitOptimizer(), ansatz(4)
    found = optimizer.optimize_circuit(whole, target)
    kept = min(target, 4)
    assert cnots(found) == 3 * kept
    assert optimizer.complexity(found)["layers"] == kept
    expected = {**whole, "circuit": whole["circuit"][: 11 * kept]}
    overlap = abs(np.vdot(state_of(expected), state_of(found))) ** 2
    assert overlap == pytest.approx(1, abs=1e-9)
    assert cnots(whole) == 12  # the circuit that was given is as it was


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_merging_changes_no_state(seed, depth):
    rng = np.random.default_rng(seed)
    gates = []
    for _ in range(12):
        q = int(rng.integers(3))
        name = ["ry", "rz", "rx", "h", "cnot"][int(rng.integers(5))]
        if name == "cnot":
            gates.append({"gate": name, "control": q, "target": (q + 1) % 3})
        else:
            gates.append({"gate": name, "targets": [q], **({} if name == "h" else {"rotation": float(rng.normal())})})
    circuit = {"qubits": 3, "circuit": gates}
    found = AdaptiveCircuitOptimizer(depth, 1).optimize_circuit(circuit, 100)
    assert len(found["circuit"]) <= len(gates)
    if found["circuit"]:
        assert abs(np.vdot(state_of(circuit), state_of(found))) ** 2 == pytest.approx(1, abs=1e-9)


def test_rotations_are_merged_and_identities_left_out():
    twice = [{"gate": "ry", "targets": [0], "rotation": 0.25}] * 2
    (gate,) = AdaptiveCircuitOptimizer().optimize_circuit({"qubits": 1, "circuit": twice}, 4)["circuit"]
    assert (gate["gate"], gate["rotation"]) == ("ry", 0.5)
    assert AdaptiveCircuitOptimizer().optimize_circuit(ansatz(1, tiny=True), 4)["circuit"] == [
        {"gate": "cnot", "control": q, "target": q + 1} for q in range(3)
    ]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AdaptiveCircuitOptimizer(2, 3), "min_depth <= initial_depth"),
        (lambda: AdaptiveCircuitOptimizer(adaptation_schedule="linaer"), "did you mean 'linear'"),
        (lambda: AdaptiveCircuitOptimizer().get_depth_for_epoch(5, 4), "epoch <= total_epochs"),
        (lambda: AdaptiveCircuitOptimizer().optimize_circuit(ansatz(1), 0), "1 layer or more"),
        (lambda: AdaptiveShotAllocator(500, 100), "min_shots <= base_shots"),
        (lambda: AdaptiveShotAllocator().get_shots_for_batch(0, 0, []), "1 epoch or more"),
        (lambda: NaturalGradientEstimator(None, 0), "regularization above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_a_flat_loss_lowers_the_shots():
    allocator = AdaptiveShotAllocator()
    norms = [[1.0], [1.05], [1.1]]
    assert allocator.get_shots_for_batch(9, 10, norms, [1.0 / (1 + k) for k in range(10)]) == 2000
    assert allocator.get_shots_for_batch(9, 10, norms, [1.0] * 10) == 1500


# ---------------------------------------------------------------------------------------------------- encoder and layer


def test_every_row_is_normalised_by_itself():
    encoder = AmplitudeEncoder(2)
    rows = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, -2.0]])
    np.testing.assert_allclose(encoder.encode(rows), [[0.6, 0.8, 0, 0], [0, 0, -1, 0]])
    assert encoder.encode(rows[0]).shape == (4,)
    for bad, error in ((np.zeros(4), DataError), (np.full(4, np.nan), DataError), (np.ones(5), ShapeError)):
        with pytest.raises(error):
            encoder.encode(bad)


def test_a_layer_is_its_circuit_exactly_and_by_shots():
    layer = HardwareEfficientQuantumLayer(3, 2, "ring", seed=4)
    states = AmplitudeEncoder(3).encode(np.random.default_rng(1).normal(size=(2, 8)))
    exact = asyncio.run(layer.forward(states))
    job = Job(layer.circuit, states, layer.parameters, output=Output.PROBABILITIES)
    np.testing.assert_allclose(exact.probabilities, ENGINE.run(job).values, atol=1e-6)
    values = ENGINE.run(Job(layer.circuit, states, layer.parameters, Observables.local_z(3))).values
    np.testing.assert_allclose(exact.expectations, values, atol=1e-5)
    sampled = asyncio.run(layer.forward(states, shots=4000))
    assert np.abs(sampled.expectations - values).max() < 6 / np.sqrt(4000)
    assert len(layer.parameters) == 2 * 3 * 2


# ------------------------------------------------------------------------------------------------------------- natural


def test_the_full_metric_is_refused_where_there_is_no_state_and_the_block_is_measured():
    with pytest.raises(CapabilityError, match="LocalBackend, the engine on this machine, can supply it"):
        NaturalGradientEstimator(Own("mine"), metric="full")
    model, (x, y) = QuantumModel(2, 2, depth=1), batch(3, 2, 2)
    exact = asyncio.run(NaturalGradientEstimator(None).estimate_natural_gradient(model, x, y, shots=None))
    own = NaturalGradientEstimator(Own("mine"))
    measured = asyncio.run(own.estimate_natural_gradient(model, x, y, shots=100_000))
    np.testing.assert_allclose(measured.gradients, exact.gradients, atol=0.15)
    again = asyncio.run(own.estimate_natural_gradient(model, x, y, shots=100_000))
    assert again.n_circuit_executions < measured.n_circuit_executions
    assert own.qfim_cache == {"hits": 1, "misses": 1}


# ------------------------------------------------------------------------------------------------------------ adaptive


def steps(estimator, scale, count, shots):
    """Circuits of every estimate of a loss of that scale."""
    circuit = Circuit.build(1, [ry(theta(0), 0)])
    out = []
    for seed in range(count):
        problem = Problem(
            circuit, Observables.local_z(1), np.array([0.9]), None, lambda v: np.full_like(v, scale), shots, seed
        )
        out.append(drive(estimator.estimate(problem), ENGINE).circuits)
    return out


def test_adaptive_takes_a_step_by_parameter_shift_where_noise_hides_the_slope():
    assert steps(Adaptive(), 1.0, 12, 100_000) == [2] * 12
    assert steps(Adaptive(), 1.0, 12, None) == [2] * 12
    found = steps(Adaptive(perturbation=1e-3), 1.0, 12, 50)
    assert found == [2, 2, 2, 2, 2, 3, 2, 2, 2, 2, 2, 3]


def test_adaptive_goes_on_from_what_it_remembers():
    whole, first, second = Adaptive(1e-3), Adaptive(1e-3), Adaptive(1e-3)
    expected = steps(whole, 1.0, 6, 50)
    steps(first, 1.0, 5, 50)
    second.restore(first.arrays())
    assert second.is_lost
    assert expected[-1] == 3


# ------------------------------------------------------------------------------------------------------------- trainer

NAMES = {"epochs": 6, "checkpoint_interval": 2, "learning_rate": 0.1, "shots_per_circuit": 100}


@pytest.mark.parametrize("method", ["spsa", "adaptive", "natural_gradient"])
def test_a_training_taken_up_again_is_the_one_that_was_never_stopped(method, tmp_path):
    data = batch(12, 2, 2)
    names = {**NAMES, "gradient_method": method, "adaptive_shot_allocation": True, "batch_size": 4, "min_shots": 50}
    names |= {"adaptive_circuit_depth": True, "min_circuit_depth": 1}

    def trained(folder, load=None):
        trainer = QuantumTrainer(TrainingConfig(checkpoint_directory=tmp_path / folder, **names))
        model = QuantumModel(2, 2, depth=3)

        async def go():
            if load is not None:
                await trainer.load_checkpoint(load, model)
            await trainer.train(model, data, data)

        asyncio.run(go())
        return model.vector, trainer.training_history

    whole, history = trained("whole")
    again, rest = trained("again", tmp_path / "whole" / "checkpoint_epoch_4.npz")
    np.testing.assert_array_equal(whole, again)
    assert [each.epoch for each in history] == list(range(6))
    assert [each.epoch for each in rest] == [4, 5]
    assert [each.loss for each in rest] == [each.loss for each in history[4:]]


def test_a_checkpoint_of_another_run_begins_a_new_one(tmp_path):
    model, data = QuantumModel(2, 2, depth=1), batch(4, 2, 2)
    names = {**NAMES, "gradient_method": "spsa", "checkpoint_directory": tmp_path}
    asyncio.run(QuantumTrainer(TrainingConfig(**names)).train(model, data))
    path, other = tmp_path / "checkpoint_epoch_6.npz", QuantumTrainer(TrainingConfig(**{**names, "epochs": 7}))
    asyncio.run(other.load_checkpoint(path, model))
    with pytest.warns(UserWarning, match="differs in epochs"):
        assert len(asyncio.run(other.train(model, data))) == 7
    with pytest.raises(RunError, match="parameters of this model"):
        asyncio.run(other.load_checkpoint(path, QuantumModel(3, 3, depth=1)))
    with pytest.raises(RunError, match="found none"):
        asyncio.run(other.load_checkpoint(tmp_path / "none.npz", model))


def test_an_epoch_by_hand_is_the_epoch_of_a_training():
    data = batch(8, 2, 2)
    names = {"epochs": 3, "gradient_method": "parameter_shift", "batch_size": 4, "learning_rate": 0.1}
    one, other = QuantumModel(2, 2, depth=2), QuantumModel(2, 2, depth=2)
    asyncio.run(QuantumTrainer(TrainingConfig(**names)).train(one, data))
    trainer = QuantumTrainer(TrainingConfig(**names))
    for epoch in range(3):
        asyncio.run(trainer.train_epoch(other, data, epoch))
    np.testing.assert_array_equal(one.vector, other.vector)
    assert [each.epoch for each in trainer.training_history] == [0, 1, 2]


def test_batches_by_hand_train_too():
    (x, y), trainer = (
        batch(8, 2, 2),
        QuantumTrainer(TrainingConfig(gradient_method="parameter_shift", learning_rate=0.1)),
    )
    x += 2 * y[:, :1]
    model = QuantumModel(2, 2, depth=2)
    losses = [asyncio.run(trainer.train_batch(model, x, y))["loss"] for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    assert trainer.training_history == []


@pytest.mark.parametrize(
    "loader",
    [
        [],
        3,
        [(np.zeros((2, 2)),)],
        (np.zeros((2, 2)), np.zeros(3)),
        [(np.zeros((2, 2)), np.eye(2)), (np.zeros((2, 3)), np.eye(2))],
    ],
)
def test_data_that_cannot_be_used_are_refused(loader):
    with pytest.raises(InputError):
        asyncio.run(QuantumTrainer(TrainingConfig(epochs=1)).train(QuantumModel(2, 2, depth=1), loader))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input_dim": 5, "n_qubits": 2}, "input_dim of 1 to 4"),
        ({"input_dim": 3, "n_qubits": 2, "encoding": "angle"}, "input_dim of 1 to 2"),
        ({"encoding": "angel"}, "expected an encoding"),
        ({"output_dim": 0}, "output_dim of 1 or more"),
        ({"n_qubits": 0}, "expected n_qubits of 1 or more"),
    ],
)
def test_models_that_cannot_be_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        QuantumModel(**given)


def test_connections_are_kept_within_a_block(wire):
    config = TrainingConfig(quantum_sdk="ionq", gradient_method="spsa", use_native_gates=False)

    async def go():
        model, (x, y) = QuantumModel(2, 2, depth=1), batch(2, 2, 2)
        async with QuantumTrainer(config) as trainer:
            for _ in range(3):
                await trainer.train_batch(model, x, y)
            assert len(wire.settings) == 1
        assert trainer.usage.backends["ionq-1"]["answered"] == 12

    asyncio.run(go())


def test_a_missing_key_is_said(monkeypatch, wire):
    monkeypatch.delenv("IONQ_API_KEY")
    trainer = QuantumTrainer(TrainingConfig(quantum_sdk="ionq", epochs=1))
    with pytest.raises(AuthenticationError, match="IONQ_API_KEY"):
        asyncio.run(trainer.train(QuantumModel(2, 2, depth=1), batch(2, 2, 2)))
    assert not wire.jobs


def test_two_members_with_the_key_of_the_environment_are_the_same(wire):
    config = TrainingConfig(backend_configs=[{"provider": "ionq"}, {"provider": "ionq", "api_key": "key-0"}], epochs=1)
    with pytest.raises(ConfigError, match="the same key twice for the same target: ionq-1"):
        asyncio.run(QuantumTrainer(config).train(QuantumModel(2, 2, depth=1), batch(2, 2, 2)))
    assert not wire.jobs


def test_nothing_warns_in_a_plain_training():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(QuantumTrainer(TrainingConfig(epochs=1)).train(QuantumModel(2, 2, depth=1), batch(2, 2, 2)))


@pytest.mark.filterwarnings("ignore:Aer finds no GPU")
def test_qiskit_s_simulator_trains_too(wire):
    pytest.importorskip("qiskit_aer")
    trainer = QuantumTrainer(TrainingConfig(quantum_sdk="qiskit", epochs=1, gradient_method="spsa"))
    asyncio.run(trainer.train(QuantumModel(2, 2, depth=1), batch(2, 2, 2)))
    assert trainer.usage.backends["qiskit_aer-1"]["answered"] == 4
    assert not wire.jobs


def test_more_steps_make_a_better_classifier_of_images():
    from q_store import QuantumFashionClassifier
    from q_store.models.fashion_mnist import load_bundled

    images = load_bundled()
    names = {"epochs": 4, "learning_rate": 0.05, "gradient_clip_value": 5, "shots_per_circuit": None, "batch_size": 50}
    trainer = QuantumTrainer(TrainingConfig(gradient_method="parameter_shift", **names))
    model = QuantumFashionClassifier()
    part = images.train.x[:500], images.train.y[:500]
    history = asyncio.run(trainer.train(model, part, (images.test.x[:300], images.test.y[:300])))
    assert history[-1].accuracy > 0.4
    assert history[-1].accuracy > history[0].accuracy
    found = asyncio.run(model.forward(images.test.x[:300], shots=None)).argmax(axis=1)
    assert np.mean(found == images.test.y[:300]) == pytest.approx(history[-1].accuracy)
