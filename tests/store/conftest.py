"""A store in memory, with the run `run` and its job 0."""

from __future__ import annotations

import pytest
from tests.store.parts import Clock, memory


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    with memory(clock) as own:
        yield own
