"""From pixels or table columns to the features that a circuit takes; unsupervised, fitted on training rows only.

Every preprocessing here is one fitted `FeatureMap`: z = (p - mean) @ matrix with p = x^power, then, where asked, the
rows of z divided by their norm. The classes below differ in how they find mean and matrix. uint8 pixels are divided
by 255 first; floats are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from q_store.blas import single_threaded
from q_store.errors import DataError, ShapeError
from q_store.models.checks import some
from q_store.models.components import blocks, checked_rows, leading, mean_row

ZERO_SHARE = 1e-6
"""A row whose features have less than this share of its length has no direction left beyond rounding."""


class Features(Protocol):
    """A preprocessing before it has seen data."""

    def fit(self, x: Any) -> FeatureMap:
        """The map fitted on training rows x[B, D]."""


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """z[B, n] = ((x^power) - mean[D]) @ matrix[D, n], rows scaled to unit norm if `unit_norm`; read-only arrays."""

    kind: str
    power: float
    mean: NDArray[np.float64]
    matrix: NDArray[np.float64]
    unit_norm: bool

    def __post_init__(self) -> None:
        self.mean.flags.writeable = self.matrix.flags.writeable = False

    @property
    def n_features(self) -> int:
        """D, the width of the rows taken."""
        return int(self.matrix.shape[0])

    @property
    def n_components(self) -> int:
        """n, the width of the rows given."""
        return int(self.matrix.shape[1])

    def transform(self, x: Any) -> NDArray[np.float32]:
        """z[B, n] as float32 of rows x[B, D] (or images [B, H, W]).

        Raises ShapeError for another width, DataError for values that are not finite, negative under a root, or rows
        that keep no length to normalise (for amplitudes: zero vectors).
        """
        rows = checked_rows(x, "features to transform", self.power)
        if rows.shape[1] != self.n_features:
            raise ShapeError(
                f"expected rows of {self.n_features} features as in training, got {rows.shape[1]}; give the same ones"
            )
        z = np.empty((len(rows), self.n_components), dtype=np.float32)
        with single_threaded():
            for start, p in blocks(rows, self.power):
                z[start : start + len(p)] = self._block(p, start)
        return z

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as plain arrays, for one `.npz`; `from_arrays` gives the map back, bit by bit."""
        return {
            "kind": np.array(self.kind),
            "power": np.array(self.power),
            "mean": self.mean,
            "matrix": self.matrix,
            "unit_norm": np.array(self.unit_norm),
        }

    def _block(self, p: NDArray[Any], start: int) -> NDArray[Any]:
        lengths = np.linalg.norm(p, axis=1)
        if self.mean.any():
            p -= self.mean.astype(p.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            z = p @ self.matrix.astype(p.dtype)
        if not (np.abs(z) < np.finfo(np.float32).max).all():
            raise DataError(
                f"expected features within the range of float32, got larger ones in rows {start} to "
                f"{start + len(p) - 1}; scale the columns down"
            )
        if not self.unit_norm:
            return np.asarray(z)
        norms = np.linalg.norm(z, axis=1)
        empty = np.flatnonzero(norms <= ZERO_SHARE * lengths)
        if len(empty):
            raise DataError(
                f"expected rows with a direction to normalise, got nothing left of row {start + empty[0]} (rows "
                f"{some(start + empty)}) after {self.kind} preprocessing: it is all zeros, or the average row; "
                "remove these rows"
            )
        return np.asarray(z / norms[:, None])


def from_arrays(arrays: Mapping[str, Any]) -> FeatureMap:
    """The map that `FeatureMap.to_arrays` took apart; DataError when arrays are missing or do not fit together."""
    missing = {"kind", "power", "mean", "matrix", "unit_norm"} - set(arrays)
    if missing:
        raise DataError(f"expected the arrays of a feature map, got none for {sorted(missing)}; the file is damaged")
    mean, matrix = (np.array(arrays[name], dtype=np.float64) for name in ("mean", "matrix"))
    if (
        matrix.ndim != 2
        or mean.shape != matrix.shape[:1]
        or not (np.isfinite(mean).all() and np.isfinite(matrix).all())
    ):
        raise DataError(
            f"expected finite mean [D] and matrix [D, n] of a feature map, got {list(mean.shape)} and "
            f"{list(matrix.shape)}; the file is damaged"
        )
    return FeatureMap(str(arrays["kind"]), float(arrays["power"]), mean, matrix, bool(arrays["unit_norm"]))


@dataclass(frozen=True)
class Amplitudes:
    """Unit vectors for amplitude encoding: z_k = (p . v_k) / (s_k / s_1)^exponent, then z / |z|.

    p = x^power; v_k and s_k are the leading right singular vectors and values of the UNCENTRED training rows
    (centring would lose the sign of an amplitude vector). The largest entry of each v_k is positive.
    """

    n_components: int
    power: float = 0.5
    exponent: float = 0.2

    def fit(self, x: Any) -> FeatureMap:
        """The map fitted on x[B, D]; DataError when the rows span fewer than `n_components` directions."""
        rows = checked_rows(x, "training features", self.power)
        mean = np.zeros(rows.shape[1])
        values, vectors = leading(rows, mean, self.power, self.n_components)
        matrix = vectors / (values / values[0]) ** (self.exponent / 2)
        return FeatureMap("amplitudes", self.power, mean, matrix, unit_norm=True)


@dataclass(frozen=True)
class CentredPCA:
    """Leading principal components of x^power, centred on the training mean, with or without unit norm."""

    n_components: int
    power: float = 1.0
    unit_norm: bool = True

    def fit(self, x: Any) -> FeatureMap:
        """The map fitted on x[B, D]; DataError when the rows span fewer than `n_components` directions."""
        rows = checked_rows(x, "training features", self.power)
        mean = mean_row(rows, self.power)
        _, vectors = leading(rows, mean, self.power, self.n_components)
        return FeatureMap("centred PCA", self.power, mean, vectors, self.unit_norm)


@dataclass(frozen=True)
class Standardised:
    """Leading principal components of x^power, each with mean 0 and variance 1 over the training rows."""

    n_components: int
    power: float = 0.5

    def fit(self, x: Any) -> FeatureMap:
        """The map fitted on x[B, D]; DataError when the rows span fewer than `n_components` directions."""
        rows = checked_rows(x, "training features", self.power)
        mean = mean_row(rows, self.power)
        values, vectors = leading(rows, mean, self.power, self.n_components)
        return FeatureMap("standardised", self.power, mean, vectors / np.sqrt(values / len(rows)), unit_norm=False)


@dataclass(frozen=True)
class Scaled:
    """Every column with mean 0 and variance 1 over the training rows, for tables that are small already."""

    def fit(self, x: Any) -> FeatureMap:
        """The map fitted on x[B, D]; DataError naming constant columns, which have no variance to divide by."""
        rows = checked_rows(x, "training features")
        mean = mean_row(rows, 1.0)
        squares = np.zeros(rows.shape[1])
        for _, p in blocks(rows, 1.0):
            squares += np.square(p - mean).sum(axis=0)
        deviations = np.sqrt(squares / len(rows))
        constant = np.flatnonzero(deviations <= 1e-12 * np.abs(mean))
        if len(constant):
            raise DataError(
                f"expected features that vary over the training rows, got the constant column {constant[0]} (columns "
                f"{some(constant)}); remove these columns or use principal components"
            )
        return FeatureMap("scaled", 1.0, mean, np.diag(1 / deviations), unit_norm=False)


@dataclass(frozen=True)
class Raw:
    """The columns as they are (uint8 pixels divided by 255)."""

    def fit(self, x: Any) -> FeatureMap:
        """The map that changes nothing but the type, for rows as wide as x[B, D]."""
        width = checked_rows(x, "training features").shape[1]
        return FeatureMap("raw", 1.0, np.zeros(width), np.eye(width), unit_norm=False)
