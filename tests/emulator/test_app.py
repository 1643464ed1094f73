"""The service through HTTP, in process and in virtual time: what clients read."""

from __future__ import annotations

import asyncio
import math

import httpx
import pytest
from emulator_user import KEY, URL, gates, multi, single

from q_store.emulator import Emulator, run_virtual


def expected(angle):
    return {"2": pytest.approx(math.cos(angle / 2) ** 2), "3": pytest.approx(math.sin(angle / 2) ** 2)}


def test_a_job_from_submission_to_results(story):
    async def tell(user):
        accepted = await user.call(
            "POST", "/jobs", single(0.5, name="n", metadata={"shots": "100", "x": "\u001f"}), 201
        )
        assert set(accepted) == {"id", "status", "session_id"}
        assert accepted["status"] == "submitted"
        path = f"/jobs/{accepted['id']}"
        seen = [(await user.get(path))["status"]]
        await user.get(f"{path}/results/probabilities", expected=404)
        await asyncio.sleep(3)
        job = await user.get(path)
        assert job["status"] == "completed"
        assert job["metadata"] == {"shots": "100", "x": "\u001f"}
        assert (job["name"], job["failure"], job["child_job_ids"], job["dry_run"]) == ("n", None, None, False)
        assert job["stats"] == {"qubits": 2, "circuits": 1, "gate_counts": {"1q": 2, "2q": 0}}
        assert job["execution_duration_ms"] == 2000
        assert job["started_at"] < job["completed_at"]
        assert "shots" not in job
        url = job["results"]["probabilities"]["url"]
        assert url == f"/v0.4{path}/results/probabilities"
        artifact = job["results"]["ionq.result.probabilities.json.v1"]
        assert await user.get(f"{path}/artifacts/{artifact['id']}") == expected(0.5)
        return seen, await user.get(url.removeprefix("/v0.4"))

    (seen, result), ledger = story(tell, circuit_seconds=2)
    assert seen == ["started"]
    assert result == expected(0.5)
    assert (ledger["accepted_jobs"], ledger["accepted_circuits"], ledger["charged_circuits"]) == (1, 1, 1)
    assert ledger["charges_usd"] == 0


def test_children_are_jobs_and_the_parent_gathers_them(story):
    angles = [0.1 * i for i in range(1, 8)]

    async def tell(user):
        parent = await user.submit(multi(angles))
        await asyncio.sleep(0.5)
        job = await user.get(f"/jobs/{parent}")
        children = job["child_job_ids"]
        assert len(set(children)) == 7
        assert sorted(children) != children  # no client may take the order of the names for that of the circuits
        states = [await user.status(child) for child in children]
        assert states == ["started"] * 2 + ["ready"] * 5
        assert job["status"] == "started"
        assert (job["predicted_wait_time_ms"], job["predicted_execution_duration_ms"]) == (0, 4000)
        await asyncio.sleep(1)
        assert [await user.status(child) for child in children] == ["completed"] * 2 + ["started"] * 2 + ["ready"] * 3
        assert await user.status(parent) == "started"
        await user.get(f"/jobs/{parent}/results/probabilities/aggregated", expected=404)
        await asyncio.sleep(10)
        job = await user.get(f"/jobs/{parent}")
        assert (job["status"], job["execution_duration_ms"]) == ("completed", 4000)
        results = await user.get(job["results"]["probabilities"]["url"].removeprefix("/v0.4"))
        assert list(results) == children
        assert list(results.values()) == [expected(angle) for angle in angles]
        artifact = job["results"]["ionq.result.probabilities-aggregate.json.v1"]["id"]
        assert await user.get(f"/jobs/{parent}/artifacts/{artifact}") == results
        child = await user.get(f"/jobs/{children[3]}")
        assert (child["parent_job_id"], child["name"], child["type"]) == (parent, "c3", "ionq.circuit.v1")
        assert await user.get(f"/jobs/{children[3]}/results/probabilities") == expected(angles[3])
        listed = (await user.get("/jobs", parent_job_id=parent))["jobs"]
        assert {each["id"] for each in listed} == set(children)

    _, ledger = story(tell, circuit_seconds=1, slots=2)
    assert (ledger["accepted_jobs"], ledger["accepted_circuits"], ledger["charged_circuits"]) == (1, 7, 7)


