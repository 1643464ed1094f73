"""The kernels alone: short vectors, sines and cosines, products, threads."""

from __future__ import annotations

import threading
from decimal import Decimal, getcontext

import numpy as np
import pytest
from numba import njit

from q_store.backends.local import LocalBackend, angles, kernels, products, threads
from q_store.backends.local.angles import sine_cosine
from q_store.backends.local.engine import block, unblock, unblock_parts
from q_store.backends.local.simd import LANES, lane_sum, load, splat, store
from q_store.circuits import Circuit, Observables, prepare, ry, theta
from q_store.jobs import Job, Output

both = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@njit
def arithmetic(a, b, out):
    """out = a * b + 3 - a in vectors."""
    for i in range(len(a) // LANES):
        v, w = load(a, i), load(b, i)
        store(out, i, v * w + splat(a, 3) - v)


@njit
def total(a, i):
    return lane_sum(load(a, i))


@both
def test_vectors_are_sixteen_numbers_side_by_side(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=64).astype(dtype) for _ in range(2))
    out = np.zeros(64, dtype)
    arithmetic(a, b, out)
    np.testing.assert_allclose(out, a * b + 3 - a, rtol=0, atol=4 * np.finfo(dtype).eps * 4)


@both
def test_lanes_are_summed_in_a_fixed_order(dtype):
    a = np.random.default_rng(1).normal(size=48).astype(dtype) * 10 ** np.random.default_rng(2).uniform(-6, 6, 48)
    a = a.astype(dtype)
    for i in range(3):
        halves = a[16 * i : 16 * i + 16]
        while len(halves) > 1:
            halves = halves[: len(halves) // 2] + halves[len(halves) // 2 :]
        assert total(a, i) == halves[0]


@both
def test_vectors_may_lie_anywhere(dtype):
    """A load needs the alignment of a number only."""
    a = np.arange(40, dtype=dtype)
    for shift in range(1, 8):
        assert total(a[shift:], 0) == sum(range(shift, shift + 16))


# ------------------------------------------------------------------------------------------------- sines and cosines


def turned(half, dtype=np.float64):
    s, c = np.empty(len(half), dtype), np.empty(len(half), dtype)
    sine_cosine(half, s, c)
    return s, c


@pytest.mark.parametrize("largest", [1e-12, 1e-3, 1.0, 10.0, 1e3, 1e5])
def test_sines_and_cosines_are_those_of_numpy(largest):
    half = np.random.default_rng(3).uniform(-largest, largest, 20_001)
    s, c = turned(half)
    np.testing.assert_allclose(s, np.sin(half), rtol=0, atol=4e-16)
    np.testing.assert_allclose(c, np.cos(half), rtol=0, atol=4e-16)
    small, _ = turned(half, np.float32)
    np.testing.assert_array_equal(small, s.astype(np.float32))


def test_sines_of_small_angles_keep_all_their_digits():
    half = np.concatenate([np.logspace(-300, -1, 500), -np.logspace(-300, -1, 500)])
    np.testing.assert_allclose(turned(half)[0], np.sin(half), rtol=4e-16)


def test_large_angles_lose_no_more_than_their_own_resolution():
    half = np.random.default_rng(4).uniform(0.1, 1, 4000) * 10.0 ** np.random.default_rng(5).uniform(5, 14, 4000)
    s, c = turned(half)
    assert (np.abs(s - np.sin(half)) <= 4e-16 + np.spacing(half)).all()
    assert (np.abs(c - np.cos(half)) <= 4e-16 + np.spacing(half)).all()


def test_the_corners_of_the_quadrants():
    quarter = np.pi / 2 * np.arange(-9, 10)
    half = np.concatenate([quarter, np.nextafter(quarter, 10), quarter + np.pi / 4, [0.0, -0.0]])
    s, c = turned(half)
    np.testing.assert_allclose(s, np.sin(half), rtol=0, atol=4e-16)
    np.testing.assert_allclose(c, np.cos(half), rtol=0, atol=4e-16)
    assert turned(np.zeros(1)) == (0.0, 1.0)


def test_an_element_does_not_depend_on_its_place():
    """Vectorised loops end in a scalar remainder; both give the same bits."""
    half = np.random.default_rng(6).normal(size=67) * 20
    s, c = turned(half)
    for i, value in enumerate(half):
        assert turned(np.array([value])) == (s[i], c[i])


def test_sines_against_a_series_in_decimal_arithmetic():
    """NumPy is not the judge of itself: sin and cos to 40 digits."""
    getcontext().prec = 60
    for value in np.random.default_rng(7).normal(size=20) * 3:
        x = Decimal(float(value))
        term, sums = Decimal(1), [Decimal(0), Decimal(0)]
        for k in range(1, 80):
            sums[(k - 1) % 2] += term * (-1) ** ((k - 1) // 2)
            term = term * x / k
        s, c = turned(np.array([value]))
        assert abs(Decimal(float(c[0])) - sums[0]) < Decimal("3e-16")
        assert abs(Decimal(float(s[0])) - sums[1]) < Decimal("3e-16")


# ---------------------------------------------------------------------------------------------------------- products

SHAPES = [(1, 1, 16), (7, 3, 16), (8, 8, 32), (9, 5, 48), (23, 17, 64), (40, 32, 256)]
TOLERANCE = {np.float32: 2e-6, np.float64: 5e-15}


@both
@pytest.mark.parametrize(("rows", "inner", "width"), SHAPES)
@pytest.mark.parametrize("first", [0, 2])
def test_products_are_those_of_numpy(dtype, rows, inner, width, first):
    rng = np.random.default_rng(rows)
    a = rng.normal(size=(rows, first + inner + 3)).astype(dtype)
    b = rng.normal(size=(inner, width)).astype(dtype)
    out = np.full(rows * width, np.nan, dtype)
    products.multiply(a, first, b.reshape(-1), width, out)
    right = a[:, first : first + inner].astype(float) @ b.astype(float)
    np.testing.assert_allclose(out.reshape(rows, width), right, atol=TOLERANCE[dtype] * inner)

    weights = rng.normal(size=(rows, width)).astype(dtype)
    start = rng.normal(size=(inner, width)).astype(dtype)
    added = start.reshape(-1).copy()
    products.add_transposed(a, first, inner, weights.reshape(-1), width, added)
    right = start + a[:, first : first + inner].astype(float).T @ weights.astype(float)
    np.testing.assert_allclose(added.reshape(inner, width), right, atol=TOLERANCE[dtype] * rows)


@both
def test_a_row_of_a_product_does_not_depend_on_the_rows_beside_it(dtype):
    """Eight rows at a time, and the rest one by one, give the same bits."""
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(19, 6)).astype(dtype), rng.normal(size=6 * 32).astype(dtype)
    out = np.empty((19, 32), dtype)
    products.multiply(a, 0, b, 32, out.reshape(-1))
    for r in range(19):
        alone = np.empty(32, dtype)
        products.multiply(a[r : r + 1], 0, b, 32, alone)
        assert (alone == out[r]).all()


@both
@pytest.mark.parametrize("parts", [1, 2])
def test_probabilities_and_the_largest_deviation_of_a_norm(dtype, parts):
    rng = np.random.default_rng(9)
    psi = rng.normal(size=(parts, 5, 32)).astype(dtype)
    psi /= np.sqrt((psi**2).sum(axis=(0, 2), keepdims=True))
    psi[:, 3] *= dtype(np.sqrt(1.25))
    out = np.empty(5 * 32, dtype)
    im = psi[1].reshape(-1) if parts == 2 else psi[0, 0, :0]
    worst = products.probabilities(psi[0].reshape(-1), im, 32, out)
    np.testing.assert_allclose(out.reshape(5, 32), (psi**2).sum(axis=0), atol=1e-6 if dtype == np.float32 else 1e-15)
    assert worst == pytest.approx(0.25, abs=1e-5)
    psi[0, 2, 7] = np.nan
    assert np.isnan(products.probabilities(psi[0].reshape(-1), im, 32, out))


@both
def test_scaling(dtype):
    rng = np.random.default_rng(10)
    h, v = (rng.normal(size=48).astype(dtype) for _ in range(2))
    expected = h * v
    products.scale(h, v)
    assert (v == expected).all()


# ------------------------------------------------------------------------------------------------- blocks and threads


@both
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 50])
def test_blocks_hold_sixteen_rows_in_their_lanes(dtype, rows):
    matrix = np.random.default_rng(11).normal(size=(rows, 5)).astype(dtype)
    flat = block(matrix)
    assert flat.reshape(-1, 5, LANES)[(rows - 1) // LANES, 3, (rows - 1) % LANES] == matrix[-1, 3]
    assert (unblock(flat, rows, 5) == matrix).all()
    assert not flat.reshape(-1, 5, LANES)[-1, :, rows - (rows - 1) // LANES * LANES :].any()
    both_parts = unblock_parts((flat, 2 * flat), 5, np.empty(2 * len(flat), dtype))
    assert (both_parts[:rows] == np.concatenate([matrix, 2 * matrix], axis=1)).all()


@pytest.mark.parametrize("blocks", [1, 2, 15, 16, 17, 33, 1000])
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("unit", [1, 16])
def test_ranges_cover_everything_once_and_are_cut_at_units(blocks, parts, unit):
    ranges = threads.split(blocks, parts, unit)
    assert 1 <= len(ranges) <= parts
    assert [k for a, b in ranges for k in range(a, b)] == list(range(blocks))
    assert all(a % unit == 0 for a, _ in ranges)


def test_the_first_range_runs_in_the_caller_and_results_come_in_order():
    names = {}

    def task(part, first, last):
        names[part] = threading.current_thread().name
        return 100.0 * part + last - first

    assert threads.run(task, [(0, 5), (5, 7), (7, 8)]) == [5.0, 102.0, 201.0]
    assert names[0] == threading.current_thread().name
    assert all(names[part].startswith("q-store-kernel") for part in (1, 2))


def test_an_error_in_a_thread_reaches_the_caller():
    def task(part, *_):
        if part:
            raise ValueError("part 1")
        return 0.0

    with pytest.raises(ValueError, match="part 1"):
        threads.run(task, [(0, 1), (1, 2)])


def test_read_only_arrays_compile_nothing_anew():
    circuit = Circuit.build(2, [prepare(2), ry(theta(0), 0)])
    data, params, backend = np.eye(4, dtype=np.float32), np.ones((1, 1)), LocalBackend()

    def compiled():
        backend.run(Job(circuit, data, params, Observables.local_z(2), Output.VJP, pullback=np.zeros_like))
        return [len(kernel.signatures) for kernel in (kernels.forward, kernels.backward, angles.bind)]

    before = compiled()
    data.flags.writeable = params.flags.writeable = False
    assert compiled() == before
