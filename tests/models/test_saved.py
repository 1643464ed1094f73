from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from q_store import archive
from q_store.circuits import Circuit, Marginal, PauliSum, encoders, rx, ry, rz, theta, x, z
from q_store.circuits.templates import hardware_efficient
from q_store.errors import ConfigError, RunError, StorageError
from q_store.models import Model, saved
from q_store.models.features import Amplitudes, FeatureMap, Scaled
from q_store.models.readouts import ProbabilityReadout
from q_store.models.trained import Trained
from q_store.training.loss import CrossEntropy
from q_store.training.objective import Objective
from q_store.training.readout import LinearReadout
from q_store.training.settings import TrainingSettings

QUICK = TrainingSettings(epochs=2, batch_size=10)
GOLDEN = Path(__file__).parent / "golden" / "model-1.qstore"


def rows(n=40, width=4):
    rng = np.random.default_rng(0)
    return rng.random((n, width)) + 0.1, np.array(["left", "right", "up"])[rng.integers(0, 3, n)]


@pytest.fixture(scope="module")
def model():
    features, labels = rows()
    circuit = encoders.amplitude(2) + hardware_efficient(2, 1, "rot")
    fresh = Model(
        Amplitudes(4),
        circuit,
        [Marginal((1, 0))],
        ProbabilityReadout,
        settings=QUICK,
        class_names=["←", "→", "↑"],
        name="arrows",
    )
    return fresh.fit(features, labels)


def fixed():
    """A model from written numbers: nothing in it depends on training or on random numbers."""
    circuit = Circuit.build(2, [ry(x(0) * theta(0) + 0.5, 0), rz(theta(1) / 3, 0), rx(x(1), 1), ry(theta(2) - x(0), 1)])
    observables = [z(0), PauliSum.of((0.5, "XY", (0, 1)), (-0.25, "Z", (1,)))]
    features = FeatureMap("scaled", 1.0, np.array([1.0, -2.0]), np.diag([0.5, 0.25]), unit_norm=False)
    fresh = Model(Scaled(), circuit, observables, settings=QUICK, class_names=["no", "yes"], name="golden")
    objective = Objective(fresh.circuit, fresh.observables, LinearReadout(2, 2), CrossEntropy())
    vector = np.array([0.25, -1.5, 2.0, 1.0, -0.5, 0.125, 3.0, -0.75, 0.0625])
    fresh.adopt(Trained(features, objective, vector, np.array(["n", "y"])))
    return fresh


def test_it_comes_back_bit_by_bit(model, tmp_path):
    path = tmp_path / "arrows.qstore"
    model.save(path)
    again = Model.load(path)
    features, labels = rows()
    np.testing.assert_array_equal(again.decision_function(features), model.decision_function(features))
    np.testing.assert_array_equal(again.trained.vector, model.trained.vector)
    assert again.predict(features).tolist() == model.predict(features).tolist()
    assert again.score(features, labels) == model.score(features, labels)
    assert again.evaluate(features, labels, shots=20, seed=1).correct == (
        model.evaluate(features, labels, shots=20, seed=1).correct
    )
    assert (again.name, again.class_names) == ("arrows", ("←", "→", "↑"))
    assert again.circuit.digest == model.circuit.digest
    assert again.parameters == model.parameters
    assert saved.encode(Model.load(path)) == saved.encode(again)


def test_the_same_model_gives_the_same_bytes(model):
    assert saved.encode(model) == saved.encode(model)


def test_a_loaded_model_can_be_trained_again(model, tmp_path):
    model.save(tmp_path / "m")
    features, labels = rows()
    again = Model.load(tmp_path / "m").fit(features, labels, epochs=1)
    assert again.trained.feature_map.kind == "amplitudes"
    assert again.parameters == model.parameters


@pytest.mark.parametrize(
    "labels", [np.array([3, 5]), np.array([False, True]), np.array(["é", "ü"]), np.array([0.5, 2.0])]
)
def test_labels_keep_their_type(labels, tmp_path):
    features, _ = rows(20)
    circuit = encoders.angle(4) + hardware_efficient(4, 1)
    model = Model(Scaled(), circuit, settings=QUICK).fit(features, labels[np.arange(20) % 2])
    model.save(tmp_path / "m")
    again = Model.load(tmp_path / "m")
    assert again.classes.dtype == model.classes.dtype
    assert again.predict(features).tolist() == model.predict(features).tolist()


