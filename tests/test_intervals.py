"""Intervals of differences, against printed ones and against the large-sample formula."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from q_store.intervals import difference, paired_difference, wilson

Z = NormalDist().inv_cdf(0.975)
COUNTS = st.integers(0, 40)


def test_independent_shares_have_the_interval_of_newcombe():
    """Newcombe (1998), p. 873, table II, example (a): 56/70 and 48/80; method 10 gives 0.0524 to 0.3339."""
    first, other = ((k / n, *wilson(k / n, n, Z)) for k, n in ((48, 80), (56, 70)))
    assert difference(first, other) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_pairs_have_the_interval_of_newcombe():
    """Newcombe (1998), p. 2635, table III, the pairs 36, 12, 2, 0; method 10 gives 0.0569 to 0.3404."""
    assert paired_difference(36, 2, 12, 0, Z) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_many_pairs_have_the_interval_of_wald():
    """(c - b)/n -+ z sqrt(b + c - (c - b)^2/n)/n."""
    both, first, other, neither = 61_000, 9_000, 11_000, 19_000
    total = both + first + other + neither
    half = Z * np.sqrt(first + other - (other - first) ** 2 / total) / total
    centre = (other - first) / total
    assert paired_difference(both, first, other, neither, Z) == pytest.approx((centre - half, centre + half), rel=3e-3)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_pairs_that_change_places_change_the_sign(both, first, other, neither):
    assume(both + first + other + neither > 0)
    low, high = paired_difference(both, first, other, neither, Z)
    assert paired_difference(both, other, first, neither, Z) == pytest.approx((-high, -low))
    assert -1 - 1e-9 <= low <= (other - first) / (both + first + other + neither) <= high <= 1 + 1e-9


def test_pairs_cover_what_is_behind_them():
    """Of 2,000 drawings of 100 pairs, 95 % intervals hold the truth about 95 times of 100."""
    chances = np.array([0.6, 0.05, 0.15, 0.2])
    drawn = np.random.default_rng(5).multinomial(100, chances, 2000)
    held = [low <= 0.1 <= high for low, high in (paired_difference(*map(int, counts), Z) for counts in drawn)]
    assert 0.94 < np.mean(held) < 0.97
