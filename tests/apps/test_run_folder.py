"""The run folder: made whole, never overwritten, one writer at a time, damage is named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from q_store.apps import run_folder
from q_store.apps.run_folder import RunFolder, fresh
from q_store.errors import RunError, StorageError

ASKED = {"request": {"model": "compact"}}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    made = RunFolder.create(tmp_path / "run", ASKED)
    yield made
    made.close()


def test_a_new_folder_has_its_config_and_room_for_checkpoints(folder):
    assert folder.config == {"format": 1, **ASKED}
    assert names(folder.path) == ["checkpoints", "config.json"]
    assert names(folder.path.parent) == ["run"]
    assert not folder.finished


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_whatever_exists_is_left_alone(tmp_path, kind):
    path = tmp_path / "run"
    {"folder": path.mkdir, "file": path.touch, "link": lambda: path.symlink_to("nowhere")}[kind]()
    with pytest.raises(RunError, match=r"does not exist yet, got .*run; choose another --out, .*--resume"):
        RunFolder.create(path, ASKED)
    assert names(tmp_path) == ["run"]


def test_a_refusing_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(path, _text):
        raise StorageError(f"expected to write {path}, got: the disk is full")

    monkeypatch.setattr(run_folder, "write_text", full)
    with pytest.raises(StorageError):
        RunFolder.create(tmp_path / "deep" / "er" / "run", ASKED)
    assert names(tmp_path) == []


def test_a_parent_that_is_a_file_is_explained(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a part of the path is a file"):
        RunFolder.create(tmp_path / "file" / "run", ASKED)


@pytest.mark.parametrize(("make", "got"), [(None, "nothing there"), ("touch", "a file"), ("mkdir", "a folder without")])
def test_what_is_no_run_folder_is_refused(tmp_path, make, got):
    path = tmp_path / "run"
    if make:
        getattr(path, make)()
    with pytest.raises(RunError, match=f"expected a run folder .*got {got}"):
        RunFolder.find(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\xff", '{"format": 99}', "{}"])
def test_a_damaged_config_is_named(folder, text):
    (folder.path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"config\.json: expected "):
        _ = RunFolder.find(folder.path).config


def test_the_result_finishes_the_run(folder):
    folder.write_result({"model": "compact"})
    found = RunFolder.find(folder.path)
    assert found.finished
    assert found.result == {"model": "compact"}


def test_metrics_survive_a_torn_line(folder):
    assert folder.metrics() == []
    folder.append_metrics({"epoch": 1})
    folder.append_metrics({"epoch": 2})
    with (folder.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"epoch": 3, "lo')
    assert folder.metrics() == [{"epoch": 1}, {"epoch": 2}]
    folder.keep_metrics(folder.metrics()[:1])
    assert (folder.path / "metrics.jsonl").read_text(encoding="utf-8") == '{"epoch": 1}\n'


def test_metrics_on_a_refusing_disk_end_at_a_whole_line(folder, monkeypatch):
    folder.append_metrics({"epoch": 1})

    class Full(dict):
        pass

    monkeypatch.setattr(run_folder.json, "dumps", lambda _row: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(StorageError, match=r"metrics\.jsonl, got: the disk is full"):
        folder.append_metrics(Full(epoch=2))
    monkeypatch.undo()
    assert folder.metrics() == [{"epoch": 1}]


def test_a_second_process_is_kept_out(folder):
    probe = (
        "import sys; from pathlib import Path; from q_store.apps.run_folder import RunFolder\n"
        "RunFolder.find(Path(sys.argv[1])).lock()"
    )
    command = [sys.executable, "-c", probe, str(folder.path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "another q-store process is training in" in run.stderr
    folder.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_a_fresh_name_is_numbered(tmp_path):
    assert fresh(tmp_path, "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert fresh(tmp_path, "run") == tmp_path / "run-3"


def test_a_run_that_failed_before_it_began_is_discarded(folder):
    folder.discard()
    assert names(folder.path.parent) == []
