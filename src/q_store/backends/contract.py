"""The contract of a backend as tests: subclass `BackendContract` in a test module, and pytest does the rest.

    class TestMine(BackendContract):
        tolerance = 1e-5

        def backend(self):
            return MyBackend()

Every output that the backend claims is compared with the dense oracle (`local.reference`); sampled ones within six
standard errors, at fixed seeds. The module needs no pytest: the tests are plain methods with plain asserts.
"""
# ruff: noqa: D102, S101  # asserts are what a contract test is made of, and its name says what it shows

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.answers import close, true_gradient, true_jacobian, true_metric, true_values
from q_store.backends.local import reference
from q_store.circuits import (
    Angle,
    Circuit,
    Marginal,
    Observables,
    PauliSum,
    op,
    pauliexp,
    prepare,
    rx,
    ry,
    rz,
    theta,
    x,
    z,
)
from q_store.circuits.gates import GATES
from q_store.errors import CapabilityError, InputError, QStoreError, ShapeError
from q_store.jobs import EXACT_ONLY, NEEDS_OBSERVABLES, Job, Outcome, Output, SyncExecutor

Array = npt.NDArray[Any]
SHOTS = 4000
_DENSE_QUBITS = 12
_SIGMAS = 6.0


@dataclass(frozen=True, eq=False)
class Case:
    """A circuit with rows and observables, and what is right for them."""

    circuit: Circuit
    data: Array | None
    params: Array
    observables: Observables

    def job(self, output: Output = Output.EXPECTATION, **more: Any) -> Job:
        """A job over all rows, with what the output needs."""
        measured = self.observables if output in NEEDS_OBSERVABLES or output is Output.SHIFTED else Observables(())
        if output is Output.VJP:
            more.setdefault("pullback", np.cos)
        return Job(self.circuit, self.data, self.params, measured, output, **more)


