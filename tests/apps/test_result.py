"""The arithmetic of what a run reports."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from q_store.apps.result import confusion, parameters_sha256, wilson


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(pair):
    correct, total = pair
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert wilson(correct, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_digest_is_that_of_the_float64_bytes():
    theta, readout = np.array([0.5, -1.25]), np.array([[3.0], [1e-9]], dtype=np.float64)
    expected = hashlib.sha256(struct.pack("<4d", 0.5, -1.25, 3.0, 1e-9)).hexdigest()
    assert parameters_sha256(theta, readout) == expected
    assert parameters_sha256(theta.astype(">f8"), readout) == expected
    assert parameters_sha256(np.concatenate([theta, readout.ravel()])) == expected
    assert parameters_sha256(theta, np.nextafter(readout, 9)) != expected


@given(st.integers(2, 6), st.data())
def test_confusion_counts_every_row_once(classes, data):
    label = st.integers(0, classes - 1)
    pairs = data.draw(st.lists(st.tuples(label, label), min_size=1))
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    counts = confusion(truth, predicted, classes)
    for row in range(classes):
        for column in range(classes):
            assert counts[row, column] == sum(pair == (row, column) for pair in pairs)