@pytest.mark.parametrize(("generation", "url", "artifact"), [("url", 200, 404), ("artifact", 404, 200)])
def test_a_service_of_one_generation(story, generation, url, artifact):
    async def tell(user):
        parent = await user.submit(multi())
        results = (await user.get(f"/jobs/{parent}"))["results"]
        assert ("probabilities" in results) == (generation == "url")
        assert ("ionq.result.probabilities-aggregate.json.v1" in results) == (generation == "artifact")
        await user.get(f"/jobs/{parent}/results/probabilities/aggregated", expected=url)
        await user.get(f"/jobs/{parent}/artifacts/probabilities-aggregate", expected=artifact)
        if generation == "artifact":
            found = results["ionq.result.probabilities-aggregate.json.v1"]["id"]
            assert len(found) == 36
            assert len(await user.get(f"/jobs/{parent}/artifacts/{found}")) == 3

    story(tell, results=generation)


def test_every_format_of_a_sampled_result(story):
    async def tell(user):
        given = {"gateset": "qis", "qubits": 3, "circuit": gates(1.0)}  # states 010 and 011: zeros in front show
        job = await user.submit({**single(shots=1000, noise={"model": "aria-1", "seed": 3}), "input": given})
        shown = await user.get(f"/jobs/{job}")
        assert shown["shots"] == 1000
        assert shown["noise"] == {"model": "aria-1", "seed": 3}
        get = {form: await user.get(f"/jobs/{job}/artifacts/{alias['id']}") for form, alias in shown["results"].items()
               if form.startswith("ionq")}  # fmt: skip
        counts = await user.get(f"/jobs/{job}/results/histogram")
        shots = await user.get(f"/jobs/{job}/results/shots")
        probabilities = await user.get(f"/jobs/{job}/results/probabilities")
        assert sum(counts.values()) == len(shots) == 1000
        assert counts == {state: round(1000 * p) for state, p in probabilities.items()}
        assert {state: shots.count(state) for state in counts} == counts
        assert shots != sorted(shots)
        binary = get["ionq.result.probabilities.json.v2"]["probabilities"]["registers"]["output_all"]
        assert {str(int(bits, 2)): p for bits, p in binary.items()} == probabilities
        assert all(len(bits) == 3 for bits in binary)
        first = get["ionq.result.shots.json.v2"]["shots"][0]["registers"]["output_all"]
        assert sum(bit << q for q, bit in enumerate(first)) == int(shots[0])
        assert sum(get["ionq.result.histogram.json.v2"]["histogram"]["registers"]["output_all"].values()) == 1000

    story(tell)


def test_keys(story):
    async def tell(user):
        for header in (
            {},
            {"Authorization": "Bearer good"},
            {"Authorization": "apiKey "},
            {"Authorization": "apiKey b"},
        ):
            user.http.headers.pop("Authorization", None)
            user.http.headers.update(header)
            body = await user.call("GET", "/whoami", expected=401)
            assert (body["statusCode"], body["error"]) == (401, "Unauthorized")
            await user.call("POST", "/jobs", single(), expected=401)
            await user.get("/backends")
            await user.get("/backends/simulator/characterizations")
        user.http.headers["Authorization"] = "apiKey good"
        assert "good" not in str(await user.get("/whoami"))
        await user.submit(single())

    _, ledger = story(tell, keys=["good"])
    assert ledger["accepted_jobs"] == 1


