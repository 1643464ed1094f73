"""The response of a fixed circuit, learned from measurements of it: a model of what the machine does to its data.

Where a circuit begins by loading real amplitudes x (|x| = 1), whatever follows (gates, noise, errors of the readout) is
linear in the density matrix x x^T, so that every probability is a quadratic form

    p_k(x) = x^T M_k x,    M_k symmetric and positive,    sum_k M_k = 1,

whether the circuit is known or not. A pure real circuit has M_k = u_k u_k^T, a complex one two such terms, uniform
noise adds c_k 1. So D + 1 or 2 D + 1 numbers of each k are sought, each measured image tells something of all of them,
and what was learned predicts the features of images that nobody measured. This is tomography of a measurement with
rank-one terms (phase retrieval; Candes, Li and Soltanolkotabi, IEEE Trans. Inf. Theory 61, 1985).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.training.finish import minimise

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

PRIOR = 0.02
"""Weight of |u|^2 beside the squared errors, chosen on validation images; between .01 and .1 nothing changes much."""
ITERATIONS = 400
LEAST = 1e-4
"""Smallest mean probability that sets the scale of an error."""


@dataclass(frozen=True, eq=False)
class Response:
    """p_k(x) = sum_r (u_rk . x)^2 + floor_k.

    Attributes:
        vectors: u[r, D, K]. floor: [K], 0 or more.
    """

    vectors: Reals
    floor: Reals

    def predict(self, x: Array) -> Reals:
        """Probabilities [B, K] of rows x[B, D]; they add up to 1."""
        found = self.floor + sum((x @ u) ** 2 for u in self.vectors)
        return np.asarray(found / found.sum(axis=1, keepdims=True))


def learned(x: Array, measured: Array, rank: int, seed: int, prior: float = PRIOR) -> Response:
    """The response that explains measured[N, K] at x[N, D]; least squares, errors in units of sqrt(mean p_k).

    Args:
        x: unit rows.
        measured: frequencies.
        rank: quadratic terms: 1 for real circuits, 2 for complex ones.
        seed: of the start.
        prior: see `PRIOR`.
    """
    x, measured = np.asarray(x, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    shape = (rank, x.shape[1], measured.shape[1])
    mean = np.maximum(measured.mean(axis=0), LEAST)
    size = int(np.prod(shape))

    def function(point: Reals) -> tuple[float, Reals]:
        u, root = point[:size].reshape(shape), point[size:]
        a = x @ u
        error = ((a**2).sum(axis=0) + root**2 - measured) / mean
        value = 0.5 * float((error**2 * mean).sum()) + 0.5 * prior * float(point @ point)
        slopes = 2 * (x.T @ (a * error))
        return value, np.concatenate([slopes.reshape(-1), 2 * root * error.sum(axis=0)]) + prior * point

    found = minimise(function, _start(x, mean, shape, seed), ITERATIONS, 1e-9).vector
    return Response(found[:size].reshape(shape), found[size:] ** 2)


def _start(x: Reals, mean: Reals, shape: tuple[int, int, int], seed: int) -> Reals:
    """Small random vectors, but for the direction of the average row: along it they explain the average probability."""
    rng = np.random.default_rng([seed, 41])
    direction = x.mean(axis=0)
    length = float(np.linalg.norm(direction))
    u = rng.normal(scale=0.5 / np.sqrt(shape[1] * shape[0]), size=shape) * np.sqrt(mean * shape[2]) / np.sqrt(shape[2])
    if length > 0:
        direction /= length
        share = float(np.mean((x @ direction) ** 2))
        wanted = np.sqrt(mean / max(share, LEAST) / shape[0])
        u += direction[:, None] * (wanted - direction @ u)[:, None, :]
    return np.concatenate([u.reshape(-1), np.sqrt(0.05 * mean)])
