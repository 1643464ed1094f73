"""Sizes: bytes a row, and look-ups that search and never scan."""

from __future__ import annotations

import numpy as np
import pytest
from tests.store.parts import CIRCUIT, DOMAIN, memory

from q_store.backends.distributions import Distributions
from q_store.store import Measured, Store, sql

ROWS, BATCH = 100_000, 10_000
LIMIT = 300
"""Bytes a row, for 6 qubits and 1000 shots."""


def test_a_hundred_thousand_rows_take_less_than_300_bytes_each(tmp_path):
    """Keys in random order, as hashes are: pages are two thirds full."""
    rng = np.random.default_rng(0)
    path = tmp_path / "s.db"
    dense = rng.multinomial(1000, rng.dirichlet(np.full(64, 0.5), 1000)) / 1000
    batch = Measured.of(Distributions.from_dense(dense), 1000).take(np.arange(BATCH) % 1000)
    with Store(path) as store:
        for _ in range(ROWS // BATCH):
            keys = [rng.bytes(16) for _ in range(BATCH)]
            store.samples.merge(keys, batch, CIRCUIT, DOMAIN)
        assert len(store.samples) == ROWS
        found = store.samples.lookup(keys[::10], 6)
        assert np.array_equal(found.distributions.dense(), np.tile(dense[::10], (10, 1)))
    assert path.stat().st_size / ROWS < LIMIT


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (sql.GET_SAMPLES.format("?,?"), (b"a", b"b"), "PRIMARY KEY"),
        (sql.GET_ENTRIES.format("?,?"), (1, 0, 1, 2), "PRIMARY KEY"),
        (sql.GET_CLAIMS.format("?,?"), (b"a", b"b"), "PRIMARY KEY"),
        (sql.READ_JOURNAL, {"run": 1, "job": 0}, "PRIMARY KEY"),
        (sql.GET_TICKET, {"fingerprint": "a"}, "INDEX"),
        (sql.ADOPTABLE, {"now": 0, "owner": ""}, "INDEX tickets_by_state"),
        (sql.OPEN_TICKETS, (), "INDEX tickets_by_state"),
        (sql.TICKETS_OF_RUN, {"run": 1}, "INDEX tickets_of_job"),
        (sql.RENEW, {"owner": "", "lease": 0, "run": None}, "INDEX tickets_by_state"),
        (sql.DROP_CLAIMS, {"id": 1}, "INDEX claims_of_ticket"),
        (sql.EVENTS, {"run": 1, "after": 0, "limit": 9}, "PRIMARY KEY"),
    ],
)
def test_large_tables_are_searched_and_not_scanned(statement, values, index):
    with memory() as store:
        plan = [row[-1] for row in store._database.rows(f"EXPLAIN QUERY PLAN {statement}", values)]
    large = ("samples", "journal", "claims", "tickets", "t ", "events")
    scans = [step for step in plan if step.startswith("SCAN") and step[5:].startswith(large) and "INDEX" not in step]
    assert scans == []
    assert any(index in step for step in plan), plan
