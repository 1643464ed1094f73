"""Values from text: files of TOML, variables of the environment, words of a command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from q_store.errors import ConfigError
from q_store.names import NAMES

PREFIX = "Q_STORE_"
TRACK = PREFIX + "TRACK"
"""Trackers, with blanks between them."""
OTHERS = frozenset(PREFIX + name for name in ("TRACK", "DEBUG", "FASHION_MNIST", "DASHBOARD_TOKEN"))
"""Variables that are no flat names."""
NEAR = 0.8
"""Likeness from which a variable is taken for a slip."""
SECRET = frozenset({"quantum_api_key", "pinecone_api_key"})


def from_file(path: Path) -> dict[str, Any]:
    """Flat names and sections of a TOML file. Raises ConfigError: for a file that cannot be read, or a key in it."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"expected a configuration at {path}, got: {reason}; see docs/migration.md") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: expected TOML with each name once, got: {error}") from None
    if _has_key(said):
        raise ConfigError(
            f"{path}: expected no API key in a file, got one; files are shared. Set IONQ_API_KEY, or "
            "Q_STORE_QUANTUM_API_KEY"
        )
    return said


def _has_key(said: Any) -> bool:
    if isinstance(said, list):
        return any(map(_has_key, said))
    if isinstance(said, dict):
        return any(name == "api_key" or name in SECRET or _has_key(value) for name, value in said.items())
    return False


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The flat names that are set: Q_STORE_BATCH_SIZE is `batch_size`; and `TRACK`. An empty variable is not set.

    Raises:
        ConfigError: for a variable that is nearly one of them; others with this prefix are somebody else's.
    """
    for variable, meant in misspelt(environ):
        raise ConfigError(f"expected a name of TrainingConfig, got {variable}; did you mean {meant}?")
    named = {name: environ.get(PREFIX + name.upper()) for name in NAMES}
    found = {name: text if name in SECRET else value(text) for name, text in named.items() if text}
    trackers = environ.get(TRACK, "").split()
    return {**found, "monitoring": {"track": trackers}} if trackers else found


def misspelt(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Variables that are nearly names, and those."""
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX).lower()
        if text and variable.startswith(PREFIX) and variable not in OTHERS and name not in NAMES:
            for close in get_close_matches(name, NAMES, n=1, cutoff=NEAR):
                yield variable, PREFIX + close.upper()


def from_words(words: Iterable[str]) -> dict[str, Any]:
    """`name=value` each, the last of a name counts. Raises ConfigError: for a word of another form, or a key."""
    found: dict[str, Any] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator or not name.strip():
            raise ConfigError(f"expected --set name=value, got {word!r}; such as --set batch_size=10")
        if name.strip() in SECRET:
            raise ConfigError(
                f"expected no API key on a command line, which others can see, got {name}; set IONQ_API_KEY"
            )
        found[name.strip()] = value(text.strip())
    return found


def value(text: str) -> Any:
    """A number, truth value, list or table as TOML writes it, `none`, else the text itself."""
    lower = text.lower()
    if lower in {"none", "null"}:
        return None
    try:
        return tomllib.loads(f"value = {lower if lower in {'true', 'false'} else text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
