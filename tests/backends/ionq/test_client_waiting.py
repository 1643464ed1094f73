"""Watching jobs: few calls, every way of listing ids, and an end for what never ends."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.backends.ionq.scripted import KEY, LONGEST, Scripted, backend, job, right, run

from q_store.backends.base import TicketState
from q_store.backends.ionq.client.watch import interval
from q_store.backends.ionq.settings import IonQSettings
from q_store.emulator.clock import run_virtual
from q_store.jobs import Status

SETTINGS = IonQSettings(key=KEY)
MACHINE = IonQSettings(key=KEY, backend="qpu.forte-1")
SINGLES = {"smallest": 1, "parallel": 60, "in_flight": 60}


@given(st.floats(0, 1e6), st.one_of(st.none(), st.floats(-1e6, 1e6)), st.floats(0, 0.999))
def test_the_interval_keeps_its_limits(age, due, share):
    assert SETTINGS.min_interval <= interval(SETTINGS, age, due, share) <= 5
    assert MACHINE.min_interval <= interval(MACHINE, age, due, share) <= 60


def test_a_machine_that_takes_a_day_is_asked_about_once_a_minute():
    service = Scripted()
    service.status = "started"
    (outcome,), took = run(service, job(1, shots=10), backend="qpu.forte-1", attempts=1)
    assert took > 86_400
    assert len(service.calls) < 2000
    assert "canceled, as it stayed started" in outcome.error[0]


def test_the_interval_grows_with_the_age_and_aims_at_the_predicted_finish():
    by_age = interval(SETTINGS, 60, None, 0.5)
    assert by_age == pytest.approx(SETTINGS.poll_share * 60, rel=0.1)
    assert interval(SETTINGS, 60, 1.5, 0.0) == 1.5
    assert interval(SETTINGS, 60, 16, 0.5) == pytest.approx(4, rel=0.1)
    assert interval(SETTINGS, 60, -50, 0.5) == by_age
    assert interval(SETTINGS, 60, -0.4, 0.5) == pytest.approx(0.4, rel=0.1)


def lists(service):
    return [call for call in service.calls if "ids=" in call]


def test_jobs_are_looked_at_together_25_at_a_time():
    service = Scripted(duration=60.0)
    (outcome,), took = run(service, job(60), **SINGLES)
    np.testing.assert_allclose(outcome.values, right(60), atol=1e-9)
    assert max(call.count("ids=") for call in lists(service)) == 25
    singly = [call for call in service.calls if call.count("/") == 2 and call.startswith("GET /jobs/")]
    assert not singly
    assert len(lists(service)) < 3 * 180
    assert took < 1.05 * 60


@pytest.mark.parametrize("bulk", ["comma", "400", "404", "405", "ignored"])
def test_a_service_that_does_not_understand_lists_of_ids_is_asked_otherwise(bulk):
    service = Scripted(bulk=bulk, duration=5.0)
    (outcome,), _ = run(service, job(40), smallest=1, parallel=40, in_flight=60)
    np.testing.assert_allclose(outcome.values, right(40), atol=1e-9)
    if bulk != "comma":
        assert len(lists(service)) <= 8  # both ways given up after one look


def test_jobs_that_a_list_leaves_out_are_read_singly():
    service = Scripted(late=3.0, duration=10.0)
    (outcome,), took = run(service, job(40), **{**SINGLES, "parallel": 40})
    assert outcome.complete
    assert took < 12
    assert len(service.accepted) == 40


@pytest.mark.parametrize("status", ["started", "thinking", "ready"])
def test_a_job_that_never_ends_is_canceled_and_sent_again(status):
    service = Scripted()
    service.status = status
    far = backend(service, deadline=50.0)

    async def go():
        running = asyncio.create_task(far.run_async([job(3)]))
        await asyncio.sleep(40)
        assert len(service.accepted) == 1
        service.status = None
        service.jobs["job-0"]["_at"] = 1e15
        for child in service.jobs["job-0"]["child_job_ids"]:
            service.jobs[child]["_at"] = 1e15
        return (await running)[0]

    outcome = run_virtual(go(), LONGEST)
    np.testing.assert_allclose(outcome.values, right(), atol=1e-9)
    assert [one["status"] for one in service.accepted] == ["canceled", "completed"]


def test_a_job_that_cannot_be_canceled_is_uncertain():
    service = Scripted()
    service.status = "started"
    service.script = {"PUT": ["500"] * 9999}
    (outcome,), _ = run(service, job(3), deadline=50.0)
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert "could not be canceled" in outcome.error[0]
    assert len(service.accepted) == 1


def test_a_cancellation_is_asked_for_until_it_is_seen():
    service = Scripted(duration=1e4)
    cancel, asked = service._cancel, []

    def slowly(one):
        asked.append(one["id"])
        return cancel(one) if len(asked) > 3 else service._reply(200, {"id": one["id"], "status": "canceled"})

    service._cancel = slowly
    far = backend(service)

    async def go():
        (part,) = far.plan(job(3))
        return await far.cancel([await far.submit(part)])

    (ticket,) = run_virtual(go(), LONGEST)
    assert ticket.state is TicketState.CANCELED
    assert len(asked) == 4


def test_lists_show_how_late_they_are():
    service = Scripted(late=20.0, duration=30.0)
    far = backend(service, smallest=1, parallel=2)

    async def go():
        await far.run_async([job(2)])
        return far._link().reader._acceptances.lateness

    assert 10 < run_virtual(go(), LONGEST) <= 20.5


@pytest.mark.parametrize(("rows", "state"), [(1, TicketState.FAILED), (3, TicketState.FINISHED)])
def test_a_failed_job_of_several_circuits_may_have_finished_ones(rows, state):
    service = Scripted()
    service.ends = ["failed:InternalError"]
    far = backend(service)

    async def go():
        (part,) = far.plan(job(rows))
        ticket = await far.submit(part)
        early = await far.result(part, ticket)
        service.jobs[ticket.remote_id]["_end"] = "failed:InternalError"
        await asyncio.sleep(100)
        (ticket,) = await far.poll([ticket])
        return early, ticket, await far.result(part, ticket)

    early, ticket, answer = run_virtual(go(), LONGEST)
    assert ticket.state is state
    assert ticket.retry
    assert {gap.status for gap in answer.missing.values()} == {Status.FAILED}
    if rows == 1:
        assert {gap.status for gap in early.missing.values()} == {Status.UNCERTAIN}
        assert "still submitted" in early.missing[0].reason


def test_a_job_that_the_service_forgets_is_uncertain():
    service = Scripted(duration=1e6)
    far = backend(service)

    async def go():
        running = asyncio.create_task(far.run_async([job(3)]))
        await asyncio.sleep(40)
        service.jobs.clear()
        return (await running)[0], asyncio.get_running_loop().time()

    outcome, took = run_virtual(go(), LONGEST)
    assert took < 200  # not only at the deadline
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert "no longer knows" in outcome.error[0]


@pytest.mark.parametrize("fault", ["503", "405", "200"])
def test_an_outage_is_waited_through(fault):
    """Of an accepted job; also one in which a gateway answers something else, even with 200."""
    service = Scripted(duration=100.0)
    far = backend(service)

    async def go():
        running = asyncio.create_task(far.run_async([job(3)]))
        await asyncio.sleep(10)
        service.script = {"GET": [fault] * 40}
        return (await running)[0]

    assert run_virtual(go(), LONGEST).complete


def test_tickets_follow_their_jobs():
    service = Scripted(duration=10.0)
    far = backend(service)

    async def go():
        parts = far.plan(job(40)) + far.plan(job(1))
        tickets = [await far.submit(part) for part in parts]
        early = await far.poll(tickets)
        await asyncio.sleep(5)
        halfway = await far.poll(tickets)
        (canceled,) = await far.cancel(tickets[:1])
        await asyncio.sleep(6)
        late = await far.poll([*tickets, canceled])
        answers = [await far.result(part, ticket) for part, ticket in zip(parts, late, strict=False)]
        return early, halfway, canceled, late, answers

    early, halfway, canceled, late, answers = run_virtual(go(), LONGEST)
    assert {t.state for t in early + halfway} == {TicketState.OPEN}
    assert canceled.state is TicketState.CANCELED
    assert late[0].state is TicketState.CANCELED
    assert late[1].state is late[2].state is TicketState.FINISHED
    assert late[3] == canceled
    assert {"sent", "accepted", "finished", "seen"} <= set(late[1].times)
    assert late[1].times["finished"] - late[1].times["accepted"] == pytest.approx(11, abs=2)
    assert len(answers[0].missing) == 20
    assert not answers[1].missing
    assert not answers[2].missing
