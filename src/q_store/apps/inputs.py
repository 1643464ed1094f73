"""Rows to predict, from a file: `.npy`, `.npz`, `.csv` (also `.csv.gz`) or one `.png` image."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError, ShapeError
from q_store.models.readers import X_NAMES, read_arrays

Array = NDArray[Any]
LABELS = ("label", "class", "target", "y")
LARGEST_PIXEL = 255


def read_rows(path: Path, width: int, *, pixels: bool) -> Array:
    """x[B, width] from the file. With `pixels` (the model was trained on uint8) whole numbers to 255 become uint8.

    Raises DataError for a file that is missing, damaged or of another kind and ShapeError for another width.
    """
    readers = {".npy": _npy, ".npz": _npz, ".csv": _csv, ".gz": _csv, ".png": _png}
    if path.suffix.lower() not in readers:
        raise DataError(f"expected a .npy, .npz, .csv or .png file, got {path}; save the rows with numpy.save(path, x)")
    if not path.is_file():
        raise DataError(f"{path}: expected a file with rows to predict, got no such file; check the path")
    rows = _shaped(readers[path.suffix.lower()](path, width), width, path)
    return _as_pixels(rows) if pixels else rows


def _shaped(values: Array, width: int, path: Path) -> Array:
    if values.dtype.kind not in "uifb":
        raise DataError(f"{path}: expected numbers, got {values.dtype}; convert or encode them first")
    if not values.size:
        raise DataError(f"{path}: expected at least one row, got none; give some data")
    rows = values.reshape(1, -1) if values.size == width else values.reshape(len(values), -1)
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
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, error) from error
    return np.asarray(values)


def _npz(path: Path, _width: int) -> Array:
    arrays = {name.lower(): values for name, values in read_arrays(path).items()}
    names = [name for word in X_NAMES for name in (word, f"{word}_test", f"test_{word}") if name in arrays]
    if not names and len(arrays) != 1:
        raise DataError(f"{path}: expected an array x, got {sorted(arrays)}; save it with numpy.savez(path, x=...)")
    return arrays[names[0]] if names else next(iter(arrays.values()))


def _csv(path: Path, width: int) -> Array:
    """Rows of `width` numbers, or of one more: the label, in the column of that name or the first, is left out."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    lines = [fields for fields in csv.reader(io.StringIO(text)) if fields]
    named = bool(lines) and not any(_is_number(field) for field in lines[0][1:])
    names = [name.strip().lower() for name in lines.pop(0)] if named else []
    label = next((names.index(name) for name in LABELS if name in names), 0)
    return np.array([_numbers(fields, label, width, f"{path}, row {k}") for k, fields in enumerate(lines)], dtype=float)


def _numbers(fields: list[str], label: int, width: int, where: str) -> list[float]:
    kept = [field for index, field in enumerate(fields) if len(fields) != width + 1 or index != label]
    if len(kept) != width:
        raise ShapeError(
            f"{where}: expected {width} features as in training, got {len(fields)}; the file does not fit or is damaged"
        )
    bad = next((field for field in kept if not _is_number(field)), None)
    if bad is not None:
        raise DataError(f"{where}: expected numbers, got {bad!r}; encode text as numbers and fill gaps")
    return [float(field) for field in kept]


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


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
