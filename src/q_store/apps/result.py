"""What a run reports: the figures of `train --json` and `evaluate --json`, and the arithmetic behind them."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def wilson(correct: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share, `correct` of `total`: (low, high) within [0, 1].

    (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n); E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    share, spread = correct / total, Z95**2 / total
    centre = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    # Rounding apart, the bounds of none and of all are exactly 0 and 1.
    low = 0.0 if correct == 0 else (centre - half) / (1 + spread)
    high = 1.0 if correct == total else (centre + half) / (1 + spread)
    return low, high


def parameters_sha256(*parameters: ArrayLike) -> str:
    """sha256, as hex digits, of the little-endian float64 bytes of the arrays, one after the other."""
    state = hashlib.sha256()
    for values in parameters:
        state.update(np.ascontiguousarray(np.ravel(values), dtype="<f8").tobytes())
    return state.hexdigest()


def confusion(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[K, K] counts: row = true class, column = predicted class."""
    pairs = np.asarray(truth, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes).astype(np.int64)
