"""What the folder of a run says of it beside its events; nothing of it names a file or a key."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from q_store.apps.control import asked
from q_store.apps.run_folder import CIRCUIT, CONFIG, RESULT, TESTED, VALIDATED, at_work

ASKED = (
    "model", "seed", "epochs", "rows", "batch_size", "shots", "finish", "recipe", "backend", "target", "gateset",
    "noise", "shot_schedule", "depth_schedule", "prune",
)  # fmt: skip
MEASURED = ("accuracy", "test_interval", "two_qubit_gates", "parameters")
REMOTE = ("test_accuracy", "test_interval", "test_rows")


class Facts:
    """Reads the small files of a run folder again when they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}
        self._config: dict[str, Any] = {}
        self._result: dict[str, Any] = {}
        self._tested: dict[str, Any] = {}
        self._validated: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        """The sections `run`, `result` and `tested`."""
        self._config = self._changed(CONFIG) or self._config
        self._result = self._changed(RESULT) or self._result
        self._tested = self._changed(TESTED) or self._tested
        if not self._tested:
            self._validated = self._changed(VALIDATED) or self._validated
        request = self._config.get("request")
        request = request if isinstance(request, dict) else {}
        run = {name: request[name] for name in ASKED if isinstance(request.get(name), str | int | float)}
        data = str(request.get("data", ""))
        found = {name: self._result[name] for name in MEASURED if name in self._result}
        control = self._result.get("classical_control")
        if isinstance(control, dict):
            found["control"] = control.get("test_accuracy")
        remote = self._result.get("remote")
        if isinstance(remote, dict):
            found["remote"] = {name: remote.get(name) for name in REMOTE}
        return {
            "run": {
                "name": self._folder.resolve().name,
                **run,
                "data": Path(data).name,
                "version": str(self._config.get("q_store", "")),
                "alive": held(self._folder),
                "wanted": asked(self._folder),
                "circuit": (self._folder / CIRCUIT).is_file(),
            },
            "result": found,
            "tested": self._tested or self._validated,
        }

    def _changed(self, name: str) -> dict[str, Any]:
        """What is in a file; empty where it is as it was, absent, or damaged."""
        path = self._folder / name
        with suppress(OSError, ValueError, RecursionError):
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size)
            if self._seen.get(name) != mark:
                self._seen[name] = mark
                value = json.loads(path.read_bytes())
                return value if isinstance(value, dict) else {}
        return {}


LOCKS = Path("/proc/locks")
"""The system's list, on Linux."""


def held(folder: Path) -> bool | None:
    """Whether a process works in the folder, by its lock; None where the system does not tell.

    By the system's list where there is one; else, as on macOS, by having the lock for a moment: a training that begins
    right then tries again (`RunFolder.lock`).
    """
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return at_work(folder)
    try:
        own = f"{folder.stat().st_ino}"
    except OSError:
        return None
    return any(" FLOCK " in line and line.split()[5].rpartition(":")[2] == own for line in lines if "->" not in line)
