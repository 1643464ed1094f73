"""A data set that trains in a moment, a run on it, and the command line called in this process."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest

from q_store.apps import plots
from q_store.apps.cli import main
from q_store.drawing import raster


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    """Three well separated classes in eight columns: 60 rows to train, 15 to validate, 30 to test."""
    rng = np.random.default_rng(7)
    centres = 1 + 3 * rng.random((3, 8))
    arrays = {}
    for part, rows in (("train", 60), ("validation", 15), ("test", 30)):
        y = np.arange(rows) % 3
        arrays |= {f"x_{part}": centres[y] + 0.2 * rng.normal(size=(rows, 8)), f"y_{part}": y}
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, **arrays, class_names=np.array(["red", "green", "blue"]))
    return path


@pytest.fixture
def q_store(capfd):
    """The command line, called with words: an `Answer` of exit code, stdout and stderr."""

    def call(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def trained(data_file, tmp_path_factory):
    """A finished run; tests only read it."""
    path = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "ring", "--data", str(data_file), "--epochs", "60", "--out", str(path)]) == 0
    return path


@pytest.fixture(autouse=True)
def _quick_pictures(request, monkeypatch):
    """Drawing takes longer than the small trainings: a byte stands for a picture, but for its tests and `trained`."""
    if request.node.path.name != "test_plots.py":
        for name in ("confusion_png", "learning_curve_png"):
            monkeypatch.setattr(plots, name, lambda path, *_: plots.write_whole(path, lambda file: file.write(b"x")))
        monkeypatch.setattr(raster, "png", lambda _: b"x")
