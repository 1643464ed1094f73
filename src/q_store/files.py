"""Files that are there whole or not at all: write beside the target, flush to the disk, rename over it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from q_store.errors import StorageError

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "no permission to write there; choose another folder",
    errno.EPERM: "no permission to write there; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.EEXIST: "a part of the path is a file; choose another folder",
    errno.ENOENT: "the folder is not there; make it, or choose another",
    errno.EISDIR: "a folder of that name is there; choose another name",
    errno.EFBIG: "a limit on the size of files is reached; raise it (ulimit -f) or free some space",
}
"""What to do when the system refuses to write, by its error number."""


def refused(path: Path | str, error: OSError) -> StorageError:
    """The error that says why the disk refused to keep `path`, and what to do."""
    reason = REMEDIES.get(error.errno or 0, f"{error.strerror or error}; check the folder and the disk")
    return StorageError(f"expected to write {path}, got: {reason}")


def write_whole(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Let `fill` write into `.NAME.PROCESS.part`, flush it to the disk and rename it over `path`.

    Raises StorageError when the disk refuses; then an old file is still there and the part is gone (only a process
    that is killed leaves it).
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and not isinstance(error, StorageError):
            raise refused(path, error) from error
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """`write_whole` for bytes."""
    write_whole(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """`write_whole` for UTF-8 text."""
    write_atomically(path, text.encode())


def sync_folder(path: Path) -> None:
    """Make a rename in the folder `path` survive a power cut, where the system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
