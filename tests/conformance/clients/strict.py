"""ionq-core's models as strict types: its own parsers check required keys and enumerations, but few types."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from ionq_core import models


def problems(value: Any, wanted: Any, at: str = "") -> Iterator[str]:
    """Where `value`, parsed by the library, is not of the type that the library declares."""
    origin = get_origin(wanted)
    if wanted is Any:
        return
    if origin in (Union, types.UnionType):
        # of several types the one that fits best tells most
        yield from min((list(problems(value, each, at)) for each in get_args(wanted)), key=len)
    elif origin is Literal:
        if value not in get_args(wanted):
            yield f"{at}: {value!r} is none of {get_args(wanted)}"
    elif origin in (list, dict):
        yield from _items(value, origin, get_args(wanted), at)
    elif attrs.has(wanted) and isinstance(value, wanted):
        for name, hint in hints(wanted).items():
            yield from problems(getattr(value, name), hint, f"{at}.{name}")
    elif not _fits(value, wanted):
        yield f"{at}: expected {getattr(wanted, '__name__', wanted)}, got {type(value).__name__} {str(value)[:80]}"


def hints(cls: type) -> dict[str, Any]:
    """The declared types of a model's fields; its module imports other models only for type checkers."""
    known = get_type_hints(cls, {**vars(models), **vars(sys.modules[cls.__module__])})
    return {field.name: known[field.name] for field in attrs.fields(cls)}


def _items(value: Any, origin: type, arguments: tuple[Any, ...], at: str) -> Iterator[str]:
    if not isinstance(value, origin):
        yield f"{at}: expected a {origin.__name__}, got {type(value).__name__} {str(value)[:80]}"
    elif origin is list:
        for k, each in enumerate(value):
            yield from problems(each, arguments[0], f"{at}[{k}]")
    else:
        for key, each in value.items():
            yield from problems(each, arguments[1], f"{at}[{key!r}]")


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    if wanted is float:
        return isinstance(value, int | float)
    return value is None if wanted in (None, type(None)) else isinstance(value, wanted)
