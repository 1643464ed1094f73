from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.local import LocalBackend, reference
from q_store.circuits import encoders
from q_store.errors import ConfigError
from q_store.jobs import Job, Output
from q_store.models import zoo
from q_store.models.features import Amplitudes, Standardised
from q_store.models.readouts import ProbabilityReadout
from q_store.training.readout import LinearReadout

TABLE = {
    "document": ((48, 70), (20, 62), 6, 64),
    "compact": ((104, 144), (50, 30), 5, 32),
    "wide": ((422, 576), (208, 62), 6, 64),
    "lean": ((132, 117), (24, 0), 6, 24),
    "lean-cz": ((132, 117), (30, 0), 6, 24),
    "ring": ((30, 220), (24, 62), 6, 64),
}


def test_the_zoo_has_the_six_models():
    assert zoo.names() == tuple(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_sizes_are_those_that_are_published(name):
    parameters, gates, qubits, features = TABLE[name]
    found = zoo.definition(name)
    assert found.name == name
    assert found.parameters() == parameters
    assert found.two_qubit_gates == gates
    assert (found.circuit.n_qubits, found.circuit.n_features) == (qubits, features)
    assert found.features.n_components == features
    assert len(found.summary) < 100


@pytest.mark.parametrize("name", TABLE)
def test_every_parameter_acts(name):
    found = zoo.definition(name)
    rng = np.random.default_rng(0)
    row = rng.normal(size=(1, found.circuit.n_features))
    job = Job(
        found.circuit,
        row / np.linalg.norm(row),
        rng.normal(size=found.circuit.n_params),
        found.observables,
        Output.VJP,
        pullback=lambda values: rng.normal(size=values.shape),
    )
    gradient = LocalBackend(precision="float64").run(job).gradient[0]
    # the document ends with RZ, which a measurement of Z behind CNOT does not see: it has 42 parameters that act
    dead = np.flatnonzero(np.abs(gradient) < 1e-9)
    assert dead.tolist() == (list(range(42, 48)) if name == "document" else [])


def test_lean_uses_only_gates_that_are_native_and_no_preparation():
    lean = zoo.definition("lean").circuit
    assert lean.prepare is None
    assert lean.counts == {"ry": 30, "rz": 24, "zz": 24}
    assert zoo.definition("lean-cz").circuit.counts == {"ry": 36, "rz": 30, "cz": 30}


@pytest.mark.parametrize("name", ["compactt", "COMPACT", "Compact "])
def test_an_unknown_name_gets_a_suggestion(name):
    with pytest.raises(ConfigError, match="did you mean 'compact'"):
        zoo.definition(name)


@pytest.mark.parametrize("name", TABLE)
def test_small_tables_with_negative_numbers_train_too(name):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 40)
    x = rng.normal(size=(40, 5)) + 2 * y[:, None]
    definition = zoo.definition(name).fitting(x)
    settings = definition.settings.replaced(epochs=4, batch_size=20, finish_iterations=2, learning_rate=0.1)
    model = definition.model(settings=settings, class_names=["a", "b", "c"]).fit(x, y)
    assert definition.circuit.n_features == 5
    assert model.parameters.circuit == TABLE[name][0][0]
    losses = [record.train_loss for record in model.result.history]
    assert losses[-1] < losses[0]
    assert model.class_names == ("a", "b", "c")


@pytest.mark.parametrize("name", TABLE)
def test_the_full_data_leave_a_definition_as_it_is(name):
    images = np.random.default_rng(0).integers(0, 256, (50_000, 28, 28), dtype=np.uint8)
    assert zoo.definition(name).fitting(images) == zoo.definition(name)


@pytest.mark.parametrize("name", TABLE)
def test_components_are_at_most_the_directions_of_the_rows(name):
    """Tables have columns that are constant, or sums of others, or more columns than rows."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 400)
    x = rng.normal(size=(400, 70)) @ rng.normal(size=(70, 20)) @ rng.normal(size=(20, 80)) + y[:, None]
    x[:-1, -1], x[-1, -1] = 0, 1  # a direction that a single row has
    found = zoo.definition(name).fitting(x)
    kept = zoo.definition(name).features.n_components
    assert found.circuit.n_features == found.features.n_components == min(kept, 22)
    assert found.features.fit(x).n_components == found.circuit.n_features
    few = zoo.definition(name).fitting(x[:7])
    assert few.circuit.n_features == (7 if isinstance(few.features, Amplitudes) else 6)  # centring takes one
    assert few.features.fit(x[:7]).n_components == few.circuit.n_features


def test_few_rows_are_not_learnt_by_heart():
    wide = zoo.definition("wide")
    assert (wide.settings.batch_size, wide.settings.finish_iterations) == (500, 1000)
    bundled = wide.fitting(np.broadcast_to(np.uint8(0), (5000, 784))).settings
    assert (bundled.batch_size, bundled.finish_iterations) == (500, 30 * 5000 // 998)
    table = wide.fitting(np.broadcast_to(np.uint8(0), (150, 784))).settings
    assert (table.batch_size, table.finish_iterations) == (15, 50)


def test_features_are_those_of_the_definition():
    assert zoo.definition("compact").features == Amplitudes(32, power=0.5, exponent=0.3)
    assert zoo.definition("wide").features == Amplitudes(64, power=0.5, exponent=0.3)
    assert zoo.definition("lean").features == Standardised(24, power=0.5)
    assert zoo.definition("ring").features == Amplitudes(64, power=1.0, exponent=0.0)


def test_the_exact_preparation_of_a_definition_is_its_own_lowering():
    circuit = zoo.definition("compact").circuit
    row = np.random.default_rng(0).normal(size=(1, 32))
    lowered, angles = encoders.lower(circuit, row)
    theta = np.linspace(-1, 1, 104)
    direct = reference.state(circuit, row[0] / np.linalg.norm(row), theta)
    np.testing.assert_allclose(reference.state(lowered, angles[0], theta), direct, atol=1e-10)
    assert lowered.counts["cx"] == 30


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_probability_readout_is_linear_with_its_own_unit_and_exact_gradients(n_values, n_outputs, seed):
    rng = np.random.default_rng(seed)
    readout = ProbabilityReadout(n_values, n_outputs)
    plain = LinearReadout(n_values, n_outputs, bias=False, zero_last=True)
    p, d = rng.dirichlet(np.ones(n_values), 4), rng.normal(size=(4, n_outputs))
    w = rng.normal(size=readout.n_weights)
    np.testing.assert_allclose(readout.outputs(p, w), plain.outputs(p, n_values * w), atol=1e-12)
    assert (readout.outputs(p, w)[:, -1] == 0).all()
    d_values, d_weights = readout.pull_back(p, w, d)
    step = 1e-6
    for k in range(len(w)):
        e = step * np.eye(len(w))[k]
        slope = (d * (readout.outputs(p, w + e) - readout.outputs(p, w - e))).sum() / (2 * step)
        assert d_weights[k] == pytest.approx(slope, rel=1e-6, abs=1e-7)
    e = np.zeros_like(p)
    e[1, 0] = step
    slope = (d * (readout.outputs(p + e, w) - readout.outputs(p - e, w))).sum() / (2 * step)
    assert d_values[1, 0] == pytest.approx(slope, rel=1e-6, abs=1e-7)
    assert readout.initial(rng).shape == w.shape


def test_a_probability_readout_of_nothing_is_refused():
    with pytest.raises(ConfigError):
        ProbabilityReadout(0, 10)
    with pytest.raises(ConfigError):
        ProbabilityReadout(4, 1)