class BackendContract:
    """What every synchronous backend keeps; override `backend`, and `cases` where gates or features are missing.

    Attributes:
        tolerance: of exact answers, relative to the largest entry where that exceeds 1.
    """

    tolerance = 1e-5

    def backend(self) -> SyncExecutor:
        """A backend to test."""
        msg = "expected a backend to test, got none; override backend() in the subclass"
        raise NotImplementedError(msg)

    def cases(self) -> list[Case]:
        """What to run; the first case has data and two parameter rows or more."""
        return [every_gate(), prepared(), without_data()]

    def claimed(self, *outputs: Output) -> Iterator[tuple[SyncExecutor, Case]]:
        """The backend with every case, if it claims these outputs."""
        backend = self.backend()
        if backend.capabilities.outputs.issuperset(outputs):
            for case in self.cases():
                yield backend, case

    def exact(self, output: Output) -> Iterator[tuple[Case, Job, Outcome]]:
        """Exact answers to every case, if the backend gives any."""
        for backend, case in self.claimed(output):
            if backend.capabilities.exact:
                job = case.job(output)
                yield case, job, backend.run(job)

    def test_expectations_are_those_of_the_oracle(self) -> None:
        for _, job, outcome in self.exact(Output.EXPECTATION):
            assert outcome.values is not None
            assert outcome.variances is None
            assert close(outcome.values, true_values(job), self.tolerance)

    def test_probabilities_are_those_of_the_oracle(self) -> None:
        for _, job, outcome in self.exact(Output.PROBABILITIES):
            assert outcome.values is not None
            assert close(outcome.values, np.abs(reference.states(job)) ** 2, self.tolerance)

    def test_states_are_those_of_the_oracle_with_their_phase(self) -> None:
        for _, job, outcome in self.exact(Output.STATE):
            assert outcome.values is not None
            assert np.iscomplexobj(outcome.values)
            assert close(outcome.values, reference.states(job), self.tolerance)

    def test_shifted_values_are_values_at_shifted_parameters(self) -> None:
        circuit = Circuit.build(2, [ry(theta(0), 0), rx(theta(1), 1), op("x", 1, controls=[0])])
        backend = self.backend()
        if Output.SHIFTED not in backend.capabilities.outputs or not backend.capabilities.exact:
            return
        params = np.array([[0.3, -0.8], [1.1, 0.4]])
        case = Case(circuit, None, params, Observables.local_z(2))
        values = backend.run(case.job(Output.SHIFTED)).values
        moves = np.pi / 2 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        expected = [true_values(replace(case, params=row + moves).job()) for row in params]
        assert values is not None
        assert close(values, np.array(expected), self.tolerance)

    def test_gradients_are_those_of_the_oracle(self) -> None:
        for _, job, outcome in self.exact(Output.VJP):
            assert outcome.values is not None
            assert outcome.gradient is not None
            values = true_values(job)
            assert close(outcome.values, values, self.tolerance)
            assert close(outcome.gradient, true_gradient(job, np.cos(values)), self.tolerance)

    def test_jacobians_are_those_of_the_oracle(self) -> None:
        for _, job, outcome in self.exact(Output.JACOBIAN):
            assert outcome.jacobian is not None
            assert outcome.values is not None
            assert close(outcome.values, true_values(job), self.tolerance)
            assert close(outcome.jacobian, true_jacobian(job), self.tolerance)

    def test_fisher_information_is_that_of_the_oracle(self) -> None:
        for _, job, outcome in self.exact(Output.METRIC):
            assert outcome.values is not None
            assert close(outcome.values, true_metric(job), self.tolerance)

    def test_rows_come_in_the_order_asked(self) -> None:
        for backend, case in self.claimed(Output.EXPECTATION):
            shots = None if backend.capabilities.exact else SHOTS
            job = case.job(shots=shots)
            pairs = job.row_pairs()[[-1, 0, 0]]
            part = case.job(shots=shots, pairs=pairs)
            outcome = backend.run(part)
            assert outcome.values is not None
            assert outcome.rows == len(pairs)
            assert outcome.complete
            if shots is None:
                assert close(outcome.values, true_values(part), self.tolerance)
            else:
                assert_estimates(outcome, part)

    def test_counts_are_drawn_from_the_probabilities(self) -> None:
        for backend, case in self.claimed(Output.COUNTS):
            job = case.job(Output.COUNTS, shots=SHOTS, seed=3)
            outcome = backend.run(job)
            counts = _dense(outcome, case.circuit.n_qubits)
            assert counts.shape == (job.rows, 2**case.circuit.n_qubits)
            assert counts.dtype.kind == "i"
            assert (counts.sum(axis=1) == SHOTS).all()
            assert outcome.shots_paid == SHOTS * job.rows
            assert_frequencies(counts / SHOTS, np.abs(reference.states(job)) ** 2)

    def test_shots_may_differ_by_row(self) -> None:
        for backend, case in self.claimed(Output.COUNTS):
            rows = case.job(Output.COUNTS, shots=1).rows
            shots = np.arange(1, rows + 1)
            outcome = backend.run(case.job(Output.COUNTS, shots=shots))
            assert (_dense(outcome, case.circuit.n_qubits).sum(axis=1) == shots).all()
            assert outcome.shots_paid == shots.sum()

    def test_sampled_values_are_unbiased_with_honest_errors(self) -> None:
        for backend, case in self.claimed(Output.EXPECTATION):
            if backend.capabilities.shots_matter:
                job = case.job(shots=SHOTS, seed=5)
                assert_estimates(backend.run(job), job)

    def test_frequencies_are_shares_of_the_shots(self) -> None:
        for backend, case in self.claimed(Output.PROBABILITIES):
            if backend.capabilities.shots_matter:
                job = case.job(Output.PROBABILITIES, shots=SHOTS, seed=7)
                values = backend.run(job).values
                assert values is not None
                assert np.allclose(values * SHOTS, np.rint(values * SHOTS), atol=1e-3)
                assert_frequencies(values, np.abs(reference.states(job)) ** 2)

    def test_a_seed_repeats_and_another_does_not(self) -> None:
        for backend, case in self.claimed(Output.COUNTS):
            if not backend.capabilities.shots_matter:
                continue
            runs = [backend.run(case.job(Output.COUNTS, shots=SHOTS, seed=s)) for s in (11, 11, 12)]
            first, again, other = (_dense(run, case.circuit.n_qubits) for run in runs)
            assert (first == again).all()
            assert (first != other).any()

    def test_every_claimed_output_runs_and_no_other(self) -> None:
        backend, case = self.backend(), self.cases()[0]
        for output in Output:
            exact = backend.capabilities.exact or output in EXACT_ONLY
            job = case.job(output, shots=None if exact and output is not Output.COUNTS else 10)
            if output in backend.capabilities.outputs:
                assert backend.run(job).rows == job.rows, output
            else:
                error = _error(backend, job)
                assert isinstance(error, CapabilityError), (output, error)

    def test_too_many_qubits_are_refused(self) -> None:
        backend = self.backend()
        limit = backend.capabilities.max_qubits
        observables = Observables.local_z(1)
        shots = None if backend.capabilities.exact else 10
        job = Job(Circuit.build(limit + 1, [rx(0.1, 0)]), observables=observables, shots=shots)
        error = _error(backend, job)
        assert isinstance(error, CapabilityError)
        assert str(limit) in str(error)
        assert str(limit + 1) in str(error)

    def test_what_is_not_a_number_is_refused(self) -> None:
        for backend, case in self.claimed(Output.EXPECTATION):
            shots = None if backend.capabilities.exact else 10
            for bad in (math.nan, math.inf):
                for name in ("params", "data"):
                    array = getattr(case, name)
                    if array is None:
                        continue
                    broken = array.copy()
                    broken[-1] = bad
                    error = _error(backend, replace(case, **{name: broken}).job(shots=shots))
                    assert isinstance(error, InputError), (name, bad, error)

    def test_a_pullback_of_another_shape_is_refused(self) -> None:
        for backend, case in self.claimed(Output.VJP):
            error = _error(backend, case.job(Output.VJP, pullback=lambda v: v[:, :-1]))
            assert isinstance(error, ShapeError)

    def test_the_asynchronous_front_gives_the_same(self) -> None:
        for backend, case in self.claimed(Output.EXPECTATION):
            if hasattr(backend, "run_async"):
                job = case.job(shots=None if backend.capabilities.exact else 10)
                (outcome,) = asyncio.run(backend.run_async([job]))
                assert (outcome.values == backend.run(job).values).all()


