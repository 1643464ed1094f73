"""The file: opened with care, written in short transactions, and its refusals as errors of q-store."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from q_store.errors import StorageError, StoreError
from q_store.store import sql
from q_store.store.lock import Lock

Values = Mapping[str, Any] | Sequence[Any]
Rows = list[tuple[Any, ...]]
BUSY_SECONDS = 30.0
MOST_IN_A_STATEMENT = 900
"""Values of one `IN (...)`; SQLite before 3.32 takes 999."""

_REFUSED = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only; make them writable or choose another place",
    sqlite3.SQLITE_PERM: "no permission to write there; choose another place",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened for writing; check the folder and its permissions",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check it, and whether it is full",
    sqlite3.SQLITE_NOLFS: "the file is too large for this file system",
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF  # of an extended error code
_SMALL = 8 * 2**20
"""Bytes up to which a file is checked at every opening: some hundredths of a second."""


class Database:
    """One connection, usable from every thread of this process, one at a time.

    `write` and `read` may be nested; an inner part that fails is undone alone. Every method raises StorageError when
    the disk refuses or another process keeps the file, StoreError when it is damaged, and then nothing of the
    transaction stays.

    Args:
        path: of the file, made where there is none; its folder must exist. None: in memory, for tests.
        now: seconds since 1970, for the record of migrations.
        busy: seconds to wait for another process that writes.
        migrations: MIGRATIONS[v] leads from version v to v + 1.
        alone: statements to run before anybody else comes in, where nobody has the file open: whoever wrote it is gone.
    """

    def __init__(
        self,
        path: Path | None,
        now: float,
        busy: float = BUSY_SECONDS,
        migrations: Sequence[Sequence[str]] = sql.MIGRATIONS,
        alone: Sequence[str] = (),
    ) -> None:
        self.path = path
        self._busy = busy
        self._process = os.getpid()
        self._mutex = threading.RLock()
        self._depth = 0
        self._lock = Lock(path)
        try:
            suspect = _suspect(path, alone=self._lock.alone)
            self._connection: sqlite3.Connection | None = self._connect()
            with self._translated():
                self._prepare(migrations, now, alone if self._lock.alone else (), suspect=suspect)
        except BaseException:
            self.close()
            raise
        self._lock.share()

    def close(self) -> None:
        """Close the file; again is harmless."""
        with self._mutex:
            connection: sqlite3.Connection | None = getattr(self, "_connection", None)
            self._connection = None
            if connection is not None:
                connection.close()
            self._lock.release()

    @property
    def is_open(self) -> bool:
        """Whether it was opened by this process and not closed."""
        return self._connection is not None and self._process == os.getpid()

    @contextmanager
    def write(self) -> Iterator[None]:
        """A transaction, or a part of the one that is open: on the disk at its end, or nothing of it is."""
        with self._mutex, self._translated():
            depth = self._depth
            self._execute(sql.SAVEPOINT.format(depth) if depth else sql.BEGIN)
            self._depth += 1
            try:
                yield
                self._execute(sql.RELEASE.format(depth) if depth else sql.COMMIT)
            except BaseException:
                self._undo(depth)
                raise
            finally:
                self._depth = depth

    @contextmanager
    def read(self) -> Iterator[None]:
        """All reads inside see the same state of the file."""
        with self._mutex, self._translated():
            outer = self._depth == 0
            if outer:
                self._execute(sql.BEGIN_READING)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if outer and self._open.in_transaction:
                    self._execute(sql.COMMIT)

    def rows(self, statement: str, values: Values = ()) -> Rows:
        """All rows of a query."""
        with self._mutex, self._translated():
            return self._execute(statement, values).fetchall()

    def row(self, statement: str, values: Values = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self._mutex, self._translated():
            found: tuple[Any, ...] | None = self._execute(statement, values).fetchone()
            return found

    def rows_in(self, statement: str, values: Sequence[Any], first: Sequence[Any] = ()) -> Rows:
        """All rows of a query with `IN ({})`, for any number of values, in pieces; `first` stand before it."""
        out: Rows = []
        with self.read():
            for start in range(0, len(values), MOST_IN_A_STATEMENT):
                part = values[start : start + MOST_IN_A_STATEMENT]
                out += self.rows(statement.format(",".join("?" * len(part))), [*first, *part])
        return out

    def run(self, statement: str, values: Values = ()) -> int:
        """Change rows, within `write`; how many."""
        with self.write():
            return self._execute(statement, values).rowcount

    def many(self, statement: str, values: Iterable[Values]) -> None:
        """One statement for many rows."""
        with self.write():
            self._open.executemany(statement, values)

    def stream(self, statement: str, values: Values = (), size: int = 1000) -> Iterator[Rows]:
        """The rows of a query in pieces, over a connection of its own, so that nobody waits for a slow reader."""
        if self.path is None:
            yield self.rows(statement, values)
            return
        own = self._connect()
        try:
            with self._translated():
                cursor = own.execute(statement, values)
                while rows := cursor.fetchmany(size):
                    yield rows
        finally:
            own.close()

    def check(self) -> None:
        """Read the whole file. Raises StoreError where it is damaged."""
        self._checked(sql.FULL_CHECK)
        if broken := self.rows(sql.FOREIGN_KEY_CHECK):
            raise self._damaged(f"{len(broken)} rows refer to nothing, the first in {broken[0][0]}")

    # ----------------------------------------------------------------------------------------------------------- inside

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"expected an open store, got {self._name} after close(); open it again")
        if self._process != os.getpid():
            raise StoreError(f"expected {self._name} in the process that opened it, got a fork; open it here anew")
        return self._connection

    @property
    def _name(self) -> str:
        return str(self.path or "a store in memory")

    def _execute(self, statement: str, values: Values = ()) -> sqlite3.Cursor:
        return self._open.execute(statement, values)

    def _connect(self) -> sqlite3.Connection:
        with self._translated():
            connection = sqlite3.connect(
                ":memory:" if self.path is None else self.path,
                timeout=self._busy,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            for setting in sql.SETTINGS:
                connection.execute(setting)
            return connection

    def _prepare(self, migrations: Sequence[Sequence[str]], now: float, alone: Sequence[str], *, suspect: bool) -> None:
        """Refuse what is no store of ours, then make it ready. Raises StoreError, StorageError."""
        self._recognise(len(migrations))
        if self.path is not None and self._number(sql.USE_WAL) != "wal":
            raise StorageError(f"expected a file system with shared memory for {self.path}, got one without; move it")
        if suspect:
            self._checked(sql.QUICK_CHECK)
        with self.write():  # also finds out that the file is read-only
            version = self._recognise(len(migrations))  # another process may have been faster
            for step in range(version, len(migrations)):
                for statement in migrations[step]:
                    self._execute(statement)
                self._execute(sql.ADD_MIGRATION, {"version": step + 1, "at": now})
            if version < len(migrations):
                self._execute(sql.SET_APPLICATION_ID)
                self._execute(sql.SET_VERSION.format(len(migrations)))
            for statement in alone:
                self._execute(statement)

    def _recognise(self, newest: int) -> int:
        """The version of the file, 0 where it is new."""
        kind, version = self._number(sql.GET_APPLICATION_ID), int(self._number(sql.GET_VERSION))
        if kind != sql.APPLICATION_ID and (kind or version or self._number(sql.COUNT_TABLES)):
            raise StoreError(
                f"expected a store of q-store at {self._name}, got another SQLite file; choose another name"
            )
        if version > newest:
            raise StoreError(
                f"expected a store of version {newest} or older at {self._name}, got {version}; "
                "a newer q-store wrote it: upgrade, or choose another file"
            )
        return version

    def _number(self, statement: str) -> Any:
        return self._execute(statement).fetchone()[0]

    def _checked(self, statement: str) -> None:
        verdict = self.rows(statement)[0][0]
        if verdict != "ok":
            raise self._damaged(str(verdict).splitlines()[-1])

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"expected an undamaged store at {self._name}, got: {what}; restore a copy, or move it away (with its -wal "
            "file) and save what is readable with `sqlite3 FILE .recover`"
        )

    def _undo(self, depth: int) -> None:
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return  # SQLite has rolled back by itself, as on a full disk
        if depth:
            connection.execute(sql.ROLLBACK_TO.format(depth))
            connection.execute(sql.RELEASE.format(depth))
        else:
            connection.execute(sql.ROLLBACK)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY
            if code in _REFUSED:
                raise StorageError(f"expected to keep {self._name} on the disk, got: {_REFUSED[code]}") from error
            if code in _BUSY:
                raise StorageError(
                    f"expected a turn to write {self._name} within {self._busy:g} s, got none: another process keeps "
                    "it; let that end, or end it"
                ) from error
            if code in _DAMAGED:
                raise self._damaged(str(error)) from error
            raise


def _suspect(path: Path | None, *, alone: bool) -> bool:
    """Whether to read the file before it is used: after a crash its last user's log is still there, or it is small."""
    if path is None or not os.path.exists(path):  # noqa: PTH110  # Path.exists raises where it may not look
        return False
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size <= _SMALL or (alone and log.exists() and log.stat().st_size > 0)
