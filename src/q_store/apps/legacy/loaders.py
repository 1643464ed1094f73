"""Data as v3.4 programs bring it: loaders that yield batches, asynchronous ones too, or two arrays."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from q_store.errors import DataError, ShapeError
from q_store.models.checks import batch_pairs, host

Array = npt.NDArray[Any]


class Batches(NamedTuple):
    """All rows of one pass, and how many make a batch."""

    x: Array
    y: Array
    size: int


async def read(loader: Any, size: int, where: str) -> Batches:
    """What a loader yields in one pass; it is kept in memory and visited in an order of our own in every epoch.

    Args:
        loader: (x, y) arrays, which are cut into batches of `size`; or an iterable of (x, y) batches, such as a torch
            DataLoader, synchronous or not, whose first batch says how large a batch is.
        size: see there.
        where: for messages.

    Raises:
        DataError: for a batch that is no pair, or none at all. ShapeError: for batches that do not fit together.
    """
    if isinstance(loader, tuple) and len(loader) == 2 and hasattr(loader[0], "shape"):
        return _checked(host(loader[0]), host(loader[1]), size, where)
    if isinstance(loader, AsyncIterable):
        found = [batch async for batch in loader]
    elif isinstance(loader, Iterable) and not isinstance(loader, str | dict):
        found = list(loader)
    else:
        raise DataError(f"{where}: expected batches (x, y), or two arrays, got {type(loader).__name__}")
    pairs = batch_pairs(found, where)
    try:
        x, y = np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])
    except ValueError as error:
        raise ShapeError(f"{where}: expected batches of the same row shape, got: {error}") from error
    return _checked(x, y, len(pairs[0][0]), where)


def _checked(x: Array, y: Array, size: int, where: str) -> Batches:
    if x.ndim < 2 or not len(x) or len(x) != len(y):
        raise ShapeError(
            f"{where}: expected rows x[B, ...] and as many targets, at least one, got shapes {list(x.shape)} and "
            f"{list(y.shape)}"
        )
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    return Batches(x, y, max(1, size))
