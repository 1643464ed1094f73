"""A small thread pool for kernels that release the GIL.

Our own, and not Numba's `prange`: its OpenMP layer aborts in forked children (DataLoader workers), its workqueue
layer when two threads enter. Waiting is passive, so an idle thread costs nothing on a busy machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

_pool: ThreadPoolExecutor | None = None


def available() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split(blocks: int, parts: int, unit: int) -> list[tuple[int, int]]:
    """At most `parts` ranges that cover 0..blocks-1, cut at multiples of `unit`."""
    units = -(-blocks // unit)
    cuts = [min(blocks, units * p // parts * unit) for p in range(parts + 1)]
    return [(a, b) for a, b in pairwise(cuts) if a < b]


def run(task: Callable[[int, int, int], float], ranges: list[tuple[int, int]]) -> list[float]:
    """task(part, first, last) for every range; the first range runs in the caller."""
    if len(ranges) == 1:
        return [task(0, *ranges[0])]
    others = [_executor().submit(task, part, *ranges[part]) for part in range(1, len(ranges))]
    return [task(0, *ranges[0]), *(f.result() for f in others)]


def _executor() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603  # one pool a process, made on first use
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=max(1, available() - 1), thread_name_prefix="q-store-kernel")
    return _pool


def _forget() -> None:
    global _pool  # noqa: PLW0603  # a forked child has no threads of its parent
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
