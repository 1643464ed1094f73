"""A service small enough to be read: circuits of one RY on one qubit, faults on demand, in virtual time."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime

import httpx
import numpy as np

from q_store.backends.ionq.client import IonQBackend
from q_store.backends.ionq.settings import IonQSettings
from q_store.circuits import Circuit, Observables, ry, theta
from q_store.emulator.clock import run_virtual
from q_store.jobs import Job

KEY = "a-key-that-nobody-may-see"
URL = "https://service.test/v0.4"
EPOCH = 1_800_000_000.0
LONGEST = 1e5
"""Virtual seconds: what takes longer would go on for ever."""
ONE = Circuit.build(1, [ry(theta(0), 0)])


def job(rows=3, **more):
    """<Z> of RY(0.1 k): cos(0.1 k)."""
    return Job(ONE, params=0.1 * np.arange(rows)[:, None], observables=Observables.local_z(1), **more)


def right(rows=3):
    return np.cos(0.1 * np.arange(rows))[:, None]


class Scripted:
    """The service.

    Attributes:
        script: what happens to the next calls, by how they begin, e.g. {"POST /jobs": ["500-after"]}: a status (with
            `:seconds` for Retry-After), drop, refuse, garbled or slow; with `-after` once the call has had its effect;
            "ok" lets one pass.
        calls: "METHOD /path?query" of every call, in order.
        duration: seconds of a job. late: seconds after which lists show a job. page: largest page of a list.
        bulk: how it understands ids: repeated, comma, ignored, or a status that it answers.
        results: generations that it announces.
        ends: how the next jobs end, "completed" or "failed:Code"; a list for the children of one, by place.
        status: that jobs have for ever, until they are canceled.
    """

    def __init__(self, *, duration=1.0, late=0.0, page=25, bulk="repeated", results="both", skew=0.0):
        self.script = {}
        self.calls = []
        self.requests = []
        self.jobs = {}
        self.ends = []
        self.duration, self.late, self.page = duration, late, page
        self.bulk, self.results, self.skew = bulk, results, skew
        self.status = None
        self.date = True
        self.charged = []

    def transport(self):
        return httpx.MockTransport(self._handle)

    @property
    def accepted(self):
        """Jobs that are no children."""
        return [j for j in self.jobs.values() if j["parent_job_id"] is None]

    async def _handle(self, request):
        call = f"{request.method} {request.url.raw_path.decode().removeprefix('/v0.4')}"
        self.calls.append(call)
        self.requests.append(request)
        fault, after = self._fault(call), False
        if fault.endswith("-after"):
            fault, after = fault.removesuffix("-after"), True
        if fault and not after and fault not in {"ok", "garbled", "slow"}:
            return self._broken(fault)
        if request.headers.get("authorization") != f"apiKey {KEY}":
            return self._reply(401, {"statusCode": 401, "error": "Unauthorized", "message": "Invalid key"})
        reply = self._answer(request)
        if fault == "slow":
            await asyncio.sleep(1000)
        if fault == "garbled":
            return httpx.Response(reply.status_code, content=reply.content[:-3])
        return self._broken(fault) if after else reply

    def _fault(self, call):
        for prefix, steps in self.script.items():
            if call.startswith(prefix) and steps:
                return steps.pop(0)
        return ""

    def _broken(self, fault):
        if fault == "drop":
            raise httpx.ReadError("connection reset")
        if fault == "refuse":
            raise httpx.ConnectError("connection refused")
        status, _, wait = fault.partition(":")
        headers = {"Retry-After": wait} if wait else {}
        return self._reply(int(status), {"statusCode": int(status), "message": f"scripted {status}"}, headers)

    def _reply(self, status, body, headers=None):
        stamp = {"Date": _http_date(self.now)} if self.date else {}
        return httpx.Response(status, json=body, headers={**stamp, **(headers or {})})

    @property
    def now(self):
        return EPOCH + self.skew + asyncio.get_running_loop().time()

    def _answer(self, request):
        path = request.url.path.removeprefix("/v0.4")
        if request.method == "POST" and path == "/jobs":
            return self._create(json.loads(request.content))
        if path == "/jobs":
            return self._list(request.url.params)
        _, kind, job, *rest = path.split("/")
        found = self.jobs.get(job) if kind == "jobs" else None
        if found is None:
            return self._reply(404, {"statusCode": 404, "message": "not found"})
        return self._one(found, "/".join(rest))

    def _one(self, found, rest):
        if rest == "status/cancel":
            return self._cancel(found)
        self._advance(found)
        if not rest:
            return self._reply(200, found)
        if rest == "cost":
            value = 0.5 * len(found["child_job_ids"] or [1])
            return self._reply(200, {"dry_run": False, "cost": {"value": value, "unit": "usd"}})
        return self._results(found, rest)

    def _create(self, body):
        circuits = body["input"].get("circuits") or [{"circuit": body["input"]["circuit"]}]
        many = len(circuits) > 1
        end = self.ends.pop(0) if self.ends else "completed"
        parent = self._job(body, None, body.get("name"), None if many else circuits[0])
        parent["_end"] = end if isinstance(end, str) else "completed"
        if many:
            children = [self._job(body, parent["id"], c.get("name"), c) for c in circuits]
            for k, child in enumerate(children):
                child["_end"] = end if isinstance(end, str) else end.get(k, "completed")
            parent["child_job_ids"] = [c["id"] for c in children]
        return self._reply(201, {"id": parent["id"], "status": "submitted", "session_id": None})

    def _job(self, body, parent, name, circuit):
        one = {
            "id": f"job-{len(self.jobs)}",
            "status": "submitted",
            "type": body["type"] if parent is None else "ionq.circuit.v1",
            "parent_job_id": parent,
            "child_job_ids": None,
            "name": name,
            "metadata": body["metadata"],
            "submitted_at": _iso(self.now),
            "started_at": None,
            "completed_at": None,
            "failure": None,
            "results": None,
            "stats": {"gate_counts": {"1q": 1, "2q": 0}},
            "_at": self.now,
            "_end": "completed",
            "_angle": None if circuit is None else circuit["circuit"][0]["rotation"],
        }
        self.jobs[one["id"]] = one
        return one

    def _advance(self, one):
        if one["status"] in {"completed", "failed", "canceled"}:
            return
        if self.status is not None:
            one["status"] = self.status
            return
        age = self.now - one["_at"]
        one["status"] = "submitted" if age < 0.1 * self.duration else "started"
        if age < self.duration:
            return
        end, _, code = one["_end"].partition(":")
        one["status"], one["completed_at"] = end, _iso(self.now)
        if end == "failed":
            one["failure"] = {"code": code or "InternalError", "message": "scripted"}
        if end == "completed":
            if one["_angle"] is not None:
                self.charged.append(one["_angle"])
            many = bool(one["child_job_ids"])
            kind, last = ("-aggregate", "/aggregated") if many else ("", "")
            url = {"probabilities": {"url": f"/v0.4/jobs/{one['id']}/results/probabilities{last}"}}
            artifact = {f"ionq.result.probabilities{kind}.json.v1": {"id": "art", "format": "x"}}
            one["results"] = {"both": {**url, **artifact}, "url": url, "artifact": artifact, "none": {}}[self.results]

    def _results(self, one, path):
        wanted = {"both": "results/", "url": "results/", "artifact": "artifacts/", "none": "results/"}[self.results]
        if one["status"] != "completed" or not path.startswith(wanted):
            return self._reply(404, {"statusCode": 404, "message": "no results"})
        if one["child_job_ids"] is None:
            return self._reply(200, _probabilities(one["_angle"]))
        children = [self.jobs[c] for c in one["child_job_ids"]]
        for child in children:
            self._advance(child)
        done = {c["id"]: _probabilities(c["_angle"]) for c in children if c["status"] == "completed"}
        return self._reply(200, dict(sorted(done.items(), reverse=True)))

    def _cancel(self, one):
        self._advance(one)
        for each in [one, *(self.jobs[c] for c in one["child_job_ids"] or [])]:
            self._advance(each)
            if each["status"] not in {"completed", "failed"}:
                each["status"] = "canceled"
        return self._reply(200, {"id": one["id"], "status": "canceled"})

    def _list(self, params):
        shown = [j for j in self.jobs.values() if self.now - j["_at"] >= self.late]
        for one in shown:
            self._advance(one)
        shown.sort(key=lambda j: j["_at"], reverse=True)
        if "ids" in params:
            if self.bulk.isdecimal():
                return self._reply(int(self.bulk), {"message": "ids not understood"})
            ids = params.get_list("ids") if self.bulk == "repeated" else params["ids"].split(",")
            if self.bulk != "ignored":
                shown = [j for j in shown if j["id"] in ids]
        if "parent_job_id" in params:
            shown = [j for j in shown if j["parent_job_id"] == params["parent_job_id"]]
        limit = int(params.get("limit", 25))
        if limit > self.page:
            return self._reply(400, {"statusCode": 400, "message": "limit too large"})
        first = int(params.get("next", 0))
        rest = len(shown) > first + limit
        page = [{k: v for k, v in j.items() if k != "child_job_ids"} for j in shown[first : first + limit]]
        return self._reply(200, {"jobs": page, "next": str(first + limit) if rest else None})


def backend(service, **options):
    settings = IonQSettings(**{"key": KEY, "url": URL, "jitter_seed": 1, **options})
    return IonQBackend(settings, service.transport())


def run(service, *jobs, **options):
    """The outcomes of the jobs, and the virtual seconds they took."""
    far = backend(service, **options)

    async def go():
        outcomes = await far.run_async(jobs)
        took = asyncio.get_running_loop().time()
        await far.aclose()
        return outcomes, took

    return run_virtual(go(), LONGEST)


def _probabilities(angle):
    p = math.sin(angle / 2) ** 2
    return {"1": p, "0": 1 - p} if p else {"0": 1}


def _iso(at):
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _http_date(at):
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
