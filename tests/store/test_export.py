"""Exports: what other programs read is what the store says."""

from __future__ import annotations

import csv
import json
import sys

import pytest
from tests.store.parts import DOMAIN, Clock, answer, begun, intent, part

from q_store.errors import CapabilityError, InputError, StorageError
from q_store.store import State, Store, keys_of
from q_store.store.export import TABLES

ROWS = [{0: 60, 3: 40}, {1: 100}, {2: 99, 5: 1}]


@pytest.fixture
def full(tmp_path):
    with begun(Store(tmp_path / "s.db", clock=Clock())) as store:
        store.runs.note("run", [("epoch", {"loss": 0.5})])
        store.runs.add_checkpoint("run", 3, "c.npz", "ab")
        store.tickets.intend(intent(part("a")))
        store.tickets.sent("a", "remote")
        store.tickets.settle("a", State.DONE, answer(ROWS, cost=0.25))
        yield store


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_parquet(path):
    return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()


def as_text(value):
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    return "" if value is None else str(value)


@pytest.mark.parametrize("table", TABLES)
def test_both_formats_have_the_same_rows(full, tmp_path, table):
    """CSV says everything as text."""
    count = full.export(table, tmp_path / "t.csv")
    assert full.export(table, tmp_path / "t.parquet") == count > 0
    texts, values = read_csv(tmp_path / "t.csv"), read_parquet(tmp_path / "t.parquet")
    assert len(texts) == len(values) == count
    assert list(texts[0]) == list(values[0]) == list(TABLES[table].columns)
    assert [{name: as_text(value) for name, value in row.items()} for row in values] == texts


def test_samples_tell_where_they_come_from(full, tmp_path):
    full.export("samples", tmp_path / "t.parquet")
    rows = {row["key"]: row for row in read_parquet(tmp_path / "t.parquet")}
    for key, expected in zip(keys_of(part("a"), DOMAIN), ROWS, strict=True):
        row = rows[key.hex()]
        assert dict(zip(row["states"], [w * row["shots"] for w in row["weights"]], strict=True)) == expected
        assert (row["circuit"], row["noise_id"], row["n_qubits"]) == (part("a").circuit.digest, DOMAIN.noise_id, 3)


def test_charges_are_in_their_currency(full, tmp_path):
    full.export("charges", tmp_path / "t.csv")
    (row,) = read_csv(tmp_path / "t.csv")
    assert (row["fingerprint"], row["run"], row["money"], row["currency"], row["shots"]) == (
        "a",
        "run",
        "0.25",
        "USD",
        "300",
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_without_rows_has_its_columns(store, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    assert store.export("samples", tmp_path / f"t.{ending}") == 0
    assert (tmp_path / f"t.{ending}").stat().st_size > 0


def test_a_table_is_read_in_pieces_while_others_write(full, tmp_path):
    """More rows than a piece; what is added meanwhile neither waits nor shows."""
    full.runs.note("run", [("step", {"k": k}) for k in range(2500)])
    pieces = full._database.stream("SELECT seq FROM events ORDER BY seq")
    first = next(pieces)
    full.runs.note("run", [("late", {})])
    assert [row[0] for row in [*first, *(row for piece in pieces for row in piece)]] == list(range(1, 2502))
    assert full.export("events", tmp_path / "t.csv") == 2502


def test_mistakes_are_refused(full, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="did you mean 'tickets'"):
        full.export("ticket", tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"\.csv or \.parquet, got 't\.xlsx'"):
        full.export("runs", tmp_path / "t.xlsx")
    with pytest.raises(StorageError, match="folder is not there"):
        full.export("runs", tmp_path / "none" / "t.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CapabilityError, match=r"q-store\[parquet\]"):
        full.export("runs", tmp_path / "t.parquet")
    assert not list(tmp_path.glob("*.part"))
    assert not (tmp_path / "t.parquet").exists()
