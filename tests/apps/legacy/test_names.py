"""Every flat name does what the table says: seen on the wire, in the circuit, in the folder. None is without a test."""

from __future__ import annotations

import asyncio
import json
import logging
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from tests.apps.legacy.conftest import batch

from q_store import QuantumModel, QuantumTrainer, TrainingConfig
from q_store.apps.dashboard import beside
from q_store.backends.ionq.wire.template import Template
from q_store.emulator.clock import run_virtual
from q_store.errors import ConfigError, IncompleteError, PausedError
from q_store.names import NAMES

EFFECTS = {}


def effect(*names):
    """The function shows the effect of these names; it is called once for each."""

    def keep(function):
        EFFECTS.update(dict.fromkeys(names, function))
        return function

    return keep


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_does_what_the_table_says(name, train, wire, request):
    given = {"train": train, "name": name, "wire": wire}
    asked = EFFECTS[name].__code__.co_varnames[: EFFECTS[name].__code__.co_argcount]
    EFFECTS[name](**{each: given.get(each) or request.getfixturevalue(each) for each in asked})


def test_no_name_is_without_an_effect():
    assert set(EFFECTS) == set(NAMES)


# ------------------------------------------------------------------------------------------------------------ backends


@effect("quantum_sdk")
def sdk(train):
    assert train(quantum_sdk="ionq").jobs
    assert not train(quantum_sdk="mock").jobs
    assert not train(quantum_sdk="local").jobs


@effect("quantum_api_key")
def api_key(train):
    assert train().keys == {"key-0"}
    assert train(quantum_api_key="another").keys == {"another"}


@effect("quantum_target")
def target(train):
    found = train(quantum_target="qpu.aria-1", gradient_method="spsa", rows=1, shots_per_circuit=100)
    assert {each["backend"] for each in found.jobs} == {"qpu.aria-1"}
    assert (found.folder / "checkpoints" / "q-store.db").exists()
    assert {each["backend"] for each in train().jobs} == {"simulator"}


@effect("enable_multi_backend", "multi_backend_orchestration")
def several(train, name):
    pool = [{"provider": "local"}]
    found = train(backend_configs=pool, quantum_sdk="mock", **{name: True}).trainer
    assert found.usage.backends == {
        "local-1": {"answered": found.training_history[0].n_circuit_executions, "failed": 0}
    }
    assert train(quantum_sdk="mock", **{name: True}).trainer.usage.backends
    assert not train(quantum_sdk="mock", **{name: False}).trainer.usage.backends


@effect("backend_configs")
def members(train):
    found = train(backend_configs=[{"provider": "ionq", "api_key": key} for key in ("a", "b")], rows=12)
    assert found.keys == {"a", "b"}
    assert set(found.trainer.usage.backends) == {"ionq-1", "ionq-2"}


# --------------------------------------------------------------------------------------------------------------- model


@effect("n_qubits")
def qubits(train):
    assert {each["input"]["qubits"] for each in train(n_qubits=3).jobs} == {3}


@effect("circuit_depth")
def depth(train):
    assert train(circuit_depth=1).entanglers() == [1]
    assert train(circuit_depth=3).entanglers() == [3]


@effect("entanglement")
def entanglement(train):
    def pairs(name):
        gates = train(n_qubits=3, entanglement=name, gradient_method="spsa", rows=1).lists()[0]
        return {(gate["control"], gate["target"]) for gate in gates if gate["gate"] == "cnot"}

    assert pairs("linear") == {(0, 1), (1, 2)}
    assert pairs("circular") == pairs("ring") == {(0, 1), (1, 2), (2, 0)}
    assert pairs("full") == {(0, 1), (0, 2), (1, 2)}


@effect("hardware_efficient_ansatz")
def ansatz(train):
    def turns(**names):
        gates = train(gradient_method="spsa", rows=1, **names).lists()[0]
        return [gate["gate"] for gate in gates if gate["gate"] != "cnot"]

    data = ["ry", "ry"]
    assert turns(hardware_efficient_ansatz=True) == [*data, "ry", "ry", "rz", "rz"]
    assert turns(hardware_efficient_ansatz=False) == [*data, "rz", "rz", "ry", "ry", "rz", "rz"]


# ------------------------------------------------------------------------------------------------------------ training


