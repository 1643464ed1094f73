"""Caps in words: `5USD,10000circuits`, read and written."""

from __future__ import annotations

import math
import re
from typing import Any

from q_store.errors import ConfigError, suggestion
from q_store.store import Caps

EXAMPLE = "5USD,10000circuits"
_COUNTS = {"circuit": "circuits", "circuits": "circuits", "shot": "shots", "shots": "shots"}
_SECONDS = {
    **dict.fromkeys(("s", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
_PART = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_CURRENCY = re.compile(r"[A-Z]{3}")


def parse(text: str, where: str = "--budget") -> Caps:
    """The caps in a text such as `5USD,10000circuits,2hours`; `where` it stands is for messages. Raises ConfigError."""
    limits: dict[str, Any] = {}
    for part in text.split(","):
        name, value, currency = _one(part.strip(), where)
        if name in limits:
            raise ConfigError(f"expected each limit once in {where}, got {name} twice in {text!r}; keep one of them")
        limits |= {name: value, **({"currency": currency} if currency else {})}
    return Caps(**limits)


def line(caps: Caps) -> str:
    """`5 USD, 10,000 circuits`."""
    parts = [] if caps.money is None else [f"{caps.money:,.12g} {caps.currency}"]
    parts += [
        f"{value:,g} {name}" for name in ("circuits", "shots", "seconds") if (value := getattr(caps, name)) is not None
    ]
    return ", ".join(parts)


def _one(part: str, where: str) -> tuple[str, float, str]:
    """(`money`, `circuits`, `shots` or `seconds`, how much, currency)."""
    found = _PART.fullmatch(part)
    if not found:
        raise ConfigError(f"expected {where} such as {EXAMPLE}, got {part!r}; give a number and what it counts")
    amount, unit = float(found[1].replace("_", "")), found[2]
    if not 0 < amount < math.inf:
        raise ConfigError(f"expected {where} above 0, got {part!r}; leave it out for no cap")
    if unit.lower() in _SECONDS:
        return "seconds", amount * _SECONDS[unit.lower()], ""
    if unit.lower() in _COUNTS:
        if amount != int(amount):
            raise ConfigError(f"expected a whole number of {unit} in {where}, got {part!r}")
        return _COUNTS[unit.lower()], int(amount), ""
    if not _CURRENCY.fullmatch(unit):
        known = ["USD", "circuits", "shots", "seconds", "minutes", "hours"]
        raise ConfigError(f"expected a currency such as USD, circuits, shots or a time in {where}, got {unit!r}"
                          f"{suggestion(unit, known)}")  # fmt: skip
    return "money", amount, unit