def every_gate() -> Case:
    """Three qubits, every gate once, some with a control, angles of every kind; three data and two parameter rows."""
    rng = np.random.default_rng(1)
    ops = [ry(0.4 + q, q) for q in range(3)]
    for k, (name, gate) in enumerate(GATES.items()):
        scale = 0.2 if gate.native else 1.0
        angles = [scale * _angle(k + j) for j in range(gate.n_angles)]
        qubits = [int(q) for q in rng.permutation(3)]
        controls = qubits[gate.n_qubits :][: k % 2]
        ops.append(op(name, *qubits[: gate.n_qubits], angles=angles, controls=controls))
    ops.append(pauliexp([("XYZ", 0.4)], _angle(0), 2, 0, 1))
    ops.append(pauliexp([("YX", 0.5), ("XY", -0.3)], _angle(3), 1, 2))
    observables = Observables.of(
        z(0), PauliSum.of((0.7, "XYZ", (0, 1, 2)), (0.3, "I", (0,)), (-0.4, "ZZ", (1, 2))), Marginal((2, 0))
    )
    circuit = Circuit(3, 3, 2, tuple(ops))
    return Case(circuit, rng.uniform(-1, 1, (3, 2)), rng.uniform(-2, 2, (2, 3)), observables)


def prepared() -> Case:
    """Three qubits that start from five amplitudes, behind a column of angles; Z and marginals, one basis."""
    rng = np.random.default_rng(2)
    amplitudes = rng.normal(size=(4, 5))
    amplitudes /= np.linalg.norm(amplitudes, axis=1, keepdims=True)
    ops = [
        prepare(3, 1, 5),
        *(ry(theta(q), q) for q in range(3)),
        op("x", 1, controls=[0]),
        rz(theta(3) * x(0), 1),
        rx(theta(0) + 0.5, 2),
    ]
    data = np.concatenate([rng.uniform(-1, 1, (4, 1)), amplitudes], axis=1)
    observables = Observables.of(z(0), z(1, 2), Marginal((1,)))
    return Case(Circuit(3, 4, 6, tuple(ops)), data, rng.uniform(-2, 2, (2, 4)), observables)


def without_data() -> Case:
    """Two qubits, parameters alone, and values that need two bases."""
    circuit = Circuit.build(2, [ry(theta(0), 0), op("x", 1, controls=[0]), rz(theta(1), 0), rx(theta(1) * -0.5, 1)])
    observables = Observables.of(PauliSum.of((0.5, "XX", (0, 1)), (0.25, "ZZ", (0, 1))), PauliSum.of((1.0, "Y", (1,))))
    return Case(circuit, None, np.array([[0.3, 1.2], [-0.7, 0.4]]), observables)


def _angle(kind: int) -> Angle:
    terms = [theta(kind % 3), theta(kind % 3) * x(kind % 2) * 0.7 + 0.2, x(kind % 2) - 0.4, theta(1) * 0.5 + theta(2)]
    return terms[kind % 4]


def _error(backend: SyncExecutor, job: Job) -> QStoreError | None:
    """The error of a job, None if it ran."""
    try:
        backend.run(job)
    except QStoreError as error:
        return error
    return None


def _dense(outcome: Outcome, n_qubits: int) -> Array:
    counts = outcome.counts
    assert counts is not None
    assert isinstance(counts, np.ndarray) == (n_qubits <= _DENSE_QUBITS)
    if isinstance(counts, np.ndarray):
        return counts
    return np.array([[row.get(s, 0) for s in range(2**n_qubits)] for row in counts])


def assert_frequencies(found: Array, probabilities: Array) -> None:
    """Within six standard errors; what has probability 0 never occurs."""
    bound = _SIGMAS * np.sqrt(probabilities * (1 - probabilities) / SHOTS) + _SIGMAS / SHOTS
    assert (np.abs(found - probabilities) <= bound).all()
    assert not found[probabilities < 1e-12].any()


def assert_estimates(outcome: Outcome, job: Job) -> None:
    """Values within six of their own standard errors, from SHOTS or more a row."""
    assert outcome.values is not None
    assert outcome.variances is not None
    expected = true_values(job)
    assert outcome.values.shape == outcome.variances.shape == expected.shape
    # the error of a rare outcome's own error, where the sample has few of them
    error = np.sqrt(outcome.variances + 1 / SHOTS**2)
    assert (np.abs(outcome.values - expected) <= _SIGMAS * error).all()
    assert outcome.shots_paid >= SHOTS * job.rows
