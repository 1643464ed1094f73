"""Routes of everything but jobs: backends, estimates, sessions, formats, accounts."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.routing import Route

from q_store.emulator import catalogue
from q_store.emulator.app import json_object, reply
from q_store.emulator.catalogue import MACHINES, Machine
from q_store.emulator.clock import Clock
from q_store.emulator.front import BASE
from q_store.emulator.refusal import Refusal
from q_store.emulator.schemas import SCHEMAS, schema
from q_store.emulator.service import Service
from q_store.emulator.sessions import KEY, ORGANISATION, PROJECT
from q_store.emulator.views import iso
from q_store.errors import suggestion

DAY = 86_400


class Offers:
    """What the service has and what it would cost.

    Args:
        service: knows queues, sessions and charges.
        clock: the time.
    """

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def routes(self) -> list[Route]:
        """All of them; before those of jobs, for the sake of /jobs/estimate."""
        one = f"{BASE}/backends/{{backend}}"
        session = f"{BASE}/sessions/{{session}}"
        return [
            Route(f"{BASE}/backends", self.backends),
            Route(one, self.backend),
            Route(f"{one}/characterizations", self.characterizations),
            Route(f"{one}/characterizations/{{uuid}}", self.characterization),
            Route(f"{BASE}/jobs/estimate", self.estimate),
            Route(f"{BASE}/sessions", self.create_session, methods=["POST"]),
            Route(f"{BASE}/sessions", self.sessions, methods=["GET"]),
            Route(session, self.session, methods=["GET"]),
            Route(f"{session}/end", self.end_session, methods=["POST"]),
            Route(f"{BASE}/whoami", self.whoami),
            Route(f"{BASE}/schemas/formats/{{form}}", self.format),
            Route(f"{BASE}/organizations/{{organisation}}/usage", self.usage),
        ]

    # --------------------------------------------------------------------------------------------------------- backends

    async def backends(self, _: Call) -> Response:
        """GET /backends."""
        return reply([self._described(machine) for machine in MACHINES.values()])

    async def backend(self, call: Call) -> Response:
        """GET /backends/{backend}."""
        return reply(self._described(_machine(call)))

    async def characterizations(self, call: Call) -> Response:
        """GET /backends/{backend}/characterizations: one, or none of the simulator."""
        found = catalogue.characterization(_machine(call))
        return reply({"characterizations": [found] if found else [], "pages": 0})

    async def characterization(self, call: Call) -> Response:
        """GET /backends/{backend}/characterizations/{uuid}."""
        found = catalogue.characterization(_machine(call))
        if found is None or found["id"] != call.path_params["uuid"]:
            raise Refusal(404, f"expected the id of a characterization, got {call.path_params['uuid']!r}")
        return reply(found)

    def _described(self, machine: Machine) -> dict[str, Any]:
        now = self._clock.now()
        return catalogue.describe(machine, self._iso(now), round(1000 * self._service.wait(machine.name, now)))

    # --------------------------------------------------------------------------------------------------------- estimate

    async def estimate(self, call: Call) -> Response:
        """GET /jobs/estimate."""
        query, now = call.query_params, self._clock.now()
        name = query.get("backend", "")
        if name not in MACHINES:
            hint = suggestion(name, MACHINES)
            raise Refusal(400, f"expected a backend, got {name!r}{hint}", ["backend"], "query")
        asked = catalogue.Estimate(
            backend=name,
            type=query.get("type", "ionq.circuit.v1"),
            qubits=_integer(query, "qubits", 25, 1, 10_000),
            shots=_integer(query, "shots", 1_000, 1, 1_000_000),
            one=_integer(query, "1q_gates", 0, 0, 10**9),
            two=_integer(query, "2q_gates", 0, 0, 10**9),
            error_mitigation=query.get("error_mitigation", "").lower() == "true",
        )
        seconds = self._service.rules.circuit_seconds
        return reply(catalogue.estimate(asked, self._iso(now), 1000 * seconds, 1000 * self._service.wait(name, now)))

    # --------------------------------------------------------------------------------------------------------- sessions

    async def create_session(self, call: Call) -> Response:
        """POST /sessions."""
        now = self._clock.now()
        session = self._service.sessions.create(await json_object(call), MACHINES, now)
        return reply(session.view(now, self._iso), 201)

    async def sessions(self, call: Call) -> Response:
        """GET /sessions."""
        now = self._clock.now()
        views = [session.view(now, self._iso) for session in self._service.sessions.all()]
        active = call.query_params.get("active")
        if active is not None:
            views = [view for view in views if view["active"] == (active.lower() == "true")]
        return reply({"organization_id": ORGANISATION, "sessions": views})

    async def session(self, call: Call) -> Response:
        """GET /sessions/{id}."""
        session = self._service.sessions.get(call.path_params["session"])
        return reply(session.view(self._clock.now(), self._iso))

    async def end_session(self, call: Call) -> Response:
        """POST /sessions/{id}/end; its jobs go on."""
        session, now = self._service.sessions.get(call.path_params["session"]), self._clock.now()
        session.ended = session.end(now) or now
        return reply(session.view(now, self._iso))

    # --------------------------------------------------------------------------------------------------------- accounts

    async def whoami(self, _: Call) -> Response:
        """GET /whoami: the same for every key, of which nothing is told."""
        return reply({"key_id": KEY, "key_name": "emulator", "project_id": PROJECT})

    async def format(self, call: Call) -> Response:
        """GET /schemas/formats/{format}."""
        form = call.path_params["form"]
        found = schema(form)
        if found is None:
            raise Refusal(404, f"expected a format, got {form!r}{suggestion(form, SCHEMAS)}")
        return reply(found)

    async def usage(self, call: Call) -> Response:
        """GET /organizations/{org}/usage: everything since the start, as one entry."""
        if call.path_params["organisation"] != ORGANISATION:
            raise Refusal(404, f"expected the organization {ORGANISATION}, got {call.path_params['organisation']!r}")
        now, query = self._clock.now(), call.query_params
        self._service.settle(now)
        ledger = self._service.ledger
        amount = [{"amount": ledger.usd, "unit": "usd"}]
        entry = {
            "amount": ledger.usd,
            "amount_unit": "usd",
            "amounts": amount,
            "from": self._iso(0)[:10],
            "group_usages": [],
            "job_count": ledger.jobs,
            "time_us": 1e6 * self._service.rules.circuit_seconds * ledger.charged,
        }
        return reply(
            {
                "group_type": query.get("group_by", "project"),
                "modality": query.get("modality", "daily"),
                "organization": ORGANISATION,
                "amount_total": entry["amount"],
                "amount_totals": amount,
                "job_count": entry["job_count"],
                "time_us_total": entry["time_us"],
                "usage_data": [entry],
                "usage_from": self._iso(0),
                "usage_to": self._iso(now),
                "usage_unit": "usd",
            }
        )

    def _iso(self, seconds: float) -> str:
        return iso(self._service.epoch + seconds)


def _machine(call: Call) -> Machine:
    name = call.path_params["backend"]
    if name not in MACHINES:
        raise Refusal(404, f"expected a backend, got {name!r}{suggestion(name, MACHINES)}")
    return MACHINES[name]


def _integer(query: Any, key: str, default: int, least: int, most: int) -> int:
    text = query.get(key, str(default))
    if not re.fullmatch("[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise Refusal(400, f"expected {key} as an integer from {least} to {most}, got {text!r}", [key], "query")
    return int(text)
