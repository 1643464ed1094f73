"""A pool as the place of a training: checked, and put into words, as `place.Place` is for one service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from q_store.apps.place import IONQ, Place
from q_store.apps.pool_file import Entry, PoolFile, read

POOL = "pool"


@dataclass(frozen=True)
class PoolPlace:
    """The pool of a file."""

    file: PoolFile
    backend = POOL
    remote = True

    @staticmethod
    def of(path: str) -> PoolPlace:
        """The pool of the file at `path`. Raises ConfigError."""
        return PoolPlace(read(Path(path)))

    @property
    def exact(self) -> bool:
        """Whether every member gives probabilities, without statistical error."""
        return all(entry.place.exact and entry.noise is None for entry in self.file.entries)

    @property
    def free(self) -> bool:
        """Whether no member costs anything."""
        return all(entry.free for entry in self.file.entries)

    @property
    def title(self) -> str:
        """`the pool of three.toml (forte, here)`."""
        return f"the pool of {self.file.path.name} ({', '.join(entry.name for entry in self.file.entries)})"

    @property
    def honest(self) -> str:
        """What may be said of the training, in a sentence."""
        machines = [_is_machine(entry) for entry in self.file.entries]
        if all(machines):
            return f"Trained on quantum hardware: {self.title}."
        if any(machines):
            return f"Trained on {self.title}, of which not every member is quantum hardware."
        return f"Trained on {self.title}: simulators or what answers like one, not quantum hardware."

    def config(self) -> dict[str, Any]:
        """As JSON; the file is read again when a run is resumed, as members may come and go."""
        return {"backend": POOL, "pool": str(self.file.path)}


def _is_machine(entry: Entry) -> bool:
    return entry.provider == IONQ and entry.place.genuine and not entry.place.free


def entries(place: Place | PoolPlace, key_file: Path | None = None) -> tuple[Entry, ...]:
    """The members of a place; a single service is a pool of one."""
    if isinstance(place, PoolPlace):
        return place.file.entries
    return (Entry(IONQ, place.backend, place.written_out(), key_file=key_file),)
