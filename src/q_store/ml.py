"""`q_store.ml`, from where v3.4 programs import: the names of `q_store`, loaded when they are asked for."""

from __future__ import annotations

from typing import Any

import q_store

V3_4_AVAILABLE = True


def __getattr__(name: str) -> Any:
    if name not in q_store.LAZY:
        raise AttributeError(f"module 'q_store.ml' has no attribute {name!r}; docs/migration.md says what became of it")
    return getattr(q_store, name)
