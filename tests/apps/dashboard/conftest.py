"""A run of five steps and an epoch."""

import pytest
from dashboard_runs import OPENING, folder_of_run, step, write

from q_store.events import EpochDone


@pytest.fixture
def run(tmp_path):
    """Five steps and an epoch of ten steps."""
    folder = folder_of_run(tmp_path / "compact-mine")
    epoch = EpochDone(1, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5, train_accuracy=0.7)
    write(folder, *OPENING, *map(step, range(1, 6)), epoch)
    return folder
