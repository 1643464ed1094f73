"""Numbers and labels from comma-separated text: who names the columns, where the label is, what a bad field means."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError

LABEL = "label"


def read_table(path: Path) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...] | None]:
    """(x[B, D], y[B], class names or None) of a `.csv` or `.csv.gz` file; the label is column `label` or the first.

    Raises DataError naming the line for a field that is no number and for rows of unequal length.
    """
    text = _text(path)
    fields = _first(text, path)
    if len(fields) < 2:
        raise DataError(
            f"{path}: expected a label and at least one feature separated by commas, got {fields[0][:60]!r}; "
            "separate the columns with commas"
        )
    named = not any(_is_number(field) for field in fields[1:])
    column = _label_column(fields) if named else 0
    columns = [index for index in range(len(fields)) if index != column]
    x = _numbers(text, columns, len(fields), skip=int(named), where=path)
    y, class_names = _classes(_words(text, column, skip=int(named)))
    if named and all(fields[index].lower().startswith("pixel") for index in columns):
        x = _pixels(x)
    return x, y, class_names


def read_features(path: Path, width: int) -> NDArray[Any]:
    """x[B, columns] of a table to predict; of `width` + 1 columns the label, found as in training, is left out.

    Raises DataError as `read_table` does.
    """
    text = _text(path)
    fields = _first(text, path)
    named = not any(_is_number(field) for field in fields[1:] or fields)
    label = (_label_column(fields) if named else 0) if len(fields) == width + 1 else None
    columns = [index for index in range(len(fields)) if index != label]
    return _numbers(text, columns, len(fields), skip=int(named), where=path)


def _first(text: str, path: Path) -> list[str]:
    """The fields of the first line that is not blank."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise DataError(f"{path}: expected rows of comma-separated values, got an empty file; check how it was written")
    return [field.strip().strip('"') for field in first.split(",")]


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a CSV file, got no such file; check the path") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: expected readable UTF-8 text, got: {error}; the file is damaged, truncated or no CSV"
        ) from error


def _label_column(fields: list[str]) -> int:
    lower = [field.lower() for field in fields]
    return lower.index(LABEL) if LABEL in lower else 0


def _numbers(text: str, columns: list[int], width: int, *, skip: int, where: Path) -> NDArray[Any]:
    """x as float64; a second, slow pass finds the line only when the fast one has failed."""
    if sum(1 for line in text.splitlines() if line.strip()) == skip:
        raise DataError(f"{where}: expected at least one row of values, got only column names; add rows")
    try:
        x = np.loadtxt(
            io.StringIO(text), delimiter=",", skiprows=skip, usecols=columns, ndmin=2, comments=None, quotechar='"'
        )
    except ValueError as error:
        _explain(text, columns, width, skip, where)
        raise DataError(f"{where}: expected numbers, got: {error}; correct the file") from error
    _check_widths(text, width, where)
    return x


def _explain(text: str, columns: list[int], width: int, skip: int, where: Path) -> None:
    _check_widths(text, width, where)
    for number, line in enumerate(text.splitlines(), start=1):
        fields = [field.strip().strip('"') for field in line.split(",")]
        for index in columns if number > skip and line.strip() else ():
            if not _is_number(fields[index]):
                raise DataError(
                    f"{where}: expected a number in line {number}, column {index + 1}, got {fields[index]!r}; "
                    "encode text as numbers and fill or remove gaps"
                )


def _check_widths(text: str, width: int, where: Path) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and line.count(",") + 1 != width:
            raise DataError(
                f"{where}: expected {width} columns in every line, got {line.count(',') + 1} in line {number}; "
                "the file is damaged or truncated there"
            )


def _words(text: str, column: int, *, skip: int) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()][skip:]
    return [line.split(",")[column].strip().strip('"') for line in lines]


def _classes(words: list[str]) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Numbers as they are, text numbered in alphabetical order."""
    if all(_is_number(word) for word in words):
        return np.array([float(word) for word in words]), None
    names, y = np.unique(np.array(words), return_inverse=True)
    return y, tuple(str(name) for name in names)


def _pixels(x: NDArray[Any]) -> NDArray[Any]:
    whole = x.astype(np.uint8) if x.min() >= 0 and x.max() <= 255 else None
    return x if whole is None or not np.array_equal(whole, x) else whole


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
