"""A curve keeps its shape in a bounded number of rows, and a reader that takes in what is new has what it is."""

import math

from hypothesis import given
from hypothesis import strategies as st

from q_store.apps.dashboard.curve import NOTHING, Curve


def test_short_curve_is_exact():
    curve = Curve({"a": "mean", "b": "last"})
    curve.add(1, [0.5, None])
    curve.add(2, [None, 3])
    assert curve.rows == [[1, 0.5, None], [2, None, 3]]


def test_long_curve_is_bounded_and_keeps_its_shape():
    curve = Curve({"mean": "mean", "last": "last"}, capacity=64)
    for x in range(1, 100_001):
        curve.add(x, [x / 2, x])
    assert 32 <= len(curve.rows) <= 64
    widths = {after[0] - before[0] for before, after in zip(curve.rows, curve.rows[1:], strict=False)}
    assert curve.rows[-1][0] == 100_000
    width = max(widths)
    for x, mean, last in curve.rows[:-1]:
        assert last == x
        assert math.isclose(mean, (x - (width - 1) / 2) / 2)  # of the points x-width+1 .. x


def test_absent_values_count_for_nothing():
    curve = Curve({"a": "mean"}, capacity=2)
    for x, value in enumerate([None, 4.0, 6.0, None, None, None], 1):
        curve.add(x, [value])
    assert curve.rows == [[4, 5.0], [6, None]]


def test_what_is_done_again_is_dropped():
    curve = Curve({"a": "last"})
    for x in range(1, 6):
        curve.add(x, [x])
    curve.drop_after(3)
    curve.add(4, [40])
    assert curve.rows == [[1, 1], [2, 2], [3, 3], [4, 40]]


@given(st.lists(st.one_of(st.floats(-9, 9), st.just("look"), st.integers(0, 40)), max_size=120))
def test_reader_has_the_whole_curve(what):
    """Points, looks and resumed runs in any order: what a reader put together is the curve."""
    curve, rows, mark, x = Curve({"a": "mean"}, capacity=8), [], NOTHING, 0
    for each in [*what, "look"]:
        if each == "look":
            at, new, mark = curve.since(mark)
            rows[at:] = new
            assert rows == curve.rows
        elif isinstance(each, int):
            curve.drop_after(each)
            x = min(x, each)
        else:
            x += 1
            curve.add(x, [each])
