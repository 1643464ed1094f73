"""Skips the folder where PyTorch is absent. Called `torch`, it would be imported in place of the library there."""

from __future__ import annotations

from contextlib import suppress

import pytest

with suppress(ImportError):  # a library beneath it opens a socket when it is imported, which no test may
    import pennylane  # noqa: F401

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'q-store[torch]'")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # its threads spin, which costs a busy machine more than they gain
