"""`q_store.open_run`: a run in Python, and what a notebook shows of it."""

import json
import shutil

import numpy as np
import pytest
from dashboard_runs import OPENING, folder_of_run, step, write
from pages import alone, change, page

import q_store as package
from q_store.apps.result import KEYS
from q_store.errors import RunError


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_a_run_has_the_figures_of_its_files(trained, data_file):
    run, result = package.open_run(trained), json.loads((trained / "result.json").read_text())
    assert isinstance(run, package.Run)
    assert (run.finished, run.name, run.request["model"]) == (True, "run", "ring")
    assert run.accuracy == result["accuracy"]["test"]
    assert run.interval == tuple(result["test_interval"])
    assert run.control_accuracy == result["classical_control"]["test_accuracy"]
    assert set(KEYS) <= set(run.result)
    assert len(run.history) == len((trained / "metrics.jsonl").read_text().splitlines())
    assert run.ledger.run.wall > 0
    assert run.remarks == []
    with np.load(data_file) as data:
        assert run.model.score(data["x_test"], data["y_test"]) == run.accuracy
    assert repr(run) == f"<Run run: finished, test accuracy {100 * run.accuracy:.1f} %>"


def test_steps_are_columns(tmp_path):
    folder = folder_of_run(tmp_path / "run")
    write(folder, *OPENING, *map(step, range(1, 6)))
    steps = package.open_run(folder).steps
    np.testing.assert_array_equal(steps["step"], np.arange(1, 6))
    np.testing.assert_allclose(steps["loss"], 2 / np.arange(1, 6))
    assert np.isnan(steps["depth"]).all()


def test_what_was_measured_remotely_is_the_accuracy(run):
    change(run / "result.json", remote={"test_accuracy": 0.5, "test_interval": [0.3, 0.7]})
    found = package.open_run(run)
    assert (found.accuracy, found.interval) == (0.5, (0.3, 0.7))


def test_a_card_of_a_run(trained):
    run = package.open_run(trained)
    found = alone(run._repr_html_())
    for expected in ("ring on blobs.npz", f"{100 * run.accuracy:.1f} %", "classical control", "Trained locally"):
        assert expected in found.text
    assert found.tags.count("svg") == 4


def test_a_card_of_an_unfinished_run(tmp_path):
    folder = folder_of_run(tmp_path / "run")
    write(folder, *OPENING, *map(step, range(1, 6)))
    run = package.open_run(folder)
    assert (run.accuracy, run.interval, run.control_accuracy, run.finished) == (None, None, None, False)
    assert repr(run) == "<Run run: not finished>"
    assert "This run is not finished" in alone(run._repr_html_()).text


def test_a_card_of_a_damaged_run_never_raises(run):
    change(run / "result.json", two_qubit_gates="x")
    assert "lacks or distorts" in alone(package.open_run(run)._repr_html_()).text
    (run / "model.npz").write_bytes(b"PK")
    with pytest.raises(RunError):
        _ = package.open_run(run).model


@pytest.mark.parametrize("changed", [{"accuracy": {"test": "x"}}, {"test_interval": []}, {"remote": [1]}])
def test_a_damaged_result_is_one_clear_error(run, changed):
    change(run / "result.json", **changed)
    with pytest.raises(RunError, match="lacks or distorts"):
        package.open_run(run)


def test_hostile_names_are_text(run):
    change(run / "tested.json", classes=["</style><script>", "b", "c"])
    result = json.loads((run / "result.json").read_text())
    change(
        run / "result.json",
        details={**result["details"], "title": "<script>alert(1)</script>", "honest": "<img src=x>"},
    )
    found = alone(package.open_run(run)._repr_html_())
    assert "<script>alert(1)</script>" in found.text


def test_a_card_of_a_long_run_stays_small(run):
    (run / "events.jsonl").unlink()
    write(run, *OPENING, *map(step, range(1, 5_000)))
    alone(package.open_run(run)._repr_html_())


def test_a_report_from_python_is_that_of_the_command(run, q_store, tmp_path):
    written = package.open_run(run).report(tmp_path / "mine.html", tmp_path / "pictures")
    assert written == tmp_path / "mine.html"
    assert q_store("report", run, "--out", tmp_path / "other.html").code == 0
    assert written.read_text() == (tmp_path / "other.html").read_text()
    assert {each.name for each in (tmp_path / "pictures").iterdir()} == {
        each.name for each in (tmp_path / "other-charts").iterdir()
    }
    assert package.open_run(str(run)).report() == run / "report.html"


def test_a_report_from_python_has_an_ablation(run, trained, tmp_path):
    package.open_run(run).report(tmp_path / "mine.html", ablation=[trained])
    assert "nothing: the same options (run (2))" in page(tmp_path / "mine.html").text.replace(
        f"{trained.parent.name}/", ""
    )
    assert (run / "ablation.json").is_file()


def test_no_run_is_one_clear_error(tmp_path):
    with pytest.raises(RunError, match=r"expected a run folder at .*, got nothing there"):
        package.open_run(tmp_path / "none")
