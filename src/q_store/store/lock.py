"""Who has a store open: a file beside it, locked by every process that uses it, for as long as it lives.

The system lets go of the lock when a process ends, however it ends. So whoever gets it exclusively knows that nobody
else is there: a log that is left over comes from a crash, and leases in the store are those of the dead.
"""

from __future__ import annotations

import os
from pathlib import Path

from q_store.files import refused

try:
    import fcntl
except ImportError:  # no such system call: nobody is ever alone, so leases run out by time
    fcntl = None  # type: ignore[assignment]


class Lock:
    """The lock of one opening of a store.

    Args:
        path: of the store; None: in memory, alone and not locked.

    Raises:
        StorageError: where the file cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        self.alone = path is None
        self._descriptor: int | None = None
        if path is None or fcntl is None:
            return
        place = path.with_name(f"{path.name}-lock")
        try:
            self._descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise refused(place, error) from error
        self.alone = self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not self.alone:
            self._locked(fcntl.LOCK_SH)  # waits while another process opens the store

    def share(self) -> None:
        """Let others in: the store is ready."""
        if self.alone and fcntl is not None:
            self._locked(fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go; again is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _locked(self, how: int) -> bool:
        if self._descriptor is None:
            return False
        try:
            fcntl.flock(self._descriptor, how)
        except OSError:  # taken, or a file system without locks: not alone then
            return False
        return True
