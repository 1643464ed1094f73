"""Whenever a training is killed: resumed, it ends with bit-identical parameters."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from q_store.apps.cli import main
from q_store.training import checkpoint

ROOT = Path(__file__).resolve().parents[2]
ASKED = ("compact", "--epochs", "3")


class Killed(BaseException):
    """Stands for SIGKILL in this process: nothing that catches exceptions is meant for it."""


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """More rows than a batch, so that the order of the data matters too."""
    rng = np.random.default_rng(5)
    y = np.arange(1300) % 3
    x = 1 + rng.random((3, 8))[y] + 0.4 * rng.random((1300, 8))
    path = tmp_path_factory.mktemp("kill") / "blobs.npz"
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture(scope="module")
def unbroken(blobs, tmp_path_factory):
    """The digest of a run that nobody disturbed."""
    return finish([*ASKED, "--data", str(blobs), "--out", str(tmp_path_factory.mktemp("unbroken") / "run")])


def finish(words):
    """Train to the end in this process; the digest of the parameters."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert main(["train", *words, "--no-control", "--json"]) == 0
    return json.loads(out.getvalue().splitlines()[-1])["parameters_sha256"]


@pytest.mark.parametrize(
    "moment", [(1, "before"), (1, "during"), (1, "after"), (3, "during"), (4, "after"), (5, "during"), (5, "after")]
)
def test_a_run_that_dies_around_a_checkpoint_ends_the_same(blobs, unbroken, tmp_path, monkeypatch, moment):
    """Saves 1 to 3 are epochs, 4 the end of the epochs, 5 the end of the finish."""
    save, when = moment
    folder, count = tmp_path / "run", []
    original = checkpoint.write_atomically

    def dies(path, content):
        count.append(path)
        if len(count) == save:
            if when == "after":
                original(path, content)
            if when == "during":
                path.with_name(f".{path.name}.1.part").write_bytes(content[: len(content) // 2])
            freeze(folder, tmp_path / "frozen")
            raise Killed
        original(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", dies)
    with pytest.raises(Killed):
        main(["train", *ASKED, "--data", str(blobs), "--out", str(folder), "--no-control"])
    monkeypatch.undo()
    frozen = tmp_path / "frozen"
    assert (frozen / "checkpoints" / "last.npz").exists() == (save > 1 or when == "after")
    assert finish(["--resume", str(frozen)]) == unbroken
    assert not [path for path in frozen.rglob("*") if "part" in path.name]
    stages = [json.loads(line)["stage"] for line in (frozen / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert stages == ["epochs"] * 3 + ["finish"]


def freeze(folder, copy):
    """What a killed process leaves: the folder as it is now, before any handler has cleaned up."""
    shutil.copytree(folder, copy)


def test_a_finished_run_is_not_trained_again(blobs, unbroken, tmp_path, monkeypatch, capfd):
    folder = tmp_path / "run"
    assert finish([*ASKED, "--data", str(blobs), "--out", str(folder)]) == unbroken
    monkeypatch.setattr(checkpoint, "write_atomically", lambda *_: pytest.fail("trained again"))
    assert finish(["--resume", str(folder)]) == unbroken
    assert main(["train", "--resume", str(folder)]) == 0
    assert "is finished already; this is its result." in capfd.readouterr().out


@pytest.mark.kill
def test_killed_processes_end_the_same(blobs):
    """Real processes, SIGKILL, random moments; `make soak` is the long form."""
    words = ["tools/soak_kill.py", "--kills", "6", "--seed", "3", "--epochs", "3", "--data", str(blobs)]
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert ", 0 did not" in run.stdout
    assert "DIFFERENT" not in run.stdout
