"""Killed before any statement whatever, a run resumes: nothing is bought twice, nothing lost, no cap exceeded."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a kill needs no real disk, and there a flush costs nothing


EVERY = 5
"""Statements from one kill to the next; 1 kills at all of the 240, which takes a quarter of a minute more."""


@pytest.mark.kill
def test_a_kill_at_any_statement_costs_nothing():
    """A purchase more or fewer in the book, or another answer, and the row differs from that of the unbroken run."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        command = [sys.executable, "-m", "tests.store.kill_child", folder, str(EVERY)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    unbroken = found[-1]
    assert len(found) > 100 / EVERY
    assert (unbroken["accepted"], unbroken["spent"], unbroken["open"], unbroken["samples"]) == (
        [0, 1, 2, 3],
        True,
        0,
        4,
    )
    assert [each for each in found if each != unbroken] == []
