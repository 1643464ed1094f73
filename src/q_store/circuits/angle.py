"""Angles: linear in the monomials 1, theta_i, x_j and theta_i x_j.

    angle = c + sum_i a_i theta_i + sum_j b_j x_j + sum_ij w_ij theta_i x_j

Because every angle of a circuit has this form, binding thousands of rows is a few matrix products
(`circuit.Circuit.bind`), and merging or compiling gates works on the coefficients, once per structure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from q_store.errors import CircuitError

# A monomial is (parameter index or -1, feature index or -1); (-1, -1) is the constant.
Monomial = tuple[int, int]
ONE: Monomial = (-1, -1)


@dataclass(frozen=True, slots=True)
class Angle:
    """A sum of monomials, in canonical form: sorted, merged, without zeros.

    Attributes:
        terms: pairs ((parameter, feature), coefficient); -1 stands for "none". Use `Angle.of`, `theta`, `x` or
            arithmetic to build one.
    """

    terms: tuple[tuple[Monomial, float], ...] = ()

    @staticmethod
    def of(value: AngleLike) -> Angle:
        """An angle from a number (radians) or an angle."""
        if isinstance(value, Angle):
            return value
        if not math.isfinite(value):
            msg = f"expected a finite angle in radians, got {value!r}"
            raise CircuitError(msg)
        return Angle(((ONE, float(value)),)) if value else Angle()

    @staticmethod
    def collect(terms: Iterable[tuple[Monomial, float]]) -> Angle:
        """The canonical angle of these terms."""
        merged: dict[Monomial, float] = {}
        for monomial, coefficient in terms:
            merged[monomial] = merged.get(monomial, 0.0) + coefficient
        return Angle(tuple((m, c) for m, c in sorted(merged.items()) if c))

    @property
    def constant(self) -> float:
        """The constant term, radians."""
        return next((c for m, c in self.terms if m == ONE), 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether neither parameters nor data occur."""
        return all(m == ONE for m, _ in self.terms)

    @property
    def uses_data(self) -> bool:
        """Whether a feature occurs."""
        return any(m[1] >= 0 for m, _ in self.terms)

    @property
    def params(self) -> tuple[int, ...]:
        """Indices of the parameters that occur, ascending."""
        return tuple(sorted({m[0] for m, _ in self.terms if m[0] >= 0}))

    @property
    def features(self) -> tuple[int, ...]:
        """Indices of the features that occur, ascending."""
        return tuple(sorted({m[1] for m, _ in self.terms if m[1] >= 0}))

    def rename(self, params: Mapping[int, int] | None = None, features: Mapping[int, int] | None = None) -> Angle:
        """The same angle over renumbered parameters and features; indices that are not in a map stay."""
        p, f = params or {}, features or {}
        return Angle.collect(((p.get(m[0], m[0]), f.get(m[1], m[1])), c) for m, c in self.terms)

    def value(self, theta: Mapping[int, float] | None = None, features: Mapping[int, float] | None = None) -> float:
        """The number for given parameters and features, radians (for reading and tests; batches go through `bind`)."""
        total = 0.0
        for (i, j), c in self.terms:
            total += c * (theta[i] if theta and i >= 0 else 1.0) * (features[j] if features and j >= 0 else 1.0)
        return total

    def __add__(self, other: AngleLike) -> Angle:
        return Angle.collect((*self.terms, *Angle.of(other).terms))

    __radd__ = __add__

    def __neg__(self) -> Angle:
        return self * -1.0

    def __sub__(self, other: AngleLike) -> Angle:
        return self + -Angle.of(other)

    def __rsub__(self, other: AngleLike) -> Angle:
        return Angle.of(other) + -self

    def __mul__(self, other: AngleLike) -> Angle:
        other = Angle.of(other)
        return Angle.collect((_product(m, k), c * d) for m, c in self.terms for k, d in other.terms)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Angle:
        return self * (1.0 / divisor)

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        return " + ".join(_term_text(m, c) for m, c in self.terms)


AngleLike = Angle | float | int


def theta(index: int) -> Angle:
    """The trainable parameter theta_index."""
    return Angle((((_index(index, "parameter"), -1), 1.0),))


def x(index: int) -> Angle:
    """The feature x_index of a data row."""
    return Angle((((-1, _index(index, "feature")), 1.0),))


def _index(index: int, what: str) -> int:
    if index < 0:
        msg = f"expected a {what} index of 0 or more, got {index}"
        raise CircuitError(msg)
    return int(index)


def _product(a: Monomial, b: Monomial) -> Monomial:
    if (a[0] >= 0 and b[0] >= 0) or (a[1] >= 0 and b[1] >= 0):
        msg = (
            "expected an angle linear in parameters and in features (1, theta, x, theta*x), got a higher power; "
            "add a feature column for it"
        )
        raise CircuitError(msg)
    return (max(a[0], b[0]), max(a[1], b[1]))


def _term_text(monomial: Monomial, coefficient: float) -> str:
    names = [f"theta[{monomial[0]}]"] * (monomial[0] >= 0) + [f"x[{monomial[1]}]"] * (monomial[1] >= 0)
    if not names:
        return f"{coefficient:g}"
    return "*".join(names if coefficient == 1 else [f"{coefficient:g}", *names])