@effect("learning_rate")
def learning_rate(train):
    few, many = (train(quantum_sdk="mock", learning_rate=rate).moved for rate in (0.01, 0.1))
    assert many == pytest.approx(10 * few)  # the first step of Adam


@effect("batch_size")
def batch_size(train):
    assert [len(train(rows=6, batch_size=size).trainer.watcher.steps) for size in (6, 4, 1)] == [1, 2, 6]


@effect("epochs")
def epochs(train):
    assert [len(train(epochs=count).trainer.training_history) for count in (1, 3)] == [1, 3]


@effect("optimizer")
def optimizer(train):
    found = train(quantum_sdk="mock", optimizer="sgd", learning_rate=0.5)
    (norm,) = found.trainer.gradient_norms
    assert found.moved == pytest.approx(0.5 * norm)
    assert train(quantum_sdk="mock", learning_rate=0.5).moved != pytest.approx(found.moved)


@effect("momentum")
def momentum(train):
    without, with_ = (
        train(quantum_sdk="mock", optimizer="sgd", momentum=each, epochs=5, learning_rate=0.05).moved
        for each in (0, 0.9)
    )
    assert with_ > 1.5 * without


@effect("weight_decay")
def weight_decay(train):
    def weights(decay):
        model = QuantumModel(2, 2, 3, depth=1)
        model.weights[:] = 1.0
        train(quantum_sdk="mock", model=model, learning_rate=0.1, weight_decay=decay)
        return model.weights.mean()

    assert weights(1.0) == pytest.approx(weights(0.0) - 0.1, abs=1e-6)
    with pytest.raises(ConfigError, match="no weight_decay"):
        train(weight_decay=0.1)


@effect("use_gradient_clipping", "gradient_clip_value")
def clipping(train):
    names = {"quantum_sdk": "mock", "optimizer": "sgd", "learning_rate": 1.0, "gradient_clip_value": 1e-3}
    assert train(**names).moved == pytest.approx(1e-3)
    assert train(**names, use_gradient_clipping=False).moved > 1e-2


@effect("checkpoint_interval", "checkpoint_directory")
def checkpoints(train):
    found = train(quantum_sdk="mock", epochs=5, checkpoint_interval=2, checkpoint_directory="kept")
    names = sorted(each.name for each in (found.folder / "kept").iterdir())
    assert names == [f"checkpoint_epoch_{k}.npz" for k in (2, 4, 5)]


# ------------------------------------------------------------------------------------------------------------ gradient


@effect("gradient_method")
def method(train):
    """4 rows, 4 parameters, 2 blocks of the metric; one measured basis."""
    counts = {
        "parameter_shift": 4 * 9,
        "finite_diff": 4 * 9,
        "spsa": 4 * 2,
        "spsa_parallel": 4 * 2,
        "spsa_subsampled": 4 * 2,
        "adaptive": 4 * 2,
    }
    assert {name: train(gradient_method=name).circuits for name in counts} == counts
    assert train(gradient_method="natural_gradient").circuits > counts["parameter_shift"]


@effect("spsa_c_initial")
def perturbation(train):
    one, other = train(gradient_method="spsa", rows=1, spsa_c_initial=0.25).lists()
    apart = [abs(a["rotation"] - b["rotation"]) for a, b in zip(one, other, strict=True) if "rotation" in a]
    assert sorted(np.round(apart, 8)) == [0, 0, 0.5, 0.5, 0.5, 0.5]


@effect("spsa_a_initial")
def gain(train):
    few, many = (train(quantum_sdk="mock", gradient_method="spsa", spsa_a_initial=a).moved for a in (0.01, 0.1))
    assert many == pytest.approx(10 * few)


@effect("gradient_subsample_size")
def subsample(train):
    found = [train(rows=8, gradient_method="spsa_subsampled", gradient_subsample_size=k).circuits for k in (1, 3, 20)]
    assert found == [2, 6, 16]


@effect("use_natural_gradient")
def natural(train):
    assert train(use_natural_gradient=True, gradient_method="natural_gradient").circuits > train().circuits
    plain = {"quantum_sdk": "mock", "optimizer": "sgd", "use_gradient_clipping": False}
    found = TrainingConfig(**plain, use_natural_gradient=True)
    assert found.method == "natural_gradient"


