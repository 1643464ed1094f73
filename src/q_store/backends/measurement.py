"""Estimates from counts: which bases to measure, and how counts become values with their variances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit, Op, op
from q_store.circuits.observables import Marginal, MeasurementGroup, Observables, PauliSum

Reals = npt.NDArray[np.float64]
_PORTION = 16


@dataclass(frozen=True, eq=False)
class Setting:
    """One measured circuit of a plan.

    Attributes:
        circuit: the circuit with its change of basis.
        table: D[2^n, M], what each measured state adds to each value.
    """

    circuit: Circuit
    table: Reals


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
    tables = [np.zeros((2**circuit.n_qubits, observables.size)) for _ in groups]
    constant = np.zeros(observables.size)
    m = 0
    for item in observables.items:
        if isinstance(item, Marginal):
            width = 2 ** len(item.qubits)
            tables[0][:, m : m + width] = Observables.of(item).table(circuit.n_qubits)
            m += width
            continue
        for c, p in item.terms:
            if not p.x | p.z:
                constant[m] += c
                continue
            g = next(g for g, group in enumerate(groups) if group.holds(p))
            tables[g][:, m : m + 1] += Observables.of(PauliSum(((c, type(p)(0, p.x | p.z)),))).table(circuit.n_qubits)
        m += 1
    changed = [circuit + Circuit(circuit.n_qubits, 0, 0, tuple(_basis(group))) for group in groups]
    return Plan(constant, tuple(Setting(c, t) for c, t in zip(changed, tables, strict=True)))


def estimate(counts: npt.NDArray[Any], shots: npt.NDArray[Any], table: Reals) -> tuple[Reals, Reals]:
    """Means and squared standard errors [R, M] of a setting's share, from counts [R, 2^n].

    The variance is the unbiased one, (E[d^2] - E[d]^2) / (shots - 1); with one shot it is unknown and reported as
    infinite.
    """
    n = np.asarray(shots, dtype=float)[:, None]
    mean = _product(counts, table) / n
    spread = np.maximum(_product(counts, table * table) / n - mean * mean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, np.where(n > 1, spread / (n - 1), np.inf)


def _product(counts: npt.NDArray[Any], table: Reals) -> Reals:
    """counts @ table in portions of one shape, as BLAS rounds by the shape and a row must not by its neighbours."""
    rows, states = counts.shape
    padded = np.zeros((-(-rows // _PORTION) * _PORTION, states))
    padded[:rows] = counts
    product: Reals = (padded.reshape(-1, _PORTION, states) @ table).reshape(-1, table.shape[1])
    return product[:rows]


def _basis(group: MeasurementGroup) -> list[Op]:
    """Gates that turn X and Y into Z."""
    out: list[Op] = []
    for qubit, letter in group.basis:
        out += [op("h", qubit)] if letter == "X" else [op("v", qubit)]
    return out
