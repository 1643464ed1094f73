"""Keep OpenBLAS in the calling thread where many small products or factorisations run one after the other.

OpenBLAS splits even a 60 x 60 factorisation over its threads, which wait for each other by spinning: a step of
SciPy's L-BFGS takes 0.1 ms alone and 10 ms when another process needs the second core.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from itertools import product
from threading import Lock

LINKED = ("numpy._core._multiarray_umath", "scipy.linalg._fblas")
"""Extension modules linked with BLAS; the wheels of NumPy and SciPy each bring their own copy."""


_lock = Lock()
_before: list[list[int]] = []
"""One entry for each use under way, the first with the thread counts to restore."""


@contextmanager
def single_threaded() -> Iterator[None]:
    """Within, every OpenBLAS of this process runs in the thread that calls it; other BLAS libraries are left alone.

    The setting belongs to the process. Uses may nest and overlap: the last one to leave restores it.
    """
    with _lock:
        _before.append([getter() for getter, _ in _controls()])
        _set([1] * len(_before[0]))
    try:
        yield
    finally:
        with _lock:
            first, *rest = _before
            _before[:] = [first] * len(rest)
            if not _before:
                _set(first)


def _set(counts: list[int]) -> None:
    for (_, setter), count in zip(_controls(), counts, strict=True):
        setter(count)


@cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """(getter, setter) of the thread count of each OpenBLAS found."""
    found = []
    for name in LINKED:
        try:
            library = ctypes.CDLL(str(import_module(name).__file__))
        except (ImportError, OSError):
            continue
        for prefix, suffix in product(("scipy_", ""), ("64_", "")):
            getter = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            setter = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if getter is not None and setter is not None:
                setter.argtypes, setter.restype = [ctypes.c_int], None
                found.append((getter, setter))
    return tuple(found)
