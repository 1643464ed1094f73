"""Results: both generations, in order, circuit by circuit where a part is missing, and never bought a second time."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.backends.ionq.scripted import Scripted, backend, job, right, run

from q_store.backends.base import TicketState
from q_store.backends.ionq.client.proof import proof
from q_store.circuits import Circuit, cnot, op, rx, ry, theta
from q_store.emulator.clock import run_virtual
from q_store.errors import ThrottledError
from q_store.jobs import Output, Status


def sizes(service):
    """Circuits of each job that was accepted."""
    return [len(one["child_job_ids"] or [1]) for one in service.accepted]


@pytest.mark.parametrize("results", ["both", "url", "artifact", "none"])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_server_of_either_generation_will_do(results, rows):
    service = Scripted(results=results)
    (outcome,), _ = run(service, job(rows))
    np.testing.assert_allclose(outcome.values, right(rows), atol=1e-9)


def test_a_job_takes_four_calls_beside_the_looks_that_found_it_running():
    service = Scripted(duration=0.05)
    run(service, job(3))
    looks = [call for call in service.calls if call == "GET /jobs/job-0"]
    assert len(looks) == 1
    assert len(service.calls) == 4  # sent, seen, results, and once the order of the children


def test_a_failed_circuit_fails_its_row_and_is_sent_again_alone():
    service = Scripted()
    service.ends = [{1: "failed:InternalError"}]
    (outcome,), _ = run(service, job(3))
    assert outcome.complete
    np.testing.assert_allclose(outcome.values, right(), atol=1e-9)
    assert sizes(service) == [3, 1]
    assert len(service.charged) == len(set(service.charged)) == 3


@pytest.mark.parametrize("pause", ["429:50", "503:50"])
def test_results_are_asked_for_as_patiently_as_the_service_asks(pause):
    """Four pauses of 50 s are more than one call may take elsewhere."""
    service = Scripted()
    service.ends = [{0: "failed:InvalidInput", 1: "failed:InvalidInput"}]
    service.script = {"GET /jobs?ids=": [pause] * 4}
    (outcome,), took = run(service, job(3))
    assert took > 200
    assert outcome.status == {0: Status.FAILED, 1: Status.FAILED}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("calls", ["GET /jobs/job-0/results", "GET /"])
def test_a_service_that_throttles_is_waited_for_as_long_as_a_job_may_take(calls, rows):
    service = Scripted()
    service.script = {calls: ["429:60"] * 60}
    (outcome,), took = run(service, job(rows), deadline=5000.0)
    assert outcome.complete
    assert took > 3600


def test_a_service_that_throttles_for_longer_leaves_the_fate_unknown():
    service = Scripted()
    service.script = {"GET /jobs/job-0/results": ["429:60"] * 600}
    (outcome,), _ = run(service, job(3), deadline=500.0)
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert "429" in outcome.error[0]


def test_a_pool_hears_soon_that_a_member_throttles():
    service = Scripted()
    service.script = {"POST /jobs": ["429:3"] * 10}
    own = backend(service)

    async def go():
        with pytest.raises(ThrottledError) as caught:
            await own.submit(own.plan(job(3))[0])
        await own.aclose()
        return caught.value.pause, asyncio.get_running_loop().time()

    pause, took = run_virtual(go())
    assert pause == 3
    assert took < 10
    assert service.accepted == []


@pytest.mark.parametrize("code", ["UnsupportedGate", "QuotaExhaustedError", "InvalidInput"])
def test_what_fails_for_good_is_not_sent_again(code):
    service = Scripted()
    service.ends = [{1: f"failed:{code}"}]
    (outcome,), _ = run(service, job(3))
    assert outcome.status == {1: Status.FAILED}
    assert code in outcome.error[1]
    assert np.isnan(outcome.values[1]).all()
    np.testing.assert_allclose(outcome.values[[0, 2]], right()[[0, 2]], atol=1e-9)
    assert sizes(service) == [3]


@pytest.mark.parametrize("rows", [1, 3])
def test_attempts_are_bounded(rows):
    service = Scripted()
    service.ends = ["failed:QuantumComputerError"] * 9
    (outcome,), _ = run(service, job(rows), attempts=3)
    assert set(outcome.status.values()) == {Status.FAILED}
    assert sizes(service) == [rows] * 3
    assert "QuantumComputerError" in outcome.error[0]


def test_results_that_cannot_be_had_are_not_bought_again():
    service = Scripted()
    service.script = {"GET /jobs/job-0/results": ["404"] * 9999, "GET /jobs/job-0/artifacts": ["500"] * 9999}
    (outcome,), _ = run(service, job(1))
    assert outcome.status == {0: Status.UNCERTAIN}
    assert "ran" in outcome.error[0]
    assert len(service.accepted) == 1


@pytest.mark.parametrize("fault", ["garbled", "500", "429:2", "drop", "404"])
def test_damaged_results_are_fetched_again(fault):
    service = Scripted()
    service.script = {"GET /jobs/job-0/results": [fault] * 3, "GET /jobs/job-0/artifacts": [fault]}
    (outcome,), _ = run(service, job(3))
    np.testing.assert_allclose(outcome.values, right(), atol=1e-9)
    assert len(service.accepted) == 1


def test_without_an_aggregate_each_circuit_is_read_by_itself():
    service = Scripted()
    service.script = {"GET /jobs/job-0/results": ["500"] * 9999, "GET /jobs/job-0/artifacts": ["500"] * 9999}
    (outcome,), _ = run(service, job(3))
    np.testing.assert_allclose(outcome.values, right(), atol=1e-9)
    assert len(service.accepted) == 1


@pytest.mark.parametrize("in_order", [0, 1])
def test_child_ids_in_another_order_are_put_right_by_the_names(in_order):
    """In every job, also where those of an earlier one were in order."""
    service = Scripted()
    create = service._create

    def shuffled(body):
        reply = create(body)
        if len(service.accepted) > in_order:
            service.accepted[-1]["child_job_ids"].reverse()
        return reply

    service._create = shuffled
    (outcome,), _ = run(service, job(60))
    assert len(service.accepted) == 3
    np.testing.assert_allclose(outcome.values, right(60), atol=1e-9)


def test_a_server_that_tells_no_child_ids_is_read_by_the_names_of_the_circuits():
    service = Scripted(page=25)
    reply = service._reply
    service._reply = lambda status, body, headers=None: reply(
        status, {k: v for k, v in body.items() if k != "child_job_ids"}, headers
    )
    (outcome,), _ = run(service, job(60), smallest=60)
    np.testing.assert_allclose(outcome.values, right(60), atol=1e-9)


def test_a_job_canceled_by_somebody_else_keeps_what_had_finished():
    service = Scripted(duration=1.0)
    service.ends = [{0: "completed", 1: "canceled", 2: "failed:UnsupportedGate"}]
    far = backend(service)

    async def go():
        (part,) = far.plan(job(3))
        ticket = await far.submit(part)
        service.jobs[ticket.remote_id]["status"] = "canceled"
        for child in service.jobs[ticket.remote_id]["child_job_ids"]:
            service.jobs[child]["_at"] -= 10
        (ticket,) = await far.poll([ticket])
        return ticket, await far.result(part, ticket)

    ticket, answer = run_virtual(go())
    assert ticket.state is TicketState.CANCELED
    assert answer.distributions.dense()[0].tolist() == [1, 0]
    assert answer.missing[1].retry
    assert not answer.missing[2].retry
    assert set(answer.missing) == {1, 2}


def test_cost_and_shots_of_a_machine():
    service = Scripted()
    (outcome,), _ = run(service, job(4, shots=1000), backend="qpu.forte-1")
    assert outcome.cost == pytest.approx(2.0)
    assert outcome.shots_paid == 4000
    assert outcome.noise_id == "ionq:qpu.forte-1"
    assert outcome.variances is not None


def test_the_ideal_simulator_is_sampled_here_and_like_the_local_engine():
    service = Scripted()
    (counts, exact), _ = run(service, job(3, output=Output.COUNTS, shots=100, seed=3), job(3))
    assert counts.counts.sum(axis=1).tolist() == [100] * 3
    assert counts.shots_paid == 300
    assert exact.variances is None
    assert exact.shots_paid == 0


SENT = Circuit.build(2, [ry(theta(0), 0), rx(0.1, 1), cnot(0, 1)])
NATIVE = Circuit.build(2, [op("gpi", 0, angles=[0.1]), op("ms", 0, 1, angles=[0, 0, 0.25])])


@pytest.mark.parametrize(
    ("circuit", "gateset", "counts", "said"),
    [
        (NATIVE, "native", {"1q": 1, "2q": 1}, "native: sent 1 MS, service reports 1"),
        (NATIVE, "native", {"1q": 3, "2q": 3}, "native: sent 1 MS, service reports 1"),
        (NATIVE, "native", {"1q": 3, "2q": 2}, "warning: native: sent 3 one-qubit gates and 3 MS in all"),
        (NATIVE, "native", {"1q": 4, "2q": 3}, "warning: native"),
        (NATIVE, "native", None, "reports nothing"),
        (SENT, "qis", {"1q": 2, "2q": 1}, "qis: sent 1 gates on two qubits or more, service reports 1"),
        (SENT, "qis", {"1q": 9, "2q": 1}, "after its own compilation"),
        (SENT, "qis", {"1q": None}, "reports nothing"),
    ],
)
def test_the_service_s_counts_are_held_against_what_was_sent(circuit, gateset, counts, said):
    (sentence,) = proof(circuit, 3, gateset, {"stats": {"gate_counts": counts}})
    assert said in sentence
