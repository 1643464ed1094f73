"""Rows to predict, from a file: `.npy`, `.npz`, `.csv` (also `.csv.gz`) or one `.png` image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError, ShapeError
from q_store.models.readers import DAMAGE, X_NAMES, read_arrays
from q_store.models.table import read_features

Array = NDArray[Any]
LARGEST_PIXEL = 255


def read_rows(path: Path, width: int, *, pixels: bool) -> Array:
    """x[B, width] from the file. With `pixels` (the model was trained on uint8) whole numbers to 255 become uint8.

    Raises DataError for a file that is missing, damaged or of another kind and ShapeError for another width.
    """
    readers = {".npy": _npy, ".npz": _npz, ".csv": read_features, ".gz": read_features, ".png": _png}
    if path.suffix.lower() not in readers:
        raise DataError(f"expected a .npy, .npz, .csv or .png file, got {path}; save the rows with numpy.save(path, x)")
    if not path.is_file():
        raise DataError(f"{path}: expected a file with rows to predict, got no such file; check the path")
    rows = _shaped(readers[path.suffix.lower()](path, width), width, path, image=pixels)
    return _as_pixels(rows) if pixels else rows


def _shaped(values: Array, width: int, path: Path, *, image: bool) -> Array:
    if values.dtype.kind not in "uifb":
        raise DataError(f"{path}: expected numbers, got {values.dtype}; convert or encode them first")
    if not values.size:
        raise DataError(f"{path}: expected at least one row, got none; give some data")
    alone = values.ndim < 2 or (image and values.size == width)  # one row, or one image
    rows = values.reshape(1 if alone else len(values), -1)
    if rows.shape[1] != width:
        raise ShapeError(
            f"{path}: expected rows of {width} features as in training, got an array of shape {list(values.shape)}; "
            "give one row an example"
        )
    return rows


def _as_pixels(rows: Array) -> Array:
    whole = rows.dtype.kind in "ui" or (np.isfinite(rows).all() and np.array_equal(rows, np.round(rows)))
    fits = whole and rows.min() >= 0 and 1 < rows.max() <= LARGEST_PIXEL
    return rows.astype(np.uint8) if fits else rows


def _npy(path: Path, _width: int) -> Array:
    try:
        values = np.load(path, allow_pickle=False)
    except DAMAGE as error:
        raise _damaged(path, error) from error
    return np.asarray(values)


def _npz(path: Path, _width: int) -> Array:
    arrays = {name.lower(): values for name, values in read_arrays(path).items()}
    names = [name for word in X_NAMES for name in (word, f"{word}_test", f"test_{word}") if name in arrays]
    if not names and len(arrays) != 1:
        raise DataError(f"{path}: expected an array x, got {sorted(arrays)}; save it with numpy.savez(path, x=...)")
    return arrays[names[0]] if names else next(iter(arrays.values()))


def _png(path: Path, _width: int) -> Array:
    """The image as grey levels 0..255; the weights of the colours are those of ITU-R BT.601."""
    from matplotlib.image import imread

    try:
        image = np.asarray(imread(path, format="png"))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _damaged(path, error) from error
    levels = image if image.dtype == np.uint8 else np.round(LARGEST_PIXEL * image.astype(np.float64))
    colours = 1 if levels.ndim == 2 else levels.shape[2]
    if colours >= 3:
        levels = levels[..., :3] @ np.array([0.299, 0.587, 0.114])
    elif colours == 2:
        levels = levels[..., 0]
    return np.round(levels).astype(np.uint8).reshape(1, -1)


def _damaged(path: Path, error: Exception) -> DataError:
    text = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path}: expected a readable file, got: {text}; it is damaged or not what its name says")