def train_natural(train, **names):
    """With the natural gradient."""
    return train(gradient_method="natural_gradient", **names)


@effect("natural_gradient_regularization")
def regularization(train):
    names = {"quantum_sdk": "mock", "optimizer": "sgd", "use_gradient_clipping": False}
    strong, weak = (train_natural(train, natural_gradient_regularization=each, **names).moved for each in (100.0, 0.01))
    assert weak > 20 * strong


@effect("qfim_cache_size")
def metric_cache(train):
    kept, not_kept = (train_natural(train, qfim_cache_size=k, frozen=True, epochs=3).circuits for k in (10, 0))
    once = train_natural(train, frozen=True).circuits - 4 * 9
    assert not_kept - kept == 2 * once > 0


# --------------------------------------------------------------------------------------------------------------- shots

NOISY = {"noise": "aria-1"}


@effect("shots_per_circuit")
def shots(train):
    assert train(backends=NOISY, shots_per_circuit=123, rows=1).shots() == [123]


@effect("adaptive_shot_allocation", "min_shots", "base_shots", "max_shots")
def adaptive_shots(train):
    names = {"min_shots": 50, "base_shots": 100, "max_shots": 300, "epochs": 4, "rows": 1, "gradient_method": "spsa"}
    found = train(backends=NOISY, adaptive_shot_allocation=True, **names)
    assert found.shots()[0] == 50
    assert set(found.shots()) <= {50, 75, 100, 150, 225, 300}
    assert len(set(found.shots())) > 1
    assert train(backends=NOISY, adaptive_shot_allocation=False, **names).shots() == [1000]


# --------------------------------------------------------------------------------------------------------------- depth


@effect(
    "adaptive_circuit_depth",
    "adaptive_circuit_complexity",
    "circuit_depth_schedule",
    "min_circuit_depth",
    "max_circuit_depth",
)
def adaptive_depth(train, name):
    switch = name if name.startswith("adaptive") else "adaptive_circuit_depth"
    names = {"circuit_depth": 4, "epochs": 4, "rows": 1, "gradient_method": "spsa"}

    def depths(**more):
        return train(**{**names, switch: True, **more}).entanglers()

    assert train(**names).entanglers() == [4]
    assert depths(min_circuit_depth=1) == [4, 3, 2]
    assert depths(min_circuit_depth=3) == [4, 3] or depths(min_circuit_depth=3) == [4]
    assert depths(min_circuit_depth=1, circuit_depth_schedule="step") == [4, 3, 1]
    assert depths(min_circuit_depth=1, max_circuit_depth=2) == [2]
    assert train(**names, max_circuit_depth=2).entanglers() == [2]


# -------------------------------------------------------------------------------------------------------- optimisation


@effect("enable_circuit_optimization", "gate_merging")
def merging(train, name):
    names = {"hardware_efficient_ansatz": False, "circuit_depth": 2, "gradient_method": "spsa", "rows": 1}
    own = {"entanglement_pruning": False} if name.startswith("enable") else {}
    whole, merged = (len(train(**names, **own, **{name: each}).lists()[0]) for each in (False, True))
    assert merged < whole
    if name.startswith("enable"):
        assert len(train(**names, **own, **{name: True, "gate_merging": False}).lists()[0]) == whole


@effect("identity_removal")
def identities(name, wire):
    def sent(flag):
        wire.__init__(**wire.options)
        trainer = QuantumTrainer(TrainingConfig(quantum_sdk="ionq", use_native_gates=False, **{name: flag}))
        model = QuantumModel(2, 2, depth=1)
        model.parameters[:2] = 0.0
        run_virtual(trainer.validate(model, batch(1, 2, 2)))
        return sum(len(each["input"]["circuit"]) for each in wire.jobs)

    assert sent(True) == sent(False) - 2


@effect("entanglement_pruning")
def pruning(train, name):
    data = np.zeros((2, 2)), np.eye(2)  # the state stays close to |00>, where a CNOT does nothing
    assert train(data=data, epochs=4, **{name: False}).entanglers() == [1]
    assert train(data=data, epochs=4, **{name: True}).entanglers() == [1, 0]
    with pytest.raises(ConfigError, match="2 epochs or more"):
        train(data=data, epochs=1, **{name: True})
    assert train(data=data, epochs=1, enable_circuit_optimization=True).entanglers() == [1]


