"""Blocks of preprocessed rows, and their leading principal directions by the Gram matrix."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.blas import single_threaded
from q_store.errors import ConfigError, DataError
from q_store.models.checks import features

BLOCK = 2048
"""Rows at a time: a block of images stays in the cache, and memory does not grow with the data."""
MAX_FEATURES = 4096
"""The D x D eigenproblem takes seconds from here on."""
SAMPLE = 4
"""Times the directions wanted, rows that are looked at first: nearly always they show them all."""
LARGEST = 1e100
"""Of |x^power|: sums of squares over any number of rows stay far from the end of float64."""


def checked_rows(x: Any, where: str, power: float = 1.0) -> NDArray[Any]:
    """x[B, D] of `checks.features`, not too wide for an eigenproblem, and without negative values under a root."""
    rows, _ = features(x, where)
    if rows.shape[1] > MAX_FEATURES:
        raise DataError(
            f"{where}: expected at most {MAX_FEATURES} features a row, got {rows.shape[1]}; average pixels or select "
            "columns first"
        )
    if not 0 < power < np.inf:
        raise ConfigError(f"expected a positive power, got {power}; 1 leaves the values, 0.5 takes their root")
    largest = max(float(rows.max()), -float(rows.min()))
    if largest > 1 and power * np.log10(largest) > np.log10(LARGEST):
        raise DataError(
            f"{where}: expected values whose power {power:g} is below {LARGEST:g}, got one of size {largest:g}; scale "
            "the columns down"
        )
    if power != round(power) and rows.min() < 0:
        row = int(np.flatnonzero((rows < 0).any(axis=1))[0])
        raise DataError(
            f"expected values of at least 0 for the power {power}, got {rows[row].min()} in row {row}; shift the "
            "columns or use power 1"
        )
    return rows


def blocks(rows: NDArray[Any], power: float) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first row, p) for each block; float32 from pixels, where 256 values need no power function, else float64."""
    if rows.dtype == np.uint8:
        table = ((np.arange(256) / 255) ** power).astype(np.float32)
        for start in range(0, len(rows), BLOCK):
            yield start, table[rows[start : start + BLOCK]]
        return
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].astype(np.float64)
        yield start, block if power == 1 else block**power


def mean_row(rows: NDArray[Any], power: float) -> NDArray[np.float64]:
    """The average of p[D] over the rows."""
    total = np.zeros(rows.shape[1])
    for _, p in blocks(rows, power):
        total += p.sum(axis=0, dtype=np.float64)
    return total / len(rows)


def leading(
    rows: NDArray[Any], mean: NDArray[np.float64], power: float, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `count` largest eigenvalues[n] and their eigenvectors[D, n] of the Gram matrix of p - mean.

    The eigenvalues are squared singular values; the largest entry of every vector is positive. Blocks are summed in
    float64: from pixels in float32 the error is below 1e-8 of the largest eigenvalue.
    """
    width = rows.shape[1]
    if not 1 <= count <= width:
        raise ConfigError(f"expected 1 to {width} components of {width} features, got {count}; ask for fewer")
    with single_threaded():
        gram = _gram(rows, mean, power)
        values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = _rank(values, rows)
    if rank < count:
        raise DataError(
            f"expected training rows that span {count} directions, got {rank}; add rows, drop constant or repeated "
            "columns, or ask for fewer components"
        )
    vectors = vectors[:, :count]
    peaks = vectors[np.abs(vectors).argmax(axis=0), np.arange(count)]
    return values[:count], vectors * np.sign(peaks)


def spanned(rows: NDArray[Any], power: float, count: int, *, centred: bool) -> int:
    """How many directions p, or p - mean, has over the rows, counted up to `count`."""
    few = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE * count)).astype(np.intp)]
    found = 0
    for some in (few, rows) if len(few) < len(rows) else (rows,):
        mean = mean_row(some, power) if centred else np.zeros(rows.shape[1])
        with single_threaded():
            found = _rank(np.linalg.eigvalsh(_gram(some, mean, power)), rows)
        if found >= count:
            return count
    return found


def _rank(values: NDArray[np.floating], rows: NDArray[Any]) -> int:
    """Of a Gram matrix of these rows, from its eigenvalues."""
    precision = np.finfo(np.float32).eps if rows.dtype == np.uint8 else 1e-12
    return int(np.count_nonzero(values > precision * max(values.max(), 0)))


def _gram(rows: NDArray[Any], mean: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Sum of (p - mean)^T (p - mean) over the rows, by two threads, always the same half each."""
    half = len(rows) // 2 // BLOCK * BLOCK

    def part(chosen: NDArray[Any]) -> NDArray[np.float64]:
        total = np.zeros((rows.shape[1], rows.shape[1]))
        for _, p in blocks(chosen, power):
            centred = p - mean.astype(p.dtype)
            total += centred.T @ centred
        return total

    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(part, rows[half:])
        return part(rows[:half]) + second.result()
