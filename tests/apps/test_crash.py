"""Trainings that pay, killed with SIGKILL and resumed: the service's ledger is the judge."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.kill
@pytest.mark.socket
def test_killed_trainings_pay_once_and_end_the_same():
    """Real processes on real ports, twelve kills of every kind; `make soak` is the long form."""
    words = ["tools/soak_crash.py", "--kills", "12", "--seed", "4", "--workers", "2"]
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert ", 0 did not" in run.stdout
    assert "WRONG" not in run.stdout
    found = re.search(r"^(\d+) kills at random", run.stdout, re.MULTILINE)
    assert found, run.stdout
    assert int(found[1]) >= 12
    for said in ("a random time (", ", boundary ", " of two (", " circuits accepted ("):
        assert said in run.stdout
