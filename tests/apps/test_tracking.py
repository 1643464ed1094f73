"""`q-store train --track`, `q-store track`, and trackers by every other way."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from rich.console import Console

import q_store as package
from q_store.apps.history import EVENTS, History, HistoryWriter
from q_store.apps.run_folder import RunFolder
from q_store.apps.tracking import TRACKED, described, tracked
from q_store.config import TrainingConfig
from q_store.errors import ConfigError
from q_store.events import KINDS, JobEnded, StepDone
from q_store.trackers.choice import chosen

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
tracking = pytest.importorskip("mlflow.tracking")

SECRET = "a-word-that-nobody-may-see"  # noqa: S105  # of nothing
MODULE = """
heard = []
def hear(event):
    heard.append(event)
def breaks(event):
    raise ValueError("no good")
def late(event):
    if type(event).__name__ == "ProcessEnded":
        raise ValueError("too late")
async def coroutine(event):
    pass
class Kind:
    pass
number = 3
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "Q_STORE_TRACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user, in the current folder."""
    (tmp_path / "my_tracker.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "my_tracker", raising=False)
    yield lambda: sys.modules["my_tracker"].heard
    sys.modules.pop("my_tracker", None)


@pytest.fixture
def train(q_store, data_file):
    def run(*words, out="run", control=False):
        more = () if control else ("--no-control",)
        return q_store("train", "ring", "--data", data_file, "--epochs", 2, "--json", "--out", out, *more, *words)

    return run


def curves(folder):
    found = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def mlflow_run(uri, run_id):
    client = tracking.MlflowClient(tracking_uri=uri)
    return client, client.get_run(run_id)


def test_the_curves_of_a_run_are_those_of_its_history(train, tmp_path):
    answer = train("--track", "tensorboard", control=True)
    assert answer.code == 0, answer.err
    assert "tracking: curves in run/tensorboard; see them with: tensorboard --logdir run" in answer.err
    found = curves(tmp_path / "run" / "tensorboard")
    entries = History(tmp_path / "run").read()
    losses = [entry.values["validation_loss"] for entry in entries if entry.kind == "EpochDone"]
    np.testing.assert_allclose([value for _, value in found["epoch/validation_loss"]], losses, rtol=1e-6)
    written = [entry.values["loss"] for entry in entries if entry.kind == "StepDone"]
    np.testing.assert_allclose([value for _, value in found["step/loss"]], written, rtol=1e-6)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert found["final/test_accuracy"][0][1] == pytest.approx(result["accuracy"]["test"])
    assert found["final/control_accuracy"][0][1] == pytest.approx(result["classical_control"]["test_accuracy"])
    assert found["final/test_low"][0][1] == pytest.approx(result["test_interval"][0])


def test_mlflow_gets_parameters_tags_figures_and_files(train, tmp_path, database, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    answer = train("--track", "mlflow", "--seed", 5)
    assert answer.code == 0, answer.err
    (run_id,) = json.loads((tmp_path / "run" / TRACKED).read_text()).values()
    client, found = mlflow_run(database, run_id)
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert found.data.params["model"] == "ring"
    assert found.data.params["data"] == "blobs.npz"
    assert found.data.params["settings.epochs"] == "2"
    assert found.data.params["rows.test"] == "30"
    assert found.data.tags["q_store.seed"] == "5"
    assert found.data.tags["q_store.version"] == package.__version__
    assert found.data.tags["q_store.place"] == "local"
    assert found.data.metrics["final/test_accuracy"] == answer.json["accuracy"]["test"]
    kept = {each.path for each in client.list_artifacts(run_id)}
    assert kept == {"config.json", "result.json", "circuit.svg", "confusion.png", "learning_curve.png"}


def test_a_function_hears_what_the_history_writes(train, mine, tmp_path):
    assert train("--track", "my_tracker:hear").code == 0
    heard = mine()
    assert [type(event).__name__ for event in heard if not isinstance(event, StepDone)] == [
        entry.kind for entry in History(tmp_path / "run").read() if entry.kind != "StepDone"
    ]
    (figures,) = (event.figures for event in heard if type(event).__name__ == "RunMeasured")
    assert figures["test_accuracy"] > 0


@pytest.mark.parametrize(("name", "what"), [("breaks", "ProcessStarted"), ("late", "ProcessEnded")])
def test_a_function_that_raises_is_told_once_and_changes_nothing(train, mine, name, what):
    plain = train(out="plain").json
    answer = train("--track", f"my_tracker:{name}", out="tracked")
    assert answer.code == 0
    assert answer.err.count(f"tracker my_tracker:{name} failed on {what}: ValueError") == 1
    assert f"later: q-store track tracked --to my_tracker:{name}" in answer.err
    assert answer.json["parameters_sha256"] == plain["parameters_sha256"]
    assert mine() == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tensorbord", "did you mean 'tensorboard'?"),
        ("", "expected a tracker, tensorboard[:DIR], mlflow[:URI] or package.module:function, got ''"),
        ("tensorbord:curves", "did you mean 'tensorboard'?"),
        ("no_such_module:hear", "No module named 'no_such_module'"),
        ("my_tracker:nobody", "has no attribute 'nobody'"),
        ("my_tracker:number", "expected my_tracker:number to be a function of an event, got int"),
        ("my_tracker:Kind", "got a class"),
        ("my_tracker:coroutine", "got a coroutine"),
        ("tensorboard:a-file", "a-file"),
        (f"mlflow:nonsense://u:{SECRET}@host", "got nonsense://***@host"),
        ("mlflow:http://127.0.0.1:1", "expected a server of MLflow at http://127.0.0.1:1"),
    ],
)
@pytest.mark.socket
@pytest.mark.usefixtures("mine")
def test_a_tracker_that_cannot_be_had_is_one_line_before_the_training(train, tmp_path, word, said):
    (tmp_path / "a-file").write_text("")
    answer = train("--track", word)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert answer.err.count("error:") == 1
    assert SECRET not in answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_package_that_is_missing_is_named_before_the_training(train, tmp_path, monkeypatch, name):
    from q_store.trackers import choice

    find = choice.find_spec
    monkeypatch.setattr(choice, "find_spec", lambda wanted: None if wanted == name else find(wanted))
    answer = train("--track", name)
    assert answer.code == 2
    assert f"pip install 'q-store[{name}]'" in answer.err
    assert not (tmp_path / "run").exists()


