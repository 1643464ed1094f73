"""Features against numpy.linalg.svd, their invariants, and what they refuse."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.errors import ConfigError, DataError, ShapeError
from q_store.models import fashion_mnist
from q_store.models.features import (
    Amplitudes,
    CentredPCA,
    FeatureMap,
    Raw,
    Scaled,
    Standardised,
    from_arrays,
)

EVERY = [Amplitudes(4), CentredPCA(4), CentredPCA(3, power=0.5, unit_norm=False), Standardised(4), Scaled(), Raw()]


@pytest.fixture(scope="module")
def pixels():
    images = fashion_mnist.load("bundled").train.x.reshape(-1, 28, 28)
    return images[:2600, 7:21, 7:21].reshape(2600, 196)  # the centre is enough, and quick


@pytest.fixture
def table():
    return np.random.default_rng(1).gamma(2.0, size=(60, 7)) * np.arange(1, 8)


def positive_peaks(vectors):
    return vectors * np.sign(vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)])[:, None]


def test_amplitudes_are_the_uncentred_svd(pixels):
    pixels = pixels[::4]
    p = np.sqrt(pixels / 255)
    _, s, vt = np.linalg.svd(p, full_matrices=False)
    z = p @ positive_peaks(vt[:32]).T / (s[:32] / s[0]) ** 0.15
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    got = Amplitudes(32, power=0.5, exponent=0.15).fit(pixels).transform(pixels)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, z, atol=2e-4)  # float32 turns nearly equal components into each other


def test_centred_pca_is_the_centred_svd(table):
    fitted = CentredPCA(5, unit_norm=False).fit(table)
    _, _, vt = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(fitted.matrix, positive_peaks(vt[:5]).T, atol=1e-9)
    np.testing.assert_allclose(
        fitted.transform(table), (table - table.mean(axis=0)) @ fitted.matrix, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("kind", [Standardised(5), Scaled()])
def test_standard_features_have_mean_0_variance_1_and_pca_no_correlation(table, kind):
    z = kind.fit(table).transform(table).astype(float)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-6)
    if isinstance(kind, Standardised):
        np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(5), atol=1e-6)


def test_pixels_count_as_fractions_of_255(pixels):
    fractions = pixels / np.float64(255)
    for kind in (Amplitudes(8), CentredPCA(8), Standardised(8)):
        np.testing.assert_allclose(
            kind.fit(pixels).transform(pixels), kind.fit(fractions).transform(fractions), atol=2e-4
        )
    np.testing.assert_allclose(Raw().fit(pixels).transform(pixels[:9]), fractions[:9], atol=1e-7)


def test_a_large_common_offset_does_not_cost_precision(table):
    near, far = CentredPCA(3).fit(table), CentredPCA(3).fit(table + 1e6)
    np.testing.assert_allclose(far.transform(table + 1e6), near.transform(table), atol=1e-4)


def test_test_rows_do_not_move_the_fit(pixels):
    fitted = Standardised(8).fit(pixels[:2000])
    together = fitted.transform(pixels)
    np.testing.assert_allclose(together[2000:], fitted.transform(pixels[2000:]), atol=1e-5)


@pytest.mark.parametrize("kind", EVERY)
def test_arrays_give_the_map_back_and_it_cannot_be_written(table, kind):
    fitted = kind.fit(table)
    buffer = io.BytesIO()
    np.savez(buffer, **fitted.to_arrays())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as arrays:
        back = from_arrays(arrays)
    assert isinstance(back, FeatureMap)
    np.testing.assert_array_equal(back.transform(table), fitted.transform(table))
    with pytest.raises(ValueError, match="read-only"):
        back.matrix[0, 0] = 1


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_amplitudes_are_unit_vectors_and_ignore_brightness(count, seed):
    x = np.random.default_rng(seed).uniform(0.1, 1, (30, 6))
    fitted = Amplitudes(count).fit(x)
    z = fitted.transform(x)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(fitted.transform(3 * x), z, atol=1e-5)


def test_a_zero_vector_is_named(pixels):
    x = pixels.copy()
    x[2500] = 0
    with pytest.raises(DataError, match=r"row 2500 .*all zeros"):
        Amplitudes(8).fit(pixels).transform(x)


def test_a_row_outside_all_components_counts_as_zero():
    x = np.zeros((20, 3))
    x[:10, 0], x[10:, 1], x[3, 2] = 5, 4, 0.1
    fitted = Amplitudes(2, power=1).fit(x)
    with pytest.raises(DataError, match="row 0 "):
        fitted.transform(np.array([[0, 0, 1e-300]]))


def test_the_average_row_has_no_direction(table):
    with pytest.raises(DataError, match=r"row 1 .*average row"):
        CentredPCA(3).fit(table).transform(np.stack([table[0], table.mean(axis=0)]))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_column_is_named_where_it_would_divide_by_zero(table, value):
    table[:, 3] = value
    with pytest.raises(DataError, match="constant column 3 "):
        Scaled().fit(table)
    with pytest.raises(DataError, match="span 7 directions, got 6"):
        Standardised(7, power=1).fit(table)
    assert np.isfinite(Standardised(6, power=1).fit(table).transform(table)).all()


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((5, 7)), DataError, "span 4 directions, got 0"),
        (np.zeros((0, 7)), DataError, "at least one row"),
        (np.zeros(7), ShapeError, r"\[rows, features\]"),
        (np.full((5, 7), np.nan), DataError, "got nan in row 0, column 0"),
        (np.full((5, 7), "a"), DataError, "expected numbers in x"),
        (np.full((5, 7), -1.0), DataError, "at least 0 for the power 0.5, got -1.0 in row 0"),
        (np.ones((5, 3)), ConfigError, "1 to 3 components"),
        (np.ones((2, 5000)), DataError, "at most 4096 features"),
    ],
)
def test_unusable_rows_are_refused(bad, error, message):
    with pytest.raises(error, match=message):
        Amplitudes(4).fit(bad)


@pytest.mark.parametrize("power", [0, -1, np.nan])
def test_powers_that_are_not_positive_are_refused(table, power):
    with pytest.raises(ConfigError, match="positive power"):
        Amplitudes(2, power=power).fit(table)


def test_another_width_and_overflow_are_refused(table):
    fitted = Raw().fit(table)
    with pytest.raises(ShapeError, match="rows of 7 features as in training, got 6"):
        fitted.transform(table[:, :6])
    with pytest.raises(DataError, match="range of float32"):
        fitted.transform(table * 1e40)


@pytest.mark.parametrize("features", [Raw(), Scaled(), CentredPCA(2), Amplitudes(2, power=0.5), Standardised(2)])
def test_values_whose_squares_overflow_are_refused(table, features):
    with pytest.raises(DataError, match="scale the columns down"):
        features.fit(np.abs(table) * 1e250)
    with pytest.raises(DataError, match="scale the columns down"):
        features.fit(np.abs(table)).transform(np.abs(table) * 1e250)


@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_damaged_arrays_are_refused(table, damage):
    arrays = Scaled().fit(table).to_arrays()
    if damage == "missing":
        del arrays["mean"]
    else:
        arrays["mean"] = arrays["mean"][1:] if damage == "shape" else arrays["mean"] * np.nan
    with pytest.raises(DataError, match="damaged"):
        from_arrays(arrays)
