"""Gradients by simultaneous perturbation: two circuits a row and pair, whatever the number of parameters.

Spall, IEEE Trans. Autom. Control 37, 332 (1992). With Delta_i = +-1 at random and D = sum cotangent . (f+ - f-),

    g_i = Delta_i D / (2 c),    f+- = f(theta +- c Delta),    E[g] = dL/dtheta + O(c^2).

Cotangents are taken once, at the average of all f+ and f-, so a readout learns from values that are measured anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.structure import Structure
from q_store.errors import ConfigError
from q_store.gradients.contraction import bases, contracted, measured
from q_store.gradients.estimator import GradientEstimate, Problem, Reals
from q_store.jobs import Array, Job, Outcome, Output, Steps

DIRECTIONS, ROWS = 11, 12


@dataclass(frozen=True, slots=True)
class SPSA:
    """See the module. 2 `pairs` circuits a row. P counts the parameters that a gate uses; the others have gradient 0.

    Attributes:
        perturbation: c, in the unit of the parameters.
        pairs: random directions that are averaged.
        rows: of the batch, chosen at random for each estimate; None for all.
        common: both sides draw their samples from the same random numbers, so that part of the shot noise cancels;
            acts where the backend takes a seed.

    The variance is that of the directions and the shots; not of the chosen rows, nor of the cotangents. With two pairs
    or more it is the sample variance of the pairs. A single pair knows the sum over the parameters only, ((P - 1) (D /
    2c)^2 + s^2) with s^2 the shot noise of D / 2c, and says the P-th part of it for each. With `common` s^2 is at most
    that.

    Raises:
        ConfigError: for a perturbation that is not above 0, or less than one pair or row.
    """

    perturbation: float = 0.15
    pairs: int = 1
    rows: int | None = None
    common: bool = False

    def __post_init__(self) -> None:
        if not self.perturbation > 0:
            msg = f"expected a perturbation above 0, got {self.perturbation}"
            raise ConfigError(msg)
        if self.pairs < 1 or (self.rows is not None and self.rows < 1):
            msg = f"expected 1 pair and 1 row or more, got {self.pairs} and {self.rows}"
            raise ConfigError(msg)

    def estimate(self, problem: Problem) -> Steps[GradientEstimate]:
        """The plan: all circuits at once."""
        problem = sampled_rows(problem, self.rows, problem.seed)
        deltas = circuit_directions([problem.seed, DIRECTIONS], self.pairs, problem.circuit)
        outcomes = yield self._jobs(problem, deltas)
        values = self._sides(problem, [measured(problem).values(outcome) for outcome in outcomes])
        average = values.mean(axis=(1, 2))
        cotangents = np.asarray(problem.pullback(average), dtype=float)
        slopes = contracted(values[:, :, 0] - values[:, :, 1], cotangents).sum(axis=0) / (2 * self.perturbation)
        each = slopes[:, None] * deltas
        noisy = sum(self._shot_noise(problem, outcome, cotangents) for outcome in outcomes)
        return GradientEstimate(
            each.mean(axis=0),
            average,
            self._variance(each, noisy),
            2 * self.pairs * problem.rows * bases(problem),
            sum(outcome.shots_paid for outcome in outcomes),
            noisy * np.count_nonzero(deltas[0]) / self.pairs,
        )

    def _jobs(self, problem: Problem, deltas: Reals) -> list[Job]:
        """One job of +1, -1, +2, -2 ...; with common samples one job for each sign, of one seed."""
        moves = self.perturbation * np.stack([deltas, -deltas], axis=1)
        sides = [moves[:, 0], moves[:, 1]] if self.common else [moves.reshape(2 * self.pairs, deltas.shape[1])]
        return [
            Job(
                problem.circuit,
                problem.data,
                problem.params + side,
                measured(problem).observables,
                Output.EXPECTATION,
                shots=problem.shots,
                seed=problem.seed * 65_537,
                reuse=False,
            )
            for side in sides
        ]

    def _sides(self, problem: Problem, answers: list[Array]) -> Array:
        """Values [R, pairs, 2, M]."""
        size = measured(problem).size
        if self.common:
            return np.stack([part.reshape(problem.rows, self.pairs, size) for part in answers], axis=2)
        return answers[0].reshape(problem.rows, self.pairs, 2, size)

    def _shot_noise(self, problem: Problem, outcome: Outcome, cotangents: Array) -> float:
        """Variance of the slopes D / 2c, mean over the pairs, as far as it comes from the samples of this outcome."""
        total = np.sum(measured(problem).noise(outcome, cotangents, problem.shots))
        return float(total) / (4 * self.perturbation**2 * self.pairs)

    def _variance(self, each: Reals, shot_noise: float) -> Reals:
        """[P], of the mean of the pairs' estimates [pairs, P]."""
        if self.pairs > 1:
            spread: Reals = ((each - each.mean(axis=0)) ** 2).sum(axis=0)
            return np.asarray(spread / (self.pairs * (self.pairs - 1)))
        used = each[0] != 0
        size = max(int(np.count_nonzero(used)), 1)
        total = (size - 1) * float(each[0] @ each[0]) / size + shot_noise
        return np.where(used, total / size, 0.0)


def directions(seed: list[int], number: int, size: int) -> Reals:
    """[number, size] of +-1, each with probability 1/2."""
    return np.asarray(2.0 * np.random.default_rng(seed).integers(0, 2, (number, size)) - 1.0, dtype=float)


def circuit_directions(seed: list[int], number: int, circuit: Circuit) -> Reals:
    """`directions` of its parameters, [number, P]; 0 for those that no gate uses."""
    return np.asarray(directions(seed, number, circuit.n_params) * _used(Structure(circuit)))


@lru_cache(maxsize=64)
def _used(structure: Structure) -> npt.NDArray[np.bool_]:
    out = np.zeros(structure.circuit.n_params, dtype=bool)
    out[[i for op in structure.circuit.ops for angle in op.angles for i in angle.params]] = True
    return out


def sampled_rows(problem: Problem, rows: int | None, seed: int) -> Problem:
    """The problem of that many of its rows, at random; as it is where it has no more."""
    if rows is None or rows >= problem.rows:
        return problem
    index = np.random.default_rng([seed, ROWS]).choice(problem.rows, rows, replace=False)
    return replace(problem.of_rows(np.sort(index)), seed=seed)
