"""Files are there whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from q_store import files
from q_store.errors import StorageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    files.write_text(path, "one")
    files.write_text(path, "two ψ")
    assert path.read_text(encoding="utf-8") == "two ψ"
    assert names(tmp_path) == ["a.json"]


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    files.write_text(path, "old")

    def fill(file):
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"a\.json, got: the disk is full; free some space"):
        files.write_whole(path, fill)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.json"]


def test_other_failures_pass_through_and_clean_up(tmp_path):
    def fill(_file):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "a", fill)
    assert names(tmp_path) == []


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    order = []
    original = Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda _descriptor: order.append("fsync"))
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("rename"), original(self, target)))
    files.write_text(tmp_path / "a", "x")
    assert order == ["fsync", "rename", "fsync"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_remedy_follows_what_the_system_says():
    with pytest.raises(OSError, match="No space left") as raised:
        Path("/dev/full").write_bytes(b"x")
    assert "free some space" in str(files.refused("somewhere", raised.value))
    assert "check the folder and the disk" in str(files.refused("somewhere", OSError(errno.EIO, "I/O error")))
