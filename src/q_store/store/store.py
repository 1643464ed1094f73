"""The store: one file with everything that must outlive a process."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from q_store.errors import StorageError, StoreError
from q_store.store import sql
from q_store.store.budget import Budget
from q_store.store.circuits import Circuits
from q_store.store.database import BUSY_SECONDS, Database
from q_store.store.export import export
from q_store.store.journal import Journal
from q_store.store.runs import Runs
from q_store.store.samples import Samples
from q_store.store.tickets import Tickets

LEASE_SECONDS = 60.0


class Store:
    """Runs, circuits, samples, the journal, tickets and budgets in one SQLite file, shared by any number of processes.

    Methods may be called from every thread; each that writes is one transaction, on the disk when it returns (about a
    millisecond). `transaction()` joins several into one. Close it, or use it in a `with`.

    Args:
        path: of the file, made where there is none, with `-wal`, `-shm` and `-lock` files beside it while it is in use.
            None: in memory, for tests.
        clock: seconds since 1970.
        lease: seconds that this store's tickets stay with it without `tickets.heartbeat()`; call that three times as
            often. Leases of processes that have ended are over at once where nobody else has the file open.
        busy: seconds to wait for another process that writes.
        owner: names this store in tickets; by default host, process and a random part.

    Attributes:
        runs, circuits, samples, journal, tickets, budget: the parts.

    Raises:
        StorageError: where the disk refuses: no folder, full, read-only, no permission.
        StoreError: where the file is damaged, of a newer version, or no store.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        clock: Callable[[], float] = time.time,
        lease: float = LEASE_SECONDS,
        busy: float = BUSY_SECONDS,
        owner: str | None = None,
    ) -> None:
        self.path = None if path is None else Path(path)
        _check_place(self.path)
        self._database = Database(self.path, clock(), busy, alone=(sql.RELEASE_ALL_LEASES,))
        self.runs = Runs(self._database, clock, lambda: secrets.token_hex(4))
        self.circuits = Circuits(self._database)
        self.samples = Samples(self._database, self.circuits, clock)
        self.journal = Journal(self._database, self.runs)
        self.budget = Budget(self._database, self.runs)
        self.tickets = Tickets(
            database=self._database,
            runs=self.runs,
            circuits=self.circuits,
            samples=self.samples,
            journal=self.journal,
            budget=self.budget,
            clock=clock,
            owner=owner or f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(8)}",
            lease=lease,
        )

    def transaction(self) -> AbstractContextManager[None]:
        """Join what is written inside into one transaction: all of it is kept, or nothing."""
        return self._database.write()

    def export(self, table: str, path: str | os.PathLike[str], tell: Callable[[int, int], None] | None = None) -> int:
        """Write a table (`export.TABLES`) as .csv or .parquet; how many rows. Tells and raises as `export.export`."""
        return export(self._database, table, Path(path), tell)

    def check(self) -> None:
        """Read the whole file, and compare accounts with tickets and charges. Raises StoreError for damage."""
        self._database.check()
        if wrong := self._database.rows(sql.AUDIT):
            raise StoreError(f"expected accounts that agree with the tickets, got {len(wrong)} others: {wrong[0]}")

    def close(self) -> None:
        """End the leases of this store and close the file; again is harmless."""
        if self._database.is_open:
            try:
                self.tickets.release()
            finally:
                self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_place(path: Path | None) -> None:
    if path is None:
        return
    if os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises where it may not look; the lock says why
        raise StorageError(f"expected a file for the store, got the folder {path}; add a name, e.g. {path / 'runs.db'}")
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise StorageError(f"expected a folder for the store at {path.parent}, got none; make it, or choose another")
