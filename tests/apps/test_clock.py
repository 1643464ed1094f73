"""The ledger of seconds."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from q_store.apps.clock import Clock, process_age


def test_stages_add_up_and_the_total_counts_from_the_start(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock(age=2.0)
    for name, seconds in (("data", 1.0), ("train", 3.0), ("train", 0.5)):
        with clock.stage(name):
            now[0] += seconds
    clock.move("train", "compile", 0.25)
    assert clock.seconds() == {"data": 1.0, "compile": 0.25, "train": 3.25, "evaluate": 0.0, "total": 6.5}


def test_a_stage_that_fails_is_counted(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock()

    def fail():
        with clock.stage("data"):
            now[0] += 1.0
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert clock.seconds()["data"] == 1.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
def test_the_age_of_a_process_counts_its_imports():
    probe = "import time; time.sleep(.2); from q_store.apps.clock import process_age; print(process_age())"
    before = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert 0.18 < float(run.stdout) < time.perf_counter() - before + 0.02


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
def test_an_age_that_cannot_be_is_not_taken(monkeypatch):
    monkeypatch.setattr(time, "clock_gettime", lambda _clock: 1e9)
    assert process_age() == 0.0