@pytest.mark.parametrize(
    ("body", "status", "keys"),
    [
        (single(backend="qpu.none"), 400, ["backend"]),
        (single(noise={"model": "aria-7"}), 400, ["noise.model"]),
        (single(shots=0), 400, ["shots"]),
        (single(shots=1_000_001), 400, ["shots"]),
        (multi([]), 400, ["input.circuits"]),
        (multi([0.1] * 5_001), 400, ["input.circuits"]),
        ({}, 400, ["type"]),
        (single(metadata={"x": "y" * 10_000_000}), 413, None),
        (single(session_id="none"), 400, ["session_id"]),
    ],
)
def test_what_is_refused(story, body, status, keys):
    async def tell(user):
        return await user.call("POST", "/jobs", body, expected=status)

    error, ledger = story(tell)
    assert error["statusCode"] == status
    assert error["error"]
    assert "expected" in error["message"]
    assert keys is None or error["validation"] == {"keys": keys, "source": "payload"}
    assert ledger["accepted_jobs"] == 0


def circuit(gate, **more):
    return single(**more) | {"input": {"qubits": 2, **more.pop("input", {}), "circuit": [gate]}}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (circuit({"gate": "u3", "target": 0}), "UnsupportedGate"),
        (single() | {"input": {"qubits": 30, "circuit": gates(1)}}, "NotEnoughQubits"),
        (single(noise={"model": "harmony"}) | {"input": {"qubits": 12, "circuit": gates(1)}}, "NotEnoughQubits"),
        (
            {**single(backend="qpu.aria-1"), "input": {"gateset": "native", "qubits": 2, "circuit": [
                {"gate": "zz", "targets": [0, 1], "angle": 0.1}]}},
            "UnsupportedGate",
        ),
        (
            single(backend="qpu.forte-1", shots=100, settings={"error_mitigation": {"debiasing": True}}),
            "DebiasingError",
        ),
        (circuit({"gate": "x", "target": 0, "controls": list(range(1, 9))}) | {}, None),
    ],
)  # fmt: skip
def test_what_is_accepted_and_fails(story, body, code):
    async def tell(user):
        if code is None:
            body["input"]["qubits"] = 9
        job = await user.get(f"/jobs/{await user.submit(body)}")
        assert job["status"] == "failed"
        assert job["failure"]["message"] == job["failure"]["error"]
        assert job["results"] is None
        cost = await user.get(f"/jobs/{job['id']}/cost")
        assert cost["cost"]["value"] == 0
        return job["failure"]["code"]

    found, ledger = story(tell)
    assert found == (code or "TooManyControls")
    assert ledger["charged_circuits"] == 0


def test_cancellation_stops_the_waiting_and_charges_what_ran(story):
    async def tell(user):
        parent = await user.submit(multi([0.1] * 6, backend="qpu.aria-1", shots=10))
        other = await user.submit(single())
        behind = await user.submit(single(backend="qpu.aria-1"))
        await asyncio.sleep(2.5)
        assert (await user.get(f"/jobs/{behind}"))["predicted_wait_time_ms"] == 3500
        reply = await user.call("PUT", f"/jobs/{parent}/status/cancel")
        assert reply == {"id": parent, "status": "canceled"}
        job = await user.get(f"/jobs/{parent}")
        states = [await user.status(child) for child in job["child_job_ids"]]
        assert states == ["completed"] * 2 + ["canceled"] * 4
        assert job["status"] == "canceled"
        assert len(await user.get(job["results"]["probabilities"]["url"].removeprefix("/v0.4"))) == 2
        assert await user.status(behind) == "started"  # it moved up
        cost = await user.get(f"/jobs/{parent}/cost")
        assert cost["cost"]["value"] == pytest.approx(cost["estimated_cost"]["value"] / 3)
        again = await user.call("PUT", f"/jobs/{other}/status/cancel")
        assert again["status"] == "canceled"
        assert await user.status(other) == "completed"  # harmless
        bulk = await user.call("PUT", "/jobs/status/cancel", {"ids": [behind, other, "unknown"]})
        assert bulk == {"ids": [behind, other], "status": "canceled"}
        assert await user.status(behind) == "canceled"
        await asyncio.sleep(100)
        return cost["cost"]["value"]

    paid, ledger = story(tell, circuit_seconds=1)
    assert ledger["charged_circuits"] == 3
    assert ledger["charges_usd"] == pytest.approx(paid)


