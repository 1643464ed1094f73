"""The benchmarks are scripts: they find each other, and tools find them, by the path of their folders."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folders(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), str(ROOT / "tools"), *sys.path])
