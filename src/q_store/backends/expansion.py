"""A job as circuits to measure, and their distributions as the outcome of the job.

Used by every backend that answers with distributions over measured states: expectation values and shifted rows are made
here. Circuit g R' + r of an expansion is row r of the R' inner rows in setting g (one measured basis each); SHIFTED
has T inner rows a row of the job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends import measurement
from q_store.backends.base import Answer, Missing, Slice
from q_store.backends.distributions import Distributions, join
from q_store.circuits.observables import Observables
from q_store.circuits.shifts import shift_rules
from q_store.errors import CapabilityError, InputError
from q_store.jobs import EXACT_ONLY, Job, Outcome, Output, Status

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Sampler = Callable[[Reals, Ints, int], npt.NDArray[Any]]
"""Counts [R, 2^n] from probabilities [R, 2^n], shots [R] and a seed."""
DENSE_QUBITS = 12
"""Counts are dense arrays up to this many qubits."""
MOST_PROBABILITIES = 16
SETTING = 0xD1B54A32D192ED03
"""Distance of the seeds of two settings of a job: odd and large, so that no neighbouring seed of a user meets them."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """The circuits of a job.

    Attributes:
        job: as asked.
        inner: the same with SHIFTED written out; R' rows.
        each: inner rows a row of the job: T for SHIFTED, else 1.
        plan: measured settings; one without observables.
    """

    job: Job
    inner: Job
    each: int
    plan: measurement.Plan

    @property
    def size(self) -> int:
        """Number of circuits, G R'."""
        return len(self.plan.settings) * self.inner.rows

    def seed(self, setting: int) -> int:
        """Of the samples of a setting."""
        return self.job.seed + setting * SETTING

    @property
    def shots(self) -> Ints | None:
        """[R'], shots of each inner row in each setting."""
        if self.inner.shots is None:
            return None
        return np.broadcast_to(np.asarray(self.inner.shots, dtype=np.int64), (self.inner.rows,))

    def outcome(
        self,
        answered: Distributions,
        missing: Mapping[int, Missing],
        *,
        sampled: bool | Flags,
        sample: Sampler,
        **more: Any,
    ) -> Outcome:
        """The outcome of the job.

        Args:
            answered: a row for each circuit of the expansion, empty where missing.
            missing: circuits without an answer.
            sampled: whether `answered` holds frequencies of the shots asked for; False: probabilities, from which
                shots are drawn here, by (seed, row) alone. One for all, or one for each circuit.
            sample: draws them.
            more: further fields of the outcome.
        """
        given = np.broadcast_to(sampled, (self.size,)).reshape(len(self.plan.settings), -1)
        parts = [self._setting(g, answered, sampled=given[g], sample=sample) for g in range(len(self.plan.settings))]
        fields = self._total(parts)
        shape = (self.job.rows, self.each, -1) if self.job.output is Output.SHIFTED else (self.job.rows, -1)
        fields = {k: v if isinstance(v, list) else v.reshape(shape) for k, v in fields.items()}
        status: dict[int, Status] = {}
        error: dict[int, str] = {}
        for number, gap in sorted(missing.items()):
            row = number % self.inner.rows // self.each
            if gap.status > status.get(row, Status.DONE):
                status[row], error[row] = gap.status, gap.reason
        for row in status:
            _blank(fields, row)
        return Outcome(rows=self.job.rows, status=status, error=error, **fields, **more)

    def gathered(
        self, carried: Sequence[tuple[Slice, Answer]], *, sampled: bool, sample: Sampler, **more: Any
    ) -> Outcome:
        """`outcome` from the slices that were sent and their answers, with what they cost.

        Shots that are drawn here, from probabilities, are counted as paid like those of the local engine.
        """
        missing = {int(part.numbers[place]): gap for part, answer in carried for place, gap in answer.missing.items()}
        parts = [(part.numbers, answer.distributions) for part, answer in carried]
        paid = sum(answer.shots_paid for _, answer in carried)
        if self.shots is not None and not sampled:
            lost = np.array(sorted(missing), dtype=np.int64) % self.inner.rows
            paid = int(self.shots.sum()) * len(self.plan.settings) - int(self.shots[lost].sum())
        return self.outcome(
            join(parts, self.size, self.job.circuit.n_qubits),
            missing,
            sampled=sampled,
            sample=sample,
            shots_paid=paid,
            cost=sum(answer.cost for _, answer in carried),
            proof=tuple(dict.fromkeys(line for _, answer in carried for line in answer.proof)),
            **more,
        )

    def _setting(self, g: int, answered: Distributions, *, sampled: Flags, sample: Sampler) -> dict[str, Any]:
        rows, setting = self.inner.rows, self.plan.settings[g]
        own = answered.rows(g * rows, (g + 1) * rows)
        n, shots = own.n_qubits, self.shots
        if shots is not None and not sampled.all():
            own = _drawn(own, shots, self.seed(g), sample, sampled)
        if self.inner.output is Output.PROBABILITIES:
            return {"values": own.dense()}
        if self.inner.output is Output.COUNTS and shots is not None:
            return {"counts": _counts(own, shots)}
        if n <= DENSE_QUBITS:
            mean, square = measurement.product(own.dense(), setting.table), None
            if shots is not None:
                square = measurement.product(own.dense(), setting.table**2)
        else:
            table = setting.rows(own.state)
            mean = own.sums(table)
            square = None if shots is None else own.sums(table**2)
        if square is None or shots is None:
            return {"values": mean}
        return {"values": mean, "variances": measurement.variance(mean, square, shots)}

    def _total(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        if self.inner.output is not Output.EXPECTATION:
            return parts[0]
        values = np.repeat(self.plan.constant[None], self.inner.rows, axis=0)
        total = {"values": values + sum(part["values"] for part in parts)}
        if self.inner.shots is not None:
            total["variances"] = np.zeros_like(values) + sum(part["variances"] for part in parts)
        return total


def expand(job: Job, name: str) -> Expansion:
    """The circuits of a job; `name` of the backend is for messages.

    Raises:
        CapabilityError: for an output that needs the state, or too many qubits for a dense answer.
        InputError: for counts without shots, or a job that comes to no circuit.
    """
    if job.output in EXACT_ONLY:
        msg = (
            f"expected an output that {name} can measure, got {job.output.value}; run it on the local backend, or ask "
            "for expectation, shifted, probabilities or counts"
        )
        raise CapabilityError(msg)
    inner, each = unshifted(job) if job.output is Output.SHIFTED else (job, 1)
    if inner.output is Output.COUNTS and job.shots is None:
        msg = "expected shots for the output counts, got None; ask for probabilities for exact values"
        raise InputError(msg)
    n = job.circuit.n_qubits
    if inner.output is Output.PROBABILITIES and n > MOST_PROBABILITIES:
        msg = f"expected at most {MOST_PROBABILITIES} qubits for probabilities, got {n}; ask for counts or expectation"
        raise CapabilityError(msg)
    inner.measured.check(n)
    asked = inner.measured if inner.output is Output.EXPECTATION else Observables(())
    plan = measurement.plan(inner.circuit, asked)
    if inner.output is not Output.EXPECTATION:
        plan = measurement.Plan(plan.constant, (measurement.Setting(inner.circuit, (), 0),))
    return Expansion(job, inner, each, plan)


def unshifted(job: Job) -> tuple[Job, int]:
    """A SHIFTED job as one over T rows for each of its rows, and T.

    Raises:
        InputError: without parameters, or with neither observables nor shots. CapabilityError: for counts of many
            qubits.
    """
    rules = shift_rules(job.circuit)
    output = Output.EXPECTATION if job.measured.items else Output.COUNTS
    if not rules.size or (output is Output.COUNTS and job.shots is None):
        msg = "expected a circuit with parameters, and observables or shots, for the output shifted"
        raise InputError(msg)
    if output is Output.COUNTS and job.circuit.n_qubits > DENSE_QUBITS:
        msg = (
            f"expected at most {DENSE_QUBITS} qubits for shifted counts, got {job.circuit.n_qubits}; "
            "give observables, or ask for counts at params of your own"
        )
        raise CapabilityError(msg)
    pairs = job.row_pairs()
    k = (pairs[:, 1:] * rules.size + np.arange(rules.size)).ravel()
    each = np.stack([pairs[:, 0].repeat(rules.size), k], axis=1)
    given = np.asarray(0 if job.shots is None else job.shots)
    shots = given.repeat(rules.size) if given.ndim else job.shots
    inner = replace(job, circuit=rules.circuit, params=rules.rows(job.params), output=output, pairs=each, shots=shots)
    return inner, rules.size


def _drawn(own: Distributions, shots: Ints, seed: int, sample: Sampler, sampled: Flags) -> Distributions:
    """Frequencies of samples, the same whatever was answered beside a row; rows that are `sampled` stay."""
    answered = np.diff(own.start) > 0
    if own.n_qubits <= DENSE_QUBITS:
        probabilities = own.dense()
        probabilities[~answered, 0] = 1  # nothing to draw from; the row is blanked later
        frequencies = sample(probabilities, np.ascontiguousarray(shots), seed) / shots[:, None]
        frequencies[~answered] = 0
        if sampled.any():
            frequencies[sampled] = own.dense()[sampled]
        return Distributions.from_dense(frequencies)
    weight = own.weight.copy()
    for r in np.flatnonzero(answered & ~sampled).tolist():
        entries = np.arange(own.start[r], own.start[r + 1])
        entries = entries[np.argsort(own.state[entries])]
        weight[entries] = (
            np.random.default_rng([seed & (2**64 - 1), r]).multinomial(
                shots[r], own.weight[entries] / own.weight[entries].sum()
            )
            / shots[r]
        )
    return replace(own, weight=weight)


def _counts(own: Distributions, shots: Ints) -> npt.NDArray[Any] | list[dict[int, int]]:
    """Whole numbers that add up to the shots: largest remainders, as mitigated frequencies need not be k / shots."""
    exact = own.weight * shots[own.row]
    counts = np.floor(exact + 1e-9).astype(np.int64)
    for r in np.flatnonzero(np.diff(own.start)):
        part = slice(own.start[r], own.start[r + 1])
        left = int(shots[r] - counts[part].sum())
        if left:
            largest = np.lexsort((own.state[part], counts[part] - exact[part]))[:left]
            counts[own.start[r] + largest] += 1
    if own.n_qubits <= DENSE_QUBITS:
        out = np.zeros((len(own), 2**own.n_qubits), dtype=np.int32)
        out[own.row, own.state] = counts
        return out
    rows: list[dict[int, int]] = [{} for _ in range(len(own))]
    for r, state, count in zip(own.row.tolist(), own.state.tolist(), counts.tolist(), strict=True):
        if count:
            rows[r][state] = count
    return rows


def _blank(fields: dict[str, Any], row: int) -> None:
    for name, value in fields.items():
        if isinstance(value, list):
            value[row] = {}
        else:
            value[row] = 0 if name == "counts" else np.nan
