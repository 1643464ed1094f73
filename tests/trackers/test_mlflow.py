"""What MLflow's own client reads of a run, in a database of its own; and servers that are not there."""

from __future__ import annotations

import sys
from contextlib import closing

import httpx
import numpy as np
import pytest
from tests.trackers.stories import STORY, step

from q_store.circuits import encoders, templates
from q_store.errors import ConfigError, UnreachableError
from q_store.events import ProcessEnded, RunDescribed, RunMeasured
from q_store.models import Model
from q_store.models.features import Scaled
from q_store.trackers import MLflow
from q_store.trackers import mlflow as module

tracking = pytest.importorskip("mlflow.tracking")


def write(story, uri, **more):
    said = []
    with MLflow(uri, "tests", "mine", tell=said.append, **more) as tracker:
        list(tracker.replay(story))
    assert said == []
    return tracker


def run_of(tracker, uri):
    client = tracking.MlflowClient(tracking_uri=uri)
    return client, client.get_run(tracker.run_id)


def test_a_run_is_read_back(database, story, tmp_path):
    files = [tmp_path / "config.json", tmp_path / "result.json", tmp_path / "report.html"]
    files[0].write_text('{"request": 1}')
    files[1].write_text('{"accuracy": 2}')
    tracker = write(story, database, artifacts=files)
    client, found = run_of(tracker, database)
    assert (found.info.run_name, found.info.status) == ("mine", "FINISHED")
    sizes = {"circuit_parameters": "3", "readout_parameters": "4", "rows": "20", "validation_rows": "10", "steps": "4"}
    assert found.data.params == {"model": "compact", "epochs": "2", **sizes}
    assert found.data.tags["q_store.seed"] == "7"
    assert found.data.tags["decision.001"].endswith("q-store 0.1.0 began to work on the run")
    assert found.data.tags["decision.002"] == "step 2: 7 circuits moved from a to b: it is slow"
    history = client.get_metric_history(tracker.run_id, "step/loss")
    assert [(each.step, each.value) for each in history] == [
        (1, 2.0),
        (2, 1.5),
        (3, 1.25),
        (4, 1.0),
        (5, 0.75),
        (6, 0.5),
    ]
    assert history[0].timestamp == 1000 * next(at for at, event in story if event is STORY[4])
    accuracies = client.get_metric_history(tracker.run_id, "epoch/validation_accuracy")
    assert [(each.step, each.value) for each in accuracies] == [(1, 0.25), (2, 0.5), (3, 0.5)]
    assert found.data.metrics["final/test_accuracy"] == 0.75
    assert found.data.metrics["final/control_accuracy"] == 0.5
    assert found.data.metrics["total/cost_USD"] == 0.75
    assert {each.path for each in client.list_artifacts(tracker.run_id)} == {"config.json", "result.json"}


@pytest.mark.parametrize(
    ("end", "status"),
    [("completed", "FINISHED"), ("failed", "FAILED"), ("stopped", "KILLED"), ("paused", "KILLED"), (None, "KILLED")],
)
def test_how_a_run_ended_is_told(database, end, status):
    tracker = write([(1.0, ProcessEnded(end))] if end else [], database)
    assert run_of(tracker, database)[1].info.status == status


def test_a_run_that_goes_on_is_the_same_run(database, story):
    first = write([*story[:8], (1020.0, ProcessEnded("stopped"))], database)
    described = RunDescribed("mine", {"model": "another", "rows": "5", "noise": "ideal"}, {"q_store.seed": "8"})
    second = write([(1030.0, described), *story[8:]], database, run_id=first.run_id)
    client, found = run_of(second, database)
    assert second.run_id == first.run_id
    assert found.info.status == "FINISHED"
    assert (found.data.params["model"], found.data.params["epochs"], found.data.params["rows"]) == (
        "compact",
        "2",
        "20",
    )
    assert found.data.params["noise"] == "ideal"
    told = [text for name, text in sorted(found.data.tags.items()) if name.startswith("decision.")]
    assert [text.split(": ", 1)[1].split()[0] for text in told] == ["q-store", "the", "7", "trained:", "the"]
    assert [each.step for each in client.get_metric_history(first.run_id, "step/loss")][:4] == [1, 2, 3, 4]


