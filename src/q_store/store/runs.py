"""Runs: what was started, with which settings, what happened in it, and where its checkpoints are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from q_store.errors import InputError, RunError, suggestion
from q_store.store import sql
from q_store.store.database import Database
from q_store.store.plain import from_text, to_text

RUNNING = "running"
STATUSES = (RUNNING, "completed", "stopped", "paused", "failed")
_SHOWN = 20
_LARGEST = 2**63
_ALL = _LARGEST - 1


@dataclass(frozen=True, slots=True)
class Run:
    """A run.

    Attributes:
        id: its name in commands, unique. name: free text, e.g. of the model.
        config: settings, secrets hidden. seed: of the run. versions: of packages.
        status: one of `STATUSES`.
        started, finished: seconds since 1970. seconds: wall time spent in all processes of the run.
    """

    id: str
    name: str
    config: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    status: str
    started: float
    finished: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """An event of a run: a number that counts from 1, the time, its kind and its values."""

    seq: int
    time: float
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """Where the checkpoint after `step` lies, with the SHA-256 of the file."""

    step: int
    path: str
    sha256: str
    time: float


class Runs:
    """The tables `runs`, `events` and `checkpoints`.

    Args:
        clock: seconds since 1970. fresh: makes ids.
    """

    def __init__(self, database: Database, clock: Callable[[], float], fresh: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._fresh = fresh

    def start(
        self,
        name: str,
        config: Mapping[str, Any],
        *,
        seed: int = 0,
        versions: Mapping[str, str] | None = None,
        run: str | None = None,
    ) -> Run:
        """Begin a run; `run` is its id, a fresh one where None.

        Raises:
            RunError: for an id that is taken. InputError: for settings without a JSON form, or a seed beyond 64 bits.
        """
        if not -_LARGEST <= seed < _LARGEST:
            raise InputError(f"expected a seed of 64 bits, got {seed}")
        own = run or self._fresh()
        values = {"id": own, "name": name, "config": to_text(config), "seed": seed, "versions": to_text(versions or {})}
        with self._database.write():
            if self._database.row(sql.GET_RUN, {"id": own}):
                raise RunError(
                    f"expected a new id for the run, got {own!r}, which is taken; resume it, or choose another"
                )
            self._database.run(sql.ADD_RUN, {**values, "started": self._clock()})
        return self.get(own)

    def get(self, run: str) -> Run:
        """A run by its id. Raises RunError where this store has none."""
        return _run(self._row(run))

    def all(self) -> list[Run]:
        """All runs, in the order they were started."""
        return [_run(row) for row in self._database.rows(sql.ALL_RUNS)]

    def set_status(self, run: str, status: str) -> None:
        """Note that a run goes on, ended, or why it did."""
        if status not in STATUSES:
            raise InputError(f"expected a status of a run, got {status!r}{suggestion(status, STATUSES)}")
        finished = None if status == RUNNING else self._clock()
        with self._database.write():
            self._database.run(sql.SET_STATUS, {"run": self.number(run), "status": status, "finished": finished})

    def spend_seconds(self, run: str, seconds: float) -> None:
        """Add wall time that a process has spent on a run; caps on seconds count it."""
        if not seconds >= 0:
            raise InputError(f"expected seconds of 0 or more, got {seconds}")
        self._database.run(sql.ADD_SECONDS, {"run": self.number(run), "seconds": seconds})

    def note(self, run: str, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep events (kind, values), in order, in one transaction."""
        number, now = self.number(run), self._clock()
        with self._database.write():
            last = int(self._database.rows(sql.LAST_EVENT, {"run": number})[0][0])
            rows = [(number, last + k, now, kind, to_text(body)) for k, (kind, body) in enumerate(events, 1)]
            self._database.many(sql.ADD_EVENT, rows)

    def notes(self, run: str, *, after: int = 0, limit: int | None = None) -> list[Note]:
        """The events behind number `after`, at most `limit`."""
        rows = self._database.rows(sql.EVENTS, {"run": self.number(run), "after": after, "limit": limit or _ALL})
        return [Note(seq, time, kind, from_text(body)) for seq, time, kind, body in rows]

    def add_checkpoint(self, run: str, step: int, path: str, sha256: str) -> None:
        """Note a checkpoint that is on the disk."""
        values = {"run": self.number(run), "step": step, "path": path, "sha256": sha256, "time": self._clock()}
        self._database.run(sql.ADD_CHECKPOINT, values)

    def checkpoints(self, run: str) -> list[CheckpointFile]:
        """The checkpoints of a run, by step."""
        return [CheckpointFile(*row) for row in self._database.rows(sql.CHECKPOINTS, {"run": self.number(run)})]

    def number(self, run: str) -> int:
        """The number of a run in other tables. Raises RunError where this store has none of that id."""
        return int(self._row(run)[0])

    def _row(self, run: str) -> tuple[Any, ...]:
        found = self._database.row(sql.GET_RUN, {"id": run})
        if found is None:
            ids = [row[0] for row in self._database.rows(sql.RUN_IDS)]
            known = suggestion(run, ids[:_SHOWN]) if ids else "; it has none yet"
            raise RunError(f"expected the id of a run of this store, got {run!r}{known}")
        return found


def _run(row: tuple[Any, ...]) -> Run:
    _, own, name, config, seed, versions, *rest = row
    return Run(own, name, from_text(config), seed, from_text(versions), *rest)
