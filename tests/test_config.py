"""Configuration: every name of v3.4 and v3.5, four sources, and refusals that say what to do."""

from __future__ import annotations

import re
import warnings

import pytest

from q_store import TrainingConfig
from q_store.config import MemberConfig, Training
from q_store.config.idle import BELONGS, MEMBERS, POOL, SERVICE
from q_store.config.training_config import SECTIONS
from q_store.errors import ConfigError
from q_store.names import FEATURES, METHODS, NAMES, TABLE, V34

OTHERWISE = {"batch_submission_timeout", "batch_timeout", "max_queue_wait_time"}
"""Names whose default is not that of v3.4: it would have canceled jobs that wait in a queue of hours."""
V34_NAMES = """
quantum_sdk quantum_api_key quantum_target learning_rate batch_size epochs n_qubits circuit_depth entanglement
optimizer gradient_method momentum weight_decay shots_per_circuit max_concurrent_circuits use_gradient_clipping
gradient_clip_value checkpoint_interval checkpoint_directory log_interval track_gradients enable_circuit_cache
enable_batch_execution enable_circuit_batching cache_size batch_timeout max_parallel_circuits
hardware_efficient_ansatz spsa_c_initial spsa_a_initial gradient_subsample_size batch_submission_timeout
enable_performance_tracking performance_log_dir use_batch_api use_native_gates enable_smart_caching
adaptive_batch_sizing connection_pool_size max_queue_wait_time enable_all_v34_features pinecone_api_key
pinecone_environment pinecone_index_name
"""
V35_NAMES = """
use_concurrent_submission enable_multi_backend multi_backend_orchestration backend_configs adaptive_circuit_depth
adaptive_circuit_complexity circuit_depth_schedule min_circuit_depth max_circuit_depth adaptive_shot_allocation
min_shots max_shots base_shots use_natural_gradient natural_gradient_regularization qfim_cache_size
enable_circuit_optimization gate_merging identity_removal entanglement_pruning enable_dashboard dashboard_port
enable_all_v35_features
"""


def test_the_table_has_every_name_once_and_no_other():
    assert sorted(NAMES) == sorted((V34_NAMES + V35_NAMES).split())
    assert len(NAMES) == len(TABLE)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_name_has_a_place_a_sentence_and_the_default_of_v34(entry):
    assert entry.field in SECTIONS[entry.section].model_fields
    assert entry.does
    assert entry.renamed is None or NAMES[entry.renamed].place == entry.place
    value = getattr(TrainingConfig(), entry.name)
    if entry.since == V34 and entry.name not in OTHERWISE:
        assert value == entry.default or str(value) == str(entry.default).removeprefix("./")
    if entry.name in OTHERWISE:
        assert value is None


def test_every_field_of_a_section_has_a_flat_name_or_is_new():
    fields = {(name, field) for name, kind in SECTIONS.items() for field in kind.model_fields}
    new = {
        ("backends", "noise"),
        ("backends", "url"),
        ("training", "seed"),
        ("gradient", "metric"),
        ("shots", "schedule"),
        ("optimisation", "fidelity"),
        ("monitoring", "track"),
    }
    assert fields - {entry.place for entry in TABLE} == new


def test_defaults_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TrainingConfig()


@pytest.mark.parametrize("entry", [entry for entry in TABLE if entry.renamed], ids=lambda entry: entry.name)
def test_a_renamed_name_warns_where_it_is_given_and_means_the_new_one(entry):
    with pytest.warns(DeprecationWarning, match=f"{entry.name} is now called {entry.renamed}") as warned:
        config = TrainingConfig(**{entry.name: False})
    assert warned[0].filename == __file__
    assert getattr(config, entry.renamed) is False


@pytest.mark.parametrize("name", [entry.name for entry in TABLE if entry.section == "retired"])
def test_pinecone_is_taken_and_not_used(name):
    with pytest.warns(DeprecationWarning, match=f"{name} is not used"):
        TrainingConfig(**{name: "x"})


