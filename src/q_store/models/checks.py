"""What arrays may serve as features and labels; every refusal names the place and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError, ShapeError

LARGEST_LABEL = 2**31
SHOWN = 5
"""How many offending rows or columns a message names."""


def features(values: Any, where: str) -> tuple[NDArray[Any], tuple[int, ...] | None]:
    """(x[B, D], image shape or None) of an array of rows; uint8 and floats keep their type, the rest is float64.

    Raises ShapeError for no rows axis or ragged rows, DataError for objects, text, NaN and infinity.
    """
    array = _array(values, where)
    if array.ndim < 2:
        raise ShapeError(
            f"{where}: expected x of shape [rows, features] or [rows, height, width], got {list(array.shape)}; "
            "give one row an example"
        )
    if len(array) == 0 or array[0].size == 0:
        raise DataError(f"{where}: expected at least one row and one feature, got shape {list(array.shape)}")
    if array.dtype.kind not in "uifb":
        raise DataError(f"{where}: expected numbers in x, got {array.dtype}; convert or encode them first")
    array, shape = _flat(array)
    if array.dtype not in (np.uint8, np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    check_finite(array, where)
    return array, shape


def check_finite(x: NDArray[Any], where: str) -> None:
    """Raise DataError naming the first rows of x[B, D] that hold NaN or infinity."""
    if x.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        if np.isfinite(x.sum(dtype=np.float64)):
            return
    bad = ~np.isfinite(x)
    rows = np.flatnonzero(bad.any(axis=1))
    if len(rows):
        row, column = int(rows[0]), int(np.flatnonzero(bad[rows[0]])[0])
        raise DataError(
            f"{where}: expected finite numbers, got {x[row, column]} in row {row}, column {column} (rows "
            f"{some(rows)}); remove these rows or fill the gaps"
        )


def labels(values: Any, where: str) -> NDArray[np.int64]:
    """y[B] as int64; whole numbers in float arrays and shapes [B, 1] are taken, one-hot rows are not."""
    array = _array(values, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ShapeError(
            f"{where}: expected labels of shape [rows], got {list(array.shape)}; for one-hot rows give argmax(axis=1)"
        )
    if array.dtype.kind not in "uifb":
        raise DataError(f"{where}: expected whole numbers as labels, got {array.dtype}; number the classes 0, 1, 2 ...")
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~((np.abs(array) < LARGEST_LABEL) & (array == np.round(array))))
        if len(bad):
            raise DataError(
                f"{where}: expected whole numbers as labels, got {array[bad[0]]} in row {bad[0]}; number the "
                "classes 0, 1, 2 ..."
            )
    return array.astype(np.int64)


def host(value: Any) -> NDArray[Any]:
    """A NumPy array of anything array-like; torch tensors may need a detach and a copy to the host first."""
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if hasattr(value, step) else value
    return np.asarray(value)


def _array(values: Any, where: str) -> NDArray[Any]:
    try:
        array = host(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(f"{where}: expected rows of equal shape, got {error}; make them one array") from error
    if array.dtype.kind == "O":
        raise DataError(f"{where}: expected an array of numbers, got Python objects; convert it to float or int")
    return array


def _flat(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, ...] | None]:
    if array.ndim == 2:
        return array, None
    shape = array.shape[1:]
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        shape = shape[1:] if shape[0] == 1 else shape[:2]
    return array.reshape(len(array), -1), tuple(int(size) for size in shape)


def some(indices: NDArray[Any]) -> str:
    """The first `SHOWN` of `indices` as text, and how many more there are."""
    shown = ", ".join(str(index) for index in indices[:SHOWN])
    return shown if len(indices) <= SHOWN else f"{shown} and {len(indices) - SHOWN} more"


def batch_pairs(batches: Iterable[Any], where: str) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """The (x, y) batches of one pass, in order, on the host.

    Raises DataError for a batch that is no pair, and for none at all.
    """
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for number, batch in enumerate(batches):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            kind = type(batch).__name__ + (f" of length {len(batch)}" if hasattr(batch, "__len__") else "")
            raise DataError(f"{where}: expected batches (x, y), got a {kind} as batch {number}; yield pairs of arrays")
        pairs.append((host(batch[0]), host(batch[1])))
    if not pairs:
        raise DataError(f"{where}: expected at least one batch (x, y), got none; was the iterator already used up?")
    return pairs
