"""The file of a pool: who is in it, how it decides, and what it may spend; TOML, checked, without secrets in it.

allow_mixed = false
[budget]                     # caps: `run`, or an account; as in --budget
run = "5USD,10000circuits"
[settings]                   # figures of `q_store.pool.settings.PoolSettings`
[[member]]
name = "forte"
provider = "ionq"
target = "qpu.forte-1"
price = {two = 0.00098}
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from q_store.apps.caps import parse
from q_store.apps.place import IONQ, LOCAL, Place, check_place
from q_store.errors import ConfigError, suggestion
from q_store.pool.membership import FREE, Price
from q_store.pool.settings import PoolSettings
from q_store.store import Caps

AER = "qiskit_aer"
TEXT, WHOLE, NUMBER, FLAG, TABLE = "text", "a whole number", "a number", "true or false", "a table"
_TYPES: dict[str, tuple[type, ...]] = {TEXT: (str,), WHOLE: (int,), NUMBER: (int, float), FLAG: (bool,), TABLE: (dict,)}
COMMON = {
    "name": TEXT, "provider": TEXT, "account": TEXT, "priority": WHOLE, "max_slice": WHOLE, "max_in_flight": WHOLE,
}  # fmt: skip
OWN = {
    LOCAL: {},
    IONQ: {
        "target": TEXT, "gateset": TEXT, "noise": TEXT, "url": TEXT, "key_env": TEXT, "key_file": TEXT, "price": TABLE,
        "max_age": NUMBER,
    },
    AER: {"device": TEXT, "noise": TEXT},
}  # fmt: skip
"""Options by provider, beside the common ones."""
TOP = {"member": "tables [[member]]", "settings": TABLE, "budget": TABLE, "allow_mixed": FLAG}
_ALLOW_MIXED = "allow_mixed"
_KINDS = {bool: FLAG, int: WHOLE, float: NUMBER, str: TEXT}
FIGURES = {each.name: _KINDS[type(each.default)] for each in fields(PoolSettings) if each.name != _ALLOW_MIXED}


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as the file names it; None is what was not given.

    Attributes:
        name: unique in the pool. provider: what runs its circuits.
        place: of a service: target, gates, noise model, URL; the defaults written out.
        account: who charges; caps go by it. None: the provider.
        key_env, key_file: where the key is. price: None: what the service says, or nothing where it is free.
        device, noise: of a simulator in this process.
        priority, max_slice, max_in_flight, max_age: see `q_store.pool.membership.Member`.
    """

    name: str
    provider: str
    place: Place
    account: str | None = None
    key_env: str | None = None
    key_file: Path | None = None
    price: Price | None = None
    device: str | None = None
    noise: str | None = None
    priority: int | None = None
    max_slice: int | None = None
    max_in_flight: int | None = None
    max_age: float | None = None

    @property
    def charges(self) -> str:
        """The account."""
        return self.account or self.provider

    @property
    def free(self) -> bool:
        """Whether it is known to cost nothing."""
        return self.price == FREE if self.price is not None else not self.place.remote or self.place.free


@dataclass(frozen=True, slots=True)
class PoolFile:
    """What the file says. `budget` has caps of the run (None) and by account."""

    path: Path
    entries: tuple[Entry, ...]
    settings: PoolSettings
    budget: Mapping[str | None, Caps]


