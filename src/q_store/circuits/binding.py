"""Vectorised binding: all angles of a circuit for thousands of rows at once, and their derivatives.

angle[r, a] = c[a] + (theta @ T')[r, a] + (x @ F')[r, a] + sum over the bilinear entries (a, i, j, w) of w theta[r, i] x[r, j]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    @property
    def uses_data(self) -> bool:
        """Whether any angle depends on data."""
        return bool(len(self.slot) or self.x.any())

    def bind(self, theta: Reals, x: Reals) -> Reals:
        """Angles [R, A] for theta[R or 1, P] and x[R or 1, D]."""
        angles = self.constant + theta @ self.theta.T
        if self.x.any():
            angles = angles + x @ self.x.T
        if len(self.slot):
            terms = theta[:, self.param] * x[:, self.feature] * self.weight
            angles = angles + terms @ self._scatter
        return angles

    def pull_back(self, d_angles: Reals, x: Reals) -> Reals:
        """d_theta[R, P] = d_angles[R, A] @ d angle / d theta, for x[R or 1, D]."""
        out = d_angles @ self.theta
        if len(self.slot):
            terms = d_angles[:, self.slot] * x[:, self.feature] * self.weight
            out = out + terms @ self._gather
        return out

    def jacobian(self, x: Reals) -> Reals:
        """d angle / d theta, [R, A, P], for x[R, D]."""
        out = np.repeat(self.theta[None], len(x), axis=0)
        np.add.at(out, (slice(None), self.slot, self.param), x[:, self.feature] * self.weight)
        return out

    @property
    def _scatter(self) -> Reals:
        """[N, A]: bilinear entry to its slot."""
        return np.eye(len(self.constant))[self.slot]

    @property
    def _gather(self) -> Reals:
        """[N, P]: bilinear entry to its parameter."""
        return np.eye(self.theta.shape[1])[self.param]