# ---------------------------------------------------------------------------------------------------------- submission


@effect("use_concurrent_submission", "use_batch_api")
def concurrent(train, name):
    one = train(**{name: False}, rows=2)
    assert (one.sizes(), one.most_jobs) == ({1}, 1)
    assert max(train(**{name: True}, rows=2).sizes()) > 1


@effect("enable_batch_execution", "enable_circuit_batching")
def batching(train, name):
    found = train(**{name: False}, rows=2)
    assert found.sizes() == {1}
    assert found.most_jobs > 1


@effect("max_concurrent_circuits")
def jobs_at_once(train):
    assert [train(max_concurrent_circuits=k, max_parallel_circuits=8, rows=4).most_jobs for k in (1, 2)] == [1, 2]


@effect("max_parallel_circuits")
def circuits_at_once(train):
    for most in (1, 7, 20):
        assert train(max_parallel_circuits=most, rows=4).most_circuits <= most
    assert train(max_parallel_circuits=20, rows=4).most_circuits > 7


@effect("adaptive_batch_sizing")
def sizing(train):
    assert max(train(adaptive_batch_sizing=False, max_parallel_circuits=20).sizes()) <= 4
    assert 4 < max(train(adaptive_batch_sizing=True, max_parallel_circuits=20).sizes()) <= 20


@effect("use_native_gates")
def native(train):
    found = train(use_native_gates=True, rows=1)
    assert found.gates <= {"gpi", "gpi2", "ms"}
    assert {each["input"]["gateset"] for each in found.jobs} == {"native"}
    assert {each["input"]["gateset"] for each in train(use_native_gates=False, rows=1).jobs} == {"qis"}


@effect("connection_pool_size")
def connections(train):
    """TCP connections are counted in test_wire.py."""
    assert {each.connections for each in train(connection_pool_size=3, rows=1).settings} == {3}


@effect("batch_submission_timeout")
def send_timeout(train):
    """What it does to a submission is in test_wire.py."""
    assert {each.call_deadline for each in train(batch_submission_timeout=7, rows=1).settings} == {7}
    assert {each.call_deadline for each in train(rows=1).settings} == {120}


@effect("batch_timeout")
def batch_timeout(train, wire):
    wire.options["circuit_seconds"] = 1000.0
    with pytest.raises((IncompleteError, PausedError)):
        train(batch_timeout=0.05, rows=1, max_queue_wait_time=0.05, gradient_method="spsa")
    assert wire.canceled


@effect("max_queue_wait_time")
def patience(wire):
    wire.dead = True

    async def waited(seconds):
        names = {"quantum_sdk": "ionq", "max_queue_wait_time": seconds, "batch_submission_timeout": 1, "epochs": 1}
        trainer = QuantumTrainer(TrainingConfig(gradient_method="spsa", **names))
        with pytest.raises(PausedError):
            await trainer.train(QuantumModel(2, 2, depth=1), batch(1, 2, 2))
        return asyncio.get_running_loop().time()

    assert 50 <= run_virtual(waited(50)) < 200
    assert 500 <= run_virtual(waited(500)) < 1000


# ------------------------------------------------------------------------------------------------------------- caching


@effect("enable_smart_caching")
def templates(train, monkeypatch):
    """The same text goes out, written anew for every job or once for a structure."""
    written = []
    plain = Template.made

    def counted(*given, **more):
        written[-1] += 1
        return plain(*given, **more)

    monkeypatch.setattr(Template, "made", counted)

    def trained(flag):
        written.append(0)
        return train(enable_smart_caching=flag, epochs=3, rows=2, use_native_gates=True)

    kept, not_kept = trained(True), trained(False)
    assert kept.lists() == not_kept.lists()
    assert written[0] <= 1 < len(not_kept.jobs) <= written[1]
    assert kept.trainer.usage.templates["hits"] > 0
    assert "cache of structures" in kept.trainer.performance_report()
    assert not_kept.trainer.usage.templates["hits"] == 0


