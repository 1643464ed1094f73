"""At most one accepted job a slice, whatever happens to the call that sends it."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from tests.backends.ionq.scripted import EPOCH, KEY, Scripted, backend, job, right, run

from q_store.backends.base import Found, TicketState
from q_store.emulator.clock import run_virtual
from q_store.errors import AuthenticationError, BackendError, CapabilityError, InputError, UnreachableError
from q_store.jobs import Status

TWO = {"smallest": 20, "parallel": 2}


def posts(service):
    return service.calls.count("POST /jobs")


@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "520", "529", "408", "drop", "garbled", "slow"])
def test_an_accepted_job_whose_reply_is_lost_is_found_and_not_sent_again(fault):
    service = Scripted()
    service.script = {"POST /jobs": [fault if fault in {"garbled", "slow"} else f"{fault}-after"]}
    (outcome,), _ = run(service, job())
    assert outcome.complete
    np.testing.assert_allclose(outcome.values, right(), atol=1e-9)
    assert posts(service) == len(service.accepted) == 1


@pytest.mark.parametrize("fault", ["500", "503", "524", "drop"])
def test_a_job_that_surely_did_not_arrive_is_sent_again_once_that_is_sure(fault):
    service = Scripted()
    service.script = {"POST /jobs": [fault]}
    (outcome,), took = run(service, job(), settle=40.0)
    np.testing.assert_allclose(outcome.values, right(), atol=1e-9)
    assert posts(service) == 2
    assert len(service.accepted) == 1
    assert took > 40


@pytest.mark.parametrize(("fault", "least"), [("429", 0), ("429:7", 7), ("refuse", 0), ("409", 0), ("425", 0)])
def test_what_was_surely_not_accepted_is_sent_again_without_a_search(fault, least):
    service = Scripted()
    service.script = {"POST /jobs": [fault]}
    (outcome,), took = run(service, job())
    assert outcome.complete
    assert posts(service) == 2
    assert least + 0.99 <= took < least + 5
    assert not any(call.startswith("GET /jobs?limit") for call in service.calls)


@pytest.mark.parametrize("late", [5.0, 60.0, 119.0])
def test_a_list_that_is_late_is_waited_for(late):
    service = Scripted(late=late)
    service.script = {"POST /jobs": ["500-after"]}
    (outcome,), took = run(service, job())
    assert outcome.complete
    assert posts(service) == 1
    assert took >= late


@pytest.mark.parametrize(("later", "patience", "status"), [(90.0, 300.0, None), (90.0, 60.0, Status.UNCERTAIN)])
def test_known_jobs_show_how_late_the_list_is(later, patience, status):
    service = Scripted(late=later, duration=200.0)
    service.script = {"POST /jobs": ["ok", "500-after"]}
    (outcome,), _ = run(service, job(40), **TWO, settle=1.0, patience=patience)
    assert posts(service) == 2
    assert set(outcome.status.values()) == ({status} if status else set())


def test_without_a_known_job_the_settling_time_is_all_there_is_to_go_by():
    """The other side of the test above: nothing shows that the list is late."""
    service = Scripted(late=90.0)
    service.script = {"POST /jobs": ["500-after"]}
    run(service, job(), settle=1.0)
    assert posts(service) == 2


@pytest.mark.parametrize(
    ("skew", "date", "page"), [(-7200.0, True, 25), (7200.0, True, 1000), (0.0, False, 25), (-7200.0, False, 1000)]
)
def test_a_flood_of_children_and_another_clock_hide_nothing(skew, date, page):
    service = Scripted(skew=skew, page=page, duration=50.0)
    service.date = date
    service.script = {"POST /jobs": ["ok", "500-after", "ok", "500"]}
    (outcome,), _ = run(service, job(120), smallest=30, parallel=4)
    np.testing.assert_allclose(outcome.values, right(120), atol=1e-9)
    assert posts(service) == 5
    assert len(service.accepted) == 4


def test_the_list_is_read_no_further_than_to_the_first_sending():
    service = Scripted(page=25, duration=1.0)
    far = backend(service)

    async def go():
        await far.run_async([job(240)])
        await asyncio.sleep(3600)
        service.calls.clear()
        service.script = {"POST /jobs": ["500-after"]}
        await far.run_async([job(2)])
        await far.aclose()

    run_virtual(go())
    assert (
        sum(call.startswith("GET /jobs?limit") for call in service.calls) <= 4
    )  # two limits refused, two pages at most


def test_a_reply_without_an_id_counts_as_accepted_and_is_never_sent_again():
    service = Scripted(late=1e9)
    service.script = {"POST /jobs": ["garbled"]}
    (outcome,), took = run(service, job())
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert posts(service) == 1
    assert took >= 300
    assert "unreadable" in outcome.error[0]
    assert np.isnan(outcome.values).all()


def test_a_list_that_cannot_be_read_leaves_the_job_uncertain():
    service = Scripted()
    service.script = {"POST /jobs": ["500"], "GET /jobs?": ["500"] * 10_000}
    (outcome,), _ = run(service, job())
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert posts(service) == 1


def test_a_list_that_goes_in_circles_is_not_complete():
    service = Scripted()
    service.script = {"POST /jobs": ["500"]}
    list_ = service._list
    service._list = lambda params: service._reply(200, {**json.loads(list_(params).content), "next": "1"})
    (outcome,), _ = run(service, job(), patience=100.0)
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert posts(service) == 1


def test_sending_ends_when_it_fails_again_and_again():
    service = Scripted()
    service.script = {"POST /jobs": ["500"] * 100}
    with pytest.raises(UnreachableError, match="scripted 500"):
        run(service, job(), resends=2)
    assert posts(service) == 3


def test_a_job_that_is_too_large_is_sent_in_halves():
    service = Scripted()
    service.script = {"POST /jobs": ["413", "413"]}
    (outcome,), _ = run(service, job(7))
    np.testing.assert_allclose(outcome.values, right(7), atol=1e-9)
    assert sorted(len(one["child_job_ids"] or [1]) for one in service.accepted) == [1, 2, 4]


def test_rows_of_a_slice_that_is_refused_fail_and_the_others_come():
    service = Scripted()
    service.script = {"POST /jobs": ["ok", "400"]}
    (outcome,), _ = run(service, job(40), **TWO)
    assert sorted(outcome.status) == list(range(20, 40))
    assert set(outcome.status.values()) == {Status.FAILED}
    assert "scripted 400" in outcome.error[20]


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("400", InputError, "scripted 400"),
        ("401", AuthenticationError, "IONQ_API_KEY"),
        ("403", AuthenticationError, "IONQ_API_KEY"),
        ("404", BackendError, "key"),
        ("413", CapabilityError, "fewer circuits"),
        ("302", BackendError, "url"),
    ],
)
def test_a_refusal_is_said_with_its_remedy(fault, error, said):
    service = Scripted()
    service.script = {"POST /jobs": [fault] * 9}
    with pytest.raises(error, match=said) as caught:
        run(service, job())
    assert KEY not in str(caught.value)
    assert posts(service) == (5 if fault == "413" else 1)


def test_find_without_a_memory_adopts_the_oldest_and_cancels_the_others():
    service = Scripted(duration=1000.0)
    far, other = backend(service), backend(service)

    async def go():
        (part,) = far.plan(job())
        tickets = [await far.submit(part), await other.submit(part)]
        fresh = backend(service)
        found = await fresh.find(part.fingerprint)
        missing = await fresh.find("never-sent")
        since = await fresh.find(part.fingerprint, EPOCH - 5)
        return tickets, found, missing, since

    tickets, found, missing, since = run_virtual(go())
    assert tickets[0].remote_id != tickets[1].remote_id
    assert found.remote_id == since.remote_id == tickets[0].remote_id
    assert found.state is TicketState.OPEN
    assert service.jobs[tickets[1].remote_id]["status"] == "canceled"
    assert service.jobs[tickets[0].remote_id]["status"] != "canceled"
    assert missing is Found.ABSENT


def test_a_slice_is_sent_with_its_fingerprint_and_explicit_mitigation():
    service = Scripted()
    run(service, job(2))
    (sent,) = [json.loads(r.content) for r in service.requests if r.method == "POST"]
    assert sent["name"] == f"q-store-{sent['metadata']['q_store']}"
    assert len(sent["name"]) <= 40
    assert sent["settings"] == {"error_mitigation": {"debiasing": False}}
    assert sent["noise"] == {"model": "ideal"}
    assert "shots" not in sent
    assert [c["name"] for c in sent["input"]["circuits"]] == ["0", "1"]
