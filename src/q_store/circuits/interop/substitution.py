"""Numbers in place of parameters, features and amplitude columns, before a circuit goes out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.errors import GateError, ShapeError

Reals = npt.NDArray[np.float64]


def bound(circuit: Circuit, params: npt.ArrayLike | None, data: npt.ArrayLike | None) -> tuple[Circuit, Reals | None]:
    """The circuit with params[P] and data[D] put in where they are given, and the data as floats.

    Raises:
        ShapeError: for another length, or values that are not finite.
    """
    theta = _row(params, circuit.n_params, "params")
    x = _row(data, circuit.n_features, "data")
    ops = (replace(op, angles=tuple(_substitute(a, theta, x) for a in op.angles)) for op in circuit.ops)
    return replace(circuit, ops=tuple(ops)), x


def amplitudes(prepare: Op, n_qubits: int, x: Reals | None) -> Reals:
    """The initial state [2^n] of a `prepare` for a data row, checked.

    Raises:
        GateError: without data, or for a row that is not of unit norm.
    """
    first, number = prepare.columns
    if x is None:
        raise GateError(
            f"expected data for {PREPARE!r}, whose amplitudes cannot stay symbolic; pass one row as data=, "
            "or lower the circuit to gates with encoders.lower"
        )
    state = np.zeros(2**n_qubits)
    state[:number] = x[first : first + number]
    norm = float(np.linalg.norm(state))
    if not math.isclose(norm, 1.0, abs_tol=1e-6):
        raise GateError(f"expected amplitudes of unit norm for {PREPARE!r}, got norm {norm:g}; divide the row by it")
    return np.asarray(state / norm)


def _row(values: npt.ArrayLike | None, size: int, name: str) -> Reals | None:
    if values is None:
        return np.zeros(0) if not size else None
    row = np.asarray(values, dtype=float)
    if row.shape != (size,) or not np.isfinite(row).all():
        msg = f"expected {name} as {size} finite numbers (one row) or None, got shape {list(row.shape)}"
        raise ShapeError(msg)
    return row


def _substitute(angle: Angle, theta: Reals | None, x: Reals | None) -> Angle:
    terms = []
    for (i, j), coefficient in angle.terms:
        c, left_i, left_j = coefficient, i, j
        if i >= 0 and theta is not None:
            c, left_i = c * float(theta[i]), -1
        if j >= 0 and x is not None:
            c, left_j = c * float(x[j]), -1
        terms.append(((left_i, left_j), c))
    return Angle.collect(terms)
