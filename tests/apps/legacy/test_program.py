"""A program of v3.4 runs unchanged, and again as a whole interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import q_store

PROGRAM = Path(__file__).parents[2] / "data" / "program_v34.py"


def test_a_program_of_v34_runs_unchanged(tmp_path):
    environment = {**os.environ, "PYTHONWARNINGS": "error,ignore::DeprecationWarning"}
    run = subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert run.returncode == 0, run.stderr
    said = run.stdout.splitlines()
    assert said[1] == "batches: True native: True cache: True"
    first, last = (float(word) for word in said[2].removeprefix("loss ").split(" to "))
    assert last < 0.9 * first
    assert said[3] == "epochs: 5 stored: 0"
    assert said[4].startswith("moved: 0 of the frozen, 8 ")
    assert said[5] == "restored: True"
    assert said[6] == "validated: 40 accuracy above chance: True"
    assert said[7:10] == [
        "a batch: ['circuit_time_ms', 'gradient_norm', 'loss', 'n_circuits'] 20",
        "an epoch: 0 80",
        "output: (2,)",
    ]


def test_importing_the_package_loads_none_of_it():
    probe = "import sys, q_store; print([n for n in sys.modules if n.startswith(('q_store.', 'numpy', 'pydantic'))])"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", q_store.LAZY)
def test_every_name_is_there_and_known_to_type_checkers(name):
    from q_store import ml

    assert getattr(q_store, name) is getattr(ml, name)
    assert name in dir(q_store)
    stub = Path(q_store.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert f" {name} as {name}" in stub


def test_names_that_there_are_not_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'QuantumDatabase'"):
        _ = q_store.QuantumDatabase
    with pytest.raises(ImportError):
        from q_store.ml import SmartCircuitCache  # noqa: F401
