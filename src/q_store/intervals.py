"""Confidence intervals of shares."""

from __future__ import annotations

from math import hypot, sqrt


def wilson(share: float, total: int, z: float) -> tuple[float, float]:
    """(low, high) of the probability behind `share` p of `total` n trials, at z standard errors to either side.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    centre = share + z * z / (2 * total)
    half = z * sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    scale = 1 + z * z / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def difference(first: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float]:
    """(low, high) of q - p for two independent shares, each given as (share, low, high) of its Wilson interval.

    q - p - sqrt((q - l_q)^2 + (u_p - p)^2) .. q - p + sqrt((u_q - q)^2 + (p - l_p)^2).
    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 873, method 10.
    """
    (p, low_p, high_p), (q, low_q, high_q) = first, other
    return q - p - hypot(q - low_q, high_p - p), q - p + hypot(high_q - q, p - low_p)


def paired_difference(both: int, first: int, other: int, neither: int, z: float) -> tuple[float, float]:
    """(low, high) of q - p, where p and q are shares of the same trials, z standard errors to either side.

    Of the trials, `both` succeeded twice, `first` only for p, `other` only for q. With Wilson's l..u of either share
    and the correlation phi of the pairs,

        q - p - sqrt(a^2 - 2 phi a b + b^2), a = q - l_q, b = u_p - p, and alike to the other side.

    phi = (both neither - first other [- n/2, not below 0, where it is positive]) / sqrt(product of the four margins).
    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 2635, method 10.
    """
    total = both + first + other + neither
    p, q = (both + first) / total, (both + other) / total
    (low_p, high_p), (low_q, high_q) = wilson(p, total, z), wilson(q, total, z)
    margins = (both + first) * (other + neither) * (both + other) * (first + neither)
    product = float(both * neither - first * other)
    product = max(product - total / 2, 0.0) if product > 0 else product
    phi = product / sqrt(margins) if margins else 0.0
    below = _joint(q - low_q, high_p - p, phi)
    above = _joint(high_q - q, p - low_p, phi)
    return q - p - below, q - p + above


def _joint(one: float, two: float, phi: float) -> float:
    return sqrt(max(0.0, one * one - 2 * phi * one * two + two * two))
