"""`q-store report RUN --ablation OTHER`: what sets runs apart, and what it brings."""

import json
import shutil

import pytest
from pages import change, page

from q_store.apps import ablation, compare
from q_store.apps.reading import read


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "whole")


@pytest.fixture
def without(run):
    """The same run without something: half the accuracy."""
    path = shutil.copytree(run, run.with_name("without"))
    result, config = (json.loads((path / f"{name}.json").read_text()) for name in ("result", "config"))
    change(path / "result.json", accuracy={**result["accuracy"], "test": 0.5}, test_interval=[0.33, 0.67])
    settings = {**config["request"].get("settings", {}), "learning_rate": 0.02}
    change(path / "config.json", request={**config["request"], "epochs": 99, "settings": settings})
    return path


def test_a_report_says_what_each_change_does(run, without, q_store):
    assert q_store("report", run, "--ablation", f"{without}/").code == 0
    told = page(run / "report.html").text
    rows = compare.figures([read(run), read(without)])
    low, high = rows[1]["difference_interval"]
    points = f"{100 * rows[1]['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    assert f"epochs 60 → 99; learning_rate default → 0.02 (without) 50.0 (33.0 to 67.0) {points}" in told
    assert "whole: this run" in told
    assert (run / "report-charts" / "ablation.svg").read_text(encoding="utf-8") in (run / "report.html").read_text()
    assert (run / "report-charts" / "ablation.png").is_file()


def test_without_one_there_is_no_section(run, q_store):
    assert q_store("report", run).code == 0
    assert "Ablation" not in page(run / "report.html").text
    assert not (run / "ablation.json").exists()
    assert not (run / "report-charts" / "ablation.svg").exists()


def test_a_later_report_has_it_still_and_elsewhere_too(run, without, q_store, tmp_path):
    q_store("report", run, "--ablation", without)
    shutil.rmtree(without)
    moved = shutil.move(run, tmp_path / "there")
    assert str(tmp_path) not in (moved / "ablation.json").read_text()
    assert q_store("report", moved, "--out", tmp_path / "again.html").code == 0
    assert "epochs 60 → 99" in page(tmp_path / "again.html").text


def test_several_are_held_against_the_run(run, without, q_store):
    third = shutil.copytree(run, run.with_name("third"))
    q_store("report", run, "--ablation", without, "--ablation", third)
    told = page(run / "report.html").text
    assert f"{ablation.SAME} (third)" in told
    assert len(ablation.kept(read(run)).rows) == 3


def test_other_data_have_no_difference(run, without, q_store):
    config = json.loads((without / "config.json").read_text())
    change(without / "config.json", resolved={**config["resolved"], "data_sha256": "another"})
    q_store("report", run, "--ablation", without)
    assert "A run on other data, or on none yet, has no difference." in page(run / "report.html").text


def test_an_unfinished_run_has_none_either(run, without, q_store):
    (without / "result.json").unlink()
    assert q_store("report", run, "--ablation", without).code == 0
    assert "(without) - -" in page(run / "report.html").text


def test_a_run_against_itself_is_one_clear_line(run, q_store):
    answer = q_store("report", run, "--ablation", f"{run}/.")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "expected --ablation of another run, got whole" in answer.err
    answer = q_store("report", run, "--ablation", run / "none")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert not (run / "report.html").exists()


DAMAGED = ["{", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "runs": []}', '{"format": 1, "runs": [{}]}', "7"]


@pytest.mark.parametrize("body", DAMAGED)
def test_a_damaged_one_is_said_and_the_rest_is_shown(run, q_store, body):
    (run / "ablation.json").write_text(body)
    assert q_store("report", run).code == 0
    told = page(run / "report.html").text
    assert "Not shown: ablation.json: expected the figures of an ablation" in told
    assert "classical control" in told


def test_a_folder_that_cannot_be_written_is_said(run, without, q_store, tmp_path, monkeypatch):
    def refuse(path, _):
        raise ablation.StorageError(f"expected to write {path}, got: the file system is read-only")

    monkeypatch.setattr(ablation, "write_text", refuse)
    answer = q_store("report", run, "--ablation", without, "--out", tmp_path / "mine.html")
    assert answer.code == 0
    assert "the ablation is in this report alone" in answer.out
    assert "epochs 60 → 99" in page(tmp_path / "mine.html").text
