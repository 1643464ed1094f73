"""Sessions: a backend reserved for a while, with limits on jobs, minutes and money."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from q_store.emulator.ledger import digest
from q_store.emulator.refusal import Refusal

ORGANISATION = "00000000-0000-4000-8000-0000000000e0"
PROJECT = "00000000-0000-4000-8000-0000000000e1"
USER = "00000000-0000-4000-8000-0000000000e2"
KEY = "00000000-0000-4000-8000-0000000000e3"
MAX_SESSIONS = 1_000
MOST = 1_000_000
"""Of any limit: jobs, minutes (two years) or money."""


@dataclass(slots=True)
class Session:
    """One session; times in seconds of the emulator's clock."""

    id: str
    backend: str
    created: float
    settings: dict[str, Any]
    started: float | None = None
    ended: float | None = None
    jobs: int = 0
    usd: float = 0.0

    @property
    def expires(self) -> float | None:
        """When it ends by itself."""
        minutes = self.settings.get("duration_limit_min")
        return None if minutes is None else self.created + 60 * minutes

    def end(self, now: float) -> float | None:
        """When it ended, if it has."""
        late = self.expires is not None and self.expires <= now
        return self.ended if self.ended is not None or not late else self.expires

    def view(self, now: float, iso: Callable[[float], str]) -> dict[str, Any]:
        """As the service shows it."""
        ended = self.end(now)
        settings = dict(self.settings)
        if self.expires is not None:
            settings["expires_at"] = iso(self.expires)
        return {
            "id": self.id,
            "created_at": iso(self.created),
            "organization_id": ORGANISATION,
            "backend": self.backend,
            "project_id": PROJECT,
            "creator_id": USER,
            "ended_at": None if ended is None else iso(ended),
            "ender_id": None if ended is None else USER,
            "settings": settings,
            "active": ended is None,
            "status": "ended" if ended is not None else "created" if self.started is None else "started",
            "started_at": None if self.started is None else iso(self.started),
        }


class Sessions:
    """All sessions; the oldest are forgotten beyond a thousand."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._all: dict[str, Session] = {}
        self._count = 0

    def create(self, body: Mapping[str, Any], backends: Collection[str], now: float) -> Session:
        """Open one, from the body of the call."""
        backend = body.get("backend")
        if not isinstance(backend, str) or backend not in backends:
            raise Refusal(400, f"expected a backend of {', '.join(backends)}, got {backend!r}", ["backend"])
        settings = body.get("settings") or {}
        _check_limits(settings)
        high, low = digest("session", self._seed, self._count), digest("n", self._seed, self._count)
        name = f"{high:016x}{low:016x}"
        session = Session(f"{name[:8]}-{name[8:12]}-7{name[13:16]}-8{name[17:20]}-{name[20:]}", backend, now, settings)
        self._count += 1
        self._all[session.id] = session
        if len(self._all) > MAX_SESSIONS:
            del self._all[next(iter(self._all))]
        return session

    def get(self, name: str) -> Session:
        """By its id."""
        if name not in self._all:
            raise Refusal(404, f"expected the id of a session, got {name!r}; POST /sessions opens one")
        return self._all[name]

    def all(self) -> list[Session]:
        """Newest first."""
        return list(reversed(self._all.values()))

    def admit(self, name: str, backend: str, usd: float, now: float) -> None:
        """Let a job of this price in.

        Raises:
            Refusal: for a session that has ended, is for another backend, or would pass its limits.
        """
        if name not in self._all:
            raise Refusal(400, f"expected the id of a session, got {name!r}; POST /sessions opens one", ["session_id"])
        session = self._all[name]
        limits = session.settings
        most_jobs, most_usd = limits.get("job_count_limit"), (limits.get("cost_limit") or {}).get("value")
        reason = None
        if session.end(now) is not None:
            reason = "it has ended; open another one"
        elif backend != session.backend:
            reason = f"it is for {session.backend}, the job for {backend}"
        elif most_jobs is not None and session.jobs >= most_jobs:
            reason = f"its limit of {most_jobs} jobs is reached; open another one"
        elif most_usd is not None and session.usd + usd > most_usd:
            reason = f"its limit of {most_usd} would be passed, {session.usd:g} is used and the job costs {usd:g}"
        if reason:
            raise Refusal(400, f"expected a session that takes the job, got {name}: {reason}", ["session_id"])
        session.jobs += 1
        session.usd += usd
        session.started = now if session.started is None else session.started


def _check_limits(settings: Any) -> None:
    if not isinstance(settings, Mapping):
        raise Refusal(400, f"expected settings as an object, got {type(settings).__name__}", ["settings"])
    cost = settings.get("cost_limit")
    given = {key: settings.get(key) for key in ("job_count_limit", "duration_limit_min")}
    if cost is not None and not isinstance(cost, Mapping):
        raise Refusal(
            400, f"expected cost_limit as an object with unit and value, got {cost!r}", ["settings.cost_limit"]
        )
    given["cost_limit"] = None if cost is None else cost.get("value")
    for key, value in given.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST:
            raise Refusal(400, f"expected a number above 0, up to {MOST}, as {key}, got {value!r}", [f"settings.{key}"])
