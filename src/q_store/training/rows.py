"""A checked set of rows: features and targets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.errors import DataError, ShapeError
from q_store.training.objective import Objective

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a data set, kept by reference: do not change the arrays while training runs.

    Attributes:
        data: [B, D] float32 or float64, None for a circuit without features.
        targets: as `Loss.prepare` returned them, first axis B; None without targets.
        count: B; 1 without data.
    """

    data: Array | None
    targets: Array | None
    count: int

    @staticmethod
    def of(
        data: npt.ArrayLike | None, targets: npt.ArrayLike | None, objective: Objective, name: str = "training"
    ) -> Rows:
        """Check the rows once; float arrays are kept as they are, others become float64.

        Raises:
            ShapeError: for wrong shapes. DataError: for an empty set, NaN, infinity, or targets that the loss refuses.
        """
        features = None if data is None else _features(data, objective.circuit.n_features, name)
        if features is None and objective.circuit.n_features:
            msg = f"expected {name} data of shape [B, {objective.circuit.n_features}], got none"
            raise DataError(msg)
        count = 1 if features is None else len(features)
        return Rows(features, objective.loss.prepare(targets, count, objective.readout.n_outputs), count)

    def take(self, index: npt.NDArray[np.intp]) -> tuple[Array | None, Array | None]:
        """(data, targets) of some rows, copied."""
        data = None if self.data is None else self.data.take(index, axis=0)
        return data, None if self.targets is None else self.targets.take(index, axis=0)

    def fingerprint(self) -> str:
        """SHA-256 over the values, hexadecimal."""
        digest = hashlib.sha256()
        for array in (self.data, self.targets):
            if array is None:
                digest.update(b"none")
            else:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _features(data: npt.ArrayLike, n_features: int, name: str) -> Array:
    features = np.asarray(data)
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float64)
    if features.ndim != 2 or features.shape[1] != n_features:
        msg = f"expected {name} data of shape [B, {n_features}], got {list(features.shape)}"
        raise ShapeError(msg)
    if not len(features):
        msg = f"expected {name} data with 1 row or more, got none"
        raise DataError(msg)
    if not np.isfinite(features).all():
        row = int(np.argmin(np.isfinite(features).all(axis=1)))
        msg = f"expected finite {name} data, got NaN or infinity, first in row {row}; clean the data"
        raise DataError(msg)
    return features
