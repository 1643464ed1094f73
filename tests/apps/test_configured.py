"""`q-store train --config FILE --set name=value`, and the environment."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from q_store.apps.configured import configured
from q_store.apps.train import Options
from q_store.errors import ConfigError


@pytest.fixture
def train(q_store, data_file, tmp_path, monkeypatch):
    """A short training; more words follow. The answer, and what is in the run folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        few = ("--rows", 12, "--no-control", "--json", "--out", "run")
        answer = q_store("train", "ring", "--data", data_file, *few, *words)
        config = tmp_path / "run" / "config.json"
        return answer, json.loads(config.read_text(encoding="utf-8")) if config.exists() else None

    return run


def test_words_go_before_the_environment_and_that_before_the_file(train, tmp_path, monkeypatch):
    lines = "learning_rate = 0.5\nepochs = 4\nbatch_size = 6\n[gradient]\nmethod = 'spsa'\nperturbation = 0.2\n"
    (tmp_path / "training.toml").write_text(lines, encoding="utf-8")
    monkeypatch.setenv("Q_STORE_EPOCHS", "3")
    monkeypatch.setenv("Q_STORE_BATCH_SIZE", "4")
    answer, config = train("--config", "training.toml", "--set", "batch_size=3", "--set", "optimizer=sgd")
    assert answer.code == 0, answer.err
    chosen = config["resolved"]["settings"]
    assert (chosen["learning_rate"], chosen["epochs"], chosen["batch_size"]) == (0.5, 3, 3)
    assert (chosen["gradient"], chosen["spsa_perturbation"], chosen["optimiser"]) == ("spsa", 0.2, "sgd")
    assert chosen["finish_iterations"] == 0


def test_options_of_the_command_go_before_all(train):
    answer, config = train("--set", "epochs=9", "--epochs", 2, "--set", "learning_rate=0.3")
    assert answer.code == 0, answer.err
    assert config["resolved"]["settings"]["epochs"] == 2
    assert config["resolved"]["settings"]["learning_rate"] == 0.3


def test_a_run_is_resumed_as_it_was_started(train, q_store, monkeypatch):
    answer, _ = train("--set", "learning_rate=0.3", "--set", "epochs=2")
    again = q_store("train", "--resume", "run", "--json")
    assert (again.code, again.json["parameters_sha256"]) == (0, answer.json["parameters_sha256"])
    monkeypatch.setenv("Q_STORE_EPOCHS", "7")
    assert q_store("train", "--resume", "run", "--json").code == 0
    refused = q_store("train", "--resume", "run", "--set", "epochs=3")
    assert refused.code == 2
    assert "goes on as it was started" in refused.err


def test_names_become_options():
    words = (
        "shots_per_circuit=300",
        "adaptive_shot_allocation=true",
        "base_shots=200",
        "min_shots=100",
        "max_shots=400",
    )
    found = configured(
        Options(words=(*words, "adaptive_circuit_depth=true", "min_circuit_depth=1", "gate_merging=true"))
    )
    assert (found.shots, found.shot_schedule, found.min_shots, found.max_shots) == (200, "phase", 100, 400)
    assert (found.depth_schedule, found.min_depth, found.optimise) == ("linear", 1, True)
    assert found.settings == {"gradient": "parameter_shift", "finish_iterations": 0}
    place = configured(Options(words=("quantum_sdk=ionq", "quantum_target=qpu.forte-1", "use_native_gates=false")))
    assert (place.backend, place.target, place.gateset) == ("ionq", "qpu.forte-1", "qis")
    assert configured(Options(words=("use_gradient_clipping=false",))).settings == {"gradient_clip": None}
    assert configured(Options()) == Options()


def test_the_page_is_switched_on_by_name_and_the_command_line_goes_before(monkeypatch, tmp_path):
    on = ("enable_dashboard=true", "dashboard_port=8081")
    assert configured(Options(words=on)).page == 8081
    assert configured(Options(words=on[:1])).page == 8080
    assert configured(Options(words=on, port=9000)).page == 9000
    assert configured(Options(words=on[1:], dashboard=True)).page == 8081
    assert configured(Options(words=("enable_dashboard=false", "dashboard_port=8081"))).page is None
    file = tmp_path / "training.toml"
    file.write_text("[monitoring]\ndashboard = true\ndashboard_port = 8082\n", encoding="utf-8")
    assert configured(Options(config=file)).page == 8082
    monkeypatch.setenv("Q_STORE_ENABLE_DASHBOARD", "true")
    assert configured(Options()).page == 8080
    assert configured(Options(resume=tmp_path)).page == 8080  # it is no part of the run


@pytest.mark.filterwarnings("ignore:.* has no effect without")
@pytest.mark.parametrize(
    "word",
    [
        "min_shots=100", "base_shots=100", "adaptive_shot_allocation=false", "qfim_cache_size=5",
        "natural_gradient_regularization=0.1", "use_natural_gradient=false", "circuit_depth_schedule=step",
        "min_circuit_depth=1", "adaptive_circuit_depth=false", "enable_circuit_optimization=false",
    ],
)  # fmt: skip
def test_what_has_no_effect_changes_nothing(word):
    assert replace(configured(Options(words=(word,))), named=None) == Options(words=(word,))


def test_a_slip_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("Q_STORE_BATCHSIZE", "3")
    with pytest.raises(ConfigError, match="did you mean Q_STORE_BATCH_SIZE"):
        configured(Options())


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("n_qubits=3", "the command names a model"),
        ("max_concurrent_circuits=3", "pool file"),
        ("enable_multi_backend=true", "pool file"),
        ("cache_size=3", "keeps what it needs"),
        ("log_interval=3", "run folder"),
        ("checkpoint_directory=x", "--out DIR"),
        ("quantum_api_key=x", "IONQ_API_KEY"),
        ("quantum_sdk=qiskit", "--pool FILE"),
        ("enable_all_v34_features=true", "name what you want"),
        ("lerning_rate=3", "did you mean 'learning_rate'"),
        ("learning_rate", "name=value"),
    ],
)
def test_what_does_not_act_here_is_refused(word, said):
    with pytest.raises(ConfigError, match=said):
        configured(Options(words=(word,)))


def test_a_recipe_trains_in_its_own_way():
    with pytest.raises(ConfigError, match="expected --recipe or learning_rate"):
        configured(Options(recipe="auto", words=("learning_rate=0.1",)))
