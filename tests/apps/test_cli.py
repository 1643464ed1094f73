"""The command line from end to end, on a small data set."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import typer

from q_store import __version__
from q_store.apps.cli import app
from q_store.apps.result import KEYS, parameters_sha256
from q_store.models.model import Model

TRAIN = ("train", "ring", "--epochs", 60)
NAMES = [
    "checkpoints",
    "circuit.svg",
    "config.json",
    "confusion.png",
    "events.jsonl",
    "learning_curve.png",
    "metrics.jsonl",
    "model.npz",
    "result.json",
    "tested.json",
    "validated.json",
]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_leaves_everything_in_its_folder(trained):
    assert files(trained) == NAMES
    assert files(trained / "checkpoints") == ["last.npz"]
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["epoch"] for row in rows if row["stage"] == "epochs"] == list(range(1, 61))


def test_the_figures_have_the_promised_shape(q_store, data_file, tmp_path):
    run = tmp_path / "run"
    answer = q_store(*TRAIN, "--data", data_file, "--seed", 3, "--out", run, "--json")
    assert answer.code == 0
    assert answer.out.count("\n") == 1
    found = answer.json
    assert tuple(found) == KEYS
    assert (found["model"], found["seed"], found["run"]) == ("ring", 3, str(run))
    assert set(found["parameters"]) == {"circuit", "readout"}
    assert found["two_qubit_gates"]["ansatz"] == 24
    assert set(found["accuracy"]) == {"train", "validation", "test"}
    assert set(found["classical_control"]) == {"kind", "parameters", "test_accuracy"}
    assert list(found["seconds"]) == ["data", "compile", "train", "evaluate", "total"]
    low, high = found["test_interval"]
    assert low <= found["accuracy"]["test"] <= high
    assert found["accuracy"]["test"] > 0.9
    assert found["classical_control"]["parameters"] <= sum(found["parameters"].values())
    assert found["samples_per_second"] > 0
    assert sum(found["seconds"][name] for name in ("data", "compile", "train", "evaluate")) <= found["seconds"]["total"]


def test_the_digest_is_that_of_the_saved_parameters(trained):
    found = json.loads((trained / "result.json").read_text(encoding="utf-8"))
    vector = Model.load(trained / "model.npz").trained.vector
    assert found["parameters_sha256"] == parameters_sha256(vector)
    assert len(vector) == sum(found["parameters"].values())


def test_the_same_seed_gives_the_same_parameters_another_seed_others(q_store, data_file, tmp_path):
    def digest(seed, name):
        words = (*TRAIN, "--data", data_file, "--seed", seed, "--out", tmp_path / name, "--json", "--no-control")
        return q_store(*words).json["parameters_sha256"]

    first = digest(0, "a")
    assert digest(0, "b") == first
    assert digest(1, "c") != first


def test_no_control_skips_it_and_says_so(q_store, data_file, tmp_path):
    answer = q_store(*TRAIN, "--data", data_file, "--out", tmp_path / "run", "--no-control", "--json")
    assert answer.json["classical_control"] is None
    assert "skipped (--no-control)" in answer.err


def test_the_summary_has_the_control_and_the_limits_beside_the_accuracy(q_store, data_file, tmp_path):
    answer = q_store(*TRAIN, "--data", data_file, "--out", tmp_path / "run")
    text = " ".join(answer.out.split())
    assert answer.err == ""
    for part in (
        "test accuracy", "95 % interval", "classical control", "not counted, alike for ours and for the control",
        "two-qubit gates", "outside the kernels", "not on quantum hardware", "confusion.png", "q-store evaluate",
    ):  # fmt: skip
        assert part in text, part


def test_run_folders_without_a_name_are_numbered(q_store, data_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert q_store(*TRAIN, "--data", data_file, "--no-control").code == 0
    assert files(tmp_path / "runs") == ["ring-blobs-seed0", "ring-blobs-seed0-2"]


def test_evaluate_agrees_with_the_training(q_store, trained):
    answer = q_store("evaluate", trained, "--json")
    found = json.loads((trained / "result.json").read_text(encoding="utf-8"))
    assert answer.json == {
        "run": str(trained), "shots": None, "backend": found["details"]["backend"],
        "test_accuracy": found["accuracy"]["test"], "circuits": 30, "shots_total": 0,
    }  # fmt: skip
    assert "95 % interval" in answer.err


def test_evaluate_with_shots_counts_them(q_store, trained):
    found = q_store("evaluate", trained, "--shots", 50, "--json").json
    assert tuple(found) == ("run", "shots", "backend", "test_accuracy", "circuits", "shots_total")
    assert found["shots"] == 50
    assert found["shots_total"] == 50 * found["circuits"] >= 50 * 30
    assert q_store("evaluate", trained, "--shots", 50, "--json").json == found


def test_evaluate_speaks_plainly(q_store, trained):
    answer = q_store("evaluate", trained, "--shots", 7)
    assert re.search(r"test accuracy [\d.]+ % of 30 rows .*7 measurements of each of 30 circuits", answer.out)


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "csv with labels", "csv with names"])
def test_predict_reads_rows_from_any_file(q_store, trained, data_file, tmp_path, kind):
    arrays = np.load(data_file)
    x, y = arrays["x_test"], arrays["y_test"]
    path = tmp_path / f"rows.{kind.split()[0]}"
    if kind == "npy":
        np.save(path, x)
    elif kind == "npz":
        np.savez(path, x=x, y=y)
    else:
        table = np.column_stack([y, x]) if kind == "csv with labels" else x
        header = ",".join(f"column{k}" for k in range(8)) if kind == "csv with names" else ""
        np.savetxt(path, table, delimiter=",", header=header, comments="")
    answer = q_store("predict", trained, path, "--json")
    assert answer.code == 0, answer.err
    found = answer.json["predictions"]
    assert [each["row"] for each in found] == list(range(30))
    assert np.mean([each["label"] == label for each, label in zip(found, y, strict=True)]) > 0.9
    assert {each["name"] for each in found} == {"red", "green", "blue"}
    assert all(1 / 3 <= each["probability"] <= 1 for each in found)


def test_predict_prints_one_line_a_row(q_store, trained, data_file, tmp_path):
    np.save(tmp_path / "one.npy", np.load(data_file)["x_test"][1])
    assert re.fullmatch(r"0  1  green  \d+\.\d %\n", q_store("predict", trained, tmp_path / "one.npy").out)


def test_models_lists_all_with_their_sizes(q_store):
    answer = q_store("models", "--json")
    rows = {row["name"]: row for row in answer.json}
    assert set(rows) == {"document", "compact", "wide", "lean", "lean-cz", "ring"}
    assert rows["compact"]["parameters"] == {"circuit": 104, "readout": 144}
    assert rows["compact"]["two_qubit_gates"] == {"ansatz": 50, "preparation": 30}
    shown = q_store("models").out
    assert all(name in shown for name in rows)
    assert "104 + 144" in shown


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "models"])
def test_every_option_is_documented(q_store, command):
    answer = q_store(command, "--help")
    assert answer.code == 0
    assert "Traceback" not in answer.out
    for parameter in typer.main.get_command(app).commands[command].params:
        assert parameter.help, f"{command} {parameter.name} has no help"
        assert (parameter.opts[-1] if parameter.opts[-1].startswith("--") else parameter.metavar) in answer.out


def test_version(q_store):
    assert q_store("--version").out == f"q-store {__version__}\n"


def test_without_a_command_it_helps(q_store):
    answer = q_store()
    assert "q-store train compact" in answer.out
    assert answer.err == ""


def start(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "q_store", *map(str, words)], capture_output=True, text=True, check=False, **options
    )


def test_it_runs_as_a_module():
    run = start("--version")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"q-store {__version__}\n", "")


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "q_store", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode != 0


def test_listing_the_models_loads_neither_the_compiler_nor_pictures():
    probe = (
        "import sys; from q_store.apps.cli import main; main(['models'])\n"
        "print(sorted({'numba', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_the_total_counts_from_the_start_of_the_process(data_file, tmp_path):
    began = time.perf_counter()
    run = start(*TRAIN, "--data", data_file, "--out", tmp_path / "run", "--json", "--no-control")
    took = time.perf_counter() - began
    assert run.returncode == 0, run.stderr
    total = json.loads(run.stdout)["seconds"]["total"]
    stages = sum(json.loads(run.stdout)["seconds"].values()) - total
    assert stages < total < took + 0.05
    assert total > 0.5 * took


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_display_is_live(data_file, tmp_path):
    import pty

    master, slave = pty.openpty()
    words = [
        sys.executable,
        "-m",
        "q_store",
        *map(str, TRAIN),
        "--data",
        str(data_file),
        "--out",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        [*words, "--no-control"], stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}
    ) as run:
        os.close(slave)
        seen = b""
        while chunk := _read(master):
            seen += chunk
    os.close(master)
    assert run.returncode == 0
    text = seen.decode()
    assert "\x1b[2K" in text
    assert "trained" in text
    assert "▁" in text


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side was closed
        return b""
