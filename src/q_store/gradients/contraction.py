"""Values and cotangents brought together: what every estimator that measures expectation values needs.

The noise of sum_m c_m f_m depends on how the values of one measurement go together. Backends say the variance of each
value alone, so with shots the strings that the values are made of are asked for too, and the products of those that are
measured in one basis: means of the same samples, which cost no circuit.

    values_m = constant + sum_a W_am <P_a>,  w = W c,
    Var = [sum_a w_a^2 + 2 sum_(a<b) w_a w_b <P_a P_b> - (sum_a w_a <P_a>)^2] / (N - 1)

for the strings of one basis, added up over the bases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from q_store.circuits.observables import Observables, PauliSum, collect
from q_store.circuits.pauli import Pauli
from q_store.gradients.estimator import Problem, Reals, answered
from q_store.jobs import Array, Outcome

Ints = npt.NDArray[np.intp]
MOST_STRINGS, MOST_COLUMNS = 128, 256
"""Beyond them values are taken as independent of each other."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What is measured for the values of some observables.

    Attributes:
        observables: what to ask for: first the given ones, then strings.
        size: M, the number of their values.
        weights: [S, M], W; S = 0 where values are taken as independent.
        basis: [S, G], 1 for the basis that a string is measured in.
        first, second: [C], pairs of strings of one basis, ordered by the column of their product.
        product: [U], these columns. start: [U], where each begins among the pairs.
    """

    observables: Observables
    size: int
    weights: Reals
    basis: Reals
    first: Ints
    second: Ints
    product: Ints
    start: Ints

    def values(self, outcome: Outcome) -> Array:
        """[R, M]."""
        return answered(outcome)[:, : self.size]

    def noise(self, outcome: Outcome, cotangents: Array, shots: int | Array | None) -> Reals | float:
        """Variance [R, T] of `contracted` of R T rows with `shots`, or shots[R, 1], each; 0 for exact values.

        One shot knows no spread: the most that a single sample can have stands for it.
        """
        if shots is None or outcome.variances is None:
            return 0.0
        rows = len(cotangents)
        if not len(self.weights):
            variances = self._bounded(outcome.variances[:, : self.size]).reshape(rows, -1, self.size)
            return contracted(variances, cotangents**2)
        every = answered(outcome).reshape(rows, -1, answered(outcome).shape[1]).astype(float)
        strings = every[:, :, self.size : self.size + len(self.weights)]
        weights = np.asarray(cotangents, dtype=float) @ self.weights.T
        total = (weights**2).sum(axis=1)[:, None] - (((strings * weights[:, None]) @ self.basis) ** 2).sum(axis=2)
        if len(self.product):
            pairs = np.add.reduceat(weights[:, self.first] * weights[:, self.second], self.start, axis=1)
            total += 2 * contracted(every[:, :, self.product], pairs)
        number = np.asarray(shots, dtype=float)
        most = ((np.abs(weights) @ self.basis) ** 2).sum(axis=1)[:, None]
        return np.asarray(np.where(number > 1, np.maximum(total, 0.0) / np.maximum(number - 1, 1.0), most))

    def _bounded(self, variances: Array) -> Array:
        """With the variance of the widest distribution where a backend knows none."""
        unknown = np.isinf(variances)
        return np.where(unknown, _widest(self.observables), variances) if unknown.any() else variances


def measured(problem: Problem) -> Measured:
    """What to ask for."""
    observables = collect(problem.observables)
    return _plain(observables) if problem.shots is None else _with_products(observables)


def bases(problem: Problem) -> int:
    """Circuits that measure one row: one for each measured basis with shots, one state where values are exact."""
    return 1 if problem.shots is None else len(collect(problem.observables).groups())


def contracted(values: Array, cotangents: Array) -> Array:
    """sum_m cotangent[r, m] value[r, t, m], [R, T], for values[R, T, M] and cotangents[R, M]."""
    return np.asarray(np.einsum("rtm,rm->rt", values, cotangents))


def _plain(observables: Observables) -> Measured:
    none = np.zeros(0, dtype=np.intp)
    return Measured(observables, observables.size, np.zeros((0, observables.size)), np.zeros((0, 0)), *[none] * 4)


@lru_cache(maxsize=64)
def _with_products(observables: Observables) -> Measured:
    size, groups = observables.size, observables.groups()
    terms = [term for m, item in enumerate(_sums(observables)) for term in _terms(m, item)]
    strings = tuple(dict.fromkeys(p for _, _, p in terms))
    if size == 1 or len(strings) > MOST_STRINGS:
        return _plain(observables)  # of a single value the backend's variance says all
    weights, basis = np.zeros((len(strings), size)), np.zeros((len(strings), len(groups)))
    place = {p: a for a, p in enumerate(strings)}
    for m, c, p in terms:
        weights[place[p], m] += c
    for a, p in enumerate(strings):  # the first basis that holds a string is where it is measured
        basis[a, next(g for g, group in enumerate(groups) if group.holds(p))] = 1
    pairs = {(a, b): strings[a] @ strings[b] for a, b in combinations(range(len(strings)), 2) if basis[a] @ basis[b]}
    column = {p: size + k for k, p in enumerate(dict.fromkeys((*strings, *pairs.values())))}
    if len(column) > MOST_COLUMNS:
        return _plain(observables)
    asked = Observables((*observables.items, *(PauliSum(((1.0, p),)) for p in column)))
    ordered = sorted(pairs, key=lambda pair: column[pairs[pair]])
    product, start = np.unique([column[pairs[pair]] for pair in ordered], return_index=True)
    first, second = (np.array([pair[k] for pair in ordered], dtype=np.intp) for k in (0, 1))
    return Measured(asked, size, weights, basis, first, second, product.astype(np.intp), start)


def _widest(observables: Observables) -> Reals:
    """[M], variances that no distribution of a value exceeds: a sum of strings is +-sum |c| at most, a share 0 or 1."""
    found: list[float] = []
    for item in observables.items:
        if isinstance(item, PauliSum):
            found.append(sum(abs(c) for c, string in item.terms if string.x | string.z) ** 2)
        else:
            found += [0.25] * 2 ** len(item.qubits)
    return np.array(found)


def _sums(observables: Observables) -> Iterator[PauliSum]:
    """One sum of strings for each value: outcome s of a marginal is prod_k (1 + (-1)^s_k Z_k) / 2."""
    for item in observables.items:
        if isinstance(item, PauliSum):
            yield item
            continue
        size = len(item.qubits)
        for outcome in range(2**size):
            yield PauliSum(tuple(_indicator(item.qubits, outcome)))


def _indicator(qubits: tuple[int, ...], outcome: int) -> Iterator[tuple[float, Pauli]]:
    for subset in range(2 ** len(qubits)):
        mask = sum(1 << q for k, q in enumerate(qubits) if subset >> k & 1)
        sign = 1 - 2 * ((subset & outcome).bit_count() & 1)
        yield sign / 2 ** len(qubits), Pauli(0, mask)


def _terms(value: int, item: PauliSum) -> Iterator[tuple[int, float, Pauli]]:
    for coefficient, string in item.terms:
        if string.x | string.z:
            yield value, coefficient, string
