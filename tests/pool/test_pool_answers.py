"""One ordered answer from many members."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pool.pools import Site, run, sweep

from q_store.backends.local import LocalBackend
from q_store.jobs import Output


def local(job):
    return LocalBackend(precision="float64").run(job)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_come_in_the_order_asked_whoever_ran_them(count):
    sites = [Site(f"m{k}", circuit_seconds=0.1 * (k + 1)) for k in range(count)]
    job = sweep(60)
    (outcome,), _ = run(sites, [job])
    assert outcome.complete
    np.testing.assert_allclose(outcome.values, local(job).values, atol=1e-8)
    assert sum(site.ledger["charged_circuits"] for site in sites) == 60
