"""Ctrl-C and a polite kill: one line, exit code 130, and a folder that can be gone on with."""

from __future__ import annotations

import builtins
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from q_store import __main__ as entry
from q_store.apps import assemble

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def test_an_interrupted_measurement_says_so(q_store, trained, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(assemble, "dataset", interrupted)
    answer = q_store("evaluate", trained)
    assert (answer.code, answer.err) == (130, "q-store: interrupted\n")


def test_an_interrupt_while_loading_leaves_no_traceback(monkeypatch, capsys):
    original = builtins.__import__

    def interrupted(name, *more):
        if name == "q_store.apps.cli":
            raise KeyboardInterrupt
        return original(name, *more)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert entry.main() == 130
    assert capsys.readouterr().err == "q-store: interrupted\n"


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_polite_kill_ends_tidily(data_file, tmp_path, name):
    folder = tmp_path / "run"
    words = ["train", "ring", "--data", str(data_file), "--epochs", "100000", "--out", str(folder)]
    # tests that are run under nohup ignore SIGHUP, and so would their child
    start = f"import signal, sys; signal.signal(signal.{name}, signal.SIG_DFL); import q_store.__main__ as q"
    with subprocess.Popen(
        [sys.executable, "-c", f"{start}; sys.exit(q.main())", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not (folder / "checkpoints" / "last.npz").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"q-store: interrupted; go on with: q-store train --resume {folder}\n")
    assert not list(folder.rglob("*.part"))


def test_pictures_are_drawn_whatever_the_environment_says():
    code = "from q_store.apps import guard; guard.settle(); import matplotlib as m; print(m.get_backend())"
    setting = {**os.environ, "MPLBACKEND": "nonsense"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=setting)
    assert (run.stdout.strip().lower(), run.stderr) == ("agg", "")


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "2>&- <&-"])
def test_streams_that_the_caller_closed_are_no_failure(trained, closed):
    words = [sys.executable, "-m", "q_store", "evaluate", str(trained)]
    command = f"exec {shlex.join(words)} {closed}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@posix
def test_a_reader_that_goes_away_gets_no_complaint(trained, data_file, tmp_path):
    """`q-store ... | head -1`: the exit code of a broken pipe, silence, and a training that can be gone on with."""
    run = str(tmp_path / "run")
    for words in (["predict", str(trained), str(data_file)], ["train", "ring", "--data", str(data_file), "--out", run]):
        command = [sys.executable, "-m", "q_store", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.close()
            _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (141, ""), words
