"""The local engine as a service keeps the contract of asynchronous backends; one that does not is caught."""

from __future__ import annotations

import asyncio
import inspect
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, observables, rows

from q_store.backends.base import Found, Slice, TicketState
from q_store.backends.contract import BackendContract, every_gate, prepared, without_data
from q_store.backends.distributions import Distributions
from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.backends.remote_contract import RemoteContract
from q_store.circuits import Circuit, ry, theta
from q_store.errors import CapabilityError
from q_store.jobs import Job, Output, Status

EXACT = LocalBackend(threads=1, precision="float64")


class Odd(LocalService):
    """Circuits of odd numbers fail."""

    def step(self, _):
        return 1

    def measure(self, part, stop):
        if part.numbers[0] % 2:
            raise ValueError("odd")
        return super().measure(part, stop)


class TestThread(RemoteContract):
    def backend(self):
        return LocalService(LocalBackend(threads=1))

    def failing(self):
        return Odd()


class TestWithinSubmit(RemoteContract):
    tolerance = 1e-10

    def backend(self):
        return LocalService(EXACT, workers=0)


class TestWholeJobs(BackendContract):
    tolerance = 1e-10

    def backend(self):
        return LocalService(EXACT, workers=0)


# ------------------------------------------------------------------------------------------------ what it promises more


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("output", [Output.COUNTS, Output.EXPECTATION, Output.SHIFTED, Output.PROBABILITIES])
@pytest.mark.parametrize("case", [every_gate(), prepared(), without_data()], ids=["gates", "prepared", "bare"])
def test_samples_are_those_of_the_local_backend_bit_by_bit(case, output, precision):
    engine = LocalBackend(precision=precision)
    job = case.job(output, shots=300, seed=9)
    ours, theirs = LocalService(engine, workers=0).run(job), engine.run(job)
    for name in ("counts", "values", "variances"):
        mine, right = getattr(ours, name), getattr(theirs, name)
        assert (mine is None) == (right is None)
        if right is not None:
            np.testing.assert_allclose(mine, right, rtol=1e-13, atol=1e-14)  # sums of equal counts
    assert ours.shots_paid == theirs.shots_paid


@given(st.data())
@settings(max_examples=25)
def test_however_a_job_is_cut_its_samples_are_the_same(data):
    circuit = data.draw(circuits(max_qubits=3, prepared=True))
    values, params = data.draw(rows(circuit))
    job = Job(
        circuit, values, params, data.draw(observables(circuit.n_qubits)), shots=50, seed=data.draw(st.integers(0))
    )
    service = LocalService(EXACT, workers=0)
    plan = service.plan(job)
    size = sum(part.size for part in plan)
    order = data.draw(st.permutations(range(size)))
    cut = data.draw(st.integers(0, size))
    pieces = [part for half in (order[:cut], order[cut:]) for part in service.plan(job, np.array(half, dtype=int))]
    whole = carried(service, job, plan)
    mixed = carried(service, job, pieces)
    np.testing.assert_array_equal(whole.values, mixed.values)
    np.testing.assert_allclose(whole.values, EXACT.run(job).values, atol=1e-12)


def carried(service, job, parts):
    return service._outcome(job, [(part, asyncio.run(answer(service, part))) for part in parts], 0.0)


async def answer(service, part):
    return await service.result(part, await service.submit(part))


def test_a_slice_without_its_job_is_run_from_its_angles():
    service = LocalService(EXACT, workers=0)
    part = service.plan(prepared().job(Output.PROBABILITIES))[0]
    bare = Slice(part.circuit, part.angles, part.numbers, None, 0, "bare")
    flipped = replace(bare, flips=np.full(part.size, 0b101), fingerprint="flipped")
    right = asyncio.run(answer(service, part)).distributions.dense()
    np.testing.assert_allclose(asyncio.run(answer(service, bare)).distributions.dense(), right, atol=1e-12)
    turned = asyncio.run(answer(service, flipped)).distributions.dense()
    np.testing.assert_allclose(turned[:, np.arange(8) ^ 0b101], right, atol=1e-12)


