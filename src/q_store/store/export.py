"""Tables for other programs, as CSV or Parquet: read in pieces, so that millions of rows need little memory.

Digests and keys are hexadecimal, money is in its currency, times are seconds since 1970. A distribution is two lists,
`states` (qubit 0 the least significant bit) and `weights` (they add up to 1; times `shots` they are counts); in CSV a
list is JSON text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from q_store.errors import CapabilityError, InputError, suggestion
from q_store.files import write_whole
from q_store.store import sql
from q_store.store.database import Database, Rows
from q_store.store.measured import EXACT
from q_store.store.packing import unpack

TEXT, WHOLE, REAL, WHOLES, REALS = "text", "whole", "real", "wholes", "reals"


@dataclass(frozen=True, slots=True)
class Table:
    """What is exported: the statement, the columns with their types, and what makes their values of a row."""

    statement: str
    columns: Mapping[str, str]
    converted: Callable[[Rows], Rows] = lambda rows: rows


def _spread(rows: Rows) -> Rows:
    """Rows that end with shots and packed weights, with states and weights instead of the latter."""
    shots = np.array([EXACT if row[-2] is None else row[-2] for row in rows], dtype=np.int64)
    own = unpack([row[-1] for row in rows], shots, 0).distributions
    cuts, states, weights = own.start.tolist(), own.state.tolist(), own.weight.tolist()
    return [
        (*row[:-1], states[first:last], weights[first:last])
        for row, (first, last) in zip(rows, pairwise(cuts), strict=True)
    ]


def _with_domain(rows: Rows) -> Rows:
    """Rows of samples, their domain as four columns."""
    return [(*row[:2], *json.loads(row[2]), *row[3:]) for row in _spread(rows)]


_DISTRIBUTION = {"shots": WHOLE, "states": WHOLES, "weights": REALS}
TABLES = {
    "runs": Table(
        sql.EXPORT_RUNS,
        {
            **dict.fromkeys(("id", "name", "config"), TEXT),
            "seed": WHOLE,
            **dict.fromkeys(("versions", "status"), TEXT),
            **dict.fromkeys(("started", "finished", "seconds"), REAL),
        },
    ),
    "events": Table(sql.EXPORT_EVENTS, {"run": TEXT, "seq": WHOLE, "time": REAL, "kind": TEXT, "body": TEXT}),
    "checkpoints": Table(
        sql.EXPORT_CHECKPOINTS, {"run": TEXT, "step": WHOLE, "path": TEXT, "sha256": TEXT, "time": REAL}
    ),
    "samples": Table(
        sql.EXPORT_SAMPLES,
        {
            **dict.fromkeys(("key", "circuit", "noise_id", "target", "settings", "characterisation"), TEXT),
            "n_qubits": WHOLE,
            "since": WHOLE,
            **_DISTRIBUTION,
        },
        _with_domain,
    ),
    "journal": Table(
        sql.EXPORT_JOURNAL,
        {"run": TEXT, "job": WHOLE, "number": WHOLE, "backend": TEXT, "noise_id": TEXT, **_DISTRIBUTION},
        _spread,
    ),
    "tickets": Table(
        sql.EXPORT_TICKETS,
        {
            **dict.fromkeys(("fingerprint", "run"), TEXT),
            "job": WHOLE,
            **dict.fromkeys(("provider", "backend", "circuit"), TEXT),
            **dict.fromkeys(("shots", "circuits"), WHOLE),
            **dict.fromkeys(("state", "remote_id", "owner", "times", "reason"), TEXT),
            **dict.fromkeys(("created", "reserved_money"), REAL),
            "currency": TEXT,
        },
    ),
    "charges": Table(
        sql.EXPORT_CHARGES,
        {
            **dict.fromkeys(("fingerprint", "run", "provider", "backend"), TEXT),
            **dict.fromkeys(("time", "money"), REAL),
            "currency": TEXT,
            **dict.fromkeys(("shots", "circuits"), WHOLE),
        },
    ),
}


def export(database: Database, table: str, path: Path, tell: Callable[[int, int], None] | None = None) -> int:
    """Write a table to `path`, a .csv or .parquet file that is there whole or not at all; how many rows.

    `tell` hears how many rows are written, and how many there are.

    Raises:
        InputError: for an unknown table or ending. CapabilityError: for Parquet without pyarrow. StorageError: where
            the disk refuses.
    """
    if table not in TABLES:
        raise InputError(f"expected a table to export, got {table!r}{suggestion(table, TABLES)}")
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise InputError(f"expected a file that ends in .csv or .parquet, got {path.name!r}")
    chosen = TABLES[table]
    count = 0
    total = 0 if tell is None else int(database.rows(sql.counting(chosen.statement))[0][0])

    def pieces() -> Iterator[Rows]:
        nonlocal count
        for rows in database.stream(chosen.statement):
            yield chosen.converted(rows)
            count += len(rows)
            if tell is not None:
                tell(count, total)

    write_whole(path, lambda file: writers[path.suffix](file, chosen.columns, pieces()))
    return count


def _write_csv(file: BinaryIO, columns: Mapping[str, str], pieces: Iterable[Rows]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    lists = [k for k, kind in enumerate(columns.values()) if kind in {WHOLES, REALS}]
    for rows in pieces:
        for row in rows:
            values = list(row)
            for k in lists:
                values[k] = json.dumps(values[k], separators=(",", ":"))
            writer.writerow(values)
    text.flush()
    text.detach()


def _write_parquet(file: BinaryIO, columns: Mapping[str, str], pieces: Iterable[Rows]) -> None:
    arrow, parquet = _arrow()
    types = {
        TEXT: arrow.string(),
        WHOLE: arrow.int64(),
        REAL: arrow.float64(),
        WHOLES: arrow.list_(arrow.int64()),
        REALS: arrow.list_(arrow.float64()),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        for rows in filter(None, pieces):
            own = dict(zip(columns, zip(*rows, strict=True), strict=True))
            writer.write_batch(arrow.record_batch(own, schema=schema))


def _arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise CapabilityError(
            f"expected the package pyarrow for Parquet, got: {error}; install it: pip install 'q-store[parquet]', or "
            "export .csv"
        ) from None
