"""Every example runs and says what its opening docstring promises."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
NEEDS = {"from_qiskit": "qiskit"}


def printed(name, capsys):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def vqe(out):
    assert abs(number(r"error (\S+) hartree", out)) < 1e-6


def from_qiskit(out):
    assert number(r"accuracy (\S+)%", out) > 95
    assert "2 free parameters (the features)" in out


def own_data(out):
    assert number(r"unseen rows (\S+)%", out) > 90
    assert number(r"shots (\S+)%", out) > 90
    assert set(out.split("first three: ")[1].split()) <= {"dawn", "noon", "dusk"}


def own_circuit(out):
    assert number(r"step 300   error (\S+)", out) < 0.02
    assert 0.7 < number(r"errors of (\S+) times", out) < 1.3
    assert "x_0) q[0];" in out


CHECKS = {check.__name__: check for check in (vqe, from_qiskit, own_data, own_circuit)}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_the_example_does_what_it_says(name, capsys):
    CHECKS[name](printed(name, capsys))  # an example without a check fails here


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_the_example_says_how_to_run_it(path):
    assert f"Run: python examples/{path.name}" in path.read_text(encoding="utf-8")


def test_own_data_is_short():
    assert len((FOLDER / "own_data.py").read_text(encoding="utf-8").splitlines()) <= 40
