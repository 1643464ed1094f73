"""The routes of the service: replies of documented paths, with and without a job behind them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.routing import Route

from q_store.backends.ionq.wire.parse import Received
from q_store.emulator import listing, views
from q_store.emulator.clock import Clock, is_virtual
from q_store.emulator.front import BASE, OWN
from q_store.emulator.intake import Intake, changed, take_in
from q_store.emulator.records import Failure, Record, State
from q_store.emulator.refusal import Refusal
from q_store.emulator.service import Service
from q_store.emulator.workers import Workers

Handler = Callable[[Call], Awaitable[Response]]
Compute = Callable[[Received, str], list[dict[int, float]]]
"""{state: probability} of each circuit on a backend; may raise what has a failure code as `code`."""
INLINE = 65_536
"""Bodies up to this length are read in the event loop, others in a thread."""
log = logging.getLogger(__name__)


def reply(body: Any, status: int = 200) -> Response:
    """JSON; bytes are JSON already."""
    text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return Response(text, status, media_type="application/json")


def computed(compute: Compute, received: Received, backend: str) -> list[bytes] | Failure:
    """The results of a job's circuits as JSON, or why there are none. Runs in a thread where there are threads."""
    try:
        rows = compute(received, backend)
    except Exception as error:  # a defect of ours must not leave a job without an end
        code = getattr(error, "code", None)
        if code is None:
            log.exception("the simulation of a job failed")
        return Failure(code or "SimulationError", str(error) or type(error).__name__)
    return [row_json(row) for row in rows]


def row_json(row: dict[int, float]) -> bytes:
    """{"decimal state": probability}."""
    return json.dumps(row, separators=(",", ":")).encode()


