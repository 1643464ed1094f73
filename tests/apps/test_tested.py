"""`tested.json`: counts, and the first test images as they are."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest

from q_store.apps import tested as written
from q_store.apps.tested import SHOWN


def data(x, shape, names=("a", "b")):
    return SimpleNamespace(class_names=names, image_shape=shape, test=SimpleNamespace(x=x))


def found(rows):
    return SimpleNamespace(truth=np.arange(rows) % 2, predicted=np.zeros(rows, int))


def pixels(image):
    return np.frombuffer(base64.b64decode(image["pixels"]), np.uint8)


@pytest.mark.parametrize("rows", [3, 100])
def test_bytes_are_kept_as_they_are(rows):
    x = np.random.default_rng(0).integers(0, 256, (rows, 6), dtype=np.uint8)
    body = json.loads(json.dumps(written.tested(data(x, (2, 3)), found(rows), np.array([[1, 0], [0, 2]]))))
    assert body["counts"] == [[1, 0], [0, 2]]
    assert body["shape"] == [2, 3]
    assert len(body["images"]) == min(rows, SHOWN)
    for k, image in enumerate(body["images"]):
        assert (image["truth"], image["predicted"]) == (k % 2, 0)
        np.testing.assert_array_equal(pixels(image), x[k])


def test_numbers_are_spread_over_the_levels_and_the_first_channel_is_taken():
    x = np.array([[0.0, 9, 0.5, 9, 1.0, 9, 1.0, 9]])
    (image,) = written.tested(data(x[:, ::1], (2, 2, 2)), found(1), np.eye(2, dtype=np.int64))["images"]
    np.testing.assert_array_equal(pixels(image), [0, 128, 255, 255])


def test_tables_have_no_images_and_many_classes_no_matrix():
    body = written.tested(data(np.zeros((2, 4)), None), found(2), np.zeros((30, 30), np.int64))
    assert set(body) == {"classes", "rows", "right"}


@pytest.mark.parametrize("rows", [1, 8, 30])
def test_which_rows_were_right_is_kept(rows):
    body = json.loads(json.dumps(written.tested(data(np.zeros((rows, 4)), None), found(rows), np.eye(2, dtype=int))))
    np.testing.assert_array_equal(written.hits(body), np.arange(rows) % 2 == 0)


UNREADABLE = [
    {}, {"rows": 9, "right": "gA=="}, {"rows": "9", "right": "gA=="}, {"rows": 3, "right": "?"},
    {"rows": 0, "right": ""}, {"rows": 3, "right": 7},
]  # fmt: skip


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_cannot_be_read_is_not_known(body):
    assert written.hits(body) is None


def test_a_training_writes_it(trained):
    body = json.loads((trained / "tested.json").read_text())
    assert body["classes"] == ["red", "green", "blue"]
    assert sum(map(sum, body["counts"])) == 30


def test_a_training_draws_its_circuit(trained):
    from q_store.circuits.draw import svg
    from q_store.models import Model

    assert (trained / "circuit.svg").read_text(encoding="utf-8") == svg(Model.load(trained / "model.npz").circuit)
