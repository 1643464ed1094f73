"""What the store keeps of a training that costs something: its run, where its checkpoints are, and how it ended."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q_store import __version__
from q_store.apps.run_folder import RunFolder
from q_store.errors import BudgetError, PausedError, QStoreError, RunError, StorageError, StoreError
from q_store.events import CheckpointSaved, Event, Sink
from q_store.files import refused
from q_store.store import State, Store

DEFAULT = Path("runs") / "q-store.db"
"""The store where none is named: beside the run folders."""
CHECKPOINT = "checkpoint"
"""Kind of the note that a checkpoint was saved, with its digest and the ordinal of the next job."""


def named(store: Path | None) -> dict[str, str]:
    """What the config of a new run says of its record: the store, and a fresh id in it."""
    return {"store": str((store or DEFAULT).resolve()), "run": secrets.token_hex(4)}


@dataclass(frozen=True)
class Record:
    """A run in an open store."""

    store: Store
    run: str
    folder: RunFolder

    @property
    def first_job(self) -> int:
        """The ordinal of the first job behind the checkpoint.

        A process that died right behind saving a checkpoint noted nothing of it, and had begun no job behind it.
        """
        if not self.folder.checkpoint.is_file():
            return 0
        own = _digest(self.folder.checkpoint)
        notes = reversed(self.store.runs.notes(self.run))
        found = (note.body["next_job"] for note in notes if note.kind == CHECKPOINT and note.body["sha256"] == own)
        return int(next(found, self.store.journal.next_job(self.run)))

    def sink(self, next_job: Callable[[], int]) -> Sink:
        """Notes every checkpoint, with the ordinal that jobs behind it begin with."""

        def note(event: Event) -> None:
            if isinstance(event, CheckpointSaved):
                own, path = _digest(self.folder.checkpoint), os.path.abspath(event.path)  # noqa: PTH100
                with self.store.transaction():
                    self.store.runs.add_checkpoint(self.run, event.step, path, own)
                    self.store.runs.note(self.run, [(CHECKPOINT, {"sha256": own, "next_job": next_job()})])

        return note

    @property
    def bought(self) -> bool:
        """Whether anything was received, or may be on its way."""
        return any(
            ticket.state not in {State.FAILED, State.CANCELLED} for ticket in self.store.tickets.of_run(self.run)
        )


@dataclass
class Stake:
    """Whether a run folder is worth keeping though it has no checkpoint yet."""

    held: bool = False


@contextmanager
def recorded(folder: RunFolder, config: Mapping[str, Any], name: str, seed: int, stake: Stake) -> Iterator[Record]:
    """The record of the run in `folder`, as its config names it; how the block ends is noted.

    Raises StoreError and StorageError for a store that cannot be used, RunError for one that is another's.
    """
    with _opened(Path(config["store"])) as store:
        record = Record(store, str(config["run"]), folder)
        _begin(record, config, name, seed)
        stake.held = True
        try:
            yield record
        except BaseException as error:
            with suppress(StoreError, StorageError):  # the error itself says more
                stake.held = record.bought
                store.runs.set_status(record.run, _status(error))
            raise
        store.runs.set_status(record.run, "completed")


@contextmanager
def _opened(path: Path) -> Iterator[Store]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(path.parent, error) from error
    with Store(path) as store:
        yield store


def _begin(record: Record, config: Mapping[str, Any], name: str, seed: int) -> None:
    store, run = record.store, record.run
    if any(each.id == run for each in store.runs.all()):
        _same(record, store.runs.get(run).config)
        store.runs.set_status(run, "running")
        return
    if record.folder.checkpoint.is_file():
        raise RunError(
            f"expected run {run} in the store {store.path}, got a store without it; give the one that the run was "
            f"started with: --store FILE"
        )
    own = {"folder": str(record.folder.path.resolve()), "request": config["request"]}
    store.runs.start(name, own, seed=seed, versions={"q_store": __version__}, run=run)


def _same(record: Record, config: Mapping[str, Any]) -> None:
    """An id that another folder has: a copied folder must not buy on the account of the first one."""
    there = Path(str(config.get("folder", "")))
    here = record.folder.path.resolve()
    if there != here and there.is_dir():
        raise RunError(
            f"expected run {record.run} in its folder {there}, got {here}, a copy of it; resume the first one, or "
            "start a new run"
        )


def _status(error: BaseException) -> str:
    if isinstance(error, BudgetError | PausedError):
        return "paused"
    return "failed" if isinstance(error, QStoreError) else "stopped"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
