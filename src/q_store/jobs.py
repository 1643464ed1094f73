"""Jobs and outcomes: thousands of circuits of one structure, asked for and answered at once.

Rows are pairs (data row b, parameter row k); without `pairs` all B * K of them, row r = b * K + k. Outcomes come back
in that order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observable, Observables, collect
from q_store.errors import IncompleteError, InputError, ShapeError
from q_store.waiting import wait

Array = npt.NDArray[Any]
Pullback = Callable[[Array], Array]


class Output(enum.Enum):
    """What a job returns. STATE, VJP, JACOBIAN and METRIC need an exact backend."""

    COUNTS = "counts"
    """Outcome.counts[R, 2^n]: how often each state was measured."""
    PROBABILITIES = "probabilities"
    """Outcome.values[R, 2^n]; relative frequencies if shots are given."""
    EXPECTATION = "expectation"
    """Outcome.values[R, M]; sampled if shots are given, then variances[R, M] hold the squared standard errors."""
    SHIFTED = "shifted"
    """Outcome.values[R, T, M] (counts[R, T, 2^n] without observables): the T circuits of `circuits.shifts.shift_rules`.

    In the plain case, one two-term gate a parameter, T = 2 P: parameter i moved by +pi/2 is row 2 i, by -pi/2 the
    row after it.
    """
    STATE = "state"
    """Outcome.values[R, 2^n], complex amplitudes."""
    VJP = "vjp"
    """Outcome.values[R, M] and gradient[K, P] = sum over rows of sum_m cotangent[r, m] d value[r, m] / d theta."""
    JACOBIAN = "jacobian"
    """Outcome.values[R, M] and jacobian[R, M, P] = d value / d theta."""
    METRIC = "metric"
    """Outcome.values[R, P, P], F = 4 Re[<d_i psi, d_j psi> - <d_i psi, psi><psi, d_j psi>].

    Stokes et al., Quantum 4, 269 (2020)."""


EXACT_ONLY = frozenset({Output.STATE, Output.VJP, Output.JACOBIAN, Output.METRIC})
MAX_SHOTS = 2**31 - 1
NEEDS_OBSERVABLES = frozenset({Output.EXPECTATION, Output.VJP, Output.JACOBIAN})


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Rows of one circuit to run. Arrays are kept by reference and must not change while the job is in flight.

    Attributes:
        circuit: the structure.
        data: [B, D]; None for a circuit without features (B = 1). Amplitude columns must have unit norm.
        params: [K, P] or [P].
        observables: what EXPECTATION, SHIFTED, VJP and JACOBIAN measure.
        output: what to return.
        pairs: [R, 2] integer rows (b, k), or None for all.
        shots: None for exact values, else shots a row (an int; or [R] for COUNTS and EXPECTATION).
        pullback: for VJP: values[R, M] -> cotangents[R, M], called between the forward and the backward pass.
        seed: samples depend on it, the row number, the circuit's values and the shots, on nothing else.
        reuse: whether stored samples may answer.
        site: 'any', 'local' or 'pool'.
        tag: free text for logs.

    Raises:
        ShapeError, InputError: when shapes, shots, pairs or the pullback do not fit.
    """

    circuit: Circuit
    data: Array | None = None
    params: Array = field(default_factory=lambda: np.zeros((1, 0)))
    observables: Observables | Sequence[Observable] = ()
    output: Output = Output.EXPECTATION
    pairs: Array | None = None
    shots: int | Array | None = None
    pullback: Pullback | None = None
    seed: int = 0
    reuse: bool = True
    site: str = "any"
    tag: str = ""

    def __post_init__(self) -> None:
        if type(self.observables) is not Observables:
            object.__setattr__(self, "observables", collect(self.observables))
        _check_arrays(self)
        if self.pairs is not None:
            _check_pairs(self)
        if self.shots is not None:
            _check_shots(self)
        if self.output in NEEDS_OBSERVABLES and not self.measured.items:
            msg = f"expected observables for the output {self.output.value}, got none; e.g. Observables.local_z(n)"
            raise InputError(msg)
        if (self.output is Output.VJP) != (self.pullback is not None):
            msg = "expected a pullback(values[R, M]) -> cotangents[R, M] with the output VJP, and only there"
            raise InputError(msg)

    @property
    def measured(self) -> Observables:
        """The observables, as `Observables` whatever was passed."""
        return self.observables  # type: ignore[return-value]  # __post_init__ made it one

    @property
    def n_data(self) -> int:
        """B."""
        return 1 if self.data is None else len(self.data)

    @property
    def n_params(self) -> int:
        """K, the number of parameter rows."""
        return len(self.params)

    @property
    def rows(self) -> int:
        """R."""
        return self.n_data * self.n_params if self.pairs is None else len(self.pairs)

    def row_pairs(self) -> npt.NDArray[np.intp]:
        """The pairs [R, 2], written out."""
        if self.pairs is not None:
            return np.asarray(self.pairs, dtype=np.intp)
        b, k = np.divmod(np.arange(self.rows), self.n_params)
        return np.stack([b, k], axis=1)


