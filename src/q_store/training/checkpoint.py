"""Checkpoints: one .npz file without pickle, replaced atomically.

    arrays of the state · header: JSON {format, version, sha256, run, state}

The hash covers every array (name, type, shape, bytes) and the rest of the header. A file is written beside the old
one, flushed to the disk and renamed over it, so at any moment the name stands for one whole checkpoint or none.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.errors import RunError, StorageError
from q_store.files import write_atomically
from q_store.training.state import TrainingState

FORMAT, VERSION = "q-store checkpoint", 1
_HEADER = "header"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
Arrays = dict[str, npt.NDArray[Any]]


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
        write_atomically(self.path, _encoded(state.arrays(), {"run": identity.parts, "state": state.numbers()}))
        return str(self.path)

    def _decoded(self, content: bytes) -> tuple[Arrays, dict[str, Any]]:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                bad = archive.testzip()
            if bad is not None:
                raise self._damaged(f"{bad} fails its checksum")
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            header = json.loads(arrays.pop(_HEADER).tobytes())
            claimed = header.pop("sha256")
            known = (header["format"], header["version"])
        except _DAMAGE as error:
            raise self._damaged(str(error)) from None
        if known != (FORMAT, VERSION):
            msg = (
                f"expected {FORMAT} version {VERSION} in {self.path}, got {known[0]} version {known[1]};"
                " use the q-store that wrote it"
            )
            raise RunError(msg)
        if claimed != _sha256(arrays, header):
            raise self._damaged("its contents do not match their hash")
        return arrays, header

    def _damaged(self, why: str) -> RunError:
        return RunError(
            f"expected a whole checkpoint at {self.path}, but {why or 'it is damaged'};"
            " delete it and start the run anew"
        )


def _encoded(arrays: Arrays, body: dict[str, Any]) -> bytes:
    header = {"format": FORMAT, "version": VERSION, **body}
    header = json.loads(json.dumps(header, allow_nan=False))
    text = json.dumps({**header, "sha256": _sha256(arrays, header)}).encode()
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **{_HEADER: np.frombuffer(text, dtype=np.uint8)}, **arrays)
    return out.getvalue()


def _sha256(arrays: Arrays, header: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > 16 else text
