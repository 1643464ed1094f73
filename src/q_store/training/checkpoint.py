"""Checkpoints: one .npz file without pickle, replaced atomically.

    arrays of the state · header: JSON {format, version, run, state}

See `q_store.archive` for the form. A file is written beside the old
one, flushed to the disk and renamed over it, so at any moment the name stands for one whole checkpoint or none.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q_store.archive import Arrays, pack, unpack
from q_store.errors import RunError, StorageError
from q_store.files import write_atomically
from q_store.training.state import TrainingState

FORMAT, VERSION = "q-store checkpoint", 1


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What a resumed run must share with the one that was interrupted: settings, objective, data, first parameters.

    Attributes:
        parts: JSON values by name.
    """

    parts: dict[str, Any]

    def difference(self, other: dict[str, Any]) -> str:
        """The first part that differs, in words; empty if none does."""
        for name in sorted(self.parts.keys() | other.keys()):
            mine, theirs = self.parts.get(name), other.get(name)
            if mine != theirs:
                return f"{name} ({_short(theirs)} in the checkpoint, {_short(mine)} now)"
        return ""


class CheckpointFile:
    """The checkpoint of one run.

    Args:
        path: of the file; its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def open(self, identity: RunIdentity, *, resume: bool) -> TrainingState | None:
        """The state to go on from; None to start anew.

        Raises:
            RunError: when the file exists although nothing is to be resumed, is damaged, or is of another run.
        """
        if not self.path.exists():
            return None
        if not resume:
            msg = f"expected no checkpoint at {self.path}, found one; resume it, or choose another place"
            raise RunError(msg)
        state, parts = self.load()
        if difference := identity.difference(parts):
            msg = (
                f"expected the checkpoint {self.path} to be of this run, but it differs in {difference};"
                " resume with the same options and data"
            )
            raise RunError(msg)
        return state

    def load(self) -> tuple[TrainingState, dict[str, Any]]:
        """(state, parts of the identity).

        Raises:
            RunError: when there is no such file, or it is no checkpoint, damaged, or of another format version.
            StorageError: when it cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            msg = f"expected a checkpoint at {self.path}, found none; start the run anew"
            raise RunError(msg) from None
        except OSError as error:
            msg = f"could not read the checkpoint {self.path}: {error.strerror}; check the permissions"
            raise StorageError(msg) from error
        arrays, header = self._decoded(content)
        try:
            return TrainingState.of(arrays, header["state"]), header["run"]
        except (KeyError, TypeError) as error:
            raise self._damaged(f"it lacks {error}") from None

    def save(self, state: TrainingState, identity: RunIdentity) -> str:
        """Replace the file; returns its path.

        Raises:
            StorageError: when the disk is full or read-only; the earlier checkpoint is untouched.
        """
        header = {"format": FORMAT, "version": VERSION, "run": identity.parts, "state": state.numbers()}
        write_atomically(self.path, pack(state.arrays(), header))
        return str(self.path)

    def _decoded(self, content: bytes) -> tuple[Arrays, dict[str, Any]]:
        try:
            found = unpack(content)
        except ValueError as error:
            raise self._damaged(str(error)) from None
        known = found.header.get("format"), found.header.get("version")
        if known != (FORMAT, VERSION):
            msg = (
                f"expected {FORMAT} version {VERSION} in {self.path}, got {known[0]} version {known[1]};"
                " use the q-store that wrote it"
            )
            raise RunError(msg)
        if not found.intact:
            raise self._damaged("its contents do not match their hash")
        return found.arrays, found.header

    def _damaged(self, why: str) -> RunError:
        return RunError(
            f"expected a whole checkpoint at {self.path}, but {why or 'it is damaged'};"
            " delete it and start the run anew"
        )


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > 16 else text