ODD = {
    "performance_log_dir": "x",
    "circuit_depth_schedule": "step",
    "min_circuit_depth": 1,
    "min_shots": 1,
    "max_shots": 5000,
}
OFF = {
    "adaptive_shot_allocation": False,
    "adaptive_circuit_depth": False,
    "use_natural_gradient": False,
    "use_gradient_clipping": False,
    "use_concurrent_submission": False,
    "enable_circuit_cache": False,
    "enable_performance_tracking": False,
    "enable_dashboard": False,
}
ON = {
    "adaptive_shot_allocation=True": {"adaptive_shot_allocation": True},
    "adaptive_circuit_depth=True": {"adaptive_circuit_depth": True},
    "use_natural_gradient=True": {"gradient_method": "natural_gradient"},
    "enable_dashboard=True": {"enable_dashboard": True},
}
"""What makes names act that do not by default."""
WITHOUT = {
    "SPSA or adaptive as gradient_method": {"gradient_method": "parameter_shift"},
    "SPSA as gradient_method": {"gradient_method": "adaptive"},
    "gradient_method='spsa_subsampled'": {"gradient_method": "spsa"},
    "adaptive_batch_sizing=False, as that sends one job after another": {"enable_all_v34_features": True},
}
"""What keeps names from acting."""


@pytest.mark.parametrize("each", BELONGS, ids=lambda each: each.to)
def test_a_name_without_what_it_belongs_to_is_said_to_have_no_effect(each):
    for name in each.names:
        value = ODD.get(name, True if name == "adaptive_batch_sizing" else 1000)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            TrainingConfig(**{name: value, **ON.get(each.to, {})})
            if each.switch:
                TrainingConfig(**{name: value, each.switch: OFF[each.switch]})
        if each.switch is None or not getattr(TrainingConfig(), each.switch):
            said = re.escape(f"{name} has no effect without {each.to}")
            with pytest.warns(UserWarning, match=said) as warned:
                TrainingConfig(**{name: value, **WITHOUT.get(each.to, {})})
            assert warned[0].filename == __file__


def test_a_detail_in_a_section_warns_as_its_flat_name():
    with pytest.warns(UserWarning, match="min_shots has no effect without adaptive_shot_allocation=True"):
        TrainingConfig(shots={"least": 5})


ALWAYS = [
    "enable_multi_backend",
    "multi_backend_orchestration",
    "backend_configs",
    "epochs",
    "optimizer",
    "momentum",
    "weight_decay",
    "use_gradient_clipping",
    "checkpoint_interval",
    "checkpoint_directory",
    "gradient_method",
    "use_natural_gradient",
    "shots_per_circuit",
    "adaptive_shot_allocation",
    "adaptive_circuit_depth",
    "adaptive_circuit_complexity",
    "max_circuit_depth",
    "enable_circuit_optimization",
    "gate_merging",
    "identity_removal",
    "entanglement_pruning",
    "log_interval",
    "track_gradients",
    "enable_performance_tracking",
    "enable_dashboard",
    "enable_all_v34_features",
    "enable_all_v35_features",
]
"""They act, or are refused, whatever stands beside them."""
OVERRULED = ["n_qubits", "circuit_depth", "entanglement", "hardware_efficient_ansatz", "batch_size", "learning_rate"]
"""A model, a loader or another name may say another thing: `train` warns, see tests/apps/legacy/test_idle.py."""


def test_of_every_name_it_is_known_when_it_does_not_act():
    retired = [entry.name for entry in TABLE if entry.section == "retired"]
    places = {NAMES[name].place for name in (*SERVICE, *POOL, *MEMBERS)}
    told = {name for entry in TABLE if entry.place in places for name in [entry.name]}
    belonging = {name for each in BELONGS for name in each.names}
    assert set(NAMES) == {*ALWAYS, *OVERRULED, *retired, *told, *belonging}
    assert not set(ALWAYS) & {*OVERRULED, *retired, *told, *belonging}


