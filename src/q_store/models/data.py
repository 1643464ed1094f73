"""A labelled data set in three parts, the checks it passes, and the seeded stratified split that fills missing parts.

Arrays: x[B, D] (uint8 pixels stay uint8, everything else becomes float32 or float64), y[B] int64 in 0..K-1. The part
`train` is what is fitted, `validation` what choices are made on, `test` what is reported and never chosen on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError, ShapeError
from q_store.models.checks import features, labels, some

PARTS = ("train", "validation", "test")
VALIDATION_SHARE = 0.15
TEST_SHARE = 0.20


@dataclass(frozen=True)
class Split:
    """Rows x[B, D] with their labels y[B]; both arrays are read-only views or copies owned by the data set."""

    x: NDArray[Any]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """Three parts over the same D features and K classes; made by `dataset`, which runs every check.

    `image_shape` is (H, W) or (H, W, C) when the rows are flattened images, else None; `source` says where the data
    came from (`bundled`, `full`, a path).
    """

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...] | None
    source: str

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def n_features(self) -> int:
        """D."""
        return int(self.train.x.shape[1])

    @property
    def parts(self) -> dict[str, Split]:
        """The three parts by name, in the order of `PARTS`."""
        return {name: getattr(self, name) for name in PARTS}

    @cached_property
    def digest(self) -> str:
        """sha256, as 64 hex digits, over the type, shape and bytes of the six arrays in the order of `PARTS`."""
        state = hashlib.sha256()
        for part in self.parts.values():
            for array in (part.x, part.y):
                state.update(f"{array.dtype.str}{array.shape}".encode())
                state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()


def dataset(
    parts: dict[str, tuple[Any, Any]], *, source: str, class_names: tuple[str, ...] | None = None, seed: int = 0
) -> Dataset:
    """The checked data set of `parts`, a dict with `train` and, where they exist, `validation` and `test`.

    Missing parts are cut from `train`, stratified and seeded: first the test part (20 %), then the validation part
    (15 %). x may be [B, D], [B, H, W], [B, 1, H, W] or [B, H, W, C] and is flattened to [B, D].

    Raises ShapeError for arrays that do not fit together and DataError for unusable values.
    """
    if "train" not in parts:
        raise DataError(f"{source}: expected a training part, got {sorted(parts)}; give the part 'train' as (x, y)")
    read = {name: _part(*pair, f"{source}, {name} part") for name, pair in parts.items()}
    image_shape = read["train"][1]
    splits = {name: part for name, (part, _) in read.items()}
    _same_width(splits, source)
    n_classes = len(class_names) if class_names else int(splits["train"].y.max(initial=0)) + 1
    for name, part in splits.items():
        _check_classes(part.y, n_classes, f"{source}, {name} part")
    _check_present(splits["train"].y, n_classes, source)
    for number, (name, share) in enumerate((("test", TEST_SHARE), ("validation", VALIDATION_SHARE))):
        if name not in splits:
            splits["train"], splits[name] = stratified(splits["train"], share, seed + number, source)
    names = class_names or tuple(str(index) for index in range(n_classes))
    frozen = {name: _frozen(part) for name, part in splits.items()}
    return Dataset(frozen["train"], frozen["validation"], frozen["test"], names, image_shape, source)


def stratified(part: Split, share: float, seed: int, source: str) -> tuple[Split, Split]:
    """(kept, taken): `share` of the rows of every class, at least one row, taken by a generator seeded with `seed`.

    Both keep the order of the rows. Raises DataError when a class has a single row, which cannot lie in both.
    """
    generator = np.random.default_rng(seed)
    mask = np.zeros(len(part), dtype=bool)
    for label in np.unique(part.y):
        rows = np.flatnonzero(part.y == label)
        if len(rows) < 2:
            raise DataError(
                f"{source}: expected at least 2 rows of class {label} to split, got {len(rows)}; add rows of that "
                "class, leave it out, or give the validation and test parts yourself"
            )
        mask[generator.permutation(rows)[: max(1, min(len(rows) - 1, round(share * len(rows))))]] = True
    return Split(part.x[~mask], part.y[~mask]), Split(part.x[mask], part.y[mask])


def _part(x: Any, y: Any, where: str) -> tuple[Split, tuple[int, ...] | None]:
    rows, shape = features(x, where)
    numbers = labels(y, where)
    if len(rows) != len(numbers):
        raise ShapeError(
            f"{where}: expected one label for each row, got {len(rows)} rows and {len(numbers)} labels; "
            "give x and y of the same length"
        )
    return Split(rows, numbers), shape


def _same_width(splits: dict[str, Split], source: str) -> None:
    widths = {name: part.x.shape[1] for name, part in splits.items()}
    if len(set(widths.values())) > 1:
        raise ShapeError(f"{source}: expected the same number of features in every part, got {widths}; align the parts")


def _check_classes(y: NDArray[np.int64], n_classes: int, where: str) -> None:
    bad = np.flatnonzero((y < 0) | (y >= n_classes))
    if len(bad):
        raise DataError(
            f"{where}: expected labels from 0 to {max(n_classes - 1, 1)}, got {y[bad[0]]} in row {bad[0]} "
            f"(rows {some(bad)}); number the classes from 0 as in the training part"
        )


def _check_present(y: NDArray[np.int64], n_classes: int, source: str) -> None:
    if n_classes > len(y):
        raise DataError(
            f"{source}: expected labels that number the classes from 0, got the label {y.max(initial=0)} among "
            f"{len(y)} training rows; renumber the classes (is this a regression target?)"
        )
    counts = np.bincount(y, minlength=n_classes)
    if np.count_nonzero(counts) < 2:
        raise DataError(
            f"{source}: expected at least 2 classes in the training part, got only class {y[0]}; "
            "a classifier needs rows of another class"
        )
    if (counts == 0).any():
        raise DataError(
            f"{source}: expected training rows of every class from 0 to {n_classes - 1}, got none of "
            f"{some(np.flatnonzero(counts == 0))}; renumber the classes without gaps from 0"
        )


def _frozen(part: Split) -> Split:
    x, y = np.ascontiguousarray(part.x).view(), part.y.view()
    x.flags.writeable = y.flags.writeable = False
    return Split(x, y)