def test_a_run_that_goes_on_is_the_same_run_of_mlflow(train, q_store, tmp_path, database, monkeypatch):
    from q_store.apps import train as training

    with monkeypatch.context() as patch:
        patch.setattr(training, "_fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(training.RunFolder, "discard", lambda _: None)
        assert train("--track", f"mlflow:{database}").code == 130
    (run_id,) = json.loads((tmp_path / "run" / TRACKED).read_text()).values()
    assert mlflow_run(database, run_id)[1].info.status == "KILLED"
    assert q_store("train", "--resume", "run", "--track", f"mlflow:{database}", "--no-control").code == 0
    assert list(json.loads((tmp_path / "run" / TRACKED).read_text()).values()) == [run_id]
    found = mlflow_run(database, run_id)[1]
    assert found.info.status == "FINISHED"
    assert "final/test_accuracy" in found.data.metrics


def test_what_an_earlier_process_paid_counts_on(tmp_path):
    paid = JobEnded("s", 1, "ionq", 10, 100, "done", "", {}, {}, 10, 1000, 0.25, "USD", account="ionq")
    folder = RunFolder.create(tmp_path / "run", {"request": {}})
    for _ in range(2):
        with (
            tracked(folder, [chosen("tensorboard")], Console(quiet=True)) as trackers,
            HistoryWriter(folder.path, beside=trackers) as history,
        ):
            history(paid)
    folder.close()
    assert curves(tmp_path / "run" / "tensorboard")["total/cost_USD"] == [(0, 0.25), (0, 0.5)]


def test_no_file_of_a_run_has_the_password_of_an_address(train, tmp_path, database, monkeypatch):
    from q_store.trackers import mlflow

    client = mlflow._client
    monkeypatch.setattr(mlflow, "_client", lambda _: client(database))
    answer = train("--track", f"mlflow:http://user:{SECRET}@host:5000")
    assert answer.code == 0, answer.err
    assert "of MLflow at http://***@host:5000" in answer.err
    assert SECRET not in answer.err + answer.out
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_the_environment_and_a_file_name_trackers_too(train, mine, tmp_path, monkeypatch):
    (tmp_path / "training.toml").write_text("[monitoring]\ntrack = ['my_tracker:hear', 'tensorboard:from-file']\n")
    assert train("--config", "training.toml", out="one").code == 0
    assert mine()
    assert (tmp_path / "from-file" / "one").is_dir()
    monkeypatch.setenv("Q_STORE_TRACK", "tensorboard:a  tensorboard:b")
    assert train("--config", "training.toml", out="two").code == 0
    assert {path.name for path in tmp_path.iterdir() if (path / "two").is_dir()} == {"a", "b"}
    assert train("--config", "training.toml", "--track", "tensorboard:c", out="three").code == 0
    assert {path.name for path in tmp_path.iterdir() if (path / "three").is_dir()} == {"c"}


def test_a_run_that_was_is_told_with_its_own_times(trained, q_store, tmp_path, database):
    answer = q_store("track", trained, "--to", "tensorboard:curves", "--to", f"mlflow:{database}")
    (trained / TRACKED).unlink()
    assert answer.code == 0, answer.err
    found = accumulator.EventAccumulator(str(tmp_path / "curves" / trained.name), {"scalars": 0}).Reload()
    entries = [entry for entry in History(trained).read() if entry.kind == "EpochDone"]
    (first, *_) = found.Scalars("epoch/train_loss")
    assert (first.wall_time, first.value) == (entries[0].time, pytest.approx(entries[0].values["train_loss"]))
    assert len(found.Scalars("epoch/train_loss")) == len(entries)
    assert f"{len(History(trained).read())} events told" in answer.out


def test_a_run_of_an_earlier_version_is_described_from_its_files(trained, q_store, tmp_path, mine):
    import shutil

    old = tmp_path / "old"
    shutil.copytree(trained, old)
    lines = (old / EVENTS).read_text().splitlines()
    kept = [line for line in lines if '"RunDescribed"' not in line and '"RunMeasured"' not in line]
    (old / EVENTS).write_text("\n".join(kept) + "\n")
    assert q_store("track", old, "--to", "my_tracker:hear").code == 0
    kinds = [type(event).__name__ for event in mine()]
    assert (kinds[0], kinds[-1]) == ("RunDescribed", "RunMeasured")


def test_a_tracker_that_breaks_on_a_run_that_was_is_an_error(trained, q_store, mine):
    answer = q_store("track", trained, "--to", "my_tracker:breaks")
    assert answer.code == 2
    assert "expected my_tracker:breaks to take the run, got: it failed on ProcessStarted" in answer.err
    assert mine() == []


def test_a_run_without_events_is_said(q_store, tmp_path, mine):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text('{"format": 1}')
    answer = q_store("track", "empty", "--to", "my_tracker:hear")
    assert answer.code == 2
    assert "expected a run with events.jsonl" in answer.err
    del mine


def test_what_is_told_of_a_run_has_no_path_and_no_address(trained):
    config = {"request": {"model": "ring", "data": "/home/me/mine.npz", "url": f"http://u:{SECRET}@h", "seed": 1}}
    event = described(RunFolder(trained), config)
    assert event.parameters == {"model": "ring", "data": "mine.npz", "seed": "1"}


def test_a_program_tracks_its_training_too(tmp_path, mine):
    sys.path.append(str(tmp_path))
    with package.watch("runs/mine", track=["my_tracker:hear", "tensorboard"], about={"model": "mine"}) as watching:
        watching.history(StepDone(1, 1, 0.5, 0.1, 0.1, 1, 1, 0.1))
    assert [type(event).__name__ for event in mine()] == ["ProcessStarted", "RunDescribed", "StepDone", "ProcessEnded"]
    assert curves(tmp_path / "runs" / "mine" / "tensorboard")["step/loss"] == [(1, 0.5)]


async def a_training(config, sinks=()):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 2))
    model = package.QuantumModel(input_dim=2, n_qubits=2, output_dim=2)
    await package.QuantumTrainer(config, sinks=sinks).train(model, (x, (x[:, 0] > 0).astype(int)))


