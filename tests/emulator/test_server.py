"""The emulator behind a port."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time

import httpx
import pytest
from emulator_user import KEY, multi, single

from q_store.emulator import Emulator
from q_store.emulator.server import listen
from q_store.errors import ConfigError

pytestmark = pytest.mark.socket


def done(http, job):
    """Poll a job to its end; real seconds are few."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = http.get(f"/jobs/{job}").json()
        if found["status"] not in {"submitted", "ready", "started"}:
            return found
    pytest.fail("the job has no end")


def test_a_job_over_a_socket():
    with Emulator(circuit_seconds=3, slots=2, time_scale=100) as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
        assert emulator.url.endswith("/v0.4")
        with httpx.Client(base_url=emulator.url, headers=KEY) as http:
            job = done(http, http.post("/jobs", json=multi([0.1 * i for i in range(8)])).json()["id"])
            assert job["status"] == "completed"
            assert job["execution_duration_ms"] >= 12_000  # more where the simulation itself takes longer
            assert len(http.get(job["results"]["probabilities"]["url"].removeprefix("/v0.4")).json()) == 8
            assert http.get("/nothing").status_code == 404
        assert len(emulator.ledger(jobs=True)["jobs"]) == 1
    assert emulator.ledger()["charged_circuits"] == 8


def test_connections_break_without_a_reply():
    with Emulator(faults="drop-after:1") as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        for _ in range(5):
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                http.post("/jobs", json=single())
        assert emulator.ledger()["accepted_jobs"] == 5


def test_large_bodies_and_bodies_that_are_too_large():
    gates = [{"gate": "rz", "target": 0, "rotation": 0.123456789}] * 10_000
    body = single() | {"input": {"qubits": 1, "circuit": gates}}
    with Emulator() as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        job = done(http, http.post("/jobs", json=body).json()["id"])
        assert job["stats"]["gate_counts"] == {"1q": 10_000, "2q": 0}
        reply = http.post("/jobs", content=b" " * 12_000_000)
        assert reply.status_code == 413
        assert reply.json()["statusCode"] == 413


def test_a_port_that_is_taken_is_one_clear_line():
    with Emulator() as first:
        port = int(first.url.split(":")[2].split("/")[0])
        with pytest.raises(ConfigError, match=f"expected a free port, got {port}"):
            Emulator(port=port).__enter__()
    with pytest.raises(ConfigError, match="from 0 to 65535"):
        Emulator(port=70_000).__enter__()
    with pytest.raises(ConfigError, match="address of this machine"):
        listen("192.0.2.1", 0)


def test_the_port_is_free_again_and_no_thread_of_the_server_is_left():
    before = set(threading.enumerate())  # other tests may keep a server of their own
    with Emulator() as emulator:
        port = int(emulator.url.split(":")[2].split("/")[0])
        httpx.get(f"http://127.0.0.1:{port}/emulator/health").raise_for_status()
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert not [one for one in set(threading.enumerate()) - before if one.name == "emulator-server"]


def test_a_simulation_that_fails_is_a_failed_job_and_a_defect_is_logged(caplog):
    class TooLargeError(Exception):
        code = "SimulationTimeout"

    def compute(received, _backend):
        raise TooLargeError("too large") if received.name == "a" else KeyError("defect")

    with Emulator(compute=compute) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        jobs = [done(http, http.post("/jobs", json=multi(name=name)).json()["id"]) for name in "ab"]
    assert [job["failure"]["code"] for job in jobs] == ["SimulationTimeout", "SimulationError"]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [KeyError]


def test_no_log_holds_a_key(caplog):
    with caplog.at_level(logging.DEBUG), Emulator(keys=["top-secret"], faults="500:0.5") as emulator:
        headers = {"Authorization": "apiKey top-secret"}
        for _ in range(10):
            httpx.post(f"{emulator.url}/jobs", headers=headers, content=json.dumps(single()))
    assert "top-secret" not in caplog.text
    assert "top-secret" not in repr(vars(emulator))


def test_status_waits_for_the_physics():
    released = threading.Event()

    def compute(received, _backend):
        assert released.wait(30)
        return [{0: 1.0}] * received.size

    with Emulator(compute=compute) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        name = http.post("/jobs", json=single()).json()["id"]
        assert http.get(f"/jobs/{name}").json()["status"] == "started"
        assert http.get(f"/jobs/{name}/results/probabilities").status_code == 404
        released.set()
        assert done(http, name)["status"] == "completed"
        assert http.get(f"/jobs/{name}/results/probabilities").json() == {"0": 1.0}


def test_what_is_canceled_is_not_computed():
    started, released, computed = threading.Semaphore(0), threading.Event(), []

    def compute(received, _backend):
        computed.append(received.name)
        started.release()
        assert released.wait(30)
        return [{0: 1.0}] * received.size

    with Emulator(compute=compute) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        names = [http.post("/jobs", json=single(name=name)).json()["id"] for name in "abcd"]
        assert all(started.acquire(timeout=30) for _ in "ab")  # two threads
        http.put(f"/jobs/{names[2]}/status/cancel").raise_for_status()
        released.set()
        assert done(http, names[3])["status"] == "completed"
        assert done(http, names[2])["status"] == "canceled"
    assert sorted(computed) == ["a", "b", "d"]


def test_a_server_stops_in_spite_of_calls_on_their_way(caplog):
    failures = []

    def call(url):
        try:
            httpx.get(f"{url}/backends", timeout=60)
        except httpx.TransportError as error:
            failures.append(error)

    with Emulator(rtt=600) as emulator:
        thread = threading.Thread(target=call, args=(emulator.url,))
        thread.start()
        while not emulator.ledger()["events"].get("calls"):
            pass
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    thread.join(10)
    assert len(failures) == 1
    assert not caplog.records
