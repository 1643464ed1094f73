"""The tables of docs/migration.md, from `q_store.names`. `python tools/docs_names.py` writes them into the document."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from q_store.config.training_config import SECTIONS
from q_store.names import FEATURES, METHODS, TABLE, V34, Name

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "migration.md"


def names() -> str:
    """A row for every flat name."""
    head = "| name | since | v3.4 | now | section.field | what it does |\n|---|---|---|---|---|---|\n"
    return head + "".join(map(_row, TABLE))


def _row(entry: Name) -> str:
    now = SECTIONS[entry.section].model_fields[entry.field].default
    then = f"`{_shown(entry.default)}`" if entry.since == V34 else ""
    name = f"~~`{entry.name}`~~ `{entry.renamed}`" if entry.renamed else f"`{entry.name}`"
    place = f"`{entry.section}.{entry.field}`"
    return f"| {name} | {entry.since} | {then} | `{_shown(now)}` | {place} | {entry.does} |\n"


def _shown(value: object) -> str:
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def methods() -> str:
    """A row for every value of `gradient_method`."""
    return "| `gradient_method` | gradient |\n|---|---|\n" + "".join(f"| `{k}` | {v} |\n" for k, v in METHODS.items())


def features() -> str:
    """What the two names switch on."""
    rows = "".join(
        f"| `{name}` | {', '.join(f'`{k}={v!r}`' for k, v in switched.items())} |\n"
        for name, switched in FEATURES.items()
    )
    return "| name | switches on |\n|---|---|\n" + rows


TABLES = {"names": names, "methods": methods, "features": features}


def rendered(text: str) -> str:
    """The document with its tables."""
    for name, table in TABLES.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = mark.sub(partial(_between, table()), text)
    return text


def _between(table: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}\n{table}\n{marks[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