def test_a_child_can_be_canceled_alone(story):
    async def tell(user):
        parent = await user.submit(multi([0.1, 0.2, 0.3]))
        child = (await user.get(f"/jobs/{parent}"))["child_job_ids"][1]
        await user.call("PUT", f"/jobs/{child}/status/cancel")
        await asyncio.sleep(5)
        assert await user.status(parent) == "canceled"
        return len(await user.get(f"/jobs/{parent}/results/probabilities/aggregated"))

    assert story(tell, circuit_seconds=1)[0] == 2


def test_deleted_jobs_are_gone_and_stay_charged(story):
    async def tell(user):
        first, second, parent = await user.submit(single()), await user.submit(single()), await user.submit(multi())
        children = (await user.get(f"/jobs/{parent}"))["child_job_ids"]
        assert await user.call("DELETE", f"/jobs/{first}") == {"id": first, "status": "deleted"}
        await user.call("DELETE", f"/jobs/{children[0]}")
        assert await user.call("DELETE", "/jobs", {"ids": [second]}) == {"ids": [second], "status": "deleted"}
        for gone in (first, second, children[0]):
            assert (await user.get(f"/jobs/{gone}", expected=404))["statusCode"] == 404
        listed = {job["id"] for job in (await user.get("/jobs"))["jobs"]}
        assert listed == {parent, *children[1:]}

    assert story(tell)[1]["charged_circuits"] == 5


def test_the_list_is_newest_first_and_its_pages_do_not_move(story):
    async def tell(user):
        jobs = []
        for _ in range(3):
            jobs.append(await user.submit(multi([0.1] * 4)))
            await asyncio.sleep(1)
        children = [(await user.get(f"/jobs/{job}"))["child_job_ids"] for job in jobs]
        everything = [
            name for job, names in reversed(list(zip(jobs, children, strict=True))) for name in [*names[::-1], job]
        ]
        seen, cursor = [], None
        while True:
            page = await user.get("/jobs", limit=4, **({"next": cursor} if cursor else {}))
            seen += [job["id"] for job in page["jobs"]]
            assert "child_job_ids" not in page["jobs"][0]
            cursor = page["next"]
            if cursor is None:
                break
            await user.submit(single())  # new ones do not disturb
        assert seen == everything
        assert len((await user.get("/jobs"))["jobs"]) == 18
        await user.get("/jobs", limit=0, expected=400)
        await user.get("/jobs", next="x", expected=400)
        mixed = [jobs[0], children[1][2], "unknown"]
        for ids in ({"ids": mixed}, {"ids": ",".join(mixed)}):
            assert [job["id"] for job in (await user.get("/jobs", **ids))["jobs"]] == [children[1][2], jobs[0]]

    story(tell)


def test_filters_of_the_list(story):
    async def tell(user):
        session = await user.call("POST", "/sessions", {"backend": "qpu.aria-1"}, 201)
        running = await user.submit(single(backend="qpu.aria-1", session_id=session["id"]))
        done = await user.submit(single(dry_run=True))
        parent = await user.submit(multi())

        async def ids(**filters):
            return [job["id"] for job in (await user.get("/jobs", **filters))["jobs"]]

        children = (await user.get(f"/jobs/{parent}"))["child_job_ids"]
        assert await ids(target="qpu.aria-1") == [running]
        assert await ids(target="qpu.aria-1,simulator") == [*children[::-1], parent, done, running]
        assert await ids(status="completed") == [done]
        assert set(await ids(status="started")) == {running, children[0], parent}
        assert await ids(status="ready", limit=1) == [children[2]]
        assert await ids(session_id=session["id"]) == [running]
        reply = await user.get(f"/sessions/{session['id']}/jobs")
        assert [job["id"] for job in reply["jobs"]] == [running]
        assert await ids(parent_job_id=done) == []
        assert await ids(parent_job_id=parent, status="started") == [children[0]]

    story(tell, circuit_seconds=1)


