"""Confidence intervals of shares."""

from __future__ import annotations

from math import sqrt


def wilson(share: float, total: int, z: float) -> tuple[float, float]:
    """(low, high) of the probability behind `share` p of `total` n trials, at z standard errors to either side.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    centre = share + z * z / (2 * total)
    half = z * sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    scale = 1 + z * z / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
