"""The folder of one training run: what lies where, who may write, and what counts as damaged.

    config.json           what was asked for, and what it was resolved to (digest of the data, recipe, sizes)
    metrics.jsonl         one JSON object an epoch, written as it happens
    checkpoints/last.npz  what `--resume` continues from; written by the trainer
    model.npz          preprocessing, circuit, parameters and readout, in one file
    circuit.svg           the circuit, drawn
    validated.json        while it trains: confusion matrix and some images of the validation part
    tested.json           confusion matrix, and some test images with their predictions
    confusion.png         learning_curve.png
    result.json           the figures of the summary; written last, so its presence says that the run is finished

Every file but the metrics is written whole or not at all. One process at a time holds a folder.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from q_store.errors import RunError, StorageError
from q_store.files import refused, sync_folder, write_text

FORMAT = 1
CONFIG, METRICS, RESULT, MODEL = "config.json", "metrics.jsonl", "result.json", "model.npz"
CHECKPOINTS, CHECKPOINT = "checkpoints", "last.npz"
PROGRAM = "program"
"""In the config: the name of the program whose training it is; absent for `q-store train`."""
RUNS = Path("runs")
"""Where run folders go that are given no place."""
VALIDATED = "validated.json"
CIRCUIT, TESTED, CONFUSION, CURVE = "circuit.svg", "tested.json", "confusion.png", "learning_curve.png"

PAUSES = (0.002, 0.01, 0.05)
"""Seconds between tries to hold a folder that somebody holds."""


class RunFolder:
    """An existing run folder; `create` makes one, `find` opens one. Close it to let another process in."""

    def __init__(self, path: Path, made: Sequence[Path] = ()) -> None:
        self.path = path
        self._made = made  # parents that did not exist before
        self._lock: int | None = None

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any]) -> RunFolder:
        """Make the folder `path`, with parents, its config inside; the folder appears complete, under a lock.

        Raises RunError when something is at `path` already and StorageError when the disk refuses.
        """
        _refuse_existing(path)
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        made = _missing_parents(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.mkdir()
            (draft / CHECKPOINTS).mkdir()
            write_text(draft / CONFIG, _dump({"format": FORMAT, **config}))
            _refuse_existing(path)
            draft.rename(path)
            sync_folder(path.parent)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            _remove_empty(made)
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                raise refused(path, error) from error
            raise
        folder = cls(path, made)
        folder.lock()
        return folder

    @classmethod
    def find(cls, path: Path) -> RunFolder:
        """The run folder at `path`. Raises RunError when there is none."""
        if not path.is_dir():
            what = "a file" if path.exists() else "nothing there"
            raise RunError(
                f"expected a run folder at {path}, got {what}; start a run with: q-store train MODEL --out {path}"
            )
        if not (path / CONFIG).is_file():
            raise RunError(
                f"expected a run folder with {CONFIG} at {path}, got a folder without it; give the folder that "
                "'q-store train' printed"
            )
        return cls(path)

    def lock(self) -> None:
        """Hold the folder until `close` or the end of the process; RunError when another process holds it."""
        try:
            import fcntl
        except ImportError:  # not POSIX: no lock, and no two writers by discipline
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            _take(descriptor, fcntl.LOCK_EX)
        except BlockingIOError as error:
            os.close(descriptor)
            raise RunError(
                f"expected {self.path} to be at rest, got a folder that another q-store process is training in; "
                "wait for it or choose another --out"
            ) from error
        except OSError:  # a file system without locks
            os.close(descriptor)
            return
        self._lock = descriptor

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """Remove the folder and all in it: only for a run that failed before it began."""
        shutil.rmtree(self.path, ignore_errors=True)
        _remove_empty(self._made)
        self.close()

    def sweep(self) -> None:
        """Remove what a killed process had written in part, make what somebody removed. Only under the lock."""
        with suppress(OSError):  # the first checkpoint complains about it
            (self.path / CHECKPOINTS).mkdir(exist_ok=True)
        for pattern in (".*.part", f"{CHECKPOINTS}/.*.part"):
            for path in self.path.glob(pattern):
                with suppress(OSError):
                    path.unlink()

    @property
    def checkpoint(self) -> Path:
        """The file that the trainer keeps its checkpoint in; absent before the first one."""
        return self.path / CHECKPOINTS / CHECKPOINT

    @property
    def model(self) -> Path:
        """The trained model, one file."""
        return self.path / MODEL

    @property
    def config(self) -> dict[str, Any]:
        """What the run was asked for. Raises RunError when the file is damaged or of a later format."""
        config = self._read(CONFIG)
        if config.get("format") != FORMAT:
            raise RunError(
                f"{self.path / CONFIG}: expected format {FORMAT}, got {config.get('format')!r}; use the version of "
                "q-store that wrote it, or train again"
            )
        if not isinstance(config.get("resolved", {}), dict):
            raise RunError(
                f"{self.path / CONFIG}: expected 'resolved' to be a JSON object, got something else; restore the file "
                "or train again"
            )
        return config

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace the config."""
        write_text(self.path / CONFIG, _dump({"format": FORMAT, **config}))

    @property
    def finished(self) -> bool:
        """Whether the run has its result."""
        return (self.path / RESULT).is_file()

    @property
    def result(self) -> dict[str, Any]:
        """The figures of a finished run. Raises RunError when the file is damaged."""
        return self._read(RESULT)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write the figures, and thereby finish the run."""
        write_text(self.path / RESULT, _dump(result))

    def write_circuit(self, drawing: str) -> None:
        """Write the drawing of the circuit."""
        write_text(self.path / CIRCUIT, drawing)

    def write_tested(self, tested: Mapping[str, Any]) -> None:
        """Write what was found on the test part, for those who show it."""
        write_text(self.path / TESTED, json.dumps(tested, ensure_ascii=False) + "\n")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(
                f"{path}: expected a readable JSON object, got: {_one_line(error)}; restore the file, or train again "
                "into another folder"
            ) from error
        if not isinstance(value, dict):
            raise RunError(
                f"{path}: expected a JSON object, got {type(value).__name__}; restore the file or train again"
            )
        return value

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line to the metrics and flush it. Raises StorageError when the disk refuses."""
        path = self.path / METRICS
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(json.dumps(row).encode() + b"\n")
        except OSError as error:
            with suppress(OSError):
                os.truncate(path, size)
            raise refused(path, error) from error

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of the metrics up to the first torn one (a process may be killed while it writes)."""
        rows: list[dict[str, Any]] = []
        path = self.path / METRICS
        if not path.is_file():
            return rows
        for line in path.read_bytes().decode("utf-8", "replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not isinstance(row, dict) or not isinstance(row.get("epoch", 0), int):
                break
            rows.append(row)
        return rows

    def keep_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace the metrics by `rows`: what a resumed run repeats must not be there twice."""
        write_text(self.path / METRICS, "".join(json.dumps(row) + "\n" for row in rows))


def at_work(path: Path) -> bool | None:
    """Whether a process holds the folder; None where the system does not tell. Has the lock itself for a moment."""
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int, kind: int) -> None:
    """Lock; a little later where `at_work` looks just now. Raises BlockingIOError where somebody keeps it."""
    import fcntl

    for pause in PAUSES:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return
    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)


def fresh(parent: Path, name: str) -> Path:
    """`parent/name`, or the first of `name-2`, `name-3`, ... that does not exist."""
    path, number = parent / name, 1
    while os.path.lexists(path):
        number += 1
        path = parent / f"{name}-{number}"
    return path


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise RunError(
            f"expected a folder that does not exist yet, got {path}; choose another --out, or continue that run with "
            f"--resume {path}"
        )


def _missing_parents(path: Path) -> list[Path]:
    return [parent for parent in path.parents if not parent.exists()]


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
