"""Data sets from files and loaders: `.npz`, `.csv` (also `.csv.gz`), any iterable of (x, y) batches, Fashion-MNIST.

Nothing is unpickled. Every damaged file ends in a DataError that names it.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError
from q_store.models.checks import batch_pairs
from q_store.models.data import Dataset, dataset
from q_store.models.table import read_table

X_NAMES = ("x", "data", "images", "features")
Y_NAMES = ("y", "labels", "label", "target", "targets")
PART_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
ACCEPTED_KEYS = "x and y, or x_train, y_train and, where they exist, x_validation, y_validation, x_test, y_test"
"""What messages name; `npz` lists the aliases."""
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, EOFError, OSError, ValueError,
    KeyError, IndexError, TypeError, MemoryError, OverflowError, RuntimeError, SyntaxError,
)  # fmt: skip
"""What a damaged archive, or the header of a damaged array in it, raises."""


def load(source: str | Path, *, seed: int = 0) -> Dataset:
    """`bundled` or `full` Fashion-MNIST, or the `.npz`, `.csv` or `.csv.gz` file at a path.

    `seed` cuts the parts that a file lacks. Raises DataError for a name or file that cannot be used.
    """
    if source in ("bundled", "full"):
        from q_store.models import fashion_mnist  # it reads its subset with this module

        return fashion_mnist.load(str(source))
    path = Path(source)
    if path.suffix == ".npz":
        return npz(path, seed=seed)
    if path.suffix == ".csv" or path.suffixes[-2:] == [".csv", ".gz"]:
        return csv(path, seed=seed)
    raise DataError(
        f"expected 'bundled', 'full' or the path of a .npz, .csv or .csv.gz file, got {str(source)!r}; "
        "convert the data with numpy.savez(path, x=..., y=...)"
    )


def npz(path: str | Path, *, seed: int = 0) -> Dataset:
    """The data set in an `.npz` file with the keys x and y, or a pair for each part, in upper or lower case.

    For x: x, data, images, features; for y: y, labels, label, target, targets. For a part: train or training;
    validation, val or valid; test or testing, before or behind the name (x_train, train_images). An array
    `class_names` of text names the classes. Missing parts are cut from the training part.
    """
    arrays = {name.lower(): array for name, array in read_arrays(path).items()}
    given = {}
    for part, words in PART_NAMES.items():
        x, y = (_pick(arrays, _spellings(names, words, whole=part == "train")) for names in (X_NAMES, Y_NAMES))
        if x is not None and y is not None:
            given[part] = (x, y)
        elif x is not None or y is not None:
            lacking = "y" if y is None else "x"
            raise DataError(
                f"{path}: expected x and y of the {part} part, got no {lacking}; save both ({ACCEPTED_KEYS})"
            )
    if "train" not in given:
        raise DataError(f"{path}: expected the keys {ACCEPTED_KEYS}, got {sorted(arrays)}; save the arrays under them")
    names = arrays.get("class_names")
    class_names = None if names is None else tuple(str(name) for name in names.ravel())
    return dataset(given, source=str(path), class_names=class_names, seed=seed)


def csv(path: str | Path, *, seed: int = 0) -> Dataset:
    """The data set in a table of comma-separated values, with or without a line of column names.

    The label is the column named `label`, else the first one; text labels become classes in alphabetical order.
    Columns all named pixel... that hold whole numbers from 0 to 255 become uint8 pixels.
    """
    x, y, class_names = read_table(Path(path))
    return dataset({"train": (x, y)}, source=str(path), class_names=class_names, seed=seed)


def batches(
    train: Iterable[Any],
    validation: Iterable[Any] | None = None,
    test: Iterable[Any] | None = None,
    *,
    source: str = "batches",
    seed: int = 0,
) -> Dataset:
    """The data set in iterables of (x, y) batches, such as a torch DataLoader; read once, in order, into memory.

    x is [b, ...] and y [b]; tensors are detached and moved to the host. A loader that shuffles is frozen in the order
    of this one pass.
    """
    loaders = {"train": train, "validation": validation, "test": test}
    given = {name: _joined(loader, f"{source}, {name} part") for name, loader in loaders.items() if loader is not None}
    return dataset(given, source=source, seed=seed)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Every array of an `.npz` file, in memory; DataError when it is missing, damaged, or holds Python objects."""
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()}
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected an .npz file, got no such file; check the path") from error
    except DAMAGE as error:
        remedy = (
            "save the arrays with a numeric type; pickled objects are never loaded because they can run code"
            if "Object arrays" in str(error)
            else "the file is damaged or truncated, or no .npz: copy it again, or save it with numpy.savez"
        )
        raise DataError(f"{path}: expected a readable .npz file, got: {error!r}; {remedy}") from error


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the checksum is compared
    return array


def _spellings(names: tuple[str, ...], words: tuple[str, ...], *, whole: bool) -> list[str]:
    found = [spelling for name in names for word in words for spelling in (f"{name}_{word}", f"{word}_{name}")]
    return [*found, *names] if whole else found


def _pick(arrays: Mapping[str, NDArray[Any]], spellings: list[str]) -> NDArray[Any] | None:
    return next((arrays[name] for name in spellings if name in arrays), None)


def _joined(loader: Iterable[Any], where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    pairs = batch_pairs(loader, where)
    for number, (x, y) in enumerate(pairs):
        if x.ndim < 2 or y.ndim < 1 or len(x) != len(y):
            raise DataError(
                f"{where}: expected x of shape [b, ...] and y of shape [b], got {list(x.shape)} and {list(y.shape)} in "
                f"batch {number}; yield one label for each row"
            )
    try:
        return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])
    except ValueError as error:
        raise DataError(
            f"{where}: expected batches of the same row shape, got: {error}; pad or resize the rows"
        ) from error
