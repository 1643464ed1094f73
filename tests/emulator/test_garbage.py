"""Whatever is sent, the reply is a documented one: never a failure of the emulator itself."""

from __future__ import annotations

import json

import httpx
import pytest
from emulator_user import KEY, URL, multi, single
from hypothesis import given, settings
from hypothesis import strategies as st

from q_store.emulator import Emulator, run_virtual

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3))
BODIES = {"POST /jobs": [*single(), "noise", "metadata", "settings", "session_id", "shots", "name", "dry_run"]}
BODIES |= {"POST /sessions": ["backend", "settings"], "PUT /jobs/status/cancel": ["ids"], "DELETE /jobs": ["ids"]}
QUERIES = {
    "/jobs": ["limit", "next", "ids", "status", "target", "parent_job_id", "session_id"],
    "/sessions": ["active"],
    "/jobs/estimate": ["backend", "qubits", "shots", "1q_gates", "2q_gates"],
    "/backends/simulator/characterizations": ["start", "limit"],
}
HOSTILE = st.text(max_size=6) | st.sampled_from(["²", "-1", "1e3", "0", "9" * 30, "c" * 40, "simulator", "NaN", "\0"])


def replies(*calls):
    async def main():
        transport = Emulator().transport()
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=KEY) as http:
            job = (await http.post("/jobs", json=multi())).json()["id"]
            return [await http.request(*[a.replace("JOB", job) for a in args], **more) for args, more in calls]

    return run_virtual(main())


def check(reply):
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        assert set(reply.json()) - {"validation"} == {"statusCode", "error", "message"}


@given(st.data())
@settings(max_examples=150)
def test_bodies(data):
    call = data.draw(st.sampled_from(sorted(BODIES)))
    body = data.draw(st.dictionaries(st.sampled_from(BODIES[call]), VALUES, max_size=4) | VALUES)
    if isinstance(body, dict) and call.endswith("POST /jobs") and data.draw(st.booleans()):
        body = {**single(), **body}
    check(replies((call.split(), {"content": json.dumps(body)}))[0])


@given(st.data())
@settings(max_examples=100)
def test_queries(data):
    path = data.draw(st.sampled_from(sorted(QUERIES)))
    params = data.draw(st.dictionaries(st.sampled_from(QUERIES[path]), HOSTILE, max_size=3))
    check(replies((("GET", path), {"params": params}))[0])


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b'{"ids": [1]}'])
@pytest.mark.parametrize("call", [*BODIES, "POST /jobs/JOB/clone", "POST /jobs/JOB/move"])
def test_bodies_that_are_no_json(call, body):
    check(replies((call.split(), {"content": body}))[0])


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#%\\"), max_size=40))
@settings(max_examples=50)
def test_names(name):
    paths = [f"/jobs/{name}", f"/jobs/JOB/artifacts/{name}", f"/sessions/{name}", f"/backends/{name}"]
    for reply in replies(*((("GET", path), {}) for path in paths)):
        check(reply)
