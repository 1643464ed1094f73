"""Vectorised binding: all angles of a circuit for thousands of rows at once, and their derivatives.

    angle[r, a] = c[a] + (theta @ T')[r, a] + (x @ F')[r, a] + sum of w theta[r, i] x[r, j]

over the bilinear entries (a, i, j, w).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class AngleTable:
    """Coefficients of A angles over P parameters and D features.

    Attributes:
        constant: [A]. theta: [A, P], coefficients of theta_i. x: [A, D], coefficients of x_j.
        slot, param, feature, weight: [N], the bilinear entries, ordered by slot.
    """

    constant: Reals
    theta: Reals
    x: Reals
    slot: Ints
    param: Ints
    feature: Ints
    weight: Reals

    @staticmethod
    def of(angles: Sequence[Angle], n_params: int, n_features: int) -> AngleTable:
        """The table of these angles."""
        constant = np.zeros(len(angles))
        theta, x = np.zeros((len(angles), n_params)), np.zeros((len(angles), n_features))
        bilinear: list[tuple[int, int, int, float]] = []
        for a, angle in enumerate(angles):
            for (i, j), c in angle.terms:
                if i >= 0 and j >= 0:
                    bilinear.append((a, i, j, c))
                elif i >= 0:
                    theta[a, i] = c
                elif j >= 0:
                    x[a, j] = c
                else:
                    constant[a] = c
        entries = np.array(bilinear, dtype=float).reshape(-1, 4)
        slot, param, feature = (entries[:, k].astype(np.intp) for k in range(3))
        return AngleTable(constant, theta, x, slot, param, feature, entries[:, 3])

    @cached_property
    def uses_data(self) -> bool:
        """Whether any angle depends on data."""
        return bool(len(self.slot) or self.x.any())

    def bind(self, theta: Reals, x: Reals) -> Reals:
        """Angles [R, A] for theta[R or 1, P] and x[R or 1, D]; [1, A] where no row differs from another."""
        angles: Reals
        if not self.uses_data:
            angles = self.constant + theta @ self.theta.T
        elif len(theta) == 1:
            # at fixed parameters bilinear entries are linear in the data
            angles = self.constant + self.theta @ theta[0] + x @ self.data_slopes(theta[0]).T
        elif len(x) == 1:
            angles = self.constant + self.x @ x[0] + theta @ self._slopes(x[0]).T
        else:
            angles = self.constant + theta @ self.theta.T + x @ self.x.T
            if len(self.slot):
                params, features, weights = self._products
                angles += (theta[:, params] * x[:, features]) @ weights
        return angles

    def pull_back(self, d_angles: Reals, x: Reals) -> Reals:
        """d_theta[R, P] = d_angles[R, A] @ d angle / d theta, for x[R or 1, D]."""
        if not len(self.slot):
            return d_angles @ self.theta
        if len(x) == 1:
            return d_angles @ self._slopes(x[0])
        terms = d_angles[:, self.slot] * x[:, self.feature] * self.weight
        return np.asarray(d_angles @ self.theta + terms @ self._to_param)

    def data_slopes(self, theta: Reals) -> Reals:
        """d angle / d x at parameters theta[P], [A, D]."""
        out = self.x.copy()
        np.add.at(out, (self.slot, self.feature), self.weight * theta[self.param])
        return out

    def jacobian(self, x: Reals) -> Reals:
        """d angle / d theta, [R, A, P], for x[R, D]."""
        out = np.repeat(self.theta[None], len(x), axis=0)
        slots, params, weights = self._pairs
        out[:, slots, params] += x @ weights
        return out

    def _slopes(self, x: Reals) -> Reals:
        """d angle / d theta for one data row x[D], [A, P]."""
        out = self.theta.copy()
        np.add.at(out, (self.slot, self.param), self.weight * x[self.feature])
        return out

    @cached_property
    def _products(self) -> tuple[Ints, Ints, Reals]:
        """The U different (param, feature) of the bilinear entries, and their weights [U, A].

        Far fewer than entries in a native circuit, where a virtual Z is in all later phases of its qubit.
        """
        pairs, which = np.unique(np.stack([self.param, self.feature]), axis=1, return_inverse=True)
        weights = np.zeros((pairs.shape[1], len(self.constant)))
        np.add.at(weights, (which.reshape(-1), self.slot), self.weight)
        return pairs[0], pairs[1], weights

    @cached_property
    def _to_param(self) -> Reals:
        """[N, P]: bilinear entry to its parameter."""
        return np.eye(self.theta.shape[1])[self.param]

    @cached_property
    def _pairs(self) -> tuple[Ints, Ints, Reals]:
        """The U different (slot, param) of the bilinear entries, and their weights [D, U] over the features."""
        pairs, which = np.unique(np.stack([self.slot, self.param]), axis=1, return_inverse=True)
        weights = np.zeros((self.x.shape[1], pairs.shape[1]))
        np.add.at(weights, (self.feature, which.reshape(-1)), self.weight)
        return pairs[0], pairs[1], weights
