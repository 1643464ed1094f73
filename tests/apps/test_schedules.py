"""Adaptive training from the command line: options act, contradictions are one line, a killed run goes on."""

from __future__ import annotations

import json

import pytest

from q_store.apps.cli import main
from q_store.apps.request import Request, stored
from q_store.apps.schedules import OPTIONS
from q_store.errors import ConfigError
from q_store.training import TrainingSettings

QUICK = ["--rows", "60", "--no-control", "--finish", "0", "--batch-size", "20", "--epochs"]


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_schedule_of_depth_is_printed_and_written_down(tmp_path, capfd):
    out = tmp_path / "run"
    assert main(["train", "ring", *QUICK, "4", "--depth-schedule", "step", "--optimise", "--out", str(out)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [row["depth"] for row in metrics(out)] == [4, 4, 3, 2]
    assert any(line.startswith("from epoch 4: 2 layers, 31 of 55 gates, 12 of 24 two-qubit gates") for line in lines)
    assert any(line.startswith("epoch 4/4") and "as trained" in line for line in lines)
    assert json.loads((out / "result.json").read_text())["two_qubit_gates"]["ansatz"] == 12
    request = json.loads((out / "config.json").read_text())["request"]
    assert (request["depth_schedule"], request["optimise"]) == ("step", True)


def test_pruning_and_a_schedule_of_shots_reach_the_training(tmp_path, capfd):
    out = tmp_path / "run"
    options = ["--shots", "50", "--shot-schedule", "phase", "--min-shots", "20", "--prune", "0.9"]
    assert main(["train", "lean", *QUICK, "4", *options, "--out", str(out)]) == 0
    printed = capfd.readouterr().out
    assert "1 layer" not in printed
    assert "20 shots" in printed
    assert "fidelity 0.9" in printed
    settings = json.loads((out / "config.json").read_text())["resolved"]["settings"]
    assert (settings["shot_schedule"], settings["min_shots"], settings["prune"]) == ("phase", 20, 0.9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["ring", "--depth-schedule", "grow"], "take so4_layers or the entangler 'rzz'"),
        (["ring", "--depth-schedule", "lin"], "did you mean 'linear'"),
        (["ring", "--shot-schedule", "phase"], "expected shots with shot_schedule='phase', got None"),
        (["ring", "--shot-schedule", "phase", "--shots", "9", "--min-shots", "20"], "got 20, 9 and 18"),
        (["ring", "--min-shots", "0"], "expected --min-shots of 1 or more, got 0"),
        (["ring", "--depth-schedule", "linear", "--min-depth", "5"], "<= the 4 layers of the circuit, got 5 and 4"),
        (["ring", "--min-depth", "2"], "expected a depth_schedule with min_depth, got 'fixed'"),
        (["lean", "--depth-schedule", "grow", "--prune", "0.9"], "got both"),
        (["ring", "--prune", "2"], "expected --prune as a fidelity above 0 and at most 1, got 2"),
        (["ring", "--recipe", "exact", "--depth-schedule", "step"], "--depth-schedule with no --recipe, got it with"),
        (["ring", "--recipe", "exact", "--optimise"], "--optimise with no --recipe"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_contradictions_are_one_line_and_leave_nothing(tmp_path, capfd, options, said):
    out = tmp_path / "run"
    assert main(["train", *options, "--rows", "60", "--epochs", "3", "--no-control", "--out", str(out)]) == 2
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_request_keeps_what_was_asked_for():
    request = Request("ring", shot_schedule="variance", shots=500, min_depth=1, depth_schedule="linear", prune=0.5)
    assert stored({"request": request.config()}, "config.json") == request
    assert set(OPTIONS) <= set(TrainingSettings.model_fields) & set(vars(request))
    with pytest.raises(ConfigError, match="known --shot-schedule"):
        Request("ring", shot_schedule="often")
