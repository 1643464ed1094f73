"""Whatever is wrong: exit code 2, one line on stderr that names the remedy, nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from q_store.apps import assemble, guard, run_folder
from q_store.apps import train as train_module
from q_store.apps.cli import main
from q_store.files import refused

TRAIN = ("train", "ring", "--epochs", 2, "--no-control")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def check_refused(answer, *parts):
    assert answer.code == 2, answer
    assert answer.err.startswith("q-store: error: ")
    assert answer.err.count("\n") == 1, answer.err
    assert answer.out == "" or not answer.out.splitlines()[-1].startswith("{")
    for part in parts:
        assert part in answer.err


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ------------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("train", "compct"), ("got 'compct'", "did you mean 'compact'?")),
        (("train", "resnet"), ("known: compact, document",)),
        (("train",), ("expected the name of a model, got none", "q-store models")),
        (("train", "compact", "--epochs", "0"), ("--epochs of 1 or more, got 0", "leave it out")),
        (("train", "compact", "--epochs", "-3"), ("--epochs of 1 or more, got -3",)),
        (("train", "compact", "--epochs", "2.5"), ("--epochs",)),
        (("train", "compact", "--epochs", "many"), ("--epochs",)),
        (("train", "compact", "--seed", "-1"), ("--seed from 0 to", "got -1")),
        (("train", "compact", "--epoch", "3"), ("--epochs", "q-store train --help")),
        (("train", "compact", "extra"), ("extra", "q-store train --help")),
        (("trian", "compact"), ("train", "q-store --help")),
        (("train", "compact", "--data", "bundeld"), ("'bundled', 'full' or the path", "'bundeld'")),
        (("train", "compact", "--data", "nowhere.npz"), ("nowhere.npz", "no such file; check the path")),
        (("train", "--resume", "nowhere"), ("run folder at nowhere, got nothing there", "q-store train MODEL")),
        (("evaluate", "nowhere"), ("run folder at nowhere, got nothing there",)),
        (("evaluate", "nowhere", "--shots", "0"), ("--shots from 1 to", "leave it out for exact values")),
        (("predict", "nowhere", "x.npy"), ("run folder at nowhere",)),
        (("predict", "nowhere"), ("FILE", "q-store predict --help")),
    ],
)
def test_a_wrong_command_is_refused(q_store, place, words, parts):
    check_refused(q_store(*words), *parts)
    check_refused(q_store(*words), *parts)  # nothing of the first try is in the way
    assert contents(place) == []


# ---------------------------------------------------------------------------------------------------------- the data


def table(rows=60, columns=8, classes=3):
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    return 1 + rng.random((rows, columns)) + y[:, None], y


def at(x, index, value):
    x[index] = value
    return x


SPOILT = {
    "nan": (lambda x, y: (at(x, (4, 2), np.nan), y), "got nan in row 4"),
    "infinite": (lambda x, y: (at(x, (4, 2), np.inf), y), "got inf in row 4"),
    "zero": (lambda x, y: (at(x, 4, 0), y), "all zeros"),
    "constant": (lambda x, y: (at(x, slice(None), 1), y), "rows that differ"),
    "one class": (lambda x, y: (x, 0 * y), "at least 2 classes"),
    "negative label": (lambda x, y: (x, at(y, 3, -1)), "got -1 in row 3"),
    "half label": (lambda x, y: (x, y + 0.5), "whole numbers as labels"),
    "gap": (lambda x, y: (x, at(y, y == 1, 9)), "got none of 1"),
    "empty": (lambda x, y: (x[:0], y[:0]), "at least one row"),
    "lengths": (lambda x, y: (x, y[:-1]), "60 rows and 59 labels"),
    "flat": (lambda x, y: (x[:, 0], y), "shape"),
    "text": (lambda x, y: (x.astype(str), y), "expected numbers"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_data_that_cannot_be_used_are_refused(q_store, place, kind):
    spoil, part = SPOILT[kind]
    x, y = spoil(*table())
    np.savez(place / "data.npz", x=x, y=y)
    check_refused(q_store(*TRAIN, "--data", "data.npz", "--out", "run"), part)
    assert contents(place) == ["data.npz"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy.load leaves such a file open
@pytest.mark.parametrize("damage", ["truncated", "scrambled", "empty", "not a zip"])
def test_a_damaged_data_file_is_refused(q_store, place, data_file, damage):
    path = place / "data.npz"
    content = bytearray(data_file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = b"\xff" * 8
    new = {"truncated": content[:middle], "scrambled": content, "empty": b"", "not a zip": b"hello"}[damage]
    path.write_bytes(bytes(new))
    check_refused(q_store(*TRAIN, "--data", path, "--out", "run"), "data.npz")
    assert contents(place) == ["data.npz"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("rows.csv", "label,a,b\n0,1,2\n1,x,3\n"), ("rows.csv", ""), ("rows.csv", "0,1,2\n1,3\n"), ("rows.txt", "0,1\n")],
)
def test_a_damaged_table_is_refused(q_store, place, name, text):
    (place / name).write_text(text, encoding="utf-8")
    check_refused(q_store(*TRAIN, "--data", name, "--out", "run"), name)
    assert contents(place) == [name]


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("width", "rows of 8 features"),
        ("nan", "got nan"),
        ("text", "expected"),
        ("empty", "at least one row"),
        ("objects", "damaged"),
        ("truncated", "rows.npy"),
        ("missing", "no such file"),
        ("suffix", ".npy, .npz, .csv or .png"),
        ("csv", "in line 2"),
        ("csv text", "expected a number in line 2, column 3, got 'x'"),
        ("png", "readable"),
        ("image", "rows of 8 features"),
    ],
)
def test_rows_that_cannot_be_predicted_are_refused(q_store, place, trained, kind, part):
    path = place / {"suffix": "rows.doc", "png": "rows.png", "image": "rows.png"}.get(kind, "rows.npy")
    if kind.startswith("csv"):
        path = place / "rows.csv"
        path.write_text(
            "1,2,3,4,5,6,7,8\n1,2" + (",x,4,5,6,7,8" if kind == "csv text" else "") + "\n", encoding="utf-8"
        )
    elif kind == "png":
        path.write_bytes(b"\x89PNG\r\n\x1a\nhello")
    elif kind == "image":
        from matplotlib.image import imsave

        imsave(path, np.eye(3))
    elif kind == "suffix":
        path.touch()
    elif kind != "missing":
        x = table(4)[0]
        x = {
            "width": x[:, :5],
            "nan": x * np.nan,
            "text": x.astype(str),
            "empty": x[:0],
            "objects": x.astype(object),
        }.get(kind, x)
        np.save(path, x)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    check_refused(q_store("predict", trained, path), part)


# -------------------------------------------------------------------------------------------------------- the folder


@pytest.mark.parametrize("kind", ["run", "empty folder", "file"])
def test_an_existing_folder_is_left_alone(q_store, place, trained, data_file, kind):
    if kind == "run":
        shutil.copytree(trained, place / "run")
    elif kind == "file":
        (place / "run").write_text("mine", encoding="utf-8")
    else:
        (place / "run").mkdir()
    before = contents(place)
    answer = q_store(*TRAIN, "--data", data_file, "--out", "run")
    check_refused(answer, "does not exist yet, got run", "choose another --out", "--resume run")
    assert contents(place) == before


@pytest.fixture
def copy(place, trained):
    """A finished run that a test may damage."""
    return shutil.copytree(trained, place / "run")


@pytest.fixture
def broken_off(copy):
    """A run that was killed after its last checkpoint, before its result was written."""
    for name in ("result.json", "model.npz", "confusion.png", "learning_curve.png"):
        (copy / name).unlink()
    return copy


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("train", "compact", "--resume", "run"), ("another model 'ring' in the run, 'compact' given",)),
        (("train", "--resume", "run", "--epochs", 9), ("another epochs 60 in the run, 9 given",)),
        (("train", "--resume", "run", "--seed", 9), ("another seed 0 in the run, 9 given",)),
        (("train", "--resume", "run", "--data", "full"), ("another data", "'full' given")),
        (("train", "--resume", "run", "--seed", 9, "--epochs", 9), ("another epochs 60", "another seed 0")),
        (("train", "--resume", "run", "--out", "there"), ("--resume or --out, got both",)),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_resuming_with_other_options_names_them(q_store, copy, words, parts, finished):
    place = copy.parent
    if not finished:
        (copy / "result.json").unlink()
    check_refused(q_store(*words), *parts)
    assert contents(place)[0] == "run"
    assert not (place / "there").exists()


def test_resuming_on_other_data_is_refused(q_store, broken_off, data_file, place):
    mine = place / "mine.npz"
    arrays = dict(np.load(data_file))
    config = json.loads((broken_off / "config.json").read_text(encoding="utf-8"))
    config["request"]["data"] = str(mine)
    (broken_off / "config.json").write_text(json.dumps(config), encoding="utf-8")
    np.savez(mine, **{**arrays, "x_train": arrays["x_train"] + 1e-9})
    check_refused(q_store("train", "--resume", broken_off), "expected the data", "restore them")
    check_refused(q_store("evaluate", broken_off), "not finished; finish it with: q-store train --resume")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 7}', '{"format": 1}', '{"format": 1, "request": {"model": 3}}']
)
def test_a_damaged_config_is_refused(q_store, copy, text):
    (copy / "config.json").write_text(text, encoding="utf-8")
    for words in (("train", "--resume", copy), ("evaluate", copy)):
        check_refused(q_store(*words), "config.json" if text != '{"format": 1}' else "run")


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_damaged_checkpoint_is_refused(q_store, broken_off, size):
    path = broken_off / "checkpoints" / "last.npz"
    content = path.read_bytes()
    damaged = content[:size] if size >= 0 else content[:2000] + b"\xff\xfe" + content[2002:]
    path.write_bytes(damaged)
    before = contents(broken_off)
    check_refused(q_store("train", "--resume", broken_off), "last.npz", "start the run anew")
    assert contents(broken_off) == before
    assert path.read_bytes() == damaged


def test_a_damaged_model_is_refused(q_store, copy, place, data_file):
    content = (copy / "model.npz").read_bytes()
    np.save(place / "x.npy", np.load(data_file)["x_test"])
    for damaged in (b"", content[: len(content) // 2], content.replace(b"vector", b"vectro")):
        (copy / "model.npz").write_bytes(damaged)
        check_refused(q_store("evaluate", copy), "model.npz")
        check_refused(q_store("predict", copy, place / "x.npy"), "model.npz")


@pytest.mark.parametrize("text", ["", "[1]", '{"model": "ring"}'])
def test_a_damaged_result_is_refused(q_store, copy, text):
    (copy / "result.json").write_text(text, encoding="utf-8")
    check_refused(q_store("train", "--resume", copy, "--json"), "result.json")


def test_a_folder_in_use_is_refused(q_store, broken_off):
    other = run_folder.RunFolder.find(broken_off)
    other.lock()
    check_refused(q_store("train", "--resume", broken_off), "another q-store process is training in")
    other.close()


# ---------------------------------------------------------------------------------------------------------- the disk


def full(path, *_):
    raise refused(path, OSError(errno.ENOSPC, "No space left on device"))


def test_a_full_disk_at_the_start_leaves_nothing(q_store, place, data_file, monkeypatch):
    monkeypatch.setattr(run_folder, "write_text", full)
    answer = q_store(*TRAIN, "--data", data_file, "--out", "run")
    check_refused(answer, "the disk is full; free some space")
    assert answer.err.count("expected") == 1
    assert contents(place) == []


@pytest.mark.parametrize("saves", [0, 1])
def test_a_full_disk_at_a_checkpoint_says_how_to_go_on(q_store, place, data_file, monkeypatch, saves):
    from q_store.training import checkpoint

    original, count = checkpoint.write_atomically, []

    def fills_up(path, content):
        if path.name == "last.npz" and len(count) >= saves:
            full(path)
        count.append(path)
        original(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", fills_up)
    answer = q_store(*TRAIN, "--data", data_file, "--out", "run")
    check_refused(answer, "the disk is full; free some space", *(["q-store train --resume run"] if saves else []))
    monkeypatch.undo()
    monkeypatch.chdir(place)
    if saves:
        assert q_store("train", "--resume", "run", "--no-control").code == 0
    else:
        assert contents(place) == []


@pytest.mark.parametrize("name", ["model.npz", "confusion.png", "result.json"])
def test_a_full_disk_at_the_end_costs_no_training(q_store, place, data_file, monkeypatch, name):
    from pathlib import Path

    original = Path.replace

    def replace(self, target):
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    check_refused(q_store(*TRAIN, "--data", data_file, "--out", "run"), name, "q-store train --resume run")
    assert not (place / "run" / name).exists()
    assert not list((place / "run").glob(".*"))
    monkeypatch.setattr(Path, "replace", original)
    answer = q_store("train", "--resume", "run", "--no-control", "--json")
    assert answer.code == 0, answer.err
    assert "epoch 1" not in answer.err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a file system of 64 KiB")
def test_a_really_full_disk(place, data_file):
    disk = place / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("this machine allows no mounts")
    try:
        (disk / "ballast").write_bytes(b"x" * 45_000)
        words = ["-m", "q_store", *map(str, TRAIN), "--data", str(data_file), "--out", str(disk / "run")]
        run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        assert run.returncode == 2, run
        assert run.stderr.count("\n") == 1
        assert "space" in run.stderr
        assert not [path for path in disk.rglob("*") if "part" in path.name]
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(q_store, place, data_file):
    place.chmod(0o500)
    check_refused(q_store(*TRAIN, "--data", data_file, "--out", "run"), "no permission to write there")
    place.chmod(0o700)


def test_a_parent_that_is_a_file_is_refused(q_store, place, data_file):
    (place / "file").touch()
    check_refused(q_store(*TRAIN, "--data", data_file, "--out", "file/run"), "a part of the path is a file")
    assert contents(place) == ["file"]


# --------------------------------------------------------------------------------------------------- the unforeseen


def test_a_defect_is_one_line_and_the_way_to_the_traceback(q_store, place, data_file, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("surprise\nin two lines")

    monkeypatch.setattr(assemble, "assemble", broken)
    answer = q_store(*TRAIN, "--data", data_file, "--out", "run")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert "unexpected ZeroDivisionError: surprise in two lines" in answer.err
    assert "Q_STORE_DEBUG=1" in answer.err
    assert contents(place) == []
    monkeypatch.setenv("Q_STORE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main([str(word) for word in (*TRAIN, "--data", data_file, "--out", "run")])


def test_an_interrupt_says_how_to_go_on(q_store, place, data_file, monkeypatch):
    original = train_module.MetricsWriter.__call__

    def interrupted(self, event):
        original(self, event)
        if type(event).__name__ == "CheckpointSaved":
            raise KeyboardInterrupt

    monkeypatch.setattr(train_module.MetricsWriter, "__call__", interrupted)
    answer = q_store(*TRAIN, "--data", data_file, "--out", "run")
    assert answer.code == 130
    assert answer.err == "q-store: interrupted; go on with: q-store train --resume run\n"
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert q_store("train", "--resume", "run", "--no-control").code == 0


def test_an_interrupt_before_the_first_checkpoint_leaves_nothing(q_store, place, data_file, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(assemble, "assemble", interrupted)
    answer = q_store(*TRAIN, "--data", data_file, "--out", "run")
    assert (answer.code, contents(place)) == (130, [])
    assert "nothing is kept" in answer.err


def test_memory_that_runs_out_is_explained(q_store, place, data_file, monkeypatch):
    def greedy(*_):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(assemble, "assemble", greedy)
    check_refused(q_store(*TRAIN, "--data", data_file, "--out", "run"), "9 TiB", "use less data")
    assert contents(place) == []


def test_a_line_break_in_a_message_stays_one_line(capsys):
    assert guard.explain(RuntimeError("a\nb")) == 1
    assert capsys.readouterr().err.count("\n") == 1