def test_a_quantum_trainer_takes_sinks_and_names_of_trackers(tmp_path, mine):
    import asyncio

    heard = []
    config = TrainingConfig(epochs=1, batch_size=4, n_qubits=2, circuit_depth=1, shots_per_circuit=None,
                            gradient_method="parameter_shift", checkpoint_directory=tmp_path / "ck")  # fmt: skip
    asyncio.run(a_training(config, [heard.append]))
    assert {type(event) for event in heard} >= {KINDS["RunStarted"], KINDS["StepDone"], KINDS["EpochDone"]}
    assert not (tmp_path / "runs").exists()
    config.monitoring = {"track": "my_tracker:hear"}
    asyncio.run(a_training(config))
    assert {type(event) for event in mine()} >= {KINDS["RunDescribed"], KINDS["StepDone"], KINDS["ProcessEnded"]}


def test_no_text_of_a_configuration_shows_a_password():
    config = TrainingConfig(monitoring={"track": [f"mlflow:http://u:{SECRET}@h"]})
    assert config.monitoring.tracked == (f"mlflow:http://u:{SECRET}@h",)
    assert SECRET not in repr(config)
    assert SECRET not in str(config.monitoring)
    with pytest.raises(ConfigError):
        TrainingConfig(monitoring={"track": 3})
