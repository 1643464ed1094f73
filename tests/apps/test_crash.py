"""Trainings that pay, killed with SIGKILL and resumed: the service's ledger is the judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.kill
@pytest.mark.socket
def test_killed_trainings_pay_once_and_end_the_same():
    """Real processes on real ports, four kills; `make soak` is the long form."""
    words = ["tools/soak_crash.py", "--kills", "4", "--seed", "4"]
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert ", 0 did not" in run.stdout
    assert "WRONG" not in run.stdout
