"""The contract of an asynchronous backend as tests: subclass `RemoteContract` in a test module.

    class TestMine(RemoteContract):
        def backend(self):
            return MyBackend()

Plans hold every circuit once, answers are those of the dense oracle (`local.reference`) to the last bit of the state's
order, and tickets are told apart whatever order they are asked in. Like `contract`, it needs no pytest.
"""
# ruff: noqa: D102, S101  # asserts are what a contract test is made of, and its name says what it shows

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from q_store.backends.answers import close, true_values
from q_store.backends.base import Answer, Backend, Found, Slice, Ticket, TicketState
from q_store.backends.contract import SHOTS, Case, assert_estimates, assert_frequencies, prepared, without_data
from q_store.backends.distributions import Distributions, join
from q_store.backends.expansion import Expansion, expand
from q_store.backends.local import reference
from q_store.circuits import Circuit, Observables, PauliSum, op, pauliexp, rx, ry, rz, theta, x, z
from q_store.errors import CapabilityError, InputError, QStoreError
from q_store.jobs import EXACT_ONLY, Executor, Job, Output, Status

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
_OUTPUTS = (Output.EXPECTATION, Output.SHIFTED, Output.PROBABILITIES, Output.COUNTS)


class RemoteBackend(Backend, Executor, Protocol):
    """A backend that can also run whole jobs by itself."""