@effect("enable_circuit_cache", "cache_size")
def bound(train):
    """Parameters that stay as they are: the second epoch sends the circuits of the first."""
    names = {"frozen": True, "epochs": 2, "rows": 2}
    kept = train(**names).trainer
    assert kept.usage.bound == {"hits": 18, "misses": 18}
    assert "cache of bound circuits: 18 hits of 36 (50%)" in kept.performance_report()
    assert "; a job takes " in kept.performance_report()  # where the time went, from the ledger
    whole = train(**names, enable_circuit_cache=False)
    assert whole.trainer.usage.bound["hits"] == 0
    assert sorted(map(str, whole.lists())) == sorted(map(str, train(**names).lists()))  # what is sent is the same
    assert train(**names, cache_size=0).trainer.usage.bound["hits"] == 0
    assert train(**names, cache_size=2).trainer.usage.bound["hits"] < 18


# ---------------------------------------------------------------------------------------------------------- monitoring


@effect("log_interval")
def log_interval(train, caplog):
    caplog.set_level(logging.INFO, "q_store")
    train(quantum_sdk="mock", rows=6, batch_size=1, log_interval=2)
    assert [each.message.split(":")[0] for each in caplog.records] == [f"epoch 0, step {k}" for k in (2, 4, 6)]


@effect("track_gradients")
def track(train):
    assert len(train(quantum_sdk="mock", epochs=3).trainer.gradient_norms) == 3
    assert train(quantum_sdk="mock", epochs=3, track_gradients=False).trainer.gradient_norms == []


@effect("enable_performance_tracking", "performance_log_dir")
def performance(train):
    found = train(quantum_sdk="mock", epochs=3, performance_log_dir="figures")
    lines = (found.folder / "figures" / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert "steps: 3" in found.trainer.performance_report()
    assert "\ntime " in found.trainer.performance_report()
    rows = [entry.values["rows"] for entry in found.trainer.watcher.told if entry.kind == "JobsRun"]
    assert sum(rows) == 3 * 4 * 9  # the engine's own time is told
    off = train(quantum_sdk="mock", enable_performance_tracking=False, performance_log_dir="none")
    assert not (off.folder / "none").exists()
    assert "steps: not kept" in off.trainer.performance_report()
    assert "\ntime " not in off.trainer.performance_report()


@effect("enable_dashboard", "dashboard_port")
def dashboard(train, monkeypatch):
    """The page itself is in test_page.py."""
    pages = []

    @contextmanager
    def page(folder, port, _console, option):
        pages.append((folder.name, port, option))
        yield
        assert '"kind":"RunStarted"' in (folder / "events.jsonl").read_text(encoding="utf-8")

    monkeypatch.setattr(beside, "beside", page)
    train(quantum_sdk="mock", enable_dashboard=True, dashboard_port=8081)
    train(quantum_sdk="mock", enable_dashboard=True)
    assert pages == [
        ("QuantumModel-seed0", 8081, "dashboard_port="),
        ("QuantumModel-seed0-2", 8080, "dashboard_port="),
    ]
    assert train(quantum_sdk="mock", enable_dashboard=False, dashboard_port=8081).trainer.training_history
    assert len(pages) == 2


# ------------------------------------------------------------------------------------------------------------ features


@effect("enable_all_v34_features")
def v34(train):
    found = train(enable_all_v34_features=True, max_parallel_circuits=20)
    assert max(found.sizes()) > 4  # adaptive_batch_sizing; the others are on by default


@effect("enable_all_v35_features")
def v35(train):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        given = {"circuit_depth": 3, "min_circuit_depth": 1, "epochs": 3, "rows": 1, "entanglement_pruning": False}
        found = train(**given, enable_all_v35_features=True, gradient_method="spsa")
        natural_ = train(**given, enable_all_v35_features=True, gradient_method="natural_gradient")
    assert found.entanglers() == [3, 2] or found.entanglers() == [3, 2, 1]
    assert natural_.circuits > found.circuits


@effect("pinecone_api_key", "pinecone_environment", "pinecone_index_name")
def pinecone(train, name):
    with pytest.warns(DeprecationWarning, match="nothing is sent to Pinecone"):
        found = train(rows=1, **{name: "x"})
    assert found.trainer.get_pinecone_stats()["vectors_stored"] == 0
    assert "pinecone" not in json.dumps(found.jobs).lower()