def test_what_nothing_feels_is_known():
    given = dict.fromkeys(("use_native_gates", "enable_smart_caching", "use_concurrent_submission"), True)
    assert TrainingConfig(**given).unfelt == ["use_concurrent_submission", "use_native_gates", "enable_smart_caching"]
    assert TrainingConfig(**given, quantum_sdk="qiskit").unfelt == ["use_native_gates", "enable_smart_caching"]
    assert TrainingConfig(**given, enable_multi_backend=True).unfelt == ["use_native_gates", "enable_smart_caching"]
    assert TrainingConfig(**given, quantum_sdk="ionq", quantum_api_key="k").unfelt == []
    ionq = TrainingConfig(quantum_sdk="ionq", quantum_api_key="k", backend_configs=[IONQ])
    assert ionq.unfelt == ["quantum_sdk", "quantum_api_key"]
    assert TrainingConfig().unfelt == []


def test_sections_and_flat_names_are_the_same():
    flat = TrainingConfig(batch_size=5, learning_rate=0.1, n_qubits=3)
    assert flat == TrainingConfig(training={"batch_size": 5, "learning_rate": 0.1}, model={"n_qubits": 3})
    assert flat == TrainingConfig(training=Training(batch_size=5, learning_rate=0.1), n_qubits=3)
    assert flat.training.batch_size == flat.batch_size == 5


def test_a_name_can_be_set_later_and_is_checked_then():
    config = TrainingConfig(adaptive_shot_allocation=False, min_shots=100)
    config.max_shots = 200
    with pytest.raises(ConfigError, match="min_shots <= max_shots"):
        config.max_shots = 50
    assert config.max_shots == 200
    config.enable_all_v34_features = True
    assert config.adaptive_batch_sizing is True


@pytest.mark.parametrize("name", FEATURES)
def test_what_the_two_names_switch_on_gives_way_to_what_is_given(name):
    config = TrainingConfig(**{name: True})
    for feature, value in FEATURES[name].items():
        assert getattr(config, feature) == value
    for feature, value in FEATURES[name].items():
        other = "spsa" if feature == "gradient_method" else not value
        assert getattr(TrainingConfig(**{name: True, feature: other}), feature) == other


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_taken(method):
    assert TrainingConfig(gradient_method=method).method == method