class RemoteContract:
    """What every asynchronous backend keeps; override `backend`, and what else is not as it is here.

    Attributes:
        tolerance: of probabilities.
        interval: seconds between two polls.
    """

    tolerance = 1e-6
    interval = 0.001

    def backend(self) -> RemoteBackend:
        """A backend to test, without a history."""
        msg = "expected a backend to test, got none; override backend() in the subclass"
        raise NotImplementedError(msg)

    def failing(self) -> RemoteBackend | None:
        """One on which some circuits of `asymmetric()`, or all, fail for a passing reason; None: not to be had."""
        return None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine; override for virtual time."""
        return asyncio.run(coroutine)

    def cases(self) -> list[Case]:
        """What to run; the first has three rows or more, and several measured bases."""
        return [asymmetric(), prepared(), without_data()]

    def job(self, backend: Backend, case: Case, output: Output = Output.EXPECTATION, **more: Any) -> Job:
        """A job that the backend can run."""
        needs = output is Output.COUNTS or not backend.capabilities.exact
        return case.job(output, **{"shots": SHOTS if needs else None, "seed": 3, **more})

    def claimed(self, backend: Backend) -> list[Output]:
        return [output for output in _OUTPUTS if output in backend.capabilities.outputs]

    def test_a_plan_holds_every_circuit_once(self) -> None:
        backend = self.backend()
        for case in self.cases():
            for output in self.claimed(backend):
                job = self.job(backend, case, output)
                parts = backend.plan(job)
                _assert_well_formed(parts, job)
                numbers = [number for part in parts for number in part.numbers.tolist()]
                assert sorted(numbers) == list(range(_expansion(backend, job).size)), output

    def test_a_plan_of_some_circuits_holds_these_as_they_are_among_all(self) -> None:
        backend = self.backend()
        for case in self.cases():
            job = self.job(backend, case)
            every = _by_number(backend.plan(job))
            chosen = np.array(sorted(every))[::-2]
            parts = backend.plan(job, chosen)
            _assert_well_formed(parts, job)
            found = _by_number(parts)
            assert sorted(found) == sorted(chosen.tolist())
            for number, (part, place) in found.items():
                other, there = every[number]
                assert (part.circuit.digest, part.shots, part.seed) == (other.circuit.digest, other.shots, other.seed)
                assert np.allclose(part.angles[place], other.angles[there], atol=1e-12)
                assert (part.flips is None) == (other.flips is None)
                assert part.flips is None or other.flips is None or part.flips[place] == other.flips[there]
            assert backend.plan(job, np.zeros(0, np.int64)) == []

    def test_a_plan_takes_shots_in_place_of_the_jobs(self) -> None:
        backend = self.backend()
        job = self.job(backend, self.cases()[0], shots=SHOTS)
        numbers = np.arange(_expansion(backend, job).size)[::-1]
        shots = SHOTS + numbers % 2
        parts = backend.plan(job, numbers, shots)
        _assert_well_formed(parts, job)
        for number, (part, _) in _by_number(parts).items():
            assert part.shots in {None, SHOTS + number % 2}

    def test_circuits_and_shots_that_do_not_fit_are_refused(self) -> None:
        backend = self.backend()
        job = self.job(backend, self.cases()[0], shots=SHOTS)
        size = _expansion(backend, job).size
        asked: list[tuple[list[int], list[int] | None]] = [([size], None), ([-1], None), ([0, 0], None)]
        for numbers, shots in [*asked, ([0, 1], [SHOTS]), ([0], [0])]:
            given = None if shots is None else np.array(shots)
            assert isinstance(_error(backend, job, np.array(numbers), given), InputError), (numbers, shots)

    def test_what_it_cannot_run_is_refused_before_anything_is_sent(self) -> None:
        backend, case = self.backend(), self.cases()[0]
        own = backend.capabilities
        for output in Output:
            job = case.job(output, shots=None if output in EXACT_ONLY else SHOTS)
            error = _error(backend, job)
            assert (error is None) == (output in own.outputs), output
            assert error is None or isinstance(error, CapabilityError), output
        many = Job(Circuit.build(own.max_qubits + 1, [rx(0.1, 0)]), None, observables=Observables.local_z(1), shots=9)
        assert isinstance(_error(backend, many), CapabilityError)
        if not own.exact:
            assert isinstance(_error(backend, case.job()), CapabilityError)

    def test_answers_are_those_of_the_oracle(self) -> None:
        backend = self.backend()
        for case in self.cases():
            for shots in [SHOTS, None] if backend.capabilities.exact else [SHOTS]:
                self._compare(backend, self.job(backend, case, shots=shots))
        self.run(backend.aclose())

    def test_outcomes_have_the_rows_in_the_order_asked(self) -> None:
        for case in self.cases():
            backend = self.backend()
            first = self.job(backend, case)
            jobs = [first, self.job(backend, case, pairs=first.row_pairs()[[-1, 0, 0]], shots=SHOTS, seed=4)]
            outcomes = self.run(_closing(backend, backend.run_async(jobs)))
            for job, outcome in zip(jobs, outcomes, strict=True):
                assert outcome.rows == job.rows
                assert outcome.complete, outcome.error
                assert outcome.noise_id == backend.capabilities.noise_id
                if job.shots is None:
                    assert outcome.values is not None
                    assert close(outcome.values, true_values(job), self.tolerance)
                else:
                    assert_estimates(outcome, job)

    def test_tickets_are_polled_in_the_order_asked(self) -> None:
        backend = self.backend()
        parts = [self._part(backend, [k]) for k in range(3)]

        async def go() -> None:
            tickets = [await backend.submit(part) for part in parts]
            assert [ticket.fingerprint for ticket in tickets] == [part.fingerprint for part in parts]
            assert len({ticket.remote_id for ticket in tickets}) == 3
            final = await self.final(backend, tickets[::-1])
            assert [ticket.fingerprint for ticket in final] == [part.fingerprint for part in parts[::-1]]
            for part, ticket in zip(parts[::-1], final, strict=True):
                self._assert_right(part, await backend.result(part, ticket))

        self.run(_closing(backend, go()))

    def test_a_slice_that_was_sent_is_found_and_another_is_absent(self) -> None:
        backend = self.backend()
        part, other = self._part(backend, [0]), self._part(backend, [1])

        async def go() -> None:
            (ticket,) = await self.final(backend, [await backend.submit(part)])
            found = await backend.find(part.fingerprint)
            assert isinstance(found, Ticket)
            assert (found.fingerprint, found.remote_id) == (part.fingerprint, ticket.remote_id)
            (found,) = await self.final(backend, [found])
            self._assert_right(part, await backend.result(part, found))
            assert await backend.find(other.fingerprint) is Found.ABSENT

        self.run(_closing(backend, go()))

    def test_what_is_canceled_ends_and_what_it_brought_is_right(self) -> None:
        backend = self.backend()
        part = self._part(backend, None)

        async def go() -> None:
            (ticket,) = await backend.cancel([await backend.submit(part)])
            assert ticket.state.is_final
            assert ticket.fingerprint == part.fingerprint
            self._assert_right(part, await backend.result(part, ticket))

        self.run(_closing(backend, go()))

    def test_canceling_what_has_finished_changes_nothing(self) -> None:
        backend = self.backend()
        part = self._part(backend, [0])

        async def go() -> None:
            final = await self.final(backend, [await backend.submit(part)])
            (ticket,) = await backend.cancel(final)
            assert ticket.state is TicketState.FINISHED
            answer = await backend.result(part, ticket)
            assert not answer.missing
            self._assert_right(part, answer)

        self.run(_closing(backend, go()))

    def test_a_failed_circuit_is_said_and_no_other_suffers(self) -> None:
        backend = self.failing()
        if backend is None:
            return
        part = self._part(backend, None)

        async def go() -> None:
            (ticket,) = await self.final(backend, [await backend.submit(part)])
            assert ticket.state in {TicketState.FINISHED, TicketState.FAILED}
            answer = await backend.result(part, ticket)
            assert answer.missing
            assert (ticket.state is TicketState.FAILED) == (len(answer.missing) == part.size)
            assert all(gap.status is Status.FAILED and gap.reason for gap in answer.missing.values())
            self._assert_right(part, answer)

        self.run(_closing(backend, go()))

    def test_it_can_be_closed_twice_and_used_again(self) -> None:
        backend = self.backend()

        async def go() -> None:
            for _ in range(2):
                part = self._part(backend, [0])
                (ticket,) = await self.final(backend, [await backend.submit(part)])
                self._assert_right(part, await backend.result(part, ticket))
                await backend.aclose()
                await backend.aclose()

        self.run(go())

    async def final(self, backend: Backend, tickets: Sequence[Ticket]) -> list[Ticket]:
        """The tickets when none is open any more."""
        found = await backend.poll(tickets)
        while not all(ticket.state.is_final for ticket in found):
            await asyncio.sleep(self.interval)
            found = await backend.poll(found)
        return found

    def _part(self, backend: Backend, numbers: list[int] | None) -> Slice:
        """One slice of the first case, in one basis."""
        case = self.cases()[0]
        output = Output.COUNTS if backend.capabilities.shots_matter else Output.PROBABILITIES
        job = self.job(backend, case, output)
        return backend.plan(job, None if numbers is None else np.array(numbers))[0]

    def _assert_right(self, part: Slice, answer: Answer) -> None:
        """Of a slice of `_part`."""
        case = self.cases()[0]
        job = case.job(Output.PROBABILITIES)
        right = np.abs(reference.states(job)[part.numbers]) ** 2
        self._assert_distributions(part, answer, right)

    def _assert_distributions(self, part: Slice, answer: Answer, right: npt.NDArray[np.float64]) -> None:
        found = answer.distributions
        assert len(found) == part.size
        assert found.n_qubits == part.circuit.n_qubits
        assert answer.sampled == (part.shots is not None) or answer.missing
        empty = np.flatnonzero(np.diff(found.start) == 0)
        assert empty.tolist() == sorted(answer.missing)
        there = np.setdiff1d(np.arange(part.size), empty)
        if answer.sampled:
            assert_frequencies(found.dense()[there], right[there])
        else:
            assert np.allclose(found.dense()[there], right[there], atol=self.tolerance)

    def _compare(self, backend: Backend, job: Job) -> None:
        """Every slice of a job, in a mixed order, with the oracle's distributions of its circuits."""
        expansion, parts = _expansion(backend, job), backend.plan(job)[::-1]

        async def go() -> list[Answer]:
            final = await self.final(backend, [await backend.submit(part) for part in parts])
            return [await backend.result(part, ticket) for part, ticket in zip(parts, final, strict=True)]

        answers = self.run(go())
        right = np.concatenate([_probabilities(expansion, g) for g in range(len(expansion.plan.settings))])
        for part, answer in zip(parts, answers, strict=True):
            assert not answer.missing
            self._assert_distributions(part, answer, right[part.numbers])
        carried: list[tuple[Ints, Distributions]] = [
            (part.numbers, answer.distributions) for part, answer in zip(parts, answers, strict=True)
        ]
        whole = join(carried, expansion.size, job.circuit.n_qubits)
        assert np.allclose(whole.dense().sum(axis=1), 1, atol=self.tolerance)


