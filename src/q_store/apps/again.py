"""The command that does a run again, from what its config says was asked for."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from q_store.apps.configured import NAMED, SETTINGS
from q_store.apps.request import DEFAULT_DATA, FASHION
from q_store.config.sources import value as from_word
from q_store.names import NAMES

IMPLIED: Mapping[str, Any] = {"data": DEFAULT_DATA, "backend": "local"}
"""Options that are left out where they have this value."""


def command(config: Mapping[str, Any], *, control: bool = True) -> str:
    """`q-store train ...`; files by their names alone, as paths of one machine are of no use on another.

    Args:
        config: of the run.
        control: whether the classical control was trained too.
    """
    request = _object(config, "request")
    words = ["q-store", "train", str(request.get("model", "MODEL"))]
    for name, value in request.items():
        if name in {"model", "settings"} or value is None or IMPLIED.get(name) == value:
            continue
        if (name, request.get("backend")) == ("backend", "pool"):
            continue
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not False:
            words += [option, _value(name, value)]
    words += [word for name, value in _named(config).items() for word in ("--set", f"{name}={_written(value)}")]
    return shlex.join(words if control else [*words, "--no-control"])


def unnamed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that the command lacks: several names came to them, and an earlier q-store kept none."""
    if NAMED in config:
        return {}
    known = set(SETTINGS.values())
    given = _object(_object(config, "request"), "settings")
    return {setting: value for setting, value in given.items() if setting not in known or value is None}


def _named(config: Mapping[str, Any]) -> dict[str, Any]:
    """Names for `--set`: those that were given, or by an earlier q-store what settings tell of them."""
    if NAMED in config:
        return dict(_object(config, NAMED))
    names = {
        setting: each.name for each in NAMES.values() for place, setting in SETTINGS.items() if each.place == place
    }
    given = _object(_object(config, "request"), "settings")
    return {names[setting]: value for setting, value in given.items() if setting in names and value is not None}


def _object(within: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = within.get(name)
    return given if isinstance(given, Mapping) else {}


def _written(value: Any) -> str:
    """As `--set` reads it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return json.dumps(text) if isinstance(value, str) and from_word(text) != text else text


def _value(name: str, value: Any) -> str:
    if name in {"data", "pool"} and value not in FASHION:
        return Path(str(value)).name
    return address(str(value)) if name == "url" else str(value)


def address(url: str) -> str:
    """A URL without user, password and query: a report goes from hand to hand."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "URL"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
