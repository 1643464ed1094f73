"""Keep BLAS in the calling thread where many small products or factorisations run one after the other.

OpenBLAS splits even a 60 x 60 factorisation over its threads, which wait for each other by spinning: a step of
SciPy's L-BFGS takes 0.1 ms alone and 10 ms when another process needs the second core.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_lock = Lock()
_users: list[threadpool_limits] = []
"""One entry for each use under way, all the same: the limits that the first one set."""


@contextmanager
def single_threaded() -> Iterator[None]:
    """Within, every BLAS of this process runs in the thread that calls it.

    The setting belongs to the process. Uses may nest and overlap: the last one to leave restores it.
    """
    with _lock:
        _users.append(_users[0] if _users else threadpool_limits(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            limits = _users.pop()
            if not _users:
                limits.restore_original_limits()
