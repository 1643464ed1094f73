"""Whatever is noted as JSON: plain values only, and no secrets."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from q_store.errors import InputError

HIDDEN = "***"
_SECRET = re.compile(
    r"(^|[_\- ])(api[_\- ]?)?(key|token|secret|password|passwd|authorization|credentials?)s?$", re.IGNORECASE
)


def to_text(value: Any) -> str:
    """JSON text of mappings, sequences, numbers, text, booleans, None and NumPy scalars.

    What looks like a secret (a SecretStr, or text under a name such as `api_key`) becomes "***"; NaN and infinities
    become null.

    Raises:
        InputError: for any other type.
    """
    return json.dumps(_plain(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def from_text(text: str) -> Any:
    """The value."""
    return json.loads(text)


def _plain(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(name): _named(str(name), each) for name, each in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [_plain(each) for each in value]
    raise InputError(f"expected plain values (numbers, text, lists, mappings), got {type(value).__name__}; convert it")


def _named(name: str, value: Any) -> Any:
    texts = isinstance(value, str | bytes | list | tuple | set | frozenset) and len(value) > 0
    return HIDDEN if texts and _SECRET.search(name) else _plain(value)