def test_a_dry_run_costs_nothing_and_has_no_results(story):
    async def tell(user):
        job = await user.get(f"/jobs/{await user.submit(single(backend='qpu.aria-1', dry_run=True))}")
        assert (job["status"], job["results"], job["dry_run"]) == ("completed", None, True)
        cost = await user.get(f"/jobs/{job['id']}/cost")
        assert cost["dry_run"]
        assert cost["estimated_cost"]["value"] >= 1
        assert "cost" not in cost
        await user.get(f"/jobs/{job['id']}/results/probabilities", expected=404)

    ledger = story(tell, circuit_seconds=5)[1]
    assert (ledger["accepted_jobs"], ledger["charged_circuits"]) == (1, 0)


def test_clone_and_move(story):
    async def tell(user):
        job = await user.submit(single(0.7, name="a"))
        copy = await user.call("POST", f"/jobs/{job}/clone", {"name": "b"}, 201)
        moved = await user.call("POST", f"/jobs/{copy['id']}/move", {"backend": "qpu.aria-1", "shots": 10}, 201)
        assert await user.status(copy["id"]) == "canceled"
        await asyncio.sleep(10)
        shown = await user.get(f"/jobs/{moved['id']}")
        assert (shown["name"], shown["backend"], shown["shots"], shown["status"]) == (
            "b",
            "qpu.aria-1",
            10,
            "completed",
        )
        assert await user.get(f"/jobs/{job}/results/probabilities") == expected(0.7)

    story(tell, circuit_seconds=1)


def test_sessions_have_limits(story):
    async def tell(user):
        limits = {"job_count_limit": 2, "duration_limit_min": 1, "cost_limit": {"unit": "usd", "value": 100}}
        session = await user.call("POST", "/sessions", {"backend": "qpu.aria-1", "settings": limits}, 201)
        assert (session["status"], session["active"]) == ("created", True)
        job = single(backend="qpu.aria-1", session_id=session["id"], shots=10)
        await user.submit(job)
        assert (await user.get(f"/sessions/{session['id']}"))["status"] == "started"
        error = await user.call("POST", "/jobs", {**job, "shots": 1_000_000}, 400)
        assert "limit of 100" in error["message"]
        await user.call("POST", "/jobs", {**job, "backend": "simulator"}, 400)
        await user.submit(job)
        assert "2 jobs" in (await user.call("POST", "/jobs", job, 400))["message"]
        await asyncio.sleep(61)
        ended = await user.get(f"/sessions/{session['id']}")
        assert (ended["status"], ended["active"], ended["ended_at"]) == (
            "ended",
            False,
            ended["settings"]["expires_at"],
        )
        other = await user.call("POST", "/sessions", {"backend": "simulator"}, 201)
        closed = await user.call("POST", f"/sessions/{other['id']}/end", expected=200)
        assert closed["status"] == "ended"
        assert "has ended" in (await user.call("POST", "/jobs", single(session_id=other["id"]), 400))["message"]
        assert len((await user.get("/sessions"))["sessions"]) == 2
        assert (await user.get("/sessions", active="true"))["sessions"] == []
        await user.call("POST", "/sessions", {"backend": "none"}, 400)
        await user.call("POST", "/sessions", {"backend": "simulator", "settings": {"job_count_limit": -1}}, 400)

    story(tell)


