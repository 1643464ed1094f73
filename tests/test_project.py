"""The promises of the project files: pins, versions, layers at run time, size limits, the socket guard."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import q_store

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pinned}


def requirements() -> list[Requirement]:
    every = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
    return [requirement for requirement in map(Requirement, every) if requirement.name != PROJECT["name"]]


def python(*args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env}, cwd=ROOT)


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_dependency_is_pinned_within_its_bounds(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_every_dependency_is_open_at_the_top():
    assert [str(req) for req in requirements() if {spec.operator for spec in req.specifier} != {">="}] == []


def test_all_installs_every_extra_but_dev():
    (all_extras,) = map(Requirement, EXTRAS["all"])
    assert all_extras.extras == set(EXTRAS) - {"all", "dev"}


def test_constraints_are_plain_pins_of_the_public_index():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)]
    assert odd == []


def test_the_version_is_stated_once_and_the_same():
    assert q_store.__version__ == PROJECT["version"]


def test_the_typing_marker_is_shipped():
    assert (ROOT / "src" / "q_store" / "py.typed").is_file()


def test_circuits_load_numpy_and_no_other_library():
    probe = "import sys, q_store.circuits; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    run = python("-c", probe)
    assert run.returncode == 0, run.stderr
    heavy = {canonicalize_name(req.name).replace("-", "_") for req in requirements()} - {"numpy"}
    assert heavy & set(run.stdout.split()) == set()


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (["def f():", *["    x = 1"] * 49], 0, "functions: 1, median 50 lines"),
        (["def f():", *["    x = 1"] * 50], 1, "f() has 51 lines"),
        (["class A:", "    async def g(self):", *["        x = 1"] * 50], 1, "g() has 51 lines"),
        (["x = 1"] * 400, 0, "files: 1, median 400 lines"),
        (["x = 1"] * 401, 1, "sample.py has 401 lines"),
    ],
)
def test_the_size_check_sees_what_is_too_long(tmp_path, body, status, expected):
    (tmp_path / "sample.py").write_text("\n".join(body) + "\n", encoding="utf-8")
    run = python("tools/check_sizes.py", tmp_path)
    assert (run.returncode, expected in run.stdout) == (status, True), run.stdout + run.stderr


def test_the_size_check_refuses_to_check_nothing(tmp_path):
    assert python("tools/check_sizes.py", tmp_path).returncode == 2


def test_ci_can_be_executed():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_a_connection_fails_the_test():
    with socket.socket() as plain, pytest.raises(pytest.fail.Exception, match="opens no socket"):
        plain.connect(("127.0.0.1", 9))
    with pytest.raises(pytest.fail.Exception, match=r"look-up of 'example\.org'"):
        socket.create_connection(("example.org", 80))


@given(st.sampled_from(["bind", "connect", "connect_ex"]))
def test_the_guard_holds_inside_properties(method):
    with socket.socket() as plain, pytest.raises(pytest.fail.Exception):
        getattr(plain, method)(("127.0.0.1", 0))


def test_event_loops_need_no_exception():
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


@pytest.mark.socket
def test_a_marked_test_may_open_a_socket():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        assert server.getsockname()[1] > 0
