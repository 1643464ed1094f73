"""The quantum Fisher information of a circuit's parameters, averaged over rows.

    F_ij = 4 Re[<d_i psi, d_j psi> - <d_i psi, psi><psi, d_j psi>]

an exact backend computes as a whole. Its part within blocks of commuting generators can be measured everywhere, by one
circuit a block and row, see `q_store.circuits.blocks`. Angles are linear in the parameters, so the metric of the angles
is chained through d angle / d theta, data included:

    F = mean_r sum_blocks J_rb^T F_rb J_rb,

as PennyLane does with `block-diag`. So a parameter of several blocks loses what they have in common, as do any two
parameters of different blocks, with shots or without: the diagonal is that of F where each is in one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from q_store.circuits.blocks import Block, blocks
from q_store.errors import CapabilityError, ConfigError, suggestion
from q_store.gradients.estimator import Problem, Reals, answered
from q_store.jobs import Job, Outcome, Output, Steps

Kind = Literal["full", "block", "diagonal"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, eq=False)
class MetricEstimate:
    """A metric and what it cost.

    Attributes:
        matrix: F [P, P], symmetric; positive up to the noise of shots.
        circuits: number of circuits run. shots: number of shots paid.
    """

    matrix: Reals
    circuits: int
    shots: int


@dataclass(frozen=True, slots=True)
class Metric:
    """Which metric, and of how many rows.

    Attributes:
        kind: `full` (exact backends), `block`, or `diagonal`, which is the diagonal of `block` and costs the same.
        rows: the metric is the average over so many rows of the batch, the first; None for all.

    Raises:
        ConfigError: for an unknown kind, or less than one row.
    """

    kind: str = "block"
    rows: int | None = 4

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            msg = f"expected a known kind of metric, got {self.kind!r}{suggestion(self.kind, KINDS)}"
            raise ConfigError(msg)
        if self.rows is not None and self.rows < 1:
            msg = f"expected 1 row or more for a metric, got {self.rows}"
            raise ConfigError(msg)

    def used(self, problem: Problem) -> Problem:
        """The problem of the rows that the metric is of; its pullback is not to be called."""
        return first_rows(problem, self.rows)

    def measure(self, problem: Problem) -> Steps[MetricEstimate]:
        """The plan, at the problem's parameters.

        Raises:
            ConfigError: with shots for the full metric, or with a single shot. CapabilityError: when the backend
                supplies no full metric.
        """
        problem = self.used(problem)
        if self.kind == "full":
            return (yield from _full(problem))
        return (yield from _measured(problem, diagonal=self.kind == "diagonal"))


def first_rows(problem: Problem, rows: int | None) -> Problem:
    """The problem of its first rows, for what needs no pullback."""
    if rows is None or rows >= problem.rows or problem.data is None:
        return problem
    return Problem(
        problem.circuit,
        problem.observables,
        problem.params,
        problem.data[:rows],
        problem.pullback,
        problem.shots,
        problem.seed,
    )


def _full(problem: Problem) -> Steps[MetricEstimate]:
    if problem.shots is not None:
        msg = (
            f"expected shots=None with the full metric, which is an exact quantity, got {problem.shots}; the kinds "
            "'block' and 'diagonal' are measured with shots"
        )
        raise ConfigError(msg)
    (outcome,) = yield [Job(problem.circuit, problem.data, problem.params, (), Output.METRIC, seed=problem.seed)]
    if outcome.values is None:
        msg = (
            f"expected the full metric from {outcome.source!r}, got none; an exact backend such as LocalBackend "
            "supplies it, and every backend the kinds 'block' and 'diagonal'"
        )
        raise CapabilityError(msg)
    return MetricEstimate(np.asarray(outcome.values, dtype=float).mean(axis=0), outcome.rows, outcome.shots_paid)


def _measured(problem: Problem, *, diagonal: bool) -> Steps[MetricEstimate]:
    if problem.shots is not None and problem.shots < 2:
        msg = f"expected 2 shots or more to measure a metric, got {problem.shots}; one sample has no covariance"
        raise ConfigError(msg)
    parts = blocks(problem.circuit)
    jobs = [_job(problem, block, number) for number, block in enumerate(parts) if not block.known]
    outcomes = iter((yield jobs) if jobs else [])
    size = problem.circuit.n_params
    total, circuits, shots = np.zeros((size, size)), 0, 0
    for block in parts:
        if block.known:
            total += _chained(problem, block, block.covariance(block.zero))
            continue
        outcome = next(outcomes)
        total += _chained(problem, block, _covariance(block, outcome, problem.shots))
        circuits, shots = circuits + outcome.rows, shots + outcome.shots_paid
    return MetricEstimate(np.diag(np.diag(total)) if diagonal else total, circuits, shots)


def _job(problem: Problem, block: Block, number: int) -> Job:
    return Job(
        block.circuit,
        problem.data if block.circuit.n_features else None,
        problem.params,
        block.observables,
        Output.EXPECTATION,
        shots=problem.shots,
        seed=problem.seed * 65_537 + number,
    )


def _covariance(block: Block, outcome: Outcome, shots: int | None) -> Reals:
    """[R, S, S]; backends without noise of shots say so by having no variances."""
    return block.covariance(answered(outcome), None if outcome.variances is None else shots)


def _chained(problem: Problem, block: Block, covariance: Reals) -> Reals:
    """mean_r J_r^T F_r J_r, [P, P]; the covariances may be those of one row for all."""
    features = np.zeros((1, problem.circuit.n_features)) if problem.data is None else problem.data
    chain = block.table.jacobian(np.asarray(features, dtype=float))
    if len(block.table.slot) == 0:
        return np.asarray(chain[0].T @ covariance.mean(axis=0) @ chain[0])
    return np.asarray(
        np.einsum(
            "rsp,rst,rtq->pq",
            chain,
            np.broadcast_to(covariance, (len(chain), *covariance.shape[1:])),
            chain,
            optimize=True,
        )
        / len(chain)
    )