def _check_arrays(job: Job) -> None:
    circuit = job.circuit
    params = job.params
    if not (isinstance(params, np.ndarray) and params.dtype == np.float64 and params.ndim == 2):
        params = np.atleast_2d(np.asarray(params, dtype=np.float64))
        object.__setattr__(job, "params", params)
    if params.shape[1] != circuit.n_params or not len(params):
        msg = f"expected params of shape [K, {circuit.n_params}] with K >= 1, got {list(params.shape)}"
        raise ShapeError(msg)
    data = job.data
    if data is None:
        if circuit.n_features:
            msg = f"expected data of shape [B, {circuit.n_features}], got none; the circuit reads features"
            raise ShapeError(msg)
        return
    if not (isinstance(data, np.ndarray) and data.dtype.kind == "f"):
        data = np.asarray(data, dtype=np.float64)
        object.__setattr__(job, "data", data)
    if data.ndim != 2 or data.shape[1] != circuit.n_features or not len(data):
        msg = f"expected data of shape [B, {circuit.n_features}] with B >= 1, got {list(data.shape)}"
        raise ShapeError(msg)


def _check_pairs(job: Job) -> None:
    pairs = np.asarray(job.pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or not len(pairs):
        msg = f"expected pairs as an integer array of shape [R, 2] with R >= 1, got {pairs.dtype} {list(pairs.shape)}"
        raise ShapeError(msg)
    if pairs.min() < 0 or pairs[:, 0].max() >= job.n_data or pairs[:, 1].max() >= job.n_params:
        got = pairs.max(axis=0).tolist()
        msg = f"expected pairs (b, k) of 0 <= b < {job.n_data}, 0 <= k < {job.n_params}, got up to {got}"
        raise InputError(msg)


def _check_shots(job: Job) -> None:
    if job.output in EXACT_ONLY:
        msg = f"expected shots=None for the output {job.output.value}, got {job.shots}; it is an exact quantity"
        raise InputError(msg)
    shots = np.asarray(job.shots)
    if (
        shots.dtype.kind not in "iu"
        or shots.ndim > 1
        or (shots.ndim == 1 and shots.shape[0] != job.rows)
        or shots.min() < 1
    ):
        msg = f"expected shots as an integer of 1 or more, or one for each of the {job.rows} rows, got {job.shots!r}"
        raise InputError(msg)
    if shots.max() > MAX_SHOTS:
        msg = f"expected at most {MAX_SHOTS} shots a row, got {shots.max()}; ask for exact values with shots=None"
        raise InputError(msg)


class Status(enum.IntEnum):
    """Fate of a row."""

    DONE = 0
    FAILED = 1
    UNCERTAIN = 2


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Answers to a job, rows in the order asked.

    Attributes:
        values: see `Output`; None for COUNTS.
        variances: squared standard errors of `values`; None where exact.
        counts: integers, dense to 12 qubits ([R, 2^n]), above that one {state: count} a row.
        gradient: [K, P] for VJP. jacobian: [R, M, P] for JACOBIAN.
        rows: R.
        source: name of the backend that answered (one for all rows), or one for each row.
        noise_id: noise domain; `ideal` for every noiseless backend.
        shots_paid: shots charged, over all rows.
        seconds: wall time in the backend.
        cost: money charged, in the backend's currency.
        status, error: for rows that did not succeed, else empty.
        proof: what a remote service says it ran, beside what was sent.
    """

    values: Array | None = None
    variances: Array | None = None
    counts: Array | list[dict[int, int]] | None = None
    gradient: Array | None = None
    jacobian: Array | None = None
    rows: int = 0
    source: str | tuple[str, ...] = "local"
    noise_id: str = "ideal"
    shots_paid: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    status: dict[int, Status] = field(default_factory=dict)
    error: dict[int, str] = field(default_factory=dict)
    proof: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every row is DONE."""
        return not self.status


T = TypeVar("T")
Steps = Generator[list[Job], list[Outcome], T]
"""A plan without I/O: yields jobs, receives their outcomes in order, returns a result."""


@dataclass(frozen=True)
class Capabilities:
    """What an executor can do.

    Attributes:
        name: for messages.
        outputs: supported outputs.
        max_qubits: largest circuit.
        exact: whether shots=None is possible.
        shots_matter: False where shots change nothing (an ideal simulator that returns probabilities).
        noise_id: noise domain.
        least_shots: fewer are refused, or answered in another way; schedules of shots keep to it.
    """

    name: str
    outputs: frozenset[Output]
    max_qubits: int
    exact: bool = True
    shots_matter: bool = True
    noise_id: str = "ideal"
    least_shots: int = 1


class Executor(Protocol):
    """Anything that runs jobs: a pool, a bare backend, a twenty-line test fake."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs; outcomes in the same order."""


class SyncExecutor(Protocol):
    """A backend whose answers are there at once: no event loop needed."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def run(self, job: Job) -> Outcome:
        """Run one job in the caller."""


AnyExecutor = SyncExecutor | Executor


def drive(steps: Steps[T], executor: AnyExecutor) -> T:
    """Run a plan to its end, in this thread; also inside a running event loop (notebooks).

    See `run_all`.
    """
    try:
        jobs = next(steps)
        while True:
            jobs = steps.send(complete(run_all(executor, jobs)))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def run_all(executor: AnyExecutor, jobs: Sequence[Job]) -> list[Outcome]:
    """The outcomes of jobs, in this thread; also inside a running event loop.

    From `run` or `run_all` where the executor has one, else from `run_async` in the event loop of `q_store.waiting`.
    """
    either: Any = executor
    if hasattr(executor, "run"):
        return [either.run(job) for job in jobs]
    if hasattr(executor, "run_all"):  # it knows what needs no event loop
        return either.run_all(jobs)  # type: ignore[no-any-return]
    return wait(either.run_async(jobs))


async def drive_async(steps: Steps[T], executor: Executor) -> T:
    """Run a plan to its end against an asynchronous executor."""
    try:
        jobs = next(steps)
        while True:
            jobs = steps.send(complete(await executor.run_async(jobs)))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def complete(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes. Raises IncompleteError when a row has no answer: plans compute with every row."""
    for outcome in outcomes:
        if not outcome.complete:
            row = min(outcome.status, key=lambda r: (-outcome.status[r], r))
            uncertain = sum(s is Status.UNCERTAIN for s in outcome.status.values())
            paid = f", {uncertain} of them perhaps paid" if uncertain else ""
            source = outcome.source if isinstance(outcome.source, str) else outcome.source[row]
            msg = (
                f"expected an answer to each of {outcome.rows} rows from {source}, got none to {len(outcome.status)}"
                f"{paid}; row {row}: {outcome.error.get(row, 'no reason given')}"
            )
            raise IncompleteError(msg)
    return outcomes