def asymmetric() -> Case:
    """Three qubits, no two alike, whose most frequent states change when bits are reversed; six rows, three bases."""
    circuit = Circuit.build(
        3,
        [
            *(ry(theta(0) * (0.5 + q) + 0.2, q) for q in range(3)),
            op("x", 2, controls=[0]),
            rz(theta(1) * x(0), 2),
            rx(x(1), 1),
            pauliexp([("YX", 0.4)], theta(1), 2, 0),
            op("xx", 0, 1, angles=[theta(0) + x(0)]),
        ],
    )
    rng = np.random.default_rng(5)
    strings = PauliSum.of((0.7, "XZ", (0, 1))), PauliSum.of((1.0, "YX", (1, 2)), (0.3, "I", (0,)))
    observables = Observables.of(z(0), z(1), z(2), *strings)
    return Case(circuit, rng.uniform(0.2, 1, (3, 2)), rng.uniform(0.3, 1.2, (2, 2)), observables)


def _expansion(backend: Backend, job: Job) -> Expansion:
    return expand(job, backend.capabilities.name)


def _probabilities(expansion: Expansion, g: int) -> npt.NDArray[np.float64]:
    inner = expansion.inner
    circuit = expansion.plan.settings[g].circuit
    job = Job(circuit, inner.data, inner.params, output=Output.PROBABILITIES, pairs=inner.pairs)
    return np.abs(reference.states(job)) ** 2


def _by_number(parts: Sequence[Slice]) -> dict[int, tuple[Slice, int]]:
    return {number: (part, k) for part in parts for k, number in enumerate(part.numbers.tolist())}


def _assert_well_formed(parts: Sequence[Slice], job: Job) -> None:
    assert len({part.fingerprint for part in parts}) == len(parts)
    for part in parts:
        assert part.size
        assert part.circuit.n_qubits == job.circuit.n_qubits
        assert part.circuit.prepare is None
        assert part.angles.shape == (part.size, sum(len(each.angles) for each in part.circuit.ops))
        assert job.shots is not None or part.shots is None


def _error(backend: Backend, job: Job, *more: Any) -> QStoreError | None:
    try:
        backend.plan(job, *more)
    except QStoreError as error:
        return error
    return None


async def _closing(backend: Backend, coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    finally:
        await backend.aclose()
