"""Shots: the alias table is exact, counts follow the probabilities, and no two streams are alike.

Seeds are fixed: a chi-square test that fails does so because the code has changed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from q_store.backends.local import LocalBackend, sampling
from q_store.backends.local.sampling import sample
from q_store.circuits import Circuit, Observables, cnot, op, ry, theta
from q_store.jobs import Job, Output

LOW = np.uint64(0xFFFFFFFF)


def draw(probabilities, shots, seed=1, threads=1):
    """Counts of rows of probabilities."""
    rows = np.atleast_2d(probabilities)
    return sample(rows, np.broadcast_to(np.asarray(shots, dtype=np.int64), (len(rows),)).copy(), seed, threads)


def shares(probabilities):
    """The expected share of every state, read off the alias table."""
    dim = len(probabilities)
    bins = np.empty(dim, np.uint64)
    sampling._alias(probabilities, bins, np.empty(dim, np.int64))
    kept = (bins >> np.uint64(32)).astype(float) / 2.0**32
    other = (bins & LOW).astype(int)
    out = np.zeros(dim)
    np.add.at(out, np.arange(dim), kept / dim)
    np.add.at(out, other, (1 - kept) / dim)
    return out


def assert_fits(counts, probabilities, level=1e-4):
    """Chi-square over the states that expect five counts or more, the others taken together."""
    expected = counts.sum() * np.asarray(probabilities, float) / np.sum(probabilities, dtype=float)
    often = expected >= 5
    found = np.append(counts[often], counts[~often].sum())
    right = np.append(expected[often], expected[~often].sum())
    cells = right > 0
    statistic = ((found - right)[cells] ** 2 / right[cells]).sum()
    assert statistic < chi2.isf(level, max(1, cells.sum() - 1)), statistic
    assert not counts[expected == 0].any()


@settings(max_examples=60)
@given(
    bits=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
    sharpness=st.sampled_from([0.0, 0.5, 3.0, 20.0, 200.0]),
    zeros=st.floats(0, 0.95),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_the_alias_table_holds_the_probabilities_to_two_to_the_minus_31(bits, seed, sharpness, zeros, dtype):
    rng = np.random.default_rng(seed)
    p = np.exp(sharpness * rng.normal(size=2**bits) / 3)
    p[rng.random(2**bits) < zeros] = 0
    p[rng.integers(2**bits)] += 1e-3 * p.sum() + 1e-3
    p = (p / p.sum()).astype(dtype)
    table = shares(p)
    exact = p.astype(float) / p.sum(dtype=float)
    assert np.abs(table - exact).max() <= 2.0**-31
    assert not table[exact == 0].any()


@pytest.mark.parametrize("bits", range(1, 13))
@pytest.mark.parametrize("kind", ["flat", "steep", "sparse"])
def test_counts_follow_the_probabilities(bits, kind):
    rng = np.random.default_rng(bits)
    p = {
        "flat": np.full(2**bits, 1.0),
        "steep": np.exp(-np.arange(2**bits) * 8 / 2**bits),
        "sparse": np.where(rng.random(2**bits) < 0.2, rng.random(2**bits), 0.0),
    }[kind]
    p[0] += 0.5
    p /= p.sum()
    counts = draw(p, 100_001, seed=bits)[0]
    assert counts.sum() == 100_001
    assert_fits(counts, p)


@pytest.mark.parametrize("bits", [1, 3, 8, 9])
@pytest.mark.parametrize("shots", [1, 2, 3, 511, 512, 513, 1023, 1024, 1025, 1537])
def test_every_number_of_shots_around_the_buffers(bits, shots):
    """Up to 8 qubits a word serves two shots, so odd numbers and full buffers end differently."""
    p = np.full((3, 2**bits), 2.0**-bits)
    counts = draw(p, shots, seed=shots)
    assert (counts.sum(axis=1) == shots).all()
    assert (counts >= 0).all()
    assert_fits(counts.sum(axis=0), p[0])


@pytest.mark.parametrize("bits", [1, 2, 6, 8, 9, 12])
def test_a_distribution_of_one_state(bits):
    for state in (0, 2**bits - 1, 2**bits // 3):
        p = np.zeros(2**bits)
        p[state] = 1
        counts = draw(p, 20_001)[0]
        assert counts[state] == 20_001
        assert counts.sum() == 20_001


@pytest.mark.parametrize("bits", [1, 5, 8, 9, 11])
def test_states_without_probability_are_never_drawn(bits):
    rng = np.random.default_rng(bits)
    p = rng.random(2**bits)
    p[rng.permutation(2**bits)[: 2 ** (bits - 1)]] = 0
    p[rng.integers(2**bits)] += 0.1
    counts = draw(p / p.sum(), 400_000, seed=bits)[0]
    assert not counts[p == 0].any()
    tiny = np.where(p == 0, -1e-9, p / p.sum())  # rounding leaves probabilities a little below zero
    assert not draw(tiny, 100_000, seed=bits)[0][p == 0].any()


def test_single_shots_follow_the_probabilities_over_rows():
    p = np.array([0.1, 0.2, 0.3, 0.4])
    counts = draw(np.tile(p, (40_000, 1)), 1, seed=5)
    assert (counts.sum(axis=1) == 1).all()
    assert_fits(counts.sum(axis=0), p)


def test_both_halves_of_a_word_follow_the_probabilities():
    """Of two shots the first comes from the low half and the second from the high one."""
    p = np.array([0.05, 0.15, 0.3, 0.5])
    one, two = draw(np.tile(p, (40_000, 1)), 1, seed=6), draw(np.tile(p, (40_000, 1)), 2, seed=6)
    second = two - one
    assert (second.sum(axis=1) == 1).all()
    assert (second >= 0).all()
    assert_fits(second.sum(axis=0), p)
    pairs = np.zeros((4, 4))
    np.add.at(pairs, (one.argmax(axis=1), second.argmax(axis=1)), 1)
    assert_fits(pairs.ravel(), np.outer(p, p).ravel())


@pytest.mark.parametrize("bits", [3, 9])
def test_rows_and_seeds_have_independent_streams(bits):
    """Frequencies of one state over rows and seeds: no two streams agree, and none leans on its neighbour."""
    p = np.full((2000, 2**bits), 2.0**-bits)
    streams = [draw(p, 64, seed=seed) for seed in (0, 1, 2, 2**63, -1)]
    half = [s[:, : 2 ** (bits - 1)].sum(axis=1).astype(float) for s in streams]
    bound = 4.5 / np.sqrt(len(p))
    for i, first in enumerate(half):
        assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < bound, "neighbouring rows"
        assert abs(first.mean() - 32) < 5 * 4 / np.sqrt(len(p))
        assert abs(first.var() - 16) < 5 * 16 * np.sqrt(2 / len(p)), "shots of a row hang together"
        for j, second in enumerate(half[:i]):
            assert abs(np.corrcoef(first, second)[0, 1]) < bound, (i, j)
            assert abs(np.corrcoef(first[1:], second[:-1])[0, 1]) < bound, "row r + 1 of a seed, row r of another"
    assert len({s.tobytes() for s in streams}) == len(streams)
    assert len(np.unique(streams[0], axis=0)) == len(p)


def test_shots_of_a_row_are_independent_of_each_other():
    """Cumulative numbers of shots reveal the sequence of a stream; its neighbours are uncorrelated."""
    p, n = np.array([0.5, 0.5]), 600
    ones = np.array([draw(np.tile(p, (40, 1)), k, seed=9)[:, 1] for k in range(1, n + 1)])
    sequence = np.diff(ones, axis=0, prepend=0).astype(float)
    assert set(np.unique(sequence)) == {0.0, 1.0}
    centred = sequence - 0.5
    for lag in (1, 2, 3, 512):
        products = centred[lag:] * centred[:-lag]
        assert abs(products.mean()) < 5 * 0.25 / np.sqrt(products.size), lag


def test_seeds_beyond_64_bits_and_of_numpy_are_taken():
    p = np.full(4, 0.25)
    assert (draw(p, 100, seed=np.int64(7)) == draw(p, 100, seed=7)).all()
    assert (draw(p, 100, seed=np.uint64(2**64 - 1)) == draw(p, 100, seed=-1)).all()
    assert draw(p, 100, seed=2**80 + 7).sum() == 100


# ------------------------------------------------------------------------------------------------ through the backend


def chain(n):
    """RY of different angles and a chain of CNOT."""
    return Circuit.build(n, [*(ry(theta(q), q) for q in range(n)), *(cnot(q, q + 1) for q in range(n - 1))])


@pytest.mark.parametrize("n", range(1, 15))
def test_counts_of_one_to_fourteen_qubits(n):
    """Dense arrays to 12 qubits, {state: count} above."""
    backend = LocalBackend(threads=1)
    params = np.linspace(0.3, 2.4, n)
    job = Job(chain(n), None, params, output=Output.COUNTS, shots=20_000, seed=n)
    counts = backend.run(job).counts
    p = backend.run(Job(chain(n), None, params, output=Output.PROBABILITIES)).values[0]
    if n > 12:
        (row,) = counts
        assert all(type(s) is int and type(c) is int and c > 0 for s, c in row.items())
        dense = np.zeros(2**n, dtype=int)
        dense[list(row)] = list(row.values())
    else:
        assert counts.shape == (1, 2**n)
        dense = counts[0]
    assert dense.sum() == 20_000
    assert_fits(dense, p)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_states_that_interfere_away_are_not_drawn(precision):
    """H RZ(0) H and a GHZ state leave rounding errors where nothing may be measured."""
    ops = [op("h", 0), op("rz", 0, angles=[theta(0)]), op("h", 0), op("h", 1), cnot(1, 2), cnot(2, 3)]
    backend = LocalBackend(threads=1, precision=precision)
    job = Job(Circuit.build(4, ops), None, np.zeros(1), output=Output.COUNTS, shots=200_000)
    assert set(np.flatnonzero(backend.run(job).counts[0])) == {0b0000, 0b1110}


def test_expectations_come_from_the_counts_of_the_same_seed():
    backend, circuit = LocalBackend(threads=1), chain(3)
    rows = np.random.default_rng(0).normal(size=(4, 3))
    both = [
        backend.run(Job(circuit, None, rows, measured, output, shots=300, seed=21))
        for measured, output in (((), Output.COUNTS), (Observables.local_z(3), Output.EXPECTATION))
    ]
    signs = 1 - 2 * (np.arange(8)[:, None] >> np.arange(3) & 1)
    np.testing.assert_allclose(both[1].values, both[0].counts @ signs / 300, atol=1e-14)
    frequencies = backend.run(Job(circuit, None, rows, output=Output.PROBABILITIES, shots=300, seed=21)).values
    np.testing.assert_allclose(frequencies, both[0].counts / 300, atol=1e-14)
