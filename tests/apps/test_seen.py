"""What a model in training takes the validation part for, written down for those who watch; not too often."""

import json

import numpy as np
import pytest

from q_store.apps.seen import EVERY, Seen
from q_store.models.data import dataset


@pytest.fixture
def images():
    """Three classes of 2 x 2 pixels, 30 rows a part."""
    rng = np.random.default_rng(3)
    y = np.arange(30) % 3
    parts = {name: (rng.integers(0, 256, (30, 2, 2), dtype=np.uint8), y) for name in ("train", "validation", "test")}
    return dataset(parts, source="made up")


class Clock:
    now = 100.0

    def __call__(self):
        self.now += self.slow
        return self.now

    slow = 0.0


def outputs(predicted):
    return np.eye(3)[predicted] + 0.1


def found(folder):
    return json.loads((folder / "validated.json").read_text())


def test_the_matrix_and_the_first_images_are_those_of_the_validation_part(images, tmp_path):
    y = images.validation.y
    predicted = np.where(np.arange(30) < 6, (y + 1) % 3, y)
    Seen(tmp_path, images)(outputs(predicted))
    body = found(tmp_path)
    assert body["part"] == "validation"
    assert body["counts"] == [[8, 2, 0], [0, 8, 2], [2, 0, 8]]
    assert [(each["truth"], each["predicted"]) for each in body["images"][:7]] == list(
        zip(y[:7].tolist(), predicted[:7].tolist(), strict=True)
    )


def test_of_chosen_rows_those_are_shown(images, tmp_path):
    chosen = np.array([4, 5, 9])
    Seen(tmp_path, images, chosen)(outputs(np.array([0, 0, 0])))
    assert np.sum(found(tmp_path)["counts"]) == 3
    assert [each["truth"] for each in found(tmp_path)["images"]] == images.validation.y[chosen].tolist()


def test_it_is_written_every_few_seconds_at_most(images, tmp_path):
    clock = Clock()
    seen = Seen(tmp_path, images, clock=clock)
    for after, class_, shown in ((0, 0, 0), (EVERY / 2, 1, 0), (EVERY, 2, 2)):
        clock.now = 100.0 + after
        seen(outputs(np.full(30, class_)))
        assert {each["predicted"] for each in found(tmp_path)["images"]} == {shown}


def test_where_it_is_slow_it_is_done_less_often(images, tmp_path):
    clock = Clock()
    seen = Seen(tmp_path, images, clock=clock)
    clock.slow = 1.0  # a second each time: then a hundred pass until the next
    seen(outputs(np.zeros(30, int)))
    clock.slow = 0.0
    for after, shown in ((90, 0), (105, 1)):
        clock.now = 100.0 + after
        seen(outputs(np.ones(30, int)))
        assert {each["predicted"] for each in found(tmp_path)["images"]} == {shown}


def test_a_disk_that_refuses_stops_nothing(images, tmp_path):
    Seen(tmp_path / "gone", images)(outputs(np.zeros(30, int)))
    assert list(tmp_path.iterdir()) == []


def test_a_training_keeps_it_beside_its_metrics(trained):
    body = found(trained)
    metrics = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert np.sum(body["counts"]) == 15
    assert np.trace(body["counts"]) / 15 in {each["validation_accuracy"] for each in metrics}
