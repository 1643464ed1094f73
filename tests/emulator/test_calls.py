"""Faults of calls and jobs as a client meets them, in process and in virtual time."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from emulator_user import multi, single

from q_store.emulator import Emulator
from q_store.errors import ConfigError


@pytest.mark.parametrize("when", ["", "-before", "-after"])
@pytest.mark.parametrize("status", [500, 503, 522])
def test_errors_before_and_after_accepting(story, status, when):
    async def tell(user):
        reply = await user.http.post("/jobs", json=single())
        assert reply.status_code == status
        if status < 520:
            assert reply.json()["statusCode"] == status
            assert {"error", "message"} <= set(reply.json())
        else:
            assert reply.text == "error code: 522"

    _, ledger = story(tell, faults=f"{status}{when}:1")
    assert ledger["accepted_jobs"] == (when == "-after")
    assert ledger["events"] == {"calls": 1, f"{status}{when}": 1}


@pytest.mark.parametrize(("fault", "header"), [("429", None), ("429-retry-after", "1"), ("429-retry-after:1:7", "7")])
def test_too_many_requests(story, fault, header):
    async def tell(user):
        reply = await user.http.post("/jobs", json=single())
        assert reply.status_code == 429
        assert reply.json()["error"] == "Too Many Requests"
        return reply.headers.get("retry-after")

    found, ledger = story(tell, faults=fault if fault.count(":") else f"{fault}:1")
    assert found == header
    assert ledger["accepted_jobs"] == 0


def test_a_wait_is_in_seconds_of_the_client(story):
    async def tell(user):
        return (await user.http.get("/whoami")).headers["retry-after"]

    assert story(tell, faults="429-retry-after:1:30", time_scale=10)[0] == "3"


@pytest.mark.parametrize(("fault", "accepted"), [("drop-before", 0), ("drop-after", 6)])
def test_a_client_cannot_tell_when_the_connection_broke(story, fault, accepted):
    async def tell(user):
        seen = []
        for i in range(6):
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)) as caught:
                await user.http.post("/jobs", json=single(0.1 * i))
            seen.append(str(caught.value))
        return seen

    seen, ledger = story(tell, faults=f"{fault}:1")
    assert ledger["accepted_jobs"] == accepted
    assert len(set(seen)) == 2
    assert seen == story(tell, faults="drop-before:1")[0]


@pytest.mark.parametrize("fault", ["truncated", "invalid-json"])
def test_replies_that_are_no_json_come_after_accepting(story, fault):
    async def tell(user):
        for call in (user.http.post("/jobs", json=single()), user.http.get("/jobs"), user.http.get("/backends")):
            reply = await call
            assert reply.is_success
            with pytest.raises(json.JSONDecodeError):
                reply.json()

    assert story(tell, faults=f"{fault}:1")[1]["accepted_jobs"] == 1


def test_slow_replies_meet_the_timeout_of_the_client_and_the_job_is_there(story):
    async def tell(user):
        loop = asyncio.get_running_loop()
        with pytest.raises(httpx.ReadTimeout):
            await user.http.post("/jobs", json=single())
        gave_up = loop.time()
        await user.http.get("/whoami", timeout=60)
        return gave_up, loop.time() - gave_up

    seen, ledger = story(tell, faults="slow:1:30", http={"timeout": 10})
    assert seen == pytest.approx((10, 30))
    assert ledger["accepted_jobs"] == 1


def test_a_call_goes_on_when_its_client_has_given_up(story):
    async def tell(user):
        with pytest.raises(httpx.ReadTimeout):
            await user.http.post("/jobs", json=single())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(user.submit(single()), 5)
        await asyncio.sleep(30)

    assert story(tell, rtt=30, http={"timeout": 10})[1]["accepted_jobs"] == 2


def test_failed_jobs(story):
    async def tell(user):
        parent, lone = await user.submit(multi(backend="qpu.aria-1")), await user.submit(single())
        await asyncio.sleep(10)
        for name in (parent, lone):
            job = await user.get(f"/jobs/{name}")
            assert job["status"] == "failed"
            assert job["failure"]["code"] == "QuantumComputerError"
            assert job["results"] is None
            assert (await user.get(f"/jobs/{name}/cost"))["cost"]["value"] == 0
            await user.get(f"/jobs/{name}/results/probabilities", expected=404)

    ledger = story(tell, circuit_seconds=1, faults="failed-job:1")[1]
    assert (ledger["charged_circuits"], ledger["charges_usd"]) == (0, 0)


def test_failed_children_leave_the_others(story):
    async def tell(user):
        parent = await user.submit(multi([0.1 * i for i in range(30)], backend="qpu.aria-1", shots=10))
        job = await user.get(f"/jobs/{parent}")
        children = {child: await user.get(f"/jobs/{child}") for child in job["child_job_ids"]}
        good = [child for child in children if children[child]["status"] == "completed"]
        bad = [child for child in children if children[child]["status"] == "failed"]
        assert 3 < len(bad) == 30 - len(good) < 27
        assert {children[child]["failure"]["code"] for child in bad} == {"InternalError"}
        assert job["status"] == "failed"
        assert job["failure"]["message"].startswith(f"{len(bad)} of 30 circuits failed")
        results = await user.get(job["results"]["probabilities"]["url"].removeprefix("/v0.4"))
        assert list(results) == good
        cost = await user.get(f"/jobs/{parent}/cost")
        assert cost["cost"]["value"] == pytest.approx(cost["estimated_cost"]["value"] * len(good) / 30)
        await user.get(f"/jobs/{bad[0]}/results/probabilities", expected=404)
        await user.get(f"/jobs/{good[0]}/results/probabilities")
        return len(good), cost["cost"]["value"]

    (good, paid), ledger = story(tell, faults="failed-child:0.3", seed=4)
    assert ledger["charged_circuits"] == good
    assert ledger["charges_usd"] == pytest.approx(paid)
    assert ledger["events"]["failed-child"] == 30 - good


def test_stuck_jobs_stay_until_they_are_canceled_and_hold_no_slot(story):
    async def tell(user):
        stuck = await user.submit(single())
        await asyncio.sleep(10**6)
        assert await user.status(stuck) == "started"
        assert (await user.get("/backends/simulator"))["average_queue_time"] == 0
        await user.call("PUT", f"/jobs/{stuck}/status/cancel")
        assert await user.status(stuck) == "canceled"

    assert story(tell, circuit_seconds=1, faults="stuck:1")[1]["charged_circuits"] == 0


def test_unknown_states_pass(story):
    async def tell(user):
        job = await user.submit(single())
        assert await user.status(job) == (await user.get("/jobs"))["jobs"][0]["status"] == "calibrating"
        await asyncio.sleep(9)
        assert await user.status(job) == "calibrating"
        await asyncio.sleep(2)
        assert await user.status(job) == "completed"

    assert story(tell, faults="unknown-state:1:10")[1]["charged_circuits"] == 1


def test_late_jobs_are_there_by_name_and_missing_in_every_list(story):
    async def tell(user):
        parent = await user.submit(multi())
        child = (await user.get(f"/jobs/{parent}"))["child_job_ids"][0]
        filters = ({}, {"ids": [parent, child]}, {"parent_job_id": parent}, {"status": "completed"})
        for query in filters:
            assert (await user.get("/jobs", **query))["jobs"] == []
        await asyncio.sleep(29.9)
        assert (await user.get("/jobs"))["jobs"] == []
        await asyncio.sleep(0.2)
        for query in filters:
            assert (await user.get("/jobs", **query))["jobs"]

    story(tell, faults="late:1:30")


def test_aggregates_in_an_order_of_their_own(story):
    async def tell(user):
        angles = [0.1 * i for i in range(20)]
        parent = await user.submit(multi(angles))
        children = (await user.get(f"/jobs/{parent}"))["child_job_ids"]
        path = f"/jobs/{parent}/results/probabilities/aggregated"
        results = await user.get(path)
        assert set(results) == set(children)
        assert list(results) != children
        assert results == await user.get(path)  # as dicts: every child has its own

    story(tell, faults="unordered:1")


def test_the_emulators_own_paths_have_no_faults_and_need_no_key(story):
    async def tell(user):
        user.http.headers.pop("Authorization")
        for _ in range(20):
            for path in ("health", "ledger", "ledger?jobs=true"):
                assert (await user.http.get(f"http://emulator/emulator/{path}")).status_code == 200

    assert story(tell, faults="all:1", rtt=5)[1]["events"] == {}


def test_the_same_calls_meet_the_same_faults(story):
    async def tell(user):
        seen = []
        for i in range(60):
            try:
                reply = await user.http.post("/jobs", json=multi([0.1 * i, 0.2]))
                seen.append((reply.status_code, reply.text))
            except httpx.TransportError as error:
                seen.append((type(error), str(error)))
        listed = await user.http.get("http://emulator/emulator/ledger?jobs=true")
        return seen, [{**job, "submitted_at": None} for job in listed.json()["jobs"]]

    one, two, other = (story(tell, faults="all:0.5", seed=seed) for seed in (1, 1, 2))
    assert one[0] == two[0] != other[0]
    assert one[1]["events"] == two[1]["events"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "expected slots as an integer of 1 or more, got 0"),
        ({"slot_per": "jobs"}, "did you mean 'job'"),
        ({"results": "urls"}, "did you mean 'url'"),
        ({"rtt": -1}, "expected rtt"),
        ({"circuit_seconds": float("nan")}, "expected circuit_seconds"),
        ({"depolarising": 1.1}, "from 0 to 1"),
        ({"angle_error": -1}, "expected angle_error"),
        ({"time_scale": 0}, "expected time_scale"),
        ({"keys": []}, "expected keys"),
        ({"keys": "abc"}, "expected keys"),
        ({"faults": "slw:0.1"}, "did you mean 'slow'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        Emulator(**options)


def test_there_is_no_url_without_a_port():
    with pytest.raises(ConfigError, match="use it as a context manager"):
        _ = Emulator().url
