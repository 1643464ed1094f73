"""What the service offers beside running jobs: backends, prices, sessions, the list of jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from q_store.backends.ionq.client.api import Accepted, Api, Refused
from q_store.backends.ionq.client.collect import Money, money
from q_store.backends.ionq.client.failures import NotFoundError
from q_store.backends.ionq.client.records import Record, page, record
from q_store.circuits.native import Family
from q_store.errors import BackendError, ConfigError, suggestion

_ENTANGLERS = {"ms": Family.MS, "zz": Family.ZZ}


Body = dict[str, Any]
"""What the service says, as it says it; see its documentation for the fields that are not named here."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a gate costs in a shot, on one qubit and on two, and a job at least."""

    one: float
    two: float
    minimum: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a circuit would take.

    Attributes:
        cost: in `unit`, all circuits; None where the service does not say.
        unit: currency code, or `credit`.
        execution, queue: seconds; None where the service does not say.
        rates: the prices behind it; None where the service does not say, or does not charge by gates.
    """

    cost: float | None
    unit: str
    execution: float | None
    queue: float | None
    rates: Rates | None = None


class Service:
    """Calls beside jobs. All methods raise AuthenticationError, UnreachableError and the like, with a remedy."""

    def __init__(self, connected: Callable[[], Api]) -> None:
        """`connected` gives the calls of the running event loop."""
        self._connected = connected

    @property
    def _api(self) -> Api:
        return self._connected()

    async def backends(self) -> list[Body]:
        """All backends: `backend` (the name), `status`, `qubits`, `average_queue_time`, perhaps `degraded` and more."""
        return await self._api.get("/backends", read=_backends)

    async def backend(self, name: str) -> Body:
        """One backend. Raises ConfigError, with the names there are, for one that the service does not have."""
        try:
            return await self._api.get(f"/backends/{_part(name)}", read=_backend)
        except NotFoundError:
            known = [str(each["backend"]) for each in await self.backends()]
            text = f"expected a backend of {self._api.settings.url}, got {name!r}{suggestion(name, known)}"
            raise ConfigError(text) from None

    async def characterisation(self, name: str) -> Body:
        """The latest characterisation of a backend: qubits, connectivity, fidelities, times in seconds."""
        path = f"/backends/{_part(name)}/characterizations"
        body = await self._api.get(path, [("limit", "1")], read=_object)
        found = body.get("characterizations")
        if not isinstance(found, list) or not found:
            raise BackendError(f"expected a characterisation of {name}, got none; the service has not published any")
        return _object(found[0])

    async def estimate(
        self, backend: str, *, qubits: int, one_qubit: int, two_qubit: int, shots: int, debiasing: bool = False
    ) -> Estimate:
        """Cost and time of one circuit with so many gates."""
        params = [
            ("backend", backend),
            ("type", "ionq.circuit.v1"),
            ("qubits", str(qubits)),
            ("shots", str(shots)),
            ("1q_gates", str(one_qubit)),
            ("2q_gates", str(two_qubit)),
            ("error_mitigation", str(debiasing).lower()),
        ]
        return await self._api.get("/jobs/estimate", params, read=_estimate)

    async def cost(self, job: str) -> Money:
        """What a job cost, or is estimated to."""
        return await self._api.get(f"/jobs/{_part(job)}/cost", read=money)

    async def whoami(self) -> Body:
        """Name and id of the key."""
        return await self._api.get("/whoami", read=_object)

    async def jobs(self, limit: int = 25, status: str | None = None) -> list[Record]:
        """The newest jobs, at most `limit` as far as the service grants it."""
        params = [("limit", str(limit)), *([("status", status)] if status else [])]
        found, _ = await self._api.get("/jobs", params, read=page)
        return found[:limit]

    async def job(self, job: str) -> Record:
        """One job."""
        return await self._api.get(f"/jobs/{_part(job)}", read=record)

    async def create_session(self, backend: str, settings: Mapping[str, Any] | None = None) -> Body:
        """Begin a session; its `id` goes into `IonQSettings.session`.

        Args:
            backend: that it is for.
            settings: limits, as `{"job_count_limit": 10, "duration_limit_min": 60}`.
        """
        got = await self._api.post("/sessions", _json({"backend": backend, "settings": dict(settings or {})}))
        if isinstance(got, Accepted):
            return _session(got.body)
        if isinstance(got, Refused):
            raise got.error
        text = f"expected a session, got no usable answer: {got.reason}; see `sessions`, one may have begun"
        raise BackendError(text)

    async def sessions(self, *, active: bool = True) -> list[Body]:
        """The sessions of the key."""
        return await self._api.get("/sessions", [("active", str(active).lower())], read=_sessions)

    async def session(self, session: str) -> Body:
        """One session."""
        return await self._api.get(f"/sessions/{_part(session)}", read=_session)

    async def end_session(self, session: str) -> Body:
        """End a session; one that has ended stays so."""
        return _session(await self._api.change("POST", f"/sessions/{_part(session)}/end"))


async def native_family(api: Api, backend: str) -> Family | None:
    """Which entangler the backend says that it takes; None where it does not say."""
    gates = (await api.get(f"/backends/{_part(backend)}", read=_backend)).get("supported_native_gates") or ()
    return next((family for name, family in _ENTANGLERS.items() if name in gates), None)


def _part(name: str) -> str:
    return quote(name, safe="")


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _object(body: Any) -> Body:
    if not isinstance(body, dict):
        raise BackendError(f"expected an object, got {type(body).__name__}; try again")
    return body


def _named(body: Any, key: str) -> Body:
    said = _object(body)
    if not isinstance(said.get(key), str):
        raise BackendError(f"expected an object with {key!r}, got {str(said)[:100]}; try again")
    return said


def _backend(body: Any) -> Body:
    return _named(body, "backend")


def _backends(body: Any) -> list[Body]:
    if not isinstance(body, list):
        raise BackendError(f"expected a list of backends, got {type(body).__name__}; try again")
    return [_backend(entry) for entry in body]


def _estimate(body: Any) -> Estimate:
    said = _object(body)
    cost = said.get("estimated_total_cost")
    return Estimate(
        cost=float(cost) if isinstance(cost, int | float) else None,
        unit=str(said.get("estimated_unit") or ""),
        execution=_seconds(said.get("estimated_execution_time")),
        queue=_seconds(said.get("current_predicted_queue_time")),
        rates=_rates(said.get("rate_card")),
    )


def _rates(card: Any) -> Rates | None:
    rates = card.get("rates") if isinstance(card, dict) else None
    first = rates[0] if isinstance(rates, list) and rates and isinstance(rates[0], dict) else {}
    one, two, least = (first.get(name) for name in ("cost_1q_gate", "cost_2q_gate", "job_cost_minimum"))
    if not isinstance(one, int | float) or not isinstance(two, int | float):
        return None
    return Rates(float(one), float(two), float(least) if isinstance(least, int | float) else 0.0)


def _sessions(body: Any) -> list[Body]:
    found = _object(body).get("sessions")
    if not isinstance(found, list):
        raise BackendError("expected a list of sessions, got none; try again")
    return [_session(entry) for entry in found]


def _session(body: Any) -> Body:
    return _named(body, "id")


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else None
