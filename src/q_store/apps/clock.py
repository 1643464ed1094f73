"""Where the time went: stages of one command, and a total that counts from the start of the process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_START = 60.0
"""An older process was not started a moment ago: its clock is not to be trusted (some containers)."""
STAGES = ("data", "compile", "train", "evaluate")


def process_age() -> float:
    """Seconds since this process was started, imports included; 0 where the system does not tell (not Linux)."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        import os

        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = int(fields[19])  # proc(5): field 22, start time in clock ticks after boot
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return age if 0 < age < LONGEST_START else 0.0
    return 0.0


class Clock:
    """Seconds by stage. `age` is how long the command has already run when the clock is made."""

    def __init__(self, age: float = 0.0) -> None:
        self._start = time.perf_counter() - age
        self._seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the block as the stage `name`, also when the block raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def move(self, source: str, target: str, seconds: float) -> None:
        """Count `seconds` of the stage `source` as `target` instead."""
        self._seconds[source] -= seconds
        self._seconds[target] += seconds

    def seconds(self) -> dict[str, float]:
        """The stages and the total so far, rounded to milliseconds. Start-up and control are in the total alone."""
        total = time.perf_counter() - self._start
        return {name: round(value, 3) for name, value in (self._seconds | {"total": total}).items()}
