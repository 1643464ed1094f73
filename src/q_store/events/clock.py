"""The one clock that all times of a run are read from."""

from __future__ import annotations

import asyncio
import time

_ZERO = time.time() - time.monotonic()


def moment() -> float:
    """The one clock of a run: seconds since 1970, never backwards; in virtual time those of the loop, after a start."""
    try:
        return _ZERO + asyncio.get_running_loop().time()
    except RuntimeError:
        return _ZERO + time.monotonic()
