"""Samples: shots of equal circuits add up, exact probabilities stay, old ones are replaced."""

from __future__ import annotations

import numpy as np
import pytest
from tests.store.parts import CIRCUIT, DOMAIN, as_counts, counts, part

from q_store.backends.distributions import Distributions
from q_store.errors import InputError, StoreError
from q_store.store import EXACT, Measured, keys_of
from q_store.store.database import MOST_IN_A_STATEMENT

KEYS = keys_of(part("a", range(4)), DOMAIN)


def rows(*given):
    """Counts, one {state: count} a row."""
    return Measured.of(counts(given), np.array([sum(row.values()) for row in given]))


def merge(store, keys, measured, **more):
    store.samples.merge(keys, measured, CIRCUIT, DOMAIN, **more)


def test_shots_bought_twice_add_up_and_only_the_rest_is_missing(store):
    merge(store, KEYS[:2], rows({0: 600, 3: 400}, {1: 1000}))
    merge(store, KEYS[1:3], rows({1: 1, 2: 999}, {7: 5}))
    found = store.samples.lookup(KEYS, 3)
    assert found.shots.tolist() == [1000, 2000, 5, 0]
    assert as_counts(found) == [{0: 600, 3: 400}, {1: 1001, 2: 999}, {7: 5}, {}]
    assert np.maximum(2000 - found.shots, 0).tolist() == [1000, 0, 1995, 2000]
    assert len(store.samples) == 3


def test_rows_that_are_equal_within_a_batch_add_up(store):
    merge(store, [KEYS[0], KEYS[1], KEYS[0]], rows({0: 1}, {1: 2}, {0: 3, 5: 1}))
    found = store.samples.lookup([KEYS[0], KEYS[1], KEYS[0]], 3)
    assert as_counts(found) == [{0: 4, 5: 1}, {1: 2}, {0: 4, 5: 1}]


def test_rows_without_an_answer_leave_nothing(store):
    merge(store, KEYS[:3], rows({0: 2}, {}, {1: 1}))
    assert store.samples.lookup(KEYS, 3).shots.tolist() == [2, 0, 1, 0]
    merge(store, KEYS[:1], rows({}))
    assert len(store.samples) == 2


def test_exact_probabilities_stay_as_they_are(store):
    own = np.random.default_rng(0).dirichlet(np.ones(8), 1)
    exact = Measured.of(Distributions.from_dense(own), EXACT)
    merge(store, KEYS[:1], rows({0: 5}))
    merge(store, KEYS[:1], exact)
    merge(store, KEYS[:1], rows({1: 5}))
    found = store.samples.lookup(KEYS[:1], 3)
    assert found.shots.tolist() == [EXACT]
    assert np.array_equal(found.distributions.dense(), own)


def test_what_is_too_old_is_neither_found_nor_added_to(store, clock):
    merge(store, KEYS[:2], rows({0: 5}, {0: 5}))
    clock.now += 100
    merge(store, KEYS[:1], rows({1: 5}))  # the age is that of the oldest shots
    clock.now += 100
    assert store.samples.lookup(KEYS[:2], 3, max_age=150).shots.tolist() == [0, 0]
    assert store.samples.lookup(KEYS[:2], 3, max_age=250).shots.tolist() == [10, 5]
    merge(store, KEYS[:1], rows({2: 7}), max_age=150)
    assert as_counts(store.samples.lookup(KEYS[:2], 3)) == [{2: 7}, {0: 5}]
    assert store.samples.lookup(KEYS[:2], 3, max_age=1).shots.tolist() == [7, 0]


def test_a_look_up_may_be_larger_than_a_statement(store):
    keys = [k.to_bytes(16, "big") for k in range(2 * MOST_IN_A_STATEMENT + 5)]
    dense = np.zeros((len(keys), 8))
    dense[np.arange(len(keys)), np.arange(len(keys)) % 8] = 1
    merge(store, keys, Measured.of(Distributions.from_dense(dense), 10))
    found = store.samples.lookup(keys[::-1], 3)
    assert np.array_equal(found.distributions.dense(), dense[::-1])


def test_mistakes_are_refused(store):
    with pytest.raises(InputError, match="a key for each of 2 rows, got 1"):
        merge(store, KEYS[:1], rows({0: 1}, {1: 1}))
    merge(store, KEYS[:1], rows({0: 1}))
    with pytest.raises(StoreError, match="4 qubits"):
        store.samples.lookup(KEYS[:1], 4)


def test_a_structure_is_kept_once(store):
    merge(store, KEYS[:1], rows({0: 1}))
    merge(store, KEYS[1:2], rows({0: 1}))
    assert store._database.rows("SELECT COUNT(*) FROM circuits") == [(1,)]
    assert store.circuits.get(CIRCUIT.digest) == CIRCUIT
    with pytest.raises(StoreError, match="another store"):
        store.circuits.get("00" * 32)
