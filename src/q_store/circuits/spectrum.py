"""Expectation values as functions of one parameter: trigonometric polynomials, and how to find them from a few points.

    f(theta_i + t) = c_0 + sum_l (c_l cos W_l t + s_l sin W_l t),    l = 1..F

with the F positive sums of frequencies of the angles that theta_i is in. 2 F + 1 values determine the polynomial (Vidal
and Theis, arXiv:1812.06323; Ostaszewski, Grant and Benedetti, Quantum 5, 391).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.errors import CircuitError

Reals = npt.NDArray[np.float64]
_GRID = 400


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The functions of one parameter.

    Attributes:
        frequencies: W_1 < ... < W_F, [F].
        nodes: the 2 F + 1 points t at which to measure, symmetric about 0.
    """

    frequencies: Reals
    nodes: Reals

    @property
    def period(self) -> float:
        """Of every such function if the frequencies are multiples of the first; else a few times their beat."""
        return float(2 * math.pi / np.diff(self.frequencies, prepend=0.0).min())

    def terms(self, t: npt.NDArray[np.floating]) -> Reals:
        """1, cos W_l t, sin W_l t for t[K], [K, 2 F + 1]."""
        phases = np.multiply.outer(t, self.frequencies)
        return np.concatenate([np.ones((len(t), 1)), np.cos(phases), np.sin(phases)], axis=1)

    def coefficients(self, values: npt.NDArray[np.floating]) -> Reals:
        """[2 F + 1, N] of the functions with values[2 F + 1, N] at the nodes."""
        return np.asarray(np.linalg.solve(self.terms(self.nodes), values))


def spectrum(circuit: Circuit, parameter: int) -> Spectrum:
    """The spectrum of one parameter.

    Raises:
        CircuitError: where the parameter is multiplied by data, so that every row has frequencies of its own.
    """
    found = {0.0}
    for op in circuit.ops:
        for place, angle in enumerate(op.angles):
            for (i, j), factor in angle.terms:
                if i != parameter:
                    continue
                if j >= 0:
                    msg = (
                        f"expected parameter {parameter} to be a summand of angles, got it multiplied by feature {j}; "
                        "its frequencies depend on the data then: use a gradient for this circuit"
                    )
                    raise CircuitError(msg)
                moves = [0.0, *(s * factor * w for w in op.frequencies[place] for s in (1, -1))]
                found = {round(v + m, 10) for v in found for m in moves}
    frequencies = np.array(sorted(v for v in found if v > 0))
    return Spectrum(frequencies, _nodes(frequencies))


def _nodes(frequencies: Reals) -> Reals:
    """Points k h, k = -F..F, with the h of a discrete Fourier transform where it fits, else the best of a grid."""
    number = len(frequencies)
    if not number:
        return np.zeros(1)
    k = np.arange(-number, number + 1)
    if np.allclose(frequencies, frequencies[0] * np.arange(1, number + 1), rtol=1e-9):
        return np.asarray(k * 2 * math.pi / ((2 * number + 1) * frequencies[0]))
    gap = np.diff(frequencies, prepend=0.0).min()
    steps = np.linspace(0, math.pi / gap, _GRID)[1:]
    phases = steps[:, None, None] * k[:, None] * frequencies
    matrices = np.concatenate([np.ones((len(steps), len(k), 1)), np.cos(phases), np.sin(phases)], axis=2)
    return np.asarray(k * steps[int(np.linalg.cond(matrices).argmin())])