class Jobs:
    """Routes of jobs.

    Args:
        service: what answers.
        clock: the time.
        compute: the physics.
    """

    def __init__(self, service: Service, clock: Clock, compute: Compute) -> None:
        self._service = service
        self._clock = clock
        self._compute = compute
        self._workers = Workers(2)

    def routes(self) -> list[Route]:
        """All of them."""
        one = f"{BASE}/jobs/{{job}}"
        return [
            Route(f"{BASE}/jobs", self.create, methods=["POST"]),
            Route(f"{BASE}/jobs", self.list, methods=["GET"]),
            Route(f"{BASE}/jobs", self.delete_many, methods=["DELETE"]),
            Route(f"{BASE}/jobs/status/cancel", self.cancel_many, methods=["PUT"]),
            Route(one, self.detail, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/status/cancel", self.cancel, methods=["PUT"]),
            Route(f"{one}/clone", self.clone, methods=["POST"]),
            Route(f"{one}/move", self.move, methods=["POST"]),
            Route(f"{one}/cost", self.cost, methods=["GET"]),
            Route(f"{one}/results/probabilities", self.result("ionq.result.probabilities.json.v1"), methods=["GET"]),
            Route(f"{one}/results/probabilities/aggregated", self.aggregate, methods=["GET"]),
            Route(f"{one}/results/histogram", self.result("ionq.result.histogram.json.v1"), methods=["GET"]),
            Route(f"{one}/results/shots", self.result("ionq.result.shots.json.v1"), methods=["GET"]),
            Route(f"{one}/artifacts/{{artifact}}", self.artifact, methods=["GET"]),
            Route(f"{BASE}/sessions/{{session}}/jobs", self.list, methods=["GET"]),
        ]

    def close(self) -> None:
        """Start no more physics; a running one ends by itself."""
        self._workers.close()

    # ------------------------------------------------------------------------------------------------------- accepting

    async def create(self, call: Call) -> Response:
        """POST /jobs."""
        return await self._accept(await call.body())

    async def clone(self, call: Call) -> Response:
        """POST /jobs/{id}/clone."""
        record, child = self._service.find(call.path_params["job"])
        if child is not None:
            raise Refusal(
                400, f"expected a job that was submitted, got {call.path_params['job']}, a child of {record.id}"
            )
        return await self._accept(changed(record.request.body, await json_object(call)))

    async def move(self, call: Call) -> Response:
        """POST /jobs/{id}/move: a clone in the place of the job."""
        name = call.path_params["job"]
        accepted = await self.clone(call)
        self._service.cancel([name], self._clock.now())
        return accepted

    async def _accept(self, body: bytes) -> Response:
        if len(body) <= INLINE or is_virtual():
            intake = take_in(body)
        else:
            intake = await asyncio.to_thread(take_in, body)
        record = self._service.accept(intake.request, intake.contents, self._clock.now(), intake.failure)
        self._start(record, intake)
        answer = {"id": record.id, "status": State.SUBMITTED.word, "session_id": intake.request.session}
        return reply(answer, 201)

    def _start(self, record: Record, intake: Intake) -> None:
        """Have the physics computed: at once in virtual time, else in a thread."""
        if intake.received is None or intake.failure or intake.request.dry_run:
            return
        if is_virtual():
            self._run(record, intake.received)
            return
        self._workers.submit(partial(self._run, record, intake.received))

    def _run(self, record: Record, received: Received) -> None:
        if not np.isfinite(record.canceled).all():
            outcome = computed(self._compute, received, record.request.backend)
            self._service.computed(record, outcome, self._clock.now())

    # --------------------------------------------------------------------------------------------------------- looking

    async def list(self, call: Call) -> Response:
        """GET /jobs and GET /sessions/{id}/jobs."""
        service, query = self._service, call.query_params
        session = call.path_params.get("session") or query.get("session_id")
        if "session" in call.path_params:
            service.sessions.get(call.path_params["session"])
        ids = _many(call, "ids")
        parent = None
        if "parent_job_id" in query:
            parent, child = service.find(query["parent_job_id"])
            if child is not None:
                return reply({"jobs": [], "next": None})
        wanted = listing.Query(
            items=service.known(ids) if ids else None,
            parent=parent,
            statuses=frozenset(_many(call, "status")),
            targets=frozenset(_many(call, "target")),
            session=session,
            limit=listing.page_length(query.get("limit")),
            before=listing.place_of(query["next"]) if query.get("next") else None,
        )
        return reply(service.jobs(wanted, self._clock.now()))

    async def detail(self, call: Call) -> Response:
        """GET /jobs/{id}."""
        return reply(self._service.detail(call.path_params["job"], self._clock.now()))

    async def cost(self, call: Call) -> Response:
        """GET /jobs/{id}/cost."""
        return reply(self._service.cost(call.path_params["job"], self._clock.now()))

    def result(self, form: str) -> Handler:
        """GET /jobs/{id}/results/... in a format. `sharpen` and its like change nothing: no noise here has a bias."""

        async def handler(call: Call) -> Response:
            return reply(self._service.result(call.path_params["job"], form, self._clock.now()))

        return handler

    async def aggregate(self, call: Call) -> Response:
        """GET /jobs/{id}/results/probabilities/aggregated, which the newer generation does not have."""
        if self._service.rules.results == "artifact":
            raise Refusal(404, f"expected a path of the service, got {call.url.path}; read the job's artifacts")
        return reply(self._service.aggregate(call.path_params["job"], self._clock.now()))

    async def artifact(self, call: Call) -> Response:
        """GET /jobs/{id}/artifacts/{id}, which the older generation does not have."""
        name, artifact = call.path_params["job"], call.path_params["artifact"]
        generation = self._service.rules.results
        form = None if generation == "url" else views.artifact_format(name, artifact, generation)
        if form is None:
            raise Refusal(404, f"expected the id of an artifact of {name}, got {artifact!r}; see the job's results")
        return reply(self._service.result(name, form, self._clock.now()))

    # ---------------------------------------------------------------------------------------------- canceling, deleting

    async def cancel(self, call: Call) -> Response:
        """PUT /jobs/{id}/status/cancel."""
        name = call.path_params["job"]
        self._service.cancel([name], self._clock.now())
        return reply({"id": name, "status": "canceled"})

    async def cancel_many(self, call: Call) -> Response:
        """PUT /jobs/status/cancel."""
        names = self._service.cancel(await _ids(call), self._clock.now())
        return reply({"ids": names, "status": "canceled"})

    async def delete(self, call: Call) -> Response:
        """DELETE /jobs/{id}."""
        name = call.path_params["job"]
        self._service.delete([name], self._clock.now())
        return reply({"id": name, "status": "deleted"})

    async def delete_many(self, call: Call) -> Response:
        """DELETE /jobs."""
        names = self._service.delete(await _ids(call), self._clock.now())
        return reply({"ids": names, "status": "deleted"})


def own_routes(service: Service, clock: Clock) -> list[Route]:
    """Of the emulator itself, not of the service."""

    async def ledger(call: Call) -> Response:
        jobs = call.query_params.get("jobs", "").lower() == "true"
        return reply(service.summary(clock.now(), jobs=jobs))

    async def health(_: Call) -> Response:
        return reply({"status": "ok", "seconds": clock.now()})

    return [Route(f"{OWN}/ledger", ledger), Route(f"{OWN}/health", health)]


def application(routes: list[Route]) -> Starlette:
    """The routes, with the documented error bodies for everything else."""

    async def refused(_: Call, error: Exception) -> Response:
        if isinstance(error, Refusal):
            return reply(error.body, error.status)
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for these two
        message = f"{error.detail}: expected a path of the API v0.4 below {BASE}"
        return reply(Refusal(error.status_code, message).body, error.status_code)

    async def defect(_: Call, __: Exception) -> Response:
        return reply(Refusal(500, "the emulator failed, see its log; please report this").body, 500)

    handlers: dict[Any, Any] = {Refusal: refused, HTTPException: refused, Exception: defect}
    return Starlette(routes=routes, exception_handlers=handlers)


async def json_object(call: Call) -> dict[str, Any]:
    """The body of a call, an object; {} where there is none."""
    body = await call.body()
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "expected a JSON object as the body, got something else")
    return value


async def _ids(call: Call) -> list[str]:
    names = (await json_object(call)).get("ids")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise Refusal(400, "expected ids as a list of one or more job ids", ["ids"])
    return names


def _many(call: Call, key: str) -> list[str]:
    """Values of a query parameter, repeated or separated by commas."""
    values = call.query_params.getlist(key) + call.query_params.getlist(f"{key}[]")
    return [part for value in values for part in value.split(",") if part]
