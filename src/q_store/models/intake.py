"""What a user hands to a model: arrays or batches, with labels of any type, turned into arrays and class numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError, ShapeError, suggestion
from q_store.models.checks import batch_pairs, host

Array = NDArray[Any]


def pair(x: Any, y: Any, where: str) -> tuple[Any, Array]:
    """(x, y[B]): the two as given, or the joined batches when `y` is None and x is an iterable of (x, y) batches.

    Raises:
        DataError: for no labels, no batches or batches that are no pairs. ShapeError: for lengths that differ.
    """
    if y is None:
        x, y = _joined(x, where)
    labels = _labels(y, where)
    rows = len(x) if hasattr(x, "__len__") else -1
    if rows != len(labels):
        got = f"{rows} rows and {len(labels)} labels"
        msg = f"{where}: expected one label for each row, got {got}; give x and y of the same length"
        raise ShapeError(msg)
    if not rows:
        msg = f"{where}: expected at least one row, got none; give some data"
        raise DataError(msg)
    return x, labels


def classes_of(labels: Array, where: str) -> Array:
    """The different labels, ascending; DataError for fewer than two."""
    found = np.unique(labels)
    if len(found) < 2:
        msg = f"{where}: expected labels of at least 2 classes, got only {found.tolist()}; add rows of another class"
        raise DataError(msg)
    return found


def numbers(labels: Array, classes: Array, where: str) -> NDArray[np.intp]:
    """For each label[B] its position in `classes`; DataError naming the first label that is not there."""
    order = np.argsort(classes, kind="stable")
    known = classes[order]
    if labels.dtype.kind != known.dtype.kind and "U" in labels.dtype.kind + known.dtype.kind:
        position, right = np.zeros(len(labels), dtype=np.intp), np.zeros(len(labels), dtype=bool)
    else:
        position = np.minimum(np.searchsorted(known, labels), len(known) - 1)
        right = known[position] == labels
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        label = labels[row].item()
        hint = suggestion(str(label), map(str, classes.tolist()))
        msg = f"{where}: expected labels that training knows, got {label!r} in row {row}{hint}"
        raise DataError(msg)
    return np.asarray(order[position], dtype=np.intp)


def _joined(batches: Any, where: str) -> tuple[Array, Array]:
    """The batches of one pass, in order; tensors are detached and moved to the host."""
    if not isinstance(batches, Iterable) or isinstance(batches, np.ndarray | str | dict):
        got = f"a {type(batches).__name__} alone"
        msg = f"{where}: expected labels beside x, or an iterable of (x, y) batches, got {got}; pass y"
        raise DataError(msg)
    parts = batch_pairs(batches, where)
    try:
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    except ValueError as error:
        msg = f"{where}: expected batches of the same row shape, got: {error}; pad or resize the rows"
        raise ShapeError(msg) from error


def _labels(y: Any, where: str) -> Array:
    labels = host(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        got = list(labels.shape)
        msg = f"{where}: expected labels of shape [rows], got {got}; for one-hot rows give argmax(axis=1)"
        raise ShapeError(msg)
    if labels.dtype.kind == "O":
        labels = _plain(labels, where)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.flatnonzero(~np.isfinite(labels))[0])
        msg = f"{where}: expected a label in every row, got {labels[row]} in row {row}; remove the rows without a label"
        raise DataError(msg)
    return labels


def _plain(labels: Array, where: str) -> Array:
    """Python objects as one array of text or numbers (a column of a table often comes as objects)."""
    kinds = {type(label) for label in labels}
    if kinds <= {str} or kinds <= {int, bool} or kinds <= {int, float}:
        return np.array(labels.tolist())
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    msg = f"{where}: expected labels that are all text or all numbers, got {names}; convert them to one type"
    raise DataError(msg)
