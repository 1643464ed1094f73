"""The journal: a resumed run gets the same rows again, and never those of another job."""

from __future__ import annotations

import numpy as np
import pytest
from tests.store.parts import as_counts, counts

from q_store.backends.distributions import Distributions
from q_store.errors import RunError
from q_store.store import EXACT, Measured, Source

ARIA = Source("aria", "ionq:qpu.aria-1")


def rows(*given):
    return Measured.of(counts(given), np.array([sum(row.values()) for row in given]))


def test_a_resumed_run_gets_what_it_had(store):
    store.journal.add("run", 0, [7, 3], rows({0: 5}, {1: 2, 6: 3}), ARIA)
    store.journal.add("run", 0, [100], rows({2: 4}), Source("forte", "ionq:qpu.forte-1"))
    replay = store.journal.begin("run", 0, b"what it asks", 3)
    assert replay.numbers.tolist() == [3, 7, 100]
    assert as_counts(replay.measured) == [{1: 2, 6: 3}, {0: 5}, {2: 4}]
    assert [source.backend for source in replay.sources] == ["aria", "aria", "forte"]
    assert replay.sources[0] == ARIA


def test_exact_rows_come_back_bit_by_bit(store):
    own = np.random.default_rng(0).dirichlet(np.ones(8), 5)
    store.journal.add("run", 0, np.arange(5), Measured.of(Distributions.from_dense(own), EXACT), ARIA)
    assert np.array_equal(store.journal.read("run", 0).measured.distributions.dense(), own)


def test_shots_of_a_circuit_add_up_and_gaps_stay_gaps(store):
    store.journal.add("run", 0, [1, 2], rows({0: 5}, {}), ARIA)
    store.journal.add("run", 0, [1, 1], rows({0: 1}, {4: 1}), ARIA)
    replay = store.journal.read("run", 0)
    assert (replay.numbers.tolist(), as_counts(replay.measured)) == ([1], [{0: 6, 4: 1}])


def test_jobs_and_runs_are_apart(store):
    store.runs.start("other", {}, run="other")
    for run, job in (("other", 0), ("other", 1), ("run", 1)):
        assert len(store.journal.begin(run, job, b"asked", 3).numbers) == 0
        store.journal.add(run, job, [0], rows({job: 1}), ARIA)
    assert len(store.journal.read("run", 0).numbers) == 0
    assert as_counts(store.journal.read("other", 1).measured) == [{1: 1}]


@pytest.mark.parametrize(("digest", "n_qubits"), [(b"something else", 3), (b"what it asks", 4)])
def test_another_job_gets_nothing(store, digest, n_qubits):
    store.journal.add("run", 0, [0], rows({0: 1}), ARIA)
    with pytest.raises(RunError, match=r"job 0 of run run .* same program"):
        store.journal.begin("run", 0, digest, n_qubits)


def test_what_is_not_there_is_refused(store):
    with pytest.raises(RunError, match=r"got 'ran'.*'run'"):
        store.journal.read("ran", 0)
    with pytest.raises(RunError, match="a job 5"):
        store.journal.add("run", 5, [0], rows({0: 1}), ARIA)
