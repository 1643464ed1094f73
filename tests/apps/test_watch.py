"""`q_store.watch`: a training of a program, kept in a run folder."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest

import q_store
from q_store.apps.control import ask
from q_store.apps.dashboard import beside
from q_store.apps.history import EVENTS, History
from q_store.circuits import Observables, encoders
from q_store.circuits.templates import hardware_efficient
from q_store.errors import ConfigError, RunError
from q_store.models.features import Raw
from q_store.models.model import Model

X = np.random.default_rng(1).normal(size=(12, 2))
Y = np.arange(12) % 2
CIRCUIT = encoders.angle(2) + hardware_efficient(2, 1, ("ry", "rz"), final_rotations=False)


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def fit(watching, epochs=2, **options):
    return Model(Raw(), CIRCUIT, Observables.local_z(2)).fit(X, Y, epochs=epochs, sinks=watching.sinks, **options)


def kinds(folder):
    return [entry.kind for entry in History(folder).read()]


def test_a_training_is_written_into_a_new_folder(tmp_path, capsys):
    with q_store.watch("kept/mine", about={"model": "ring", "seed": 3}) as watching:
        watching.draw(CIRCUIT)
        fit(watching)
        with pytest.raises(RunError, match="another q-store process is training"), q_store.watch("kept/mine"):
            pass
    assert capsys.readouterr().err == "run: kept/mine\n"
    told = kinds(tmp_path / "kept" / "mine")
    assert (told[0], told[-1]) == ("ProcessStarted", "ProcessEnded")
    assert told.count("EpochDone") >= 2
    assert (tmp_path / "kept" / "mine" / "circuit.svg").read_text(encoding="utf-8").startswith("<svg")
    config = json.loads((tmp_path / "kept" / "mine" / "config.json").read_text(encoding="utf-8"))
    assert config["request"] == {"model": "ring", "seed": 3}
    assert config["program"]


def test_without_a_name_every_block_has_its_own_folder(tmp_path):
    for _ in range(2):
        with q_store.watch(about={"model": "ring", "seed": 3}):
            pass
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["ring-seed3", "ring-seed3-2"]


def test_the_same_folder_goes_on(tmp_path):
    for k in range(2):
        with q_store.watch("mine") as watching:
            fit(watching, checkpoint="mine/checkpoints/last.npz", resume=True)
        assert kinds(tmp_path / "mine").count("ProcessEnded") == k + 1


def test_a_folder_that_is_no_run_or_a_finished_one_is_refused(tmp_path, trained):
    (tmp_path / "photos").mkdir()
    with pytest.raises(RunError, match=r"expected a run folder with config\.json"), q_store.watch("photos"):
        pass
    before = (trained / EVENTS).read_bytes()
    with pytest.raises(RunError, match="expected a folder of a run that goes on"), q_store.watch(trained):
        pass
    assert (trained / EVENTS).read_bytes() == before


def test_a_page_that_cannot_be_had_leaves_no_folder(tmp_path, monkeypatch):
    @contextmanager
    def refused(*_):
        raise ConfigError("no port")
        yield

    monkeypatch.setattr(beside, "beside", refused)
    with pytest.raises(ConfigError, match="no port"), q_store.watch(dashboard=True):
        pytest.fail("it began")
    assert list(tmp_path.iterdir()) == []
    with q_store.watch("mine"):
        pass
    with pytest.raises(ConfigError, match="no port"), q_store.watch("mine", dashboard=True):
        pytest.fail("it began")
    assert (tmp_path / "mine").is_dir()  # it was there before


def test_how_it_ended_is_told(tmp_path):
    with pytest.raises(ZeroDivisionError), q_store.watch("mine"):
        _ = 1 / 0
    assert History(tmp_path / "mine").read()[-1].values == {"status": "failed", "reason": "division by zero"}


def test_a_stop_is_an_interrupt(tmp_path):
    def program():
        with q_store.watch("mine") as watching:
            ask(tmp_path / "mine", "stop")
            fit(watching, epochs=100_000)

    with pytest.raises(KeyboardInterrupt):
        program()
    assert kinds(tmp_path / "mine")[-2:] == ["RunStopped", "ProcessEnded"]
