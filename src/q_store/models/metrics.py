"""How good predictions are: accuracy, its Wilson interval, the confusion matrix."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import ConfigError, DataError, ShapeError
from q_store.intervals import wilson


def accuracy(y: Any, predicted: Any) -> float:
    """The share of predicted[B] that equals y[B]; ShapeError for other lengths, DataError for no rows."""
    truth, guess = _pair(y, predicted)
    return float(np.mean(truth == guess))


def confusion_matrix(y: Any, predicted: Any, n_classes: int) -> NDArray[np.int64]:
    """counts[K, K]: row = true class, column = predicted class; DataError for labels outside 0..K-1."""
    truth, guess = _pair(y, predicted)
    for name, values in (("true", truth), ("predicted", guess)):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= n_classes:
            raise DataError(
                f"expected {name} labels from 0 to {n_classes - 1}, got {values.dtype} from {values.min()} to "
                f"{values.max()}; give the class numbers of the data set"
            )
    return np.bincount(n_classes * truth.astype(np.int64) + guess, minlength=n_classes**2).reshape(n_classes, n_classes)


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of the success probability behind `correct` of `total`, two-sided.

    `intervals.wilson` with p = correct/n and z the normal quantile. Raises ConfigError for impossible counts.
    """
    if not 0 <= correct <= total or total == 0 or not 0 < confidence < 1:
        raise ConfigError(
            f"expected 0 <= correct <= total, total > 0 and 0 < confidence < 1, got {correct} of {total} at "
            f"{confidence}; check the counts"
        )
    return wilson(correct / total, total, NormalDist().inv_cdf((1 + confidence) / 2))


def _pair(y: Any, predicted: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    truth, guess = np.asarray(y), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != guess.shape:
        raise ShapeError(
            f"expected true and predicted labels of the same shape [rows], got {list(truth.shape)} and "
            f"{list(guess.shape)}; give one prediction for each row"
        )
    if len(truth) == 0:
        raise DataError("expected at least one row to score, got none; give a part that is not empty")
    return truth, guess
