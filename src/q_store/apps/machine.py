"""What a training ran on, for its config: system, processor, memory, and versions of what computes; nobody's name."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

COMPUTING = ("numpy", "scipy", "numba")
"""Packages whose version may change a result in its last bits."""


def machine() -> dict[str, Any]:
    """As JSON."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}".strip(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in COMPUTING}},
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory() -> float | None:
    with suppress(ValueError, OSError, AttributeError):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