def test_what_needs_the_state_is_left_to_the_engine():
    service = LocalService(EXACT)
    with pytest.raises(CapabilityError, match="state"):
        service.run(prepared().job(Output.STATE))
    assert service.engine.run(prepared().job(Output.STATE)).values is not None


# ------------------------------------------------------------------------------------------------------------- tickets


class Held(LocalService):
    """Each circuit waits until it is let go."""

    def __init__(self):
        super().__init__(EXACT)
        self.running, self.go = threading.Event(), threading.Semaphore(0)

    def step(self, _):
        return 1

    def measure(self, part, stop):
        self.running.set()
        assert self.go.acquire(timeout=30)
        return super().measure(part, stop)


def sweep(rows=4):
    return Job(Circuit.build(1, [ry(theta(0), 0)]), params=np.arange(1.0 * rows)[:, None], output=Output.PROBABILITIES)


def test_a_canceled_slice_keeps_what_was_done_and_stops():
    async def go():
        service = Held()
        part, queued = service.plan(sweep())[0], service.plan(sweep())[0]
        tickets = [await service.submit(part), await service.submit(queued)]
        service.go.release()
        await asyncio.to_thread(service.running.wait, 30)
        tickets = await service.cancel(tickets)
        assert [ticket.state for ticket in tickets] == [TicketState.CANCELED] * 2
        assert all(ticket.retry for ticket in tickets)
        service.go.release()
        first, second = [await service.result(*each) for each in zip((part, queued), tickets, strict=True)]
        await service.aclose()
        return first, second

    first, second = asyncio.run(go())
    assert 0 < len(first.missing) < 4
    assert sorted(second.missing) == [0, 1, 2, 3]
    assert {gap.reason for gap in second.missing.values()} == {"canceled"}
    done = sorted(set(range(4)) - set(first.missing))
    np.testing.assert_allclose(first.distributions.dense()[done, 0], np.cos(np.array(done) / 2) ** 2)


