"""The environments of the clients: one file of exact versions each, and all of them made before the tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.conftest import ENVIRONMENTS, ROOT

FILES = {path.stem.removeprefix("requirements-"): path for path in Path(__file__).parent.glob("requirements-*.txt")}


def test_make_makes_what_the_tests_use():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (names,) = re.findall(r"^CLIENTS := (.*)$", makefile, re.MULTILINE)
    assert sorted(names.split()) == sorted(FILES) == sorted(ENVIRONMENTS.values())
    assert re.search(r"^test:.*\bclients\b", makefile, re.MULTILINE)


def test_versions_are_exact():
    lines = [line for path in FILES.values() for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)] == []