def test_the_rest_of_the_service(story):
    async def tell(user):
        backends = await user.get("/backends")
        assert {each["backend"] for each in backends} >= {"simulator", "qpu.aria-1", "qpu.forte-1"}
        assert await user.get("/backends/simulator") in backends
        await user.get("/backends/qpu.qpu", expected=404)
        found = (await user.get("/backends/qpu.aria-1/characterizations"))["characterizations"][0]
        assert await user.get(f"/backends/qpu.aria-1/characterizations/{found['id']}") == found
        estimate = await user.get("/jobs/estimate", backend="qpu.aria-1", **{"1q_gates": 10, "2q_gates": 5})
        assert estimate["estimated_total_cost"] > 0
        assert estimate["estimate_context"]["shots"] == 1000
        assert estimate["estimated_execution_time"] == 2000
        await user.get("/jobs/estimate", expected=400)
        await user.get("/jobs/estimate", backend="simulator", shots="0", expected=400)
        assert (await user.get("/schemas/formats/ionq.result.shots.json.v2"))["$id"] == "ionq.result.shots.json.v2"
        await user.get("/schemas/formats/none", expected=404)
        me = await user.get("/whoami")
        assert set(me) == {"key_id", "key_name", "project_id"}
        session = await user.call("POST", "/sessions", {"backend": "simulator"}, 201)
        usage = await user.get(f"/organizations/{session['organization_id']}/usage")
        assert usage["job_count"] == 0
        for path in ("/calibrations", "/calibrations/current", "/nothing", "/jobs/x/progress"):
            body = await user.get(path, expected=404)
            assert (body["statusCode"], body["error"]) == (404, "Not Found")
        assert (await user.call("PATCH", "/jobs", expected=405))["statusCode"] == 405
        await user.call("PUT", "/jobs/status/cancel", {"ids": []}, expected=400)
        await user.call("DELETE", "/jobs", [1], expected=400)

    story(tell, circuit_seconds=2)


def test_the_way_there_and_back(story):
    async def tell(user):
        loop = asyncio.get_running_loop()
        await user.get("/backends")
        return loop.time()

    assert story(tell, rtt=0.4)[0] == pytest.approx(0.4)
    assert story(tell, rtt=0.4, time_scale=4)[0] == pytest.approx(0.1)


def test_queue_time_is_shown(story):
    async def tell(user):
        await user.submit(multi([0.1] * 10))
        return (await user.get("/backends/simulator"))["average_queue_time"]

    assert story(tell, circuit_seconds=2, slots=2)[0] == 10_000
    assert story(tell, circuit_seconds=2, slots=2, slot_per="job")[0] == 0


def test_samples_depend_on_contents_not_on_the_order_of_arrival():
    bodies = [single(a, shots=100, noise={"model": "aria-1", "seed": 5}) for a in (0.3, 0.6, 0.9)]

    async def results(order):
        emulator = Emulator(seed=9)
        async with httpx.AsyncClient(transport=emulator.transport(), base_url=URL, headers=KEY) as http:
            out = {}
            for i in order:
                job = (await http.post("/jobs", json=bodies[i])).json()["id"]
                out[i] = (await http.get(f"/jobs/{job}/results/probabilities")).json()
            return out

    assert run_virtual(results([0, 1, 2])) == run_virtual(results([2, 0, 1]))


def test_old_jobs_are_forgotten_and_the_ledger_is_not():
    emulator = Emulator(keep_jobs=20)

    async def main():
        async with httpx.AsyncClient(transport=emulator.transport(), base_url=URL, headers=KEY) as http:
            names = [(await http.post("/jobs", json=single(0.001 * i))).json()["id"] for i in range(100)]
            return [(await http.get(f"/jobs/{name}")).status_code for name in names]

    found = run_virtual(main())
    assert found[0] == 404
    assert found[-1] == 200
    assert found.count(200) < 60
    ledger = emulator.ledger(jobs=True)
    assert ledger["charged_circuits"] == 100
    assert len(ledger["jobs"]) == 20