def test_a_canceled_run_stops_its_work():
    async def go():
        service = Held()
        task = asyncio.create_task(service.run_async([sweep()]))
        await asyncio.to_thread(service.running.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (work,) = service._works.values()
        assert work.stop.is_set
        service.go.release()
        await asyncio.wrap_future(work.future)
        await service.aclose()
        return work.future.result()

    assert len(asyncio.run(go()).missing) == 3


def test_a_ticket_of_another_process_may_be_sent_again():
    async def go():
        service, before = LocalService(EXACT, workers=0), LocalService(EXACT, workers=0)
        part = before.plan(sweep())[0]
        ticket = replace(await before.submit(part), state=TicketState.OPEN)
        assert await service.find(part.fingerprint) is Found.ABSENT
        (known,) = await service.poll([ticket])
        assert (known.state, known.retry) == (TicketState.FAILED, True)
        missing = (await service.result(part, known)).missing
        assert all(gap.retry and gap.status is Status.FAILED and "ended" in gap.reason for gap in missing.values())
        assert len(missing) == 4

    asyncio.run(go())


def test_a_slice_that_is_submitted_twice_runs_once():
    class Counting(LocalService):
        runs = 0

        def measure(self, part, stop):
            self.runs += 1
            return super().measure(part, stop)

    async def go():
        service = Counting(EXACT, workers=0)
        part = service.plan(sweep())[0]
        first, second = await service.submit(part), await service.submit(part)
        assert first.remote_id == second.remote_id
        return service.runs

    assert asyncio.run(go()) == 1


def test_answers_that_were_fetched_long_ago_are_let_go_and_others_stay():
    async def go():
        service = LocalService(EXACT, workers=0)
        parts = [service.plan(sweep(1))[0] for _ in range(100)]
        tickets = [await service.submit(part) for part in parts]
        for part, ticket in list(zip(parts, tickets, strict=True))[1:]:
            assert not (await service.result(part, ticket)).missing
            assert not (await service.result(part, ticket)).missing  # asked again soon
        assert not (await service.result(parts[0], tickets[0])).missing
        return len(service._works)

    assert asyncio.run(go()) <= 65


def test_a_row_fails_where_a_circuit_of_it_does():
    outcome = Odd(EXACT, workers=0).run(sweep())
    assert outcome.status == {1: Status.FAILED, 3: Status.FAILED}
    assert set(outcome.error.values()) == {"ValueError: odd"}
    np.testing.assert_allclose(outcome.values[[0, 2], 1], np.sin([0, 1]) ** 2, atol=1e-12)


# -------------------------------------------------------------------------------------------------- the contract itself


class Spoilt(LocalService):
    """The local service with one thing wrong."""

    def __init__(self, **spoils):
        super().__init__(EXACT, workers=0)
        for name, spoil in spoils.items():
            setattr(self, name, changed(getattr(self, name), spoil))


def changed(method, spoil):
    async def later(*args):
        return spoil(await method(*args))

    return later if inspect.iscoroutinefunction(method) else lambda *args: spoil(method(*args))


def reversed_bits(found):
    n = found.n_qubits
    state = sum((found.state >> q & 1) << (n - 1 - q) for q in range(n))
    return Distributions(n, found.start, state, found.weight)


def without_last(parts):
    *most, last = parts or [None]
    return [*most, replace(last, angles=last.angles[:-1], numbers=last.numbers[:-1])] if last else parts


def swapped(answer):
    dense = answer.distributions.dense()
    return replace(answer, distributions=Distributions.from_dense(dense[::-1]))


@pytest.mark.parametrize(
    ("spoils", "check"),
    [
        ({"measure": reversed_bits}, "test_answers_are_those_of_the_oracle"),
        ({"result": swapped}, "test_answers_are_those_of_the_oracle"),
        ({"plan": without_last}, "test_a_plan_holds_every_circuit_once"),
        ({"plan": lambda parts: [*parts, *parts]}, "test_a_plan_holds_every_circuit_once"),
        (
            {"plan": lambda parts: [replace(part, seed=part.size) for part in parts]},
            "test_a_plan_of_some_circuits_holds_these_as_they_are_among_all",
        ),
        ({"poll": lambda tickets: tickets[::-1]}, "test_tickets_are_polled_in_the_order_asked"),
        ({"find": lambda _: Found.ABSENT}, "test_a_slice_that_was_sent_is_found_and_another_is_absent"),
        ({"find": lambda _: Found.UNKNOWN}, "test_a_slice_that_was_sent_is_found_and_another_is_absent"),
        (
            {"cancel": lambda tickets: [replace(each, state=TicketState.OPEN) for each in tickets]},
            "test_what_is_canceled_ends_and_what_it_brought_is_right",
        ),
        (
            {"cancel": lambda tickets: [replace(each, state=TicketState.CANCELED) for each in tickets]},
            "test_canceling_what_has_finished_changes_nothing",
        ),
    ],
)
def test_the_contract_catches_a_wrong_backend(spoils, check):
    contract = RemoteContract()
    contract.backend = Spoilt
    getattr(contract, check)()
    contract.backend = lambda: Spoilt(**spoils)
    with pytest.raises(AssertionError):
        getattr(contract, check)()


def test_the_contract_catches_a_plan_that_ignores_what_is_chosen():
    class All(LocalService):
        def plan(self, job, *_):
            return super().plan(job)

    contract = RemoteContract()
    contract.backend = lambda: All(EXACT, workers=0)
    for check in (
        contract.test_a_plan_of_some_circuits_holds_these_as_they_are_among_all,
        contract.test_circuits_and_shots_that_do_not_fit_are_refused,
    ):
        with pytest.raises(AssertionError):
            check()
    with pytest.raises(NotImplementedError, match="override backend"):
        RemoteContract().backend()


def test_the_contract_catches_a_failure_that_is_not_said():
    class Silent(Odd):
        async def result(self, part, ticket):
            return replace(await super().result(part, ticket), missing={})

    contract = RemoteContract()
    contract.failing = Silent
    with pytest.raises(AssertionError):
        contract.test_a_failed_circuit_is_said_and_no_other_suffers()
