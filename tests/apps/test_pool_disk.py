"""A store whose disk is full or may not be written to: one clear line, and nothing that was paid for is lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from q_store.apps import remote
from q_store.apps import train as train_module
from q_store.emulator import Emulator
from q_store.store import Store

URL = "http://one.test/v0.4"
CIRCUITS = 167
NOBODY = 65534
QUICK = {"min_interval": 0.01}


@pytest.fixture
def service(monkeypatch):
    """A paid service; nothing else is reachable."""
    found, settings = Emulator(seed=1), remote.settings
    monkeypatch.setattr(remote, "transport", found.transport)
    monkeypatch.setattr(remote, "settings", lambda *given, **more: settings(*given, **more).model_copy(update=QUICK))
    monkeypatch.setenv("IONQ_API_KEY", "a-key")
    monkeypatch.setenv("IONQ_API_URL", URL)
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    return found


@pytest.fixture
def place(monkeypatch):
    """A folder that others may enter, with one for the store in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "disk").mkdir()
        monkeypatch.chdir(folder)
        yield folder


@pytest.fixture
def train(q_store, data_file, service, place):
    """A training that costs money, with its store on the disk."""
    del service
    shutil.copy(data_file, place / "blobs.npz")
    few = ("--rows", 2, "--batch-size", 1, "--epochs", 1, "--shots", 5, "--yes", "--no-control", "--json")
    target = ("--backend", "ionq", "--target", "qpu.forte-1", "--out", "run", "--store", "disk/s.db")
    return lambda: q_store("train", "ring", "--data", "blobs.npz", *few, *target)


@pytest.fixture
def unbroken(train, service):
    """The parameters when all is well; the service forgets it."""
    answer = train()
    assert answer.code == 0, answer.err
    assert service.ledger()["charged_circuits"] == CIRCUITS
    for name in ("run", "disk"):
        shutil.rmtree(name)
    Path("disk").mkdir()
    return answer.json["parameters_sha256"]


def refused(answer, *parts):
    assert answer.code == 2, answer
    last = answer.err.splitlines()[-1]
    assert last.startswith("q-store: error: ")
    for part in parts:
        assert part in last


def sound(service, since=0):
    """Everything was bought once, and the books agree with the service's."""
    ledger = service.ledger()
    assert ledger["charged_circuits"] - since == CIRCUITS
    with Store("disk/s.db") as store:
        store.check()
        spent, reserved = store.budget.totals()["USD"]
        assert store.tickets.open() == []
    assert reserved.circuits == 0
    assert spent.circuits == CIRCUITS


@contextmanager
def largest_file(size):
    """No file of this process grows further: a write that fails in the middle of anything."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [200_000, 300_000, 400_000])
def test_a_store_that_cannot_grow(train, service, unbroken, q_store, size):
    """Also where what cannot be written is the note of a checkpoint, which a resumed run goes by."""
    with largest_file(size):
        refused(train(), "disk/s.db", "check it, and whether it is full", "q-store train --resume run")
        assert q_store("resume", "run", "--yes").code in {0, 2}  # a log that is written back leaves room
    assert service.ledger()["charged_circuits"] <= 2 * CIRCUITS
    answer = q_store("resume", "run", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["parameters_sha256"] == unbroken
    sound(service, CIRCUITS)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a file system of some hundred KiB")
def test_a_really_full_disk(train, service, unbroken, q_store):
    mount = ["mount", "-t", "tmpfs", "-o", "size=350k", "tmpfs", "disk"]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mounts")
    try:
        refused(train(), "disk/s.db", "the disk is full; free some space", "q-store train --resume run")
        assert service.ledger()["charged_circuits"] > CIRCUITS
        subprocess.run(["mount", "-o", "remount,size=20m", "disk"], check=True)
        answer = q_store("resume", "run", "--yes", "--json")
        assert answer.code == 0, answer.err
        assert answer.json["parameters_sha256"] == unbroken
        sound(service, CIRCUITS)
    finally:
        subprocess.run(["umount", "disk"], check=True)


@contextmanager
def not_to_be_written(what):
    """The store's file, or its folder, for somebody who is not root; all else is open to everybody."""
    for path in (Path(), *Path().rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    path = Path("disk/s.db") if what == "file" else Path("disk")
    path.chmod(0o444 if what == "file" else 0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o666 if what == "file" else 0o777)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_store_that_may_not_be_written(train, service, unbroken, q_store, monkeypatch, what):  # noqa: PLR0917
    original = train_module.MetricsWriter.__call__

    def writer(self, event):
        original(self, event)
        if type(event).__name__ == "CheckpointSaved":
            raise KeyboardInterrupt

    monkeypatch.setattr(train_module.MetricsWriter, "__call__", writer)
    assert train().code == 130
    monkeypatch.setattr(train_module.MetricsWriter, "__call__", original)
    bought = service.ledger()["charged_circuits"]
    assert CIRCUITS < bought < 2 * CIRCUITS
    with not_to_be_written(what):
        answer = q_store("resume", "run", "--yes")
        refused(answer, "disk/s.db")
        assert "read-only" in answer.err or "permission" in answer.err
        answer = q_store("runs", "--store", "disk/s.db")
        refused(answer, "disk/s.db")
    assert service.ledger()["charged_circuits"] == bought
    answer = q_store("resume", "run", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["parameters_sha256"] == unbroken
    sound(service, CIRCUITS)
