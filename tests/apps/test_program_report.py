"""A report of what a program trained, see `q_store.watch`: no result, no model, no command."""

import pytest
from dashboard_runs import OPENING, step
from pages import alone, page

import q_store as package
from q_store.circuits.draw import svg
from q_store.events import EpochDone, RunFinished
from q_store.models import zoo

END = (
    EpochDone(1, "epochs", 0.5, 0.4, 0.75, 0.1, 50, 5000, 0.5, train_accuracy=0.7),
    RunFinished(1, "completed", 50, 5000, 0.5),
)


@pytest.fixture
def run(tmp_path, capfd):
    """Five steps and an epoch."""
    with package.watch(tmp_path / "mine", about={"model": "my <model>"}) as watching:
        for event in (*OPENING[1:], *map(step, range(1, 6)), *END):
            watching.history(event)
    capfd.readouterr()
    return tmp_path / "mine"


def test_it_says_what_is_known_and_claims_nothing_else(run, q_store):
    answer = q_store("report", run)
    assert answer.code == 0, answer.err
    told = page(run / "report.html").text
    assert "my <model>, by " in told
    for expected in ("step 5 of 10", "epoch 1 of 2", "training accuracy 70.0 %", "validation accuracy 75.0 %",
                     "circuits 50", "seed not recorded", "run that again"):  # fmt: skip
        assert expected in told, expected
    for never in ("q-store train", "not finished", "test accuracy", "SHA-256 of the data", "None"):
        assert never not in told, never


def test_its_circuit_is_an_image_whatever_lies_there(run, q_store):
    hostile = svg(zoo.definition("lean").circuit).replace("</svg>", "<script>alert(1)</script></svg>")
    (run / "circuit.svg").write_text(hostile, encoding="utf-8")
    assert q_store("report", run).code == 0
    found = page(run / "report.html")
    assert found.tags.count("img") == 1
    assert "script" not in found.tags
    assert [each[:26] for each in found.links] == ["data:,", "data:image/svg+xml;base64,"]


def test_it_is_compared_and_opened(run, trained, q_store):
    assert q_store("compare", run, trained, "--json").json[0]["finished"] is True
    opened = package.open_run(run)
    assert (opened.finished, opened.accuracy, opened.result) == (True, None, {})
    assert repr(opened) == "<Run mine: finished>"
    assert "validation accuracy 75.0 %" in alone(opened._repr_html_()).text


def broken(folder):
    with package.watch(folder) as watching:
        watching.history(OPENING[1])
        raise ValueError("mine")


def test_one_that_broke_off_says_so(tmp_path, q_store):
    with pytest.raises(ValueError, match="mine"):
        broken(tmp_path / "mine")
    assert q_store("report", tmp_path / "mine").code == 0
    assert "This run is not finished: it has failed (mine)" in page(tmp_path / "mine" / "report.html").text
