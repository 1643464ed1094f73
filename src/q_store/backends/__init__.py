"""What runs circuits.

v3.4 programs import `BackendManager` and `create_default_backend_manager` from here: they are loaded when asked for.
"""

from __future__ import annotations

from typing import Any

import q_store

_V34 = frozenset({"BackendManager", "create_default_backend_manager"})


def __getattr__(name: str) -> Any:
    if name not in _V34:
        raise AttributeError(f"module 'q_store.backends' has no attribute {name!r}")
    return getattr(q_store, name)
