"""Estimates from counts: which bases to measure, and how counts become values with their variances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit, Op, op
from q_store.circuits.observables import (
    Marginal,
    MeasurementGroup,
    Observable,
    Observables,
    PauliSum,
    diagonal_values,
)

Reals = npt.NDArray[np.float64]
_PORTION = 16


@dataclass(frozen=True, eq=False)
class Setting:
    """One measured circuit of a plan.

    Attributes:
        circuit: the circuit with its change of basis.
        parts: (first value, diagonal observable): what a measured state adds to which values.
        size: M.
    """

    circuit: Circuit
    parts: tuple[tuple[int, Observable], ...]
    size: int

    @cached_property
    def table(self) -> Reals:
        """D[2^n, M], what each measured state adds to each value."""
        return self.rows(np.arange(2**self.circuit.n_qubits))

    def rows(self, states: npt.NDArray[np.int64]) -> Reals:
        """The rows [U, M] of `table` for some states [U], where 2^n of them are too many."""
        out = np.zeros((len(states), self.size))
        for first, item in self.parts:
            columns = diagonal_values(item, states)
            out[:, first : first + columns.shape[1]] += columns
        return out


@dataclass(frozen=True, eq=False)
class Plan:
    """Settings whose averages add up to the values; constant terms come first.

    Attributes:
        constant: [M]. settings: one for each group of observables that can be measured together.
    """

    constant: Reals
    settings: tuple[Setting, ...]


def plan(circuit: Circuit, observables: Observables) -> Plan:
    """The settings for these observables: one if they are diagonal, else one for each qubit-wise commuting group."""
    groups = observables.groups()
    parts: list[list[tuple[int, Observable]]] = [[] for _ in groups]
    constant = np.zeros(observables.size)
    m = 0
    for item in observables.items:
        if isinstance(item, Marginal):
            parts[0].append((m, item))
            m += 2 ** len(item.qubits)
            continue
        for c, p in item.terms:
            if not p.x | p.z:
                constant[m] += c
                continue
            g = next(g for g, group in enumerate(groups) if group.holds(p))
            parts[g].append((m, PauliSum(((c, type(p)(0, p.x | p.z)),))))
        m += 1
    changed = [circuit + Circuit(circuit.n_qubits, 0, 0, tuple(_basis(group))) for group in groups]
    return Plan(constant, tuple(Setting(c, tuple(p), m) for c, p in zip(changed, parts, strict=True)))


def estimate(counts: npt.NDArray[Any], shots: npt.NDArray[Any], table: Reals) -> tuple[Reals, Reals]:
    """Means and squared standard errors [R, M] of a setting's share, from counts [R, 2^n]; see `variance`."""
    n = np.asarray(shots, dtype=float)[:, None]
    mean = product(counts, table) / n
    return mean, variance(mean, product(counts, table * table) / n, shots)


def variance(mean: Reals, square: Reals, shots: npt.NDArray[Any]) -> Reals:
    """Squared standard errors [R, M] of means, from the means of the squares.

    The unbiased ones, (E[d^2] - E[d]^2) / (shots - 1); with one shot it is unknown and reported as infinite.
    """
    n = np.asarray(shots, dtype=float)[:, None]
    spread = np.maximum(square - mean * mean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 1, spread / (n - 1), np.inf)


def product(counts: npt.NDArray[Any], table: Reals) -> Reals:
    """counts @ table in portions of one shape, as BLAS rounds by the shape and a row must not by its neighbours."""
    rows, states = counts.shape
    padded = np.zeros((-(-rows // _PORTION) * _PORTION, states))
    padded[:rows] = counts
    out: Reals = (padded.reshape(-1, _PORTION, states) @ table).reshape(-1, table.shape[1])
    return out[:rows]


def _basis(group: MeasurementGroup) -> list[Op]:
    """Gates that turn X and Y into Z."""
    out: list[Op] = []
    for qubit, letter in group.basis:
        out += [op("h", qubit)] if letter == "X" else [op("v", qubit)]
    return out
