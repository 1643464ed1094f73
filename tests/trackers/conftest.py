"""A training to tell, in a folder of its own."""

from __future__ import annotations

import pytest
from tests.trackers.stories import STORY


@pytest.fixture
def story():
    """All events of a run, and their times."""
    return [(1000.0 + k, event) for k, event in enumerate(STORY)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """No test writes beside its own folder, or where the user of this machine keeps runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
