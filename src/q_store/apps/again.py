"""The command that does a run again, from what its config says was asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from q_store.apps.configured import SETTINGS
from q_store.apps.request import DEFAULT_DATA, FASHION
from q_store.names import NAMES

IMPLIED: Mapping[str, Any] = {"data": DEFAULT_DATA, "backend": "local"}
"""Options that are left out where they have this value."""


def command(request: Mapping[str, Any], *, control: bool = True) -> str:
    """`q-store train ...`; files by their names alone, as paths of one machine are of no use on another."""
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
    words += [word for name, value in named(request).items() for word in ("--set", f"{name}={value}")]
    return shlex.join(words if control else [*words, "--no-control"])


def named(request: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that have a name for `--set`."""
    names = {
        setting: each.name for each in NAMES.values() for place, setting in SETTINGS.items() if each.place == place
    }
    given = _settings(request)
    return {names[setting]: value for setting, value in given.items() if setting in names and value is not None}


def unnamed(request: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that follow from several names of a `TrainingConfig`, and so are not in the command."""
    names = set(SETTINGS.values())
    return {setting: value for setting, value in _settings(request).items() if setting not in names or value is None}


def _settings(request: Mapping[str, Any]) -> Mapping[str, Any]:
    given = request.get("settings")
    return given if isinstance(given, Mapping) else {}


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
