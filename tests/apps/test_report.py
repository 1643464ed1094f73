"""`q-store report` and `compare`: pages that stand alone, and say what the folder says."""

import base64
import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from dashboard_runs import OPENING, folder_of_run, step, write
from pages import Page, change, page

from q_store.apps import compare
from q_store.apps.again import command
from q_store.apps.machine import COMPUTING, machine
from q_store.apps.reading import read
from q_store.config.sources import from_words
from q_store.events import Looked, ProcessEnded, ProcessStarted, RecipeStarted
from q_store.intervals import difference, paired_difference
from q_store.models.metrics import wilson_interval

NASTY = "<img src=x onerror=alert(1)>&\x1b[31m\ud800"


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a finished run, to be changed."""
    return shutil.copytree(trained, tmp_path / "run")


# -------------------------------------------------------------------------------------------------------------- report


def test_a_report_says_what_the_folder_says(run, q_store):
    answer = q_store("report", run)
    assert answer.code == 0, answer.err
    told = page(run / "report.html").text
    result, config = (json.loads((run / f"{name}.json").read_text()) for name in ("result", "config"))
    low, high = result["test_interval"]
    control = result["classical_control"]
    for expected in (
        f"{100 * result['accuracy']['test']:.1f} %", f"95 % interval {100 * low:.1f} to {100 * high:.1f} %",
        f"{100 * control['test_accuracy']:.1f} %", f"{control['parameters']:,} parameters",
        "Level with a good classical",
        config["resolved"]["data_sha256"], config["resolved"]["circuit"], result["parameters_sha256"],
        "readout_learning_rate", "Time", "this machine", "0.1.0", config["machine"]["versions"]["numpy"],
        "Trained locally, on an exact simulation", "q-store train ring --data blobs.npz --epochs 60 --seed 0",
    ):  # fmt: skip
        assert expected in told, expected
    assert "not finished" not in told


def test_a_report_stands_alone_and_names_no_folder(run, q_store, tmp_path):
    q_store("report", run)
    written = (run / "report.html").read_text(encoding="utf-8")
    found = Page(written)
    assert found.links == ["data:,"]
    assert not {"script", "iframe", "object", "img", "base", "form"} & set(found.tags)
    assert set(re.findall(r"https?://[^\s\"'<]+", written)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in written
    assert "url(" not in written
    assert "default-src 'none'" in written
    assert str(tmp_path) not in written
    data = json.loads((run / "config.json").read_text())["request"]["data"]
    assert data.rpartition("/")[0] not in written


def test_every_chart_is_in_the_page_and_a_file(run, q_store, tmp_path):
    assert q_store("report", run, "--out", tmp_path / "mine.html").code == 0
    folder = tmp_path / "mine-charts"
    files = {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.svg")}
    assert {file.stem for file in folder.glob("*.png")} == set(files)
    assert set(files) == {
        "accuracy", "loss", "validation", "gradient", "learning_rate", "confusion", "time", "circuit",
    }  # fmt: skip
    whole = (tmp_path / "mine.html").read_text(encoding="utf-8")
    for picture in files.values():
        ET.fromstring(picture)  # noqa: S314  # our own
        assert picture in whole
    assert not (run / "report.html").exists()


def test_charts_go_where_they_are_wanted(run, q_store, tmp_path):
    assert q_store("report", run, "--charts", tmp_path / "a" / "b").code == 0
    assert (tmp_path / "a" / "b" / "loss.svg").is_file()
    assert not (run / "report-charts").exists()


QUICK = ("--epochs", "2", "--rows", "30", "--finish", "0", "--seed", "5")
AGAIN = {
    "a setting": (*QUICK, "--set", "learning_rate=0.03"),
    "names that several settings follow from": (
        *QUICK,
        "--set",
        "gradient_method=spsa",
        "--set",
        "shots_per_circuit=50",
    ),
    "a file": (*QUICK, "--config", "mine.toml"),
    "schedules": (*QUICK, "--depth-schedule", "linear", "--min-depth", "2", "--max-depth", "4"),
    "a recipe": ("--rows", "30", "--seed", "5", "--recipe", "spsa", "--circuits", "60"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_the_command_does_the_run_again(q_store, data_file, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('gradient_method = "spsa"\nlearning_rate = 0.02\noptimizer = "sgd"\n')
    answer = q_store("train", "ring", "--data", data_file, *AGAIN[name], "--no-control", "--out", tmp_path / "one")
    assert answer.code == 0, answer.err
    assert q_store("report", tmp_path / "one").code == 0
    found = page(tmp_path / "one" / "report.html")
    line = next(text for text in found.told if text.startswith("q-store train"))
    assert str(data_file.parent) not in line
    assert "was also given" not in found.text
    monkeypatch.chdir(data_file.parent)  # where mine.toml is not
    words = shlex.split(line)[1:]
    assert q_store(*words, "--out", tmp_path / "two").code == 0
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["parameters_sha256"] == two["parameters_sha256"]


def test_a_run_by_an_earlier_version_says_what_its_command_lacks(run, q_store):
    config = json.loads((run / "config.json").read_text())
    settings = {"gradient": "spsa", "learning_rate": 0.03}
    change(run / "config.json", request={**config["request"], "settings": settings})
    assert q_store("report", run).code == 0
    told = page(run / "report.html").text
    assert "--set learning_rate=0.03" in told
    assert "by a file or names of TrainingConfig: gradient = spsa." in told


@pytest.mark.parametrize("value", [True, None, 0.1, 1e-7, 3, "spsa", "5", "true", "a b"])
def test_a_value_in_the_command_is_read_as_it_was(value):
    config = {"request": {"model": "ring"}, "named": {"name": value}}
    word = shlex.split(command(config))[-1]
    assert from_words([word]) == {"name": value}


def test_a_command_hides_folders_and_passwords():
    asked = {
        "model": "lean", "data": "/home/me/mine.csv", "backend": "ionq", "url": "https://me:pass@host/v0.4?key=1",
        "noise": None, "optimise": True,
    }  # fmt: skip
    assert command({"request": asked}) == (
        "q-store train lean --data mine.csv --backend ionq --url https://host/v0.4 --optimise"
    )
    pool = {"model": "lean", "data": "full", "backend": "pool", "pool": "/home/me/three.toml"}
    assert command({"request": pool}, control=False) == "q-store train lean --data full --pool three.toml --no-control"


def test_markup_in_names_is_text(run, q_store):
    shutil.move(run, nasty := run.with_name("<b>run"))
    config = json.loads((nasty / "config.json").read_text())
    change(nasty / "tested.json", classes=[NASTY, "</style><script>", "\u202e<i>"])
    config["machine"] = {"processor": NASTY, "versions": {"<u>": "<u>"}}
    change(nasty / "config.json", **config)
    result = json.loads((nasty / "result.json").read_text())
    details = {**result["details"], "title": NASTY, "honest": "<script>alert(1)</script>"}
    change(nasty / "result.json", details=details)
    assert q_store("report", nasty).code == 0
    found = page(nasty / "report.html")
    assert not {"img", "script", "b", "i", "u"} & set(found.tags)
    assert "<script>alert(1)</script>" in found.text
    assert "\x1b" not in found.text
    for file in (nasty / "report-charts").glob("*.svg"):
        ET.fromstring(file.read_text(encoding="utf-8"))  # noqa: S314  # our own


def test_the_control_has_the_interval_of_its_rows(run, q_store):
    control = {"kind": "mlp", "parameters": 90, "test_accuracy": 0.9}
    change(run / "result.json", classical_control=control)
    assert q_store("report", run).code == 0
    low, high = wilson_interval(27, 30)
    expected = f"classical control: 90.0 % ({100 * low:.1f} to {100 * high:.1f})"
    assert expected in (run / "report-charts" / "accuracy.svg").read_text(encoding="utf-8")
    told = page(run / "report.html").text
    assert f"90.0 % (95 % interval {100 * low:.1f} to {100 * high:.1f} %, neural network with 90 parameters" in told


def test_what_was_measured_remotely_comes_first(run, q_store):
    remote = {
        "place": "aria of the pool", "noise_id": "aria", "shots": 100, "test_accuracy": 0.5, "test_rows": 20,
        "test_interval": [0.3, 0.7], "circuits": 1234, "shots_total": 123400, "seconds": 9.0, "cost": 4.5,
        "proof": ["sent 24 gates, service reports 24"],
    }  # fmt: skip
    change(run / "result.json", remote=remote)
    assert q_store("report", run).code == 0
    told = page(run / "report.html").text
    assert (
        "test accuracy 50.0 % (95 % interval 30.0 to 70.0 %, 20 of the 30 rows kept for this, measured by aria" in told
    )
    for expected in (
        "1,234 circuits",
        "4.50 charged",
        "service reports 24",
        "measured remotely: 50.0 % (30.0 to 70.0)",
    ):
        assert expected in told


# ---------------------------------------------------------------------------------------------- unfinished and damaged


def test_an_unfinished_run_is_reported_as_far_as_it_is(run, q_store):
    (run / "result.json").unlink()
    answer = q_store("report", run)
    assert answer.code == 0
    assert "not finished: it was trained, and its result is not there" in answer.out
    told = page(run / "report.html").text
    assert "This run is not finished" in told
    assert "Loss" in told
    assert not (run / "report-charts" / "accuracy.svg").exists()


def test_a_run_that_stopped_says_why_without_its_folder(tmp_path, q_store):
    folder = folder_of_run(tmp_path / "broken")
    write(folder, *OPENING, *map(step, range(1, 6)), ProcessEnded("failed", f"the disk of {folder} is full"))
    assert q_store("report", folder).code == 0
    found = page(folder / "report.html").text
    assert "it has failed (the disk of broken is full)" in found
    assert "Circuit, as it is defined" in found
    assert str(tmp_path) not in found


def test_a_run_without_events_shows_its_epochs(run, q_store):
    (run / "events.jsonl").unlink()
    answer = q_store("report", run)
    assert answer.code == 0
    assert "There is no events.jsonl in it" in answer.out
    assert {"loss.svg", "validation.svg"} <= {file.name for file in (run / "report-charts").iterdir()}


@pytest.mark.parametrize("line", ["{]", json.dumps({"n": 99, "t": 10**400, "kind": "RunHeld", "values": {}})])
def test_a_damaged_line_is_counted(run, q_store, line):
    with (run / "events.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert "1 lines of events.jsonl could not be read" in q_store("report", run).out


def test_a_damaged_test_part_is_said_and_the_rest_is_shown(run, q_store):
    (run / "tested.json").write_text("[")
    assert "tested.json could not be read" in q_store("report", run).out
    assert not (run / "report-charts" / "confusion.svg").exists()
    assert (run / "report-charts" / "accuracy.svg").exists()


def test_a_damaged_model_is_said_and_the_rest_is_shown(run, q_store):
    (run / "model.npz").write_bytes(b"PK\x03\x04")
    assert q_store("report", run).code == 0
    told = page(run / "report.html").text
    assert "Not drawn: " in told
    assert "classical control" in told


def alien(path):
    """A choice of a recipe that expects something, and does not say of how many circuits."""
    values = {"recipe": "spsa", "asked": "auto", "reason": "", "expected": 0.5}
    line = json.dumps({"n": 10_000, "t": 1.8e9, "kind": "RecipeChosen", "values": values})
    path.write_text(f"{path.read_text()}{line}\n")


BAD = {
    "no run": (shutil.rmtree, "nothing there"),
    "no config": (lambda run: (run / "config.json").unlink(), "without it"),
    "another version": (lambda run: change(run / "config.json", format=2), "expected format 1, got 2"),
    "events of another": (lambda run: (run / "events.jsonl").write_text('{"format": 9}\n'), "events of format 1"),
    "odd events": (lambda run: alien(run / "events.jsonl"), "do not go together"),
    "damaged config": (lambda run: (run / "config.json").write_text("{"), "expected a readable JSON object"),
    "odd config": (lambda run: change(run / "config.json", request=[1]), "'request' to be a JSON object"),
    "damaged result": (lambda run: (run / "result.json").write_text("[]"), "expected a JSON object, got list"),
    "lacking result": (lambda run: (run / "result.json").write_text('{"model": 1}'), "lacks or distorts"),
    "no number": (lambda run: change(run / "result.json", seconds={"total": float("nan")}), "lacks or distorts"),
    "no object": (lambda run: change(run / "result.json", parameters=-1), "lacks or distorts"),
    "odd result": (lambda run: change(run / "result.json", accuracy={"test": "x"}), "lacks or distorts"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("words", [("report",), ("compare",)])
def test_bad_runs_are_one_clear_line(run, trained, q_store, name, words):
    spoil, expected = BAD[name]
    spoil(run)
    answer = q_store(*words, run, *([trained] if words == ("compare",) else []))
    assert answer.code == 2
    assert expected in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (run / "report.html").exists()


def test_files_of_others_are_not_written_over(run, q_store, tmp_path):
    theirs = tmp_path / "mine.txt"
    theirs.write_text("precious")
    for words in (("report", run), ("compare", run, run)):
        answer = q_store(*words, "--out", theirs)
        assert answer.code == 2
        assert "neither" in answer.err
        assert theirs.read_text() == "precious"
        assert q_store(*words, "--out", tmp_path / "page.html").code == 0  # twice: the second one over the first


def test_a_disk_that_refuses_is_one_line(run, q_store, tmp_path):
    for option in (("--out", tmp_path / "no" / "x.html"), ("--charts", run / "config.json"), ("--out", tmp_path)):
        answer = q_store("report", run, *option)
        assert (answer.code, len(answer.err.splitlines())) == (2, 1), answer


# ------------------------------------------------------------------------------------------------------------- compare


@pytest.fixture
def other(run):
    """A run like the other, with another accuracy and more epochs."""
    path = shutil.copytree(run, run.with_name("other"))
    result = json.loads((path / "result.json").read_text())
    change(path / "result.json", accuracy={**result["accuracy"], "test": 0.5}, test_interval=[0.33, 0.67])
    config = json.loads((path / "config.json").read_text())
    change(path / "config.json", request={**config["request"], "epochs": 99})
    return path


def test_runs_stand_side_by_side(run, other, q_store, tmp_path):
    answer = q_store("compare", run, other, "--out", tmp_path / "both.html", "--json")
    assert answer.code == 0
    first, second = answer.json
    assert tuple(first) == compare.KEYS
    result = json.loads((run / "result.json").read_text())
    assert first["test_accuracy"] == result["accuracy"]["test"]
    assert first["control_accuracy"] == result["classical_control"]["test_accuracy"]
    assert first["parameters"] == sum(result["parameters"].values())
    assert first["circuits"] > 0
    assert first["difference"] is None
    assert second["difference"] == pytest.approx(0.5 - result["accuracy"]["test"])
    assert "more than the statistical error" in answer.err
    told = page(tmp_path / "both.html").text
    assert "What sets them apart run epochs run 60 other 99" in told
    assert "Validation accuracy" in told


def test_only_what_differs_is_listed(run, other):
    rows = compare.figures([compare.read(run), compare.read(other)])
    assert compare.differences(rows) == ["epochs"]
    assert compare.differences(rows[:1]) == []


def test_models_that_met_the_same_rows_are_compared_in_pairs(run, other, q_store):
    """`other` has one of its 30 rows wrong, `run` another two."""
    for path, wrong in ((run, (3, 17)), (other, (4,))):
        right = np.ones(30, bool)
        right[list(wrong)] = False
        change(path / "tested.json", rows=30, right=base64.b64encode(np.packbits(right).tobytes()).decode())
        result = json.loads((path / "result.json").read_text())
        interval = wilson_interval(int(right.sum()), 30)
        change(path / "result.json", accuracy={**result["accuracy"], "test": right.mean()}, test_interval=interval)
    answer = q_store("compare", run, other, "--json")
    row = answer.json[1]
    assert row["difference"] == pytest.approx(1 / 30)
    assert row["paired"] is True
    assert row["difference_interval"] == pytest.approx(paired_difference(27, 1, 2, 0, compare.Z))
    assert "those of pairs" in answer.err
    change(other / "tested.json", right=None)
    answer = q_store("compare", run, other, "--json")
    row = answer.json[1]
    assert row["paired"] is False
    assert row["difference_interval"] == pytest.approx(
        difference((28 / 30, *wilson_interval(28, 30)), (29 / 30, *wilson_interval(29, 30)))
    )
    assert "rather too wide" in answer.err


def test_other_data_are_not_compared(run, other, q_store):
    config = json.loads((other / "config.json").read_text())
    change(other / "config.json", resolved={**config["resolved"], "data_sha256": "another"})
    answer = q_store("compare", run, other, "--json")
    assert "The data are not the same" in answer.err
    assert answer.json[1]["difference"] is None


def test_an_unfinished_run_is_compared_as_far_as_it_is(run, other, q_store):
    (other / "result.json").unlink()
    answer = q_store("compare", run, other, "--json")
    assert answer.code == 0
    assert (answer.json[1]["finished"], answer.json[1]["test_accuracy"]) == (False, None)
    assert "not finished" in answer.err


def test_runs_of_one_name_are_told_apart(run, q_store, tmp_path):
    shutil.copytree(run, tmp_path / "b" / "run")
    answer = q_store("compare", run, tmp_path / "b" / "run")
    assert "run (1)" in answer.out
    assert "b/run (2)" in answer.out


def test_one_run_is_not_a_comparison(run, q_store):
    answer = q_store("compare", run)
    assert answer.code == 2
    assert "expected two runs or more, got 1" in answer.err


# ------------------------------------------------------------------------------------------------------------- machine


def test_a_run_says_what_it_ran_on(trained):
    recorded = json.loads((trained / "config.json").read_text())["machine"]
    assert recorded == machine()
    assert set(recorded["versions"]) == {"python", *COMPUTING}
    assert recorded["cores"] >= 1


# ------------------------------------------------------------------------------------------------------------- recipes


LOOKS = [(100, 0.4), (200, 0.55), (300, 0.7)]


@pytest.fixture
def recipe(run):
    """The run as one of a recipe that looked three times, by this q-store, which tells so, or by an earlier one."""
    config = json.loads((run / "config.json").read_text())
    change(run / "config.json", request={**config["request"], "recipe": "regress"})

    def told(how):
        (run / "events.jsonl").unlink()
        if how == "events":
            (run / "metrics.jsonl").unlink()
            looks = [Looked(circuits, 9, 0.0, share, 50, "held_out", share) for circuits, share in LOOKS]
            begun = RecipeStarted("regress", 1, 1, 60, 15, 300, 0, 30)
            write(run, ProcessStarted("0.1.0"), begun, Looked(7, 9, 0.0, 0.9, 50, "held_out", 0.9), begun, *looks)
        elif how == "metrics":
            rows = [{"epoch": 1, "stage": "epochs", "circuits": 5_000, "validation_accuracy": 0.9}]  # of training here
            rows += [{"look": 1, "circuits": c, "accuracy": share, "on": "held_out"} for c, share in LOOKS]
            (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            rows = [{"epoch": 1, "circuits": c, "validation_accuracy": share} for c, share in LOOKS]
            (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return run

    return told


@pytest.mark.parametrize("how", ["events", "metrics", "epochs"])
def test_a_recipe_has_a_curve_over_the_circuits_it_bought(recipe, q_store, how):
    folder = recipe(how)
    found = read(folder)
    assert list(found.looks.values()) == [LOOKS]
    assert len(found.epochs) == {"events": 0, "metrics": 1, "epochs": 3}[how]
    assert q_store("report", folder).code == 0
    picture = (folder / "report-charts" / "circuits.svg").read_text(encoding="utf-8")
    assert "Accuracy by circuits of training" in picture
    assert "last 70 %" in picture
    assert not (folder / "report-charts" / "validation.svg").exists()


def test_recipes_are_compared_over_circuits_and_others_over_epochs(recipe, trained, q_store, tmp_path):
    folder = recipe("metrics")
    assert q_store("compare", folder, trained, "--out", tmp_path / "both.html").code == 0
    told = page(tmp_path / "both.html").text
    assert "Accuracy by circuits of training" in told
    assert "Validation accuracy" in told
    assert q_store("compare", trained, trained, "--out", tmp_path / "local.html").code == 0
    assert "Accuracy by circuits" not in page(tmp_path / "local.html").text


def test_a_training_far_away_has_the_curve_too(run, q_store):
    config = json.loads((run / "config.json").read_text())
    change(run / "config.json", request={**config["request"], "backend": "ionq"})
    assert q_store("report", run).code == 0
    assert "a look: last" in (run / "report-charts" / "circuits.svg").read_text(encoding="utf-8")


def test_an_odd_digest_is_no_data_to_compare_on(run, other, q_store):
    config = json.loads((other / "config.json").read_text())
    change(other / "config.json", resolved={**config["resolved"], "data_sha256": [1]})
    answer = q_store("compare", run, other, "--json")
    assert answer.code == 0
    assert answer.json[1]["difference"] is None


@pytest.mark.parametrize("name", ["circuits", "accuracy"])
@pytest.mark.parametrize("value", [10**400, "x", None, float("nan"), float("-inf")])
def test_a_look_that_is_no_number_is_left_out(recipe, q_store, name, value):
    folder = recipe("metrics")
    epoch, first, *rest = (folder / "metrics.jsonl").read_text().splitlines()
    odd = json.dumps({**json.loads(first), name: value})
    (folder / "metrics.jsonl").write_text("\n".join([epoch, odd, *rest]) + "\n")
    assert read(folder).looks == {"held_out": LOOKS[1:]}
    assert q_store("report", folder).code == 0
