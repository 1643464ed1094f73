"""Parameter-shift rules: derivatives of expectation values as sums of expectation values at shifted angles.

As a function of one gate angle a with the frequencies W_1 < ... < W_R (differences of the generator's eigenvalues,
`Op.frequencies`) an expectation value is f(a) = c_0 + sum_l (c_l cos W_l a + s_l sin W_l a), so for any shifts a_1..a_R

    f'(a) = sum_k d_k [f(a + a_k) - f(a - a_k)],    where  2 sum_k d_k sin(W_l a_k) = W_l  for l = 1..R.

For W_l = l W the shifts a_k = (2k-1) pi / (2 R W) give d_k = W (-1)^(k-1) / (4 R sin^2(W a_k / 2)); R = 1 is the rule
f' = W/2 [f(a + pi/(2 W)) - f(a - pi/(2 W))]. (Wierichs, Izaac, Wang and Lin, Quantum 6, 677, 2022; Vidal and Theis,
arXiv:1812.06323.)

The rules hold for single angles, so they are applied to each angle of the circuit that depends on a parameter (a SITE)
and chained to the parameters through d angle / d theta, which is linear in the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle, theta
from q_store.circuits.binding import AngleTable
from q_store.circuits.circuit import Circuit
from q_store.errors import CircuitError

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
# A rule is a tuple of (shift, coefficient), +a_k before -a_k.
Rule = tuple[tuple[float, float], ...]
_RESOLUTION = 1e-3
_WORST_CONDITION = 1e8
_GRID = 600
_KEPT = 64


@lru_cache(maxsize=256)
def rule(frequencies: tuple[float, ...]) -> Rule:
    """The shift rule for these frequencies, ascending and positive; shifts in the unit of the angle.

    Equidistant frequencies use the closed form, others shifts (2k-1) h with the h of a grid that amplifies noise least.

    Raises:
        CircuitError: when frequencies lie so close together that the rule would amplify noise beyond use.
    """
    if not frequencies:
        return ()
    base, number = frequencies[0], len(frequencies)
    odd = np.arange(1.0, 2 * number, 2)
    if np.allclose(frequencies, base * np.arange(1, number + 1), rtol=1e-12):
        shifts = odd * math.pi / (2 * number * base)
        signs = (-1.0) ** np.arange(number)
        coefficients = base * signs / (4 * number * np.sin(base * shifts / 2) ** 2)
    else:
        shifts, coefficients = _solved(np.array(frequencies), odd)
    return tuple((s * a, s * d) for a, d in zip(shifts.tolist(), coefficients.tolist(), strict=True) for s in (1, -1))


def _solved(frequencies: Reals, odd: Reals) -> tuple[Reals, Reals]:
    gap = float(min(frequencies.min(), np.diff(frequencies).min()))
    if gap < _RESOLUTION * frequencies.max():
        msg = f"expected frequencies that a rule can tell apart, got {frequencies.tolist()}; use the adjoint gradient"
        raise CircuitError(msg)
    steps = np.linspace(0, math.pi / gap, _GRID)[1:-1]
    matrices = np.sin(frequencies[None, :, None] * odd * steps[:, None, None])
    usable = np.linalg.cond(matrices) < _WORST_CONDITION
    solutions = np.linalg.solve(matrices[usable], frequencies[:, None] / 2)
    best = int(np.abs(solutions).sum(axis=(1, 2)).argmin())
    return odd * steps[usable][best], solutions[best, :, 0]


@dataclass(frozen=True, eq=False)
class ShiftRules:
    """The T shifted circuits of a circuit, and how their values make derivatives.

    Attributes:
        circuit: the circuit to run. In the plain case the given one; else an OFFSET circuit over P + S parameters,
            with parameter P + s added to the angle of site s.
        n_params: P. n_sites: S; in the plain case site i is parameter i.
        column: [T], the parameter of `circuit` that is moved; by that ascending, for each +a_1, -a_1, +a_2, ...
        shift: [T], in the unit of that parameter. coefficient: [T].
        table: the sites' angles; None in the plain case, where d angle / d theta is the identity.
    """

    circuit: Circuit
    n_params: int
    n_sites: int
    column: Ints
    shift: Reals
    coefficient: Reals
    table: AngleTable | None

    @property
    def plain(self) -> bool:
        """Whether every parameter is one angle, once and with coefficient 1; then the parameters are shifted."""
        return self.table is None

    @property
    def size(self) -> int:
        """T."""
        return len(self.column)

    @property
    def site(self) -> Ints:
        """[T], the site that is moved."""
        return self.column - (0 if self.plain else self.n_params)

    @cached_property
    def touches(self) -> npt.NDArray[np.bool_]:
        """[S, P]: whether the angle of a site depends on a parameter."""
        if self.table is None:
            return np.eye(self.n_sites, self.n_params, dtype=bool)
        out: npt.NDArray[np.bool_] = self.table.theta != 0
        out[self.table.slot, self.table.param] = True
        return out

    def only(self, params: Ints) -> ShiftRules:
        """The rules of the sites that these parameters move; their derivatives, and no others, are complete."""
        kept = np.any(self.touches[:, params], axis=1)[self.site]
        return replace(self, column=self.column[kept], shift=self.shift[kept], coefficient=self.coefficient[kept])

    def rows(self, params: Reals) -> Reals:
        """Parameter rows [K * T, P or P + S] of `circuit` for params[K, P]; row k * T + t is shift t of row k."""
        k = len(params)
        out = np.zeros((k, self.size, self.circuit.n_params))
        out[:, :, : self.n_params] = params[:, None, :]
        out[:, np.arange(self.size), self.column] += self.shift
        return out.reshape(k * self.size, self.circuit.n_params)

    def gradient(self, values: npt.NDArray[np.floating], data: npt.NDArray[np.floating] | None) -> Reals:
        """d/d theta [R, P] of a scalar with the shifted values[R, T], for data[R, D] (None without features)."""
        weights = np.zeros((self.size, self.n_sites))
        weights[np.arange(self.size), self.site] = self.coefficient
        return self._chained(values @ weights, data)

    def squares(self, variances: npt.NDArray[np.floating], data: npt.NDArray[np.floating] | None) -> Reals:
        """Variance [R, P] of `gradient` for independent shifted values with variances[R, T]."""
        weights = np.zeros((self.size, self.n_sites))
        weights[np.arange(self.size), self.site] = self.coefficient**2
        if self.table is None:
            return np.asarray(variances @ weights)
        chain = self.table.jacobian(_features(self.circuit, data)) ** 2
        chain = np.broadcast_to(chain, (len(variances), *chain.shape[1:]))
        return np.asarray(np.einsum("rs,rsp->rp", variances @ weights, chain))

    def _chained(self, d_sites: Reals, data: npt.NDArray[np.floating] | None) -> Reals:
        if self.table is None:
            return np.asarray(d_sites)
        return self.table.pull_back(d_sites, _features(self.circuit, data))


_CACHE: dict[str, ShiftRules] = {}


def shift_rules(circuit: Circuit) -> ShiftRules:
    """The shift rules of a circuit; computed once for each of the last circuits.

    Raises:
        CircuitError: see `rule`.
    """
    found = _CACHE.get(circuit.digest)
    if found is None:
        found = _plain(circuit) or _offset(circuit)
        while len(_CACHE) >= _KEPT:
            _CACHE.pop(next(iter(_CACHE)), None)
        _CACHE[circuit.digest] = found
    return found


def _angles(circuit: Circuit) -> list[tuple[int, int, Angle, tuple[float, ...]]]:
    """(operation, place, angle, frequencies) of every angle with a parameter, in order."""
    return [
        (k, place, angle, op.frequencies[place])
        for k, op in enumerate(circuit.ops)
        for place, angle in enumerate(op.angles)
        if angle.params
    ]


def _plain(circuit: Circuit) -> ShiftRules | None:
    frequencies: dict[int, tuple[float, ...]] = {}
    for _, _, angle, found in _angles(circuit):
        terms = [(m, c) for m, c in angle.terms if m[0] >= 0]
        (param, feature), coefficient = terms[0]
        if len(terms) > 1 or feature >= 0 or coefficient != 1 or param in frequencies:
            return None
        frequencies[param] = found
    if len(frequencies) != circuit.n_params:
        return None
    return _assembled(circuit, circuit.n_params, [frequencies[i] for i in range(circuit.n_params)], None)


def _offset(circuit: Circuit) -> ShiftRules:
    sites = [site for site in _angles(circuit) if site[3]]
    ops = list(circuit.ops)
    for s, (k, place, angle, _) in enumerate(sites):
        moved = list(ops[k].angles)
        moved[place] = angle + theta(circuit.n_params + s)
        ops[k] = replace(ops[k], angles=tuple(moved))
    offset = Circuit(circuit.n_qubits, circuit.n_params + len(sites), circuit.n_features, tuple(ops))
    table = AngleTable.of([angle for _, _, angle, _ in sites], circuit.n_params, circuit.n_features)
    return _assembled(offset, circuit.n_params, [frequencies for *_, frequencies in sites], table)


def _assembled(
    circuit: Circuit, n_params: int, frequencies: Sequence[tuple[float, ...]], table: AngleTable | None
) -> ShiftRules:
    first = 0 if table is None else n_params
    rows = [(first + s, shift, c) for s, found in enumerate(frequencies) for shift, c in rule(found)]
    columns = np.array([row[0] for row in rows], dtype=np.intp)
    shifts, coefficients = (np.array([row[k] for row in rows], dtype=float) for k in (1, 2))
    return ShiftRules(circuit, n_params, len(frequencies), columns, shifts, coefficients, table)


def _features(circuit: Circuit, data: npt.NDArray[np.floating] | None) -> Reals:
    return np.zeros((1, circuit.n_features)) if data is None else np.asarray(data, dtype=float)