def read(path: Path) -> PoolFile:
    """The pool in a file. Raises ConfigError for anything that cannot be used, with what would be possible."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"expected a file with a pool at {path}, got: {reason}; see docs/pool.md") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: expected TOML with each key once, got: {error}; see docs/pool.md") from None
    return understood(path, said)


def understood(path: Path, said: Mapping[str, Any]) -> PoolFile:
    """The pool that a parsed file describes. Raises as `read`."""
    where = str(path)
    _known(said, TOP, where)
    tables = said.get("member")
    if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        raise ConfigError(f"{where}: expected at least one table [[member]], got none; see docs/pool.md")
    entries = tuple(_entry(table, k, path) for k, table in enumerate(tables, 1))
    _different(entries, where)
    own = _table(said, "settings", where)
    _known(own, FIGURES, f"{where}: settings")
    own = {name: _value(own, name, FIGURES[name], f"{where}: settings") for name in own}
    mixed = _value(said, _ALLOW_MIXED, FLAG, where) or False
    try:
        settings = PoolSettings(allow_mixed=mixed, **own)
    except ConfigError as error:
        raise ConfigError(f"{where}: settings: {error}") from None
    return PoolFile(path, entries, settings, _budget(_table(said, "budget", where), entries, where))


def _entry(said: Mapping[str, Any], number: int, path: Path) -> Entry:
    name = said.get("name")
    where = f"{path}: member {number}" + (f" ({name})" if isinstance(name, str) else "")
    provider = _value(said, "provider", TEXT, where)
    if provider is None:
        raise ConfigError(f"{where}: expected a provider, got none; known: {', '.join(OWN)}")
    if provider not in OWN:
        raise ConfigError(
            f"{where}: expected a provider of {', '.join(OWN)}, got {provider!r}{suggestion(provider, OWN)}"
        )
    options = COMMON | OWN[provider]
    _known(said, options, where)
    given = {option: _value(said, option, kind, where) for option, kind in options.items()}
    if not given["name"]:
        raise ConfigError(f"{where}: expected a name, got none; results bear it, and tickets are found by it")
    if given.get("key_env") and given.get("key_file"):
        raise ConfigError(f"{where}: expected key_env or key_file, got both; leave one out")
    place = Place()
    if provider == IONQ:
        place = Place(IONQ, given.pop("target"), given.pop("gateset"), given.pop("noise"), given.pop("url"))
        place = _checked(place, where).written_out()
    key_file = given.pop("key_file", None)
    price = given.pop("price", None)
    return Entry(
        **given,
        place=place,
        key_file=None if key_file is None else (path.parent / Path(key_file).expanduser()),
        price=None if price is None else _price(price, where),
    )


def _checked(place: Place, where: str) -> Place:
    try:
        check_place(place)
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).replace('--', '')}") from None
    return place


def _price(said: Mapping[str, Any], where: str) -> Price:
    own = f"{where}: price"
    kinds = {each.name: TEXT if each.name == "currency" else NUMBER for each in fields(Price)}
    _known(said, kinds, own)
    try:
        return Price(**{name: _value(said, name, kinds[name], own) for name in said})
    except ConfigError as error:
        raise ConfigError(f"{own}: {error}") from None


def _different(entries: tuple[Entry, ...], where: str) -> None:
    """No two of one name; a place is there once for each key, or its limits and speed would be taken for twice."""
    names: dict[str, int] = {}
    places: dict[tuple[object, ...], str] = {}
    for number, entry in enumerate(entries, 1):
        if entry.name in names:
            raise ConfigError(
                f"{where}: expected members of different names, got {entry.name!r} as {names[entry.name]} and "
                f"{number}; rename one"
            )
        names[entry.name] = number
        own = (entry.provider, entry.place, entry.key_env, entry.key_file, entry.device, entry.noise)
        if own in places:
            raise ConfigError(
                f"{where}: expected members that differ in place or key, got the same twice: {places[own]} and "
                f"{entry.name}; leave one out, or give it another key_env, target or url"
            )
        places[own] = entry.name


def _budget(said: Mapping[str, Any], entries: tuple[Entry, ...], where: str) -> dict[str | None, Caps]:
    accounts = dict.fromkeys(entry.charges for entry in entries)
    _known(said, {"run": TEXT, **dict.fromkeys(accounts, TEXT)}, f"{where}: budget")
    caps: dict[str | None, Caps] = {}
    for name in said:
        own = f"{where}: budget.{name}"
        caps[None if name == "run" else name] = found = parse(_value(said, name, TEXT, own) or "", own)
        if name != "run" and found.seconds is not None:
            raise ConfigError(
                f"{own}: expected money, shots or circuits, got a time; limit the run as a whole: run = ..."
            )
    return caps


def _known(said: Mapping[str, Any], options: Mapping[str, str], where: str) -> None:
    for name in said:
        if name not in options:
            raise ConfigError(f"{where}: expected an option of it, got {name!r}{suggestion(name, options)}")


def _table(said: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    return dict(_value(said, name, TABLE, where) or {})


def _value(said: Mapping[str, Any], name: str, kind: str, where: str) -> Any:
    """A value of the right type; None where it is not given."""
    value = said.get(name)
    if value is None:
        return None
    right = isinstance(value, _TYPES[kind]) and (kind == FLAG or not isinstance(value, bool))
    if not right:
        raise ConfigError(f"{where}: expected {kind} for {name}, got {value!r}")
    return value