def test_a_training_in_python_has_its_sizes_and_what_the_program_says(database):
    x = np.random.default_rng(0).normal(size=(20, 2))
    circuit = encoders.angle(2) + templates.hardware_efficient(2, 1)
    with MLflow(database, "tests", "python", parameters={"depth": 1}) as tracker:
        Model(Scaled(), circuit).fit(x, (x[:, 0] > 0).astype(int), epochs=2, sinks=[tracker])
        tracker(RunMeasured({"test_accuracy": 0.5}))
    found = run_of(tracker, database)[1]
    assert (found.info.status, found.data.metrics["final/test_accuracy"]) == ("FINISHED", 0.5)
    assert found.data.params == {
        "depth": "1", "circuit_parameters": str(circuit.n_params), "readout_parameters": "6", "rows": "20",
        "validation_rows": "0", "epochs": "2", "steps": "2",
    }  # fmt: skip
    assert found.data.metrics["step/learning_rate"] >= 0


def test_thousands_of_events_are_written_in_order(database):
    tracker = MLflow(database, "tests", "many")
    for number in range(1, 1201):
        tracker._aside.add(1000.0 + number, step(number, 1 / number))
    tracker.close()
    client, _ = run_of(tracker, database)
    history = client.get_metric_history(tracker.run_id, "step/loss")
    assert [each.step for each in history] == list(range(1, 1201))


def test_nothing_is_reported_to_the_makers_of_mlflow():
    import os

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(ConfigError, match=r"pip install 'q-store\[mlflow\]'"):
        MLflow()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nonsense://user:secret@host/x", "expected an address of MLflow .* got nonsense://\\*\\*\\*@host/x"),
        ("sqlite:////dev/null/x/mlflow.db", "expected an address of MLflow.*Not a directory"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_without_its_password(uri, said, capsys, caplog):
    with pytest.raises(ConfigError, match=said) as caught:
        MLflow(uri)
    assert "secret" not in f"{caught.value}{capsys.readouterr()}{caplog.text}"


def test_a_run_that_does_not_exist_is_said(database):
    with pytest.raises(ConfigError, match="expected to begin a run of MLflow"):
        MLflow(database, run_id="0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (httpx.ConnectError("Connection refused"), UnreachableError, "http://\\*\\*\\*@h:5/, got: Connection refused"),
        (httpx.ReadTimeout(""), UnreachableError, "got: ReadTimeout"),
        (httpx.Response(503), UnreachableError, "got status 503"),
        (httpx.Response(401), ConfigError, "MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_a_server_that_is_not_there_is_said_before_anything_else(monkeypatch, answer, error, said):
    def get(url, **_):
        assert url == "http://u:secret@h:5/health"
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(httpx, "get", get)
    with pytest.raises(error, match=said) as caught:
        MLflow("http://u:secret@h:5/")
    assert "secret" not in str(caught.value)


def test_a_server_that_goes_away_is_told_once_and_does_no_harm(database, monkeypatch):
    said = []
    tracker = MLflow(database, "tests", tell=said.append)

    def gone(*_, **__):
        raise ConnectionError("Max retries exceeded with url: http://u:secret@h:5/api")

    monkeypatch.setattr(tracker._client, "log_batch", gone)
    with closing(tracker):
        for number in range(1, 50):
            tracker(step(number, 1.0))
    assert len(said) == 1
    assert "it gets no further events, the training goes on" in said[0]
    assert "secret" not in said[0]


def test_the_address_is_that_of_mlflow_where_none_is_named(monkeypatch):
    assert module.address(None) == module.LOCAL
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://h:5")
    assert module.address("") == "http://h:5"
    assert module.address("http://i:6") == "http://i:6"
