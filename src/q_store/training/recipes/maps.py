"""Affine maps from simulated to measured values, and the choice among them.

The map from f to g is found by ridge regression around the diagonal map g_m ~ a_m f_m + b_m:

    diagonal   a_m, b_m by least squares, a_m drawn to the common slope of all features by `SHRINK` rows' worth
    full       a whole matrix in place of a_m, its other part penalised: errors of angles mix features
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from q_store.training.recipes.task import Reals

FOLDS = 10
SHRINK = 5.0
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
Map = tuple[Reals, Reals]
"""(A[M, M], b[M]): values = others @ A + b."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A map that was compared.

    Attributes:
        how, ridge: see `fitted`.
        error: cross-validated, squared, in units of each feature's own spread.
        mapped: values [N, M] by maps that did not see them.
    """

    how: str
    ridge: float
    error: float
    mapped: Reals


def chosen(exact: Reals, far: Reals, maps: tuple[str, ...]) -> Choice:
    """The map of `far` to `exact` with the smallest error."""
    options: list[tuple[str, float]] = [(name, 0.0) for name in maps if name in {"none", "diagonal"}]
    options += [("full", ridge) for ridge in RIDGES if "full" in maps]
    folds = np.arange(len(exact)) % min(FOLDS, len(exact))
    found: list[Choice] = []
    for how, ridge in options:
        mapped = np.empty_like(far)
        for fold in range(folds.max() + 1):
            seen, own = folds != fold, folds == fold
            matrix, offset = fitted(exact[seen], far[seen], how, ridge)
            mapped[own] = far[own] @ matrix + offset
        found.append(Choice(how, ridge, error(exact, mapped), mapped))
    return min(found, key=lambda each: each.error)


def error(wanted: Reals, mapped: Reals) -> float:
    """Squared, in units of each feature's own spread."""
    return float((((mapped - wanted) / np.maximum(wanted.std(axis=0), 1e-6)) ** 2).sum())


def fitted(exact: Reals, far: Reals, how: str, ridge: float) -> Map:
    """The map of `far` to `exact`; see the module."""
    size = exact.shape[1]
    if how == "none":
        return np.eye(size), np.zeros(size)
    mean_f, mean_g = exact.mean(axis=0), far.mean(axis=0)
    f, g = exact - mean_f, far - mean_g
    spread, both = (g**2).sum(axis=0), (f * g).sum(axis=0)
    typical = float(spread.mean()) + 1e-12
    common = float(both.sum()) / float(spread.sum() + 1e-12)
    slopes = (both + SHRINK / len(f) * typical * common) / (spread + SHRINK / len(f) * typical)
    matrix = np.diag(slopes)
    if how == "full":
        left = g.T @ g + ridge * typical * np.eye(size)
        matrix = matrix + np.linalg.solve(left, g.T @ (f - g * slopes))
    return matrix, mean_f - mean_g @ matrix
