"""Checkpoints by epoch, as v3.4 named them: `checkpoint_epoch_<n>.npz`, n the epochs that are done."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from q_store.training.checkpoint import CheckpointFile, RunIdentity
from q_store.training.state import TrainingState

_START = "initial parameters"
"""Not compared: a state has its parameters."""


class EpochCheckpoints(CheckpointFile):
    """One file an epoch that is kept; an earlier one of that name is replaced, as in v3.4.

    Args:
        folder: made when the first is written. loaded: what to go on from; None: begin anew.
    """

    def __init__(self, folder: Path, loaded: tuple[TrainingState, dict[str, Any]] | None = None) -> None:
        super().__init__(folder)
        self._loaded = loaded
        self.last: tuple[TrainingState, RunIdentity] | None = None

    def open(self, identity: RunIdentity, *, resume: bool) -> TrainingState | None:  # noqa: ARG002  # it was loaded
        """What was loaded, where it is of this run."""
        if self._loaded is None:
            return None
        state, parts = self._loaded
        own = RunIdentity({name: value for name, value in identity.parts.items() if name != _START})
        difference = own.difference({name: value for name, value in parts.items() if name != _START})
        if not difference:
            return state
        warnings.warn(
            f"the checkpoint is of another run, which differs in {difference}: its parameters begin a new one",
            UserWarning,
            stacklevel=6,
        )
        return None

    def save(self, state: TrainingState, identity: RunIdentity) -> str:
        """Write the file of this epoch; its path. Raises StorageError."""
        self.last = state, identity
        return self.write(file_of(self.path, state.epoch), state, identity)

    @staticmethod
    def write(path: Path, state: TrainingState, identity: RunIdentity) -> str:
        """Write a state into a file; its path. Raises StorageError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return CheckpointFile(path).save(state, identity)


def file_of(folder: Path, epoch: int) -> Path:
    """The file of an epoch."""
    return folder / f"checkpoint_epoch_{epoch}.npz"
