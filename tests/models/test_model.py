from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import reference
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, encoders, rx, ry, theta, z
from q_store.circuits.templates import hardware_efficient
from q_store.errors import ConfigError, DataError, RunError, ShapeError
from q_store.models import Model
from q_store.models import trained as trained_models
from q_store.models.features import Amplitudes, Raw, Scaled
from q_store.training.loss import CrossEntropy
from q_store.training.readout import LinearReadout
from q_store.training.settings import TrainingSettings

QUICK = TrainingSettings(epochs=8, batch_size=20, learning_rate=0.1, readout_learning_rate=0.3)


def blobs(rows=90, seed=0):
    """Three clouds in the plane, named."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 3, rows)
    centres = np.array([[0.0, 1.5], [1.3, -0.8], [-1.3, -0.8]])
    return centres[number] + 0.25 * rng.normal(size=(rows, 2)), np.array(["red", "green", "blue"])[number]


def plane(**options):
    """Two features as angles of two qubits."""
    circuit = encoders.angle(2) + hardware_efficient(2, 1)
    return Model(Scaled(), circuit, **{"settings": QUICK, **options})


@pytest.fixture(scope="module")
def trained():
    x, y = blobs()
    return plane().fit(x, y), x, y


def by_hand(model, x):
    """Outputs from the dense oracle."""
    rows = model.trained.feature_map.transform(x).astype(float)
    theta_, weights = np.split(model.trained.vector, [model.circuit.n_params])
    states = np.array([reference.state(model.circuit, row, theta_) for row in rows])
    values = reference.expectations(states, model.observables, model.circuit.n_qubits)
    w = weights.reshape(values.shape[1] + 1, -1)
    return values @ w[:-1] + w[-1]


def test_it_learns_named_classes(trained):
    model, _, _ = trained
    x, y = blobs(seed=1)
    predicted = model.predict(x)
    assert predicted.dtype.kind == "U"
    assert model.score(x, y) == np.mean(predicted == y) > 0.95
    assert model.classes.tolist() == ["blue", "green", "red"]


def test_outputs_agree_with_the_oracle_and_probabilities_with_the_outputs(trained):
    model, x, _ = trained
    outputs = model.decision_function(x)
    np.testing.assert_allclose(outputs, by_hand(model, x), atol=2e-5)
    raw = np.exp(by_hand(model, x))
    np.testing.assert_allclose(model.predict_proba(x), raw / raw.sum(axis=1, keepdims=True), atol=2e-5)
    assert (model.classes[outputs.argmax(axis=1)] == model.predict(x)).all()


def test_the_example_of_the_readme_learns_with_no_settings_at_all(tmp_path):
    x, y = blobs()
    x_new, y_new = blobs(seed=1)
    circuit = encoders.angle(2) + hardware_efficient(2, layers=2)
    model = Model(Scaled(), circuit, Observables.local_z(2))
    assert model.fit(x, y).score(x_new, y_new) > 0.95
    model.save(tmp_path / "mine.qstore")
    assert Model.load(tmp_path / "mine.qstore").predict(x_new).tolist() == model.predict(x_new).tolist()


@pytest.mark.parametrize("names", [[3, 7, 11], [0.5, 1.5, 2.5], [False, True, None], ["a", "bb", "a c"]])
def test_labels_of_any_type_come_back_as_they_were(names):
    x, words = blobs()
    number = np.unique(words, return_inverse=True)[1]
    if None in names:
        names, number = names[:2], number % 2
    y = np.array(names)[number]
    model = plane(settings=QUICK.replaced(epochs=1)).fit(x, y)
    assert model.predict(x).dtype == y.dtype
    assert model.classes.tolist() == sorted(names)


def test_labels_as_a_list_of_objects_are_taken(trained):
    _, x, y = trained
    model = plane(settings=QUICK.replaced(epochs=1)).fit(x.tolist(), np.array(y.tolist(), dtype=object))
    assert model.predict(x[:3]).dtype.kind == "U"


def test_batches_train_exactly_like_arrays(trained):
    model, x, y = trained
    again = plane().fit((x[i : i + 7], y[i : i + 7]) for i in range(0, len(x), 7))
    np.testing.assert_array_equal(again.trained.vector, model.trained.vector)
    assert again.score([(x[:50], y[:50]), (x[50:], y[50:])]) == model.score(x, y)


def test_a_torch_loader_trains_and_evaluates():
    torch = pytest.importorskip("torch")
    x, y = blobs()
    number = np.unique(y, return_inverse=True)[1]
    tensors = torch.utils.data.TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(number))
    loader = torch.utils.data.DataLoader(tensors, batch_size=16)
    model = plane().fit(loader, validation=loader)
    assert model.evaluate(loader).accuracy > 0.95
    assert model.result.history[-1].validation_accuracy == model.score(loader)


def test_the_seed_decides_and_nothing_else(trained):
    model, x, y = trained
    np.testing.assert_array_equal(plane().fit(x, y).trained.vector, model.trained.vector)
    other = plane().fit(x, y, seed=1)
    assert np.abs(other.trained.vector - model.trained.vector).max() > 1e-3
    model.fit(x, y)  # a second call starts anew
    np.testing.assert_array_equal(model.trained.vector, plane().fit(x, y).trained.vector)


def test_rows_are_preprocessed_once_if_wanted(trained):
    model, x, y = trained
    encoded = model.fit_features(x)
    assert encoded.z.dtype == np.float32
    assert encoded.z.flags.c_contiguous
    assert len(encoded) == len(x)
    fresh = plane().fit(encoded, y, (encoded.more(x[:9]), y[:9]))
    np.testing.assert_array_equal(fresh.trained.vector, model.trained.vector)
    assert fresh.encode(encoded) is encoded
    np.testing.assert_array_equal(fresh.decision_function(encoded), fresh.decision_function(x))
    with pytest.raises(DataError, match="those of another"):
        model.predict(encoded)


def test_validation_is_watched_and_events_are_told(trained):
    _, x, y = trained
    seen = []
    model = plane().fit(x[:60], y[:60], (x[60:], y[60:]), epochs=2, sinks=[seen.append])
    assert [record.epoch for record in model.result.history] == [1, 2]
    assert model.result.history[-1].validation_accuracy == pytest.approx(model.score(x[60:], y[60:]))
    assert {type(event).__name__ for event in seen} >= {"RunStarted", "EpochDone", "RunFinished"}


def test_training_goes_on_from_a_checkpoint(tmp_path, trained):
    model, x, y = trained
    path = tmp_path / "run.npz"

    def stop(event):
        if type(event).__name__ == "EpochDone" and event.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plane().fit(x, y, checkpoint=path, sinks=[stop])
    epochs = []
    resumed = plane().fit(
        x, y, checkpoint=path, resume=True, sinks=[lambda e: epochs.append(getattr(e, "epoch", None))]
    )
    np.testing.assert_array_equal(resumed.trained.vector, model.trained.vector)
    assert 1 not in epochs


def test_an_exact_evaluation_counts(trained):
    model, x, y = trained
    found = model.evaluate(x, y)
    assert found.rows == 90
    assert found.accuracy == found.correct / 90 == model.score(x, y)
    assert (found.circuits, found.shots, found.shots_total) == (90, None, 0)
    assert (model.classes[found.truth] == y).all()
    assert (model.classes[found.predicted] == model.predict(x)).all()


def test_a_sampled_evaluation_counts_and_repeats(trained):
    model, x, y = trained
    found = model.evaluate(x, y, shots=5, seed=3)
    assert (found.circuits, found.shots, found.shots_total) == (90, 5, 450)
    same, other = model.evaluate(x, y, shots=5, seed=3), model.evaluate(x, y, shots=5, seed=4)
    assert (same.predicted == found.predicted).all()
    assert (other.predicted != found.predicted).any()
    assert found.accuracy < model.evaluate(x, y, shots=10_000).accuracy


def test_sampled_outputs_scatter_around_the_exact_ones_as_the_variance_says(trained):
    model, x, _ = trained
    shots, row = 200, x[:1]
    sampled = np.array([model.decision_function(row, shots=shots, seed=s)[0] for s in range(200)])
    z0 = np.concatenate([model.decision_function(row)])[0]
    theta_, weights = np.split(model.trained.vector, [model.circuit.n_params])
    state = reference.state(model.circuit, model.trained.feature_map.transform(row)[0].astype(float), theta_)
    signs = np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])
    per_shot = signs @ weights.reshape(3, -1)[:2]
    p = np.abs(state) ** 2
    sigma = np.sqrt((p @ per_shot**2 - (p @ per_shot) ** 2) / shots)
    assert (np.abs(sampled.mean(axis=0) - z0) < 5 * sigma / np.sqrt(200)).all()
    np.testing.assert_allclose(sampled.std(axis=0), sigma, rtol=0.25)


def test_bases_that_do_not_commute_are_separate_circuits():
    x, y = blobs(30)
    circuit = encoders.angle(2) + Circuit.build(2, [ry(theta(0), 0), rx(theta(1), 1)])
    observables = [z(0), PauliSum.of((1.0, "XX", (0, 1)))]
    model = Model(Scaled(), circuit, observables, settings=QUICK.replaced(epochs=1)).fit(x, y)
    found = model.evaluate(x, y, shots=10)
    assert (found.circuits, found.shots_total) == (60, 600)
    assert model.evaluate(x, y).circuits == 30


def test_prediction_in_chunks_is_the_same(trained, monkeypatch):
    model, x, _ = trained
    whole = model.decision_function(x)
    monkeypatch.setattr("q_store.models.model.CHUNK", 8)
    np.testing.assert_allclose(model.decision_function(x), whole, atol=1e-6)


def test_a_backend_can_be_given(trained):
    model, x, y = trained
    asked = []

    class Watch:
        def __init__(self, inner):
            self.inner, self.capabilities = inner, inner.capabilities

        def run(self, job):
            asked.append(job.rows)
            return self.inner.run(job)

    from q_store.models.trained import default_backend

    model.evaluate(x, y, backend=Watch(default_backend()))
    assert sum(asked) == 90
    asked.clear()
    plane(backend=Watch(default_backend()), settings=QUICK.replaced(epochs=1)).fit(x, y)
    assert sum(asked) == 90


def test_an_asynchronous_executor_trains_and_predicts_like_the_backend(trained):
    class Distant:
        capabilities = trained_models.default_backend().capabilities

        async def run_async(self, jobs):
            return await trained_models.default_backend().run_async(jobs)

    model, x, y = trained
    far = plane(backend=Distant()).fit(x, y)
    np.testing.assert_array_equal(far.trained.vector, model.trained.vector)
    np.testing.assert_array_equal(far.predict(x), model.predict(x))
    assert far.evaluate(x, y, shots=20).correct == model.evaluate(x, y, shots=20).correct


def test_images_and_probabilities_and_another_loss():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    images = rng.integers(0, 60, (60, 4, 4)).astype(np.uint8)
    images[y == 1, :2] += 120
    circuit = encoders.amplitude(2) + hardware_efficient(2, 1)
    model = Model(Amplitudes(4), circuit, [Marginal((0,))], LinearReadout, loss=CrossEntropy(0.1), settings=QUICK)
    assert model.fit(images, y).score(images, y) > 0.9
    assert model.parameters == (4, 2 * 2 + 2)


def test_classes_can_be_put_in_order(trained):
    _, x, y = trained
    model = plane(classes=["red", "green", "blue", "never"], settings=QUICK.replaced(epochs=4)).fit(x, y)
    assert model.classes.tolist() == ["red", "green", "blue", "never"]
    assert model.predict_proba(x).shape == (90, 4)
    assert model.score(x, y) == np.mean(model.predict(x) == y) > 0.7


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (np.ones((3, 2)), [0, 1], ShapeError, "3 rows and 2 labels"),
        (np.ones((0, 2)), [], DataError, "at least one row"),
        (np.ones((3, 2)), [1, 1, 1], DataError, "at least 2 classes"),
        (np.ones((3, 2)), [[0, 1], [1, 0], [0, 1]], ShapeError, "argmax"),
        (np.ones((3, 2)), [0.0, np.nan, 1.0], DataError, "row 1"),
        (np.array([[0.0, 1], [np.nan, 2], [3, 4]]), [0, 1, 0], DataError, "finite"),
        (np.array([[0.0, 1], [0, 2], [0, 4]]), [0, 1, 0], DataError, "constant column 0"),
        (np.random.default_rng(0).normal(size=(5, 3)), [0, 1, 0, 1, 1], ShapeError, "2 data columns"),
        (np.ones((3, 2)), np.array(["a", 1, None], dtype=object), DataError, "all text or all numbers"),
        (np.ones((3, 2)), None, DataError, "pass y"),
        ([], None, DataError, "at least one batch"),
        ([np.ones(3)], None, DataError, "batches"),
        ([(np.ones((2, 2)), [0, 1]), (np.ones((2, 3)), [0, 1])], None, ShapeError, "same row shape"),
    ],
)
def test_bad_training_data_is_refused_in_words(x, y, error, words):
    with pytest.raises(error, match=words):
        plane().fit(x, y)


def test_what_does_not_fit_the_trained_model_is_refused(trained):
    model, x, y = trained
    with pytest.raises(DataError, match="'violet' in row 2"):
        model.score(x[:3], ["red", "blue", "violet"])
    with pytest.raises(DataError, match="row 0"):
        model.score(x[:1], [0])
    with pytest.raises(ShapeError, match="rows of 2 features"):
        model.predict(np.ones((4, 3)))
    with pytest.raises(ConfigError, match="3 class names"):
        plane(class_names=["one", "two"]).fit(x, y)
    with pytest.raises(DataError, match="violet"):
        plane().fit(x, y, (x[:1], ["violet"]))


def test_before_training_there_is_nothing_to_ask():
    model = plane()
    for ask in (lambda: model.predict([[0, 0]]), lambda: model.classes, lambda: model.save("nowhere")):
        with pytest.raises(RunError, match="before training"):
            ask()


def test_a_failed_fit_leaves_the_earlier_one(trained):
    model, _, _ = trained
    before = model.trained
    with pytest.raises(DataError):
        model.fit(np.full((3, 2), np.nan), [0, 1, 0])
    assert model.trained is before


def test_observables_beyond_the_circuit_are_refused_at_once():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Model(Raw(), encoders.angle(2), Observables.of(z(5)))