def test_the_format_of_version_1_is_still_read():
    """The file was written once; `expected` are the outputs of the dense oracle for the numbers in `fixed`."""
    model = Model.load(GOLDEN)
    points = np.array([[1.0, -2.0], [0.0, 3.0], [-4.0, 0.5]])
    expected = [[0.14058715, -0.06418115], [0.16933718, -0.67084437], [0.25154084, -0.2093628]]
    np.testing.assert_allclose(model.decision_function(points), expected, atol=1e-6)
    assert model.predict(points).tolist() == ["n", "n", "n"]
    assert (model.name, model.class_names, model.parameters) == ("golden", ("no", "yes"), (3, 6))


def test_what_is_written_now_is_what_the_golden_file_holds():
    def content(raw):
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
        for name in ("q_store", "sha256", "training"):  # may change with a release
            header.pop(name)
        return header, {name: array.tolist() for name, array in arrays.items()}

    assert content(saved.encode(fixed())) == content(GOLDEN.read_bytes())


def test_no_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path, tmp_path / "none" / "deeper"):
        with pytest.raises(RunError, match="found none"):
            Model.load(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(model, share):
    raw = saved.encode(model)
    with pytest.raises(RunError, match="damaged"):
        saved.decode(raw[: int(share * len(raw))], "file")


def test_every_changed_byte_is_noticed_or_harmless(model):
    """A flipped bit gives a RunError or, in padding of the archive, exactly the same model."""
    raw = saved.encode(model)
    whole = model.trained.vector.tobytes()
    noticed = 0
    for place in range(0, len(raw), 37):
        broken = bytearray(raw)
        broken[place] ^= 0x10
        try:
            again = saved.decode(bytes(broken), "file")
        except RunError:
            noticed += 1
        else:
            assert again.trained.vector.tobytes() == whole
            assert again.circuit.digest == model.circuit.digest
    assert noticed > 0.8 * len(range(0, len(raw), 37))


def forged(model, change, *, arrays=(), digest=None):
    """The file with a changed header (and arrays), rightly hashed unless a digest is given."""
    with np.load(io.BytesIO(saved.encode(model)), allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}
    header = json.loads(content.pop("header").tobytes())
    header.pop("sha256")
    change(header)
    content |= dict(arrays)
    text = json.dumps({**header, "sha256": digest or archive._sha256(content, header)}).encode()
    out = io.BytesIO()
    np.savez(out, header=np.frombuffer(text, dtype=np.uint8), **content)
    return out.getvalue()


def test_numbers_that_were_edited_are_noticed_by_the_hash(model):
    vector = model.trained.vector + 1e-9
    saved.decode(forged(model, lambda _: None, arrays={"vector": vector}), "file")
    with pytest.raises(RunError, match="hash"):
        saved.decode(forged(model, lambda _: None, arrays={"vector": vector}, digest="0" * 64), "file")


def test_a_newer_version_is_refused_with_the_remedy(model):
    with pytest.raises(RunError, match="update q-store"):
        saved.decode(forged(model, lambda h: h.update(version=2)), "file")


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(format="something else"),
        lambda h: h.update(version="1"),
        lambda h: h.pop("circuit"),
        lambda h: h["circuit"]["ops"][1].update(gate="nonsense"),
        lambda h: h["readout"].update(kind="nonsense"),
        lambda h: h["readout"].update(n_values=5),
        lambda h: h["observables"].clear(),
        lambda h: h.update(class_names=7),
    ],
)
def test_a_header_that_does_not_fit_is_refused(model, change):
    with pytest.raises(RunError, match="damaged or no model"):
        saved.decode(forged(model, change), "file")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("vector", np.zeros(3)),
        ("vector", np.full(14, np.nan)),
        ("classes", np.arange(2)),
        ("features.mean", np.zeros(9)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(model, name, array):
    with pytest.raises(RunError, match="damaged or no model"):
        saved.decode(forged(model, lambda _: None, arrays={name: array}), "file")


def test_text_archives_and_pickles_are_refused():
    out = io.BytesIO()
    np.savez(out, header=np.array([{"format": "q-store model"}], dtype=object))
    other = io.BytesIO()
    np.savez(other, vector=np.zeros(3))
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    for raw in (b"", b"no model", out.getvalue(), other.getvalue(), single.getvalue()):
        with pytest.raises(RunError, match="damaged or no model"):
            saved.decode(raw, "file")


def test_a_disk_that_refuses_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "m"
    fixed().save(path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"disk is full|No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


def test_a_readout_of_ones_own_cannot_be_saved(tmp_path):
    class Own(LinearReadout):
        pass

    features, labels = rows()
    model = Model(Scaled(), encoders.angle(4) + hardware_efficient(4, 1), readout=Own, settings=QUICK)
    with pytest.raises(ConfigError, match="readout that a file can hold"):
        model.fit(features, labels).save(tmp_path / "m")
    assert not list(tmp_path.iterdir())