def test_a_source_that_says_something_wrong_is_named(tmp_path):
    file = tmp_path / "training.toml"
    file.write_text("epochs = 0\n[training]\nseed = -1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"expected epochs in .*training\.toml of 1 or more, got 0"):
        TrainingConfig.from_toml(file)
    with pytest.raises(ConfigError, match=r"expected training\.seed in .*training\.toml of 0 or more, got -1"):
        TrainingConfig.from_toml(file, epochs=1)
    with pytest.raises(ConfigError, match="expected epochs in the environment as a whole number, got 'many'"):
        TrainingConfig.load(None, {"Q_STORE_EPOCHS": "many"})
    with pytest.raises(ConfigError, match="expected epochs of 1 or more, got 0"):
        TrainingConfig.load(None, {"Q_STORE_EPOCHS": "many"}, ["epochs=0"])


def test_a_variable_that_is_nearly_a_name_is_refused_and_no_other():
    with pytest.raises(ConfigError, match="got Q_STORE_LERNING_RATE; did you mean Q_STORE_LEARNING_RATE"):
        TrainingConfig.load(None, {"Q_STORE_LERNING_RATE": "1"})
    others = {"Q_STORE_DEBUG": "1", "Q_STORE_HOUSE_NUMBER": "7", "Q_STORE_EPOCH": "", "Q_STORE_DASHBOARD_TOKEN": "x"}
    assert TrainingConfig.load(None, others) == TrainingConfig()


IONQ = {"provider": "ionq", "api_key": "k"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lerning_rate": 1}, "did you mean 'learning_rate'"),
        ({"batchsize": 1}, "did you mean 'batch_size'"),
        ({"wholly_unheard_of": 1}, "docs/migration.md has all names"),
        ({"training": {"batch": 1}}, "did you mean 'batch_size'"),
        ({"training": 3}, "as a dict, got int"),
        ({"shots_per_circuit": 0}, "expected shots_per_circuit of 1 or more, got 0"),
        ({"shots_per_circuit": 2_000_000}, "expected shots_per_circuit of 1,000,000 or less, got 2000000"),
        ({"shots_per_circuit": 10.5}, "expected shots_per_circuit as a whole number, got 10.5"),
        ({"min_shots": 0}, "expected min_shots of 1 or more, got 0"),
        ({"momentum": 1}, "expected momentum below 1, got 1"),
        ({"enable_dashboard": "perhaps"}, "expected enable_dashboard as true or false, got 'perhaps'"),
        ({"checkpoint_directory": 3}, "expected checkpoint_directory as a path, got 3"),
        ({"min_shots": 2000, "max_shots": 500}, "expected min_shots <= max_shots, got 2000 and 500"),
        ({"adaptive_shot_allocation": True, "base_shots": 100}, "min_shots <= base_shots"),
        ({"adaptive_shot_allocation": True, "shots_per_circuit": None}, "leave one out"),
        ({"adaptive_circuit_depth": True, "min_circuit_depth": 5}, "min_circuit_depth <= max_circuit_depth"),
        ({"circuit_depth": 3, "max_circuit_depth": 4}, "max_circuit_depth <= circuit_depth"),
        ({"learning_rate": -1}, "expected learning_rate above 0"),
        ({"learning_rate": float("nan")}, "expected learning_rate as a finite number, got nan"),
        ({"learning_rate": "fast"}, "expected learning_rate as a number, got 'fast'"),
        ({"epochs": 0}, "expected epochs of 1 or more"),
        ({"gradient_method": "spas"}, "of parameter_shift, finite_diff, .*, got 'spas'; did you mean 'spsa'"),
        ({"optimizer": "adamw"}, "did you mean 'adam'"),
        ({"optimizer": "natural_gradient"}, "it is a gradient_method"),
        ({"entanglement": "circle"}, "did you mean 'circular'"),
        ({"quantum_sdk": "ionic"}, "did you mean 'ionq'"),
        ({"quantum_sdk": "cirq"}, "say 'ionq'"),
        ({"quantum_target": "qpu.forte-1"}, "expected quantum_sdk='ionq'"),
        ({"use_natural_gradient": True, "gradient_method": "spsa"}, "to agree"),
        ({"enable_multi_backend": False, "backend_configs": [IONQ]}, "leave one of them out"),
        ({"enable_multi_backend": True, "multi_backend_orchestration": False}, "one value for"),
        ({"backend_configs": []}, "one entry of backend_configs or more"),
        ({"backend_configs": "ionq"}, "expected a list of dicts"),
        ({"backend_configs": ["ionq"]}, r"backend_configs\[0\]: expected a dict"),
        ({"backend_configs": [IONQ, {"provider": "ionc"}]}, r"backend_configs\[1\].*did you mean 'ionq'"),
        ({"backend_configs": [{"target": "simulator"}]}, "expected a provider of ionq, local, got none"),
        ({"backend_configs": [{"provider": "ionq", "api_key": None}]}, "expected an api_key, got none"),
        ({"backend_configs": [{**IONQ, "tarket": "x"}]}, "did you mean 'target'"),
        ({"backend_configs": [IONQ, dict(IONQ)]}, "the same key twice for the same target: entries 0 and 1"),
        ({"backend_configs": [{**IONQ, "device": "GPU"}]}, "no device with the provider ionq"),
        ({"backend_configs": [{"provider": "local", "simulator": "qiskit_air"}]}, "did you mean 'qiskit_aer'"),
        ({"gradient": {"metric": "full"}, "gradient_method": "natural_gradient"}, "can supply it"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        TrainingConfig(**given)


def test_two_accounts_of_one_service_are_two_members():
    config = TrainingConfig(backend_configs=[IONQ, {**IONQ, "api_key": "l"}, {**IONQ, "noise": "aria-1"}])
    assert config.enable_multi_backend
    assert [each.kind for each in config.backend_configs] == ["ionq"] * 3
    assert isinstance(config.backend_configs[0], MemberConfig)


def test_no_message_and_no_text_shows_a_key():
    config = TrainingConfig(quantum_api_key="secret", backend_configs=[{**IONQ, "api_key": "secret"}])
    assert "secret" not in repr(config) + str(config.flat())
    for given in (
        {"backends": {"api_key": "secret"}, "quantum_api_key": "secret2"},
        {"backend_configs": [{"provider": "x", "api_key": "secret"}]},
        {"backend_configs": [{"provider": "ionq", "api_key": "secret", "noise": 3}]},
        {"backend_configs": [{"provider": "ionq", "api_key": ["secret"]}]},
    ):
        with pytest.raises(ConfigError) as raised:
            TrainingConfig(**given)
        assert "secret" not in str(raised.value)


# ------------------------------------------------------------------------------------------------------------- sources


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "training.toml"
    path.write_text("batch_size = 1\nepochs = 1\nn_qubits = 1\n[shots]\nper_circuit = 7\n", encoding="utf-8")
    return path


def test_later_sources_win(file, monkeypatch):
    monkeypatch.setenv("Q_STORE_EPOCHS", "2")
    monkeypatch.setenv("Q_STORE_N_QUBITS", "2")
    config = TrainingConfig.load(file, {"Q_STORE_EPOCHS": "2", "Q_STORE_N_QUBITS": "2"}, ["n_qubits=3"])
    assert (config.batch_size, config.epochs, config.n_qubits, config.shots_per_circuit) == (1, 2, 3, 7)
    assert TrainingConfig.from_toml(file, batch_size=9).batch_size == 9
    assert TrainingConfig.from_toml(file).epochs == 1
    assert TrainingConfig.from_environment(n_qubits=4).flat()["epochs"] == 2
    assert TrainingConfig().epochs == 100


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("0.5", 0.5), ("true", True), ("False", False), ("none", None), ("adam", "adam")]
)
def test_text_becomes_a_value(text, value):
    from q_store.config.sources import value as read

    assert read(text) == value
    assert type(read(text)) is type(value)


def test_lists_and_tables_can_be_written(tmp_path):
    path = tmp_path / "pool.toml"
    path.write_text(
        '[[backend_configs]]\nprovider = "ionq"\n[[backend_configs]]\nprovider = "local"\n', encoding="utf-8"
    )
    assert [each.provider for each in TrainingConfig.from_toml(path).backend_configs] == ["ionq", "local"]
    config = TrainingConfig.load(None, {}, ['backend_configs=[{provider = "local"}]'])
    assert config.backend_configs[0].provider == "local"


def test_a_key_comes_from_the_environment_alone(tmp_path):
    config = TrainingConfig.load(None, {"Q_STORE_QUANTUM_API_KEY": "123"})
    assert config.quantum_api_key.get_secret_value() == "123"
    for text in (
        'quantum_api_key = "x"',
        '[backends]\napi_key = "x"',
        '[[backend_configs]]\nprovider="ionq"\napi_key="x"',
    ):
        path = tmp_path / "key.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="no API key in a file"):
            TrainingConfig.from_toml(path)
    with pytest.raises(ConfigError, match="no API key on a command line"):
        TrainingConfig.load(None, {}, ["quantum_api_key=x"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batch_sise = 1", "training.toml: .*did you mean 'batch_size'"),
        ("a = = 1", "expected TOML"),
        ("batch_size = 1\nbatch_size = 2", "expected TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, said):
    path = tmp_path / "training.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        TrainingConfig.from_toml(path)
    with pytest.raises(ConfigError, match="expected a configuration at"):
        TrainingConfig.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("words", [["batch_size"], ["=3"], ["batch_sise=3"]])
def test_words_that_cannot_be_used_are_said(words):
    with pytest.raises(ConfigError, match=r"name=value|did you mean"):
        TrainingConfig.load(None, {}, words)
