"""Packed distributions: what goes in comes out, bit by bit, against a slow reader of the format."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.parts import as_counts

from q_store.backends.distributions import Distributions
from q_store.errors import ShapeError, StoreError
from q_store.store import EXACT, Measured, pooled
from q_store.store.packing import pack, pack_numbers, to_varints, unpack, unpack_numbers

states = st.one_of(st.integers(0, 7), st.integers(0, 2**62 - 1))
rows_of_counts = st.lists(st.dictionaries(states, st.integers(1, 2**40), max_size=9), max_size=6)
weights = st.floats(-1, 1, allow_subnormal=False).filter(lambda w: abs(w) > 1e-9)
rows_of_weights = st.lists(st.dictionaries(states, weights, min_size=1, max_size=9), max_size=6)


def measured(rows, n_qubits=62):
    """Rows of counts."""
    shots = [sum(row.values()) for row in rows]
    start = np.cumsum([0, *(len(row) for row in rows)])
    state = np.array([s for row in rows for s in row], dtype=np.int64)
    weight = np.array([c / n for row, n in zip(rows, shots, strict=True) for c in row.values()])
    return Measured.of(Distributions(n_qubits, start, state, weight), np.array(shots, dtype=np.int64))


def weighted(rows, shots, n_qubits=62):
    """Rows of weights that are no counts."""
    start = np.cumsum([0, *(len(row) for row in rows)])
    state = np.array([s for row in rows for s in row], dtype=np.int64)
    return Measured.of(
        Distributions(n_qubits, start, state, np.array([w for row in rows for w in row.values()])), shots
    )


def slow_integers(data):
    """LEB128, a byte at a time."""
    out, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            out.append(value)
            value = shift = 0
    assert shift == 0
    return out


def slow_row(data):
    """A row as {state: count or weight}, by the description of the format."""
    form, *rest = slow_integers(data)
    if form & 2:
        pairs = list(enumerate(rest))
    else:
        half = len(rest) // 2
        pairs = list(zip(np.cumsum([0, *rest[:half]])[1:].tolist(), rest[half:], strict=True))
    if form & 1:
        pairs = [(s, struct.unpack("<d", struct.pack("<Q", bits))[0]) for s, bits in pairs]
    return {s: v for s, v in pairs if v}


def equal(a, b):
    own, other = a.distributions, b.distributions
    return (
        np.array_equal(a.shots, b.shots)
        and np.array_equal(own.start, other.start)
        and np.array_equal(own.state, other.state)
        and np.array_equal(own.weight.view(np.int64), other.weight.view(np.int64))
    )


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_integers_are_leb128(values):
    data, ends = to_varints(np.array(values, dtype=np.uint64))
    assert slow_integers(data.tobytes()) == values
    assert len(ends) == len(values)


@given(st.lists(st.integers(0, 2**63 - 1), max_size=20))
def test_numbers_come_back(values):
    assert unpack_numbers(pack_numbers(values)).tolist() == values


@given(rows_of_counts)
def test_counts_come_back(rows):
    own = measured(rows)
    packed = pack(own)
    assert equal(unpack(packed, own.shots, 62), own)
    assert [slow_row(data) if data else {} for data in packed] == rows
    assert as_counts(own) == [dict(sorted(row.items())) for row in rows]


@given(rows_of_weights, st.sampled_from([EXACT, 1000]))
def test_weights_come_back_bit_by_bit(rows, shots):
    own = weighted(rows, shots)
    packed = pack(own)
    assert equal(unpack(packed, own.shots, 62), own)
    if shots == EXACT:
        assert [slow_row(data) for data in packed] == rows


def test_what_was_packed_once_is_packed_the_same():
    """Frequencies as a service sends them, a last bit away from k / N."""
    frequencies = np.random.default_rng(3).multinomial(1000, np.full(8, 1 / 8), 50) / 1000
    noisy = frequencies * (1 + 1e-15)
    first = Measured.of(Distributions.from_dense(noisy), 1000)
    again = unpack(pack(first), first.shots, 3)
    assert equal(first, again)
    assert pack(again) == pack(first)
    assert np.array_equal(again.distributions.dense(), frequencies)


def test_mitigated_frequencies_stay_as_they_are():
    own = weighted([{0: 0.1234567, 3: 0.8765433}], 100, 2)
    assert own.counted.tolist() == [False]
    assert equal(unpack(pack(own), own.shots, 2), own)


def test_the_shorter_of_both_forms_is_taken():
    full, two = dict.fromkeys(range(64), 15), {0: 500, 63: 500}
    assert [len(data) for data in pack(measured([full, two], 6))] == [65, 7]


def test_six_qubits_take_at_most_130_bytes():
    rng = np.random.default_rng(1)
    for alpha in (0.01, 0.1, 1.0, 100.0):
        own = Measured.of(
            Distributions.from_dense(rng.multinomial(1000, rng.dirichlet(np.full(64, alpha), 50)) / 1000), 1000
        )
        assert max(map(len, pack(own))) <= 130


@pytest.mark.parametrize(
    "data", [b"\x80", b"\x04\x01", b"\x00\x01", b"\x00" + b"\xff" * 10 + b"\x01\x01", b"\x80" * 12]
)
def test_other_bytes_are_refused(data):
    with pytest.raises(StoreError, match="damaged"):
        unpack([data], np.array([5]), 3)


@pytest.mark.parametrize("shots", [[0, 5], [5, 0], [5, 5], [5, -2]])
def test_shots_and_states_belong_together(shots):
    two = Distributions(2, np.array([0, 1, 1]), np.array([2]), np.array([1.0]))
    if shots == [5, 0]:
        assert Measured.of(two, np.array(shots)).shots.tolist() == [5, 0]
    else:
        with pytest.raises(ShapeError, match="shots"):
            Measured.of(two, np.array(shots))


# ------------------------------------------------------------------------------------------------------------- pooling


@given(
    st.lists(st.lists(st.dictionaries(st.integers(0, 5), st.integers(1, 99)), min_size=3, max_size=3), max_size=4),
    st.data(),
)
def test_shots_add_up(parts, data):
    """Against counters."""
    numbers = [data.draw(st.lists(st.integers(0, 3), min_size=3, max_size=3)) for _ in parts]
    expected = [Counter() for _ in range(4)]
    for own, rows in zip(numbers, parts, strict=True):
        for number, row in zip(own, rows, strict=True):
            expected[number].update(row)
    total = pooled([(np.array(own), measured(rows, 3)) for own, rows in zip(numbers, parts, strict=True)], 4, 3)
    assert as_counts(total) == [dict(row) for row in expected]
    assert total.shots.tolist() == [row.total() for row in expected]


def test_mitigated_results_are_averaged_by_shots():
    first, second = weighted([{0: 0.25, 1: 0.75}], 300, 1), weighted([{0: 1 / 3, 1: 2 / 3}], 100, 1)
    here = np.zeros(1, np.int64)
    total = pooled([(here, first), (here, second)], 1, 1)
    assert total.shots.tolist() == [400]
    np.testing.assert_allclose(total.distributions.weight, [(0.75 + 1 / 3) / 4, (2.25 + 2 / 3) / 4], rtol=1e-15)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_exact_probabilities_win(order):
    parts = [weighted([{0: 0.3, 1: 0.7}], EXACT, 1), measured([{0: 10}], 1), weighted([{0: 0.3, 1: 0.7}], EXACT, 1)]
    total = pooled([(np.zeros(1, np.int64), parts[k]) for k in order], 1, 1)
    assert total.shots.tolist() == [EXACT]
    assert total.distributions.weight.tolist() == [0.3, 0.7]


def test_rows_are_taken_and_left_out():
    own = measured([{1: 2}, {0: 1, 3: 4}, {}], 2)
    assert as_counts(own.take(np.array([1, 2, 1]))) == [{0: 1, 3: 4}, {}, {0: 1, 3: 4}]
    kept = own.only(np.array([False, True, True]))
    assert (as_counts(kept), kept.shots.tolist()) == ([{}, {0: 1, 3: 4}, {}], [0, 5, 0])
