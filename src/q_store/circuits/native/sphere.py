"""Single-qubit unitaries as unit quaternions, and the axes they turn.

(w, x, y, z) stands for w - i (x X + y Y + z Z), so that products of unitaries are products of quaternions, and
U (n.σ) U^-1 = (R n).σ. Global phases are dropped. Plain floats: a circuit has thousands of these, one at a time.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Axis = tuple[float, float, float]
Local = tuple[float, float, float, float]

X_AXIS, Y_AXIS, Z_AXIS = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
AXES = {"X": X_AXIS, "Y": Y_AXIS, "Z": Z_AXIS}
IDENTITY: Local = (1.0, 0.0, 0.0, 0.0)
CLOSE = 1e-10  # axes and angles closer than this are one; a gate left out changes the unitary by less


def dot(a: Axis, b: Axis) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Axis, b: Axis) -> Axis:
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def negated(a: Axis) -> Axis:
    """The opposite axis."""
    return -a[0], -a[1], -a[2]


def unit(a: Axis) -> Axis:
    """The axis at length 1."""
    size = math.sqrt(dot(a, a))
    return a[0] / size, a[1] / size, a[2] / size


def alignment(a: Axis, b: Axis) -> int:
    """1 for equal axes, -1 for opposite ones, else 0."""
    side = dot(a, b)
    if abs(side) < 0.9:
        return 0
    c = cross(a, b)
    return 0 if dot(c, c) > CLOSE * CLOSE else 1 if side > 0 else -1


def perpendicular(a: Axis, b: Axis) -> bool:
    """Whether two axes are at right angles."""
    return abs(dot(a, b)) < CLOSE


def common_normal(a: Axis, b: Axis) -> Axis:
    """The axis at right angles to two others, to full precision however close they are to each other."""
    c = unit(cross(a, b))
    along = dot(c, a)
    return unit((c[0] - along * a[0], c[1] - along * a[1], c[2] - along * a[2]))


def normal(a: Axis) -> Axis:
    """Some axis at right angles to this one; X, Y or Z for X, Y and Z."""
    return unit(cross(a, Z_AXIS if abs(a[2]) < 0.8 else X_AXIS))


def about(axis: Axis, angle: float) -> Local:
    """exp(-i angle/2 axis.σ)."""
    s = math.sin(angle / 2)
    return math.cos(angle / 2), s * axis[0], s * axis[1], s * axis[2]


def after(second: Local, first: Local) -> Local:
    """The product second @ first, normalised."""
    a, b, c, d = second
    w, x, y, z = first
    out = (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )
    size = math.sqrt(sum(v * v for v in out))
    return out[0] / size, out[1] / size, out[2] / size, out[3] / size


def inverse(local: Local) -> Local:
    """The inverse unitary."""
    return local[0], -local[1], -local[2], -local[3]


def turned(local: Local, axis: Axis) -> Axis:
    """The axis R n of U (n.σ) U^-1."""
    w, v = local[0], local[1:]
    t = cross(v, axis)
    u = cross(v, t)
    return (
        axis[0] + 2 * (w * t[0] + u[0]),
        axis[1] + 2 * (w * t[1] + u[1]),
        axis[2] + 2 * (w * t[2] + u[2]),
    )


def from_matrix(matrix: npt.NDArray[np.complex128]) -> tuple[Local, float]:
    """(U, phase) with matrix = exp(i phase) U."""
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    phase = math.atan2(determinant.imag, determinant.real) / 2
    m = matrix * np.exp(-1j * phase)
    local = (m[0, 0] + m[1, 1]).real, -(m[0, 1] + m[1, 0]).imag, (m[1, 0] - m[0, 1]).real, (m[1, 1] - m[0, 0]).imag
    return after(local, IDENTITY), phase


def to_matrix(local: Local) -> npt.NDArray[np.complex128]:
    """The 2 x 2 matrix."""
    w, x, y, z = local
    return np.array([[w - 1j * z, -1j * x - y], [-1j * x + y, w + 1j * z]])
