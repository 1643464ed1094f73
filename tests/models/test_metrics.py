"""Accuracy, confusion matrix and Wilson interval against worked examples."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from q_store.errors import ConfigError, DataError, ShapeError
from q_store.models.metrics import accuracy, confusion_matrix, wilson_interval


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_agrees_with_scipy(total, share, confidence):
    correct = round(share * total)
    expected = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, total, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_bounds_solve_the_score_equation():
    z = NormalDist().inv_cdf(0.975)
    for bound in wilson_interval(8300, 10_000):
        assert abs(0.83 - bound) == pytest.approx(z * (bound * (1 - bound) / 10_000) ** 0.5)


@pytest.mark.parametrize("arguments", [(1, 0), (3, 2), (-1, 2), (1, 2, 1.0)])
def test_impossible_counts_are_refused(arguments):
    with pytest.raises(ConfigError, match="0 <= correct <= total"):
        wilson_interval(*arguments)


def test_confusion_counts_rows_by_truth():
    counts = confusion_matrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0], 4)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]])
    assert accuracy([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0]) == pytest.approx(np.trace(counts) / 6)


def test_unusable_labels_are_refused():
    with pytest.raises(ShapeError, match=r"\[3\] and \[2\]"):
        accuracy([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="at least one row"):
        accuracy([], [])
    with pytest.raises(DataError, match="predicted labels from 0 to 1"):
        confusion_matrix([0, 1], [0, 2], 2)
    with pytest.raises(DataError, match="true labels"):
        confusion_matrix([0.0, 1.0], [0, 1], 2)
