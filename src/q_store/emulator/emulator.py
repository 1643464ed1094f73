"""The emulator as one object: in process, in a thread, or in the foreground."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, Self

from starlette.types import ASGIApp

from q_store.emulator.app import Compute, Jobs, application, own_routes
from q_store.emulator.catalogue import MACHINES, prices
from q_store.emulator.clock import Clock
from q_store.emulator.faults import Faults
from q_store.emulator.front import Front
from q_store.emulator.offers import Offers
from q_store.emulator.physics import Physics
from q_store.emulator.schedule import SlotPer
from q_store.emulator.server import Background, serve
from q_store.emulator.service import Rules, Service
from q_store.emulator.transport import InProcess
from q_store.emulator.views import GENERATIONS, Generation
from q_store.errors import ConfigError, suggestion


class Emulator:
    """A service that speaks IonQ's API v0.4.

    In process: `httpx.AsyncClient(transport=emulator.transport())`, in any event loop, also one with virtual time
    (`clock.run_virtual`). As a server: `with Emulator(...) as emulator: emulator.url`. Own paths, without a key and
    without faults: GET /emulator/ledger (`?jobs=true` lists the jobs), GET /emulator/health.

    Args:
        circuit_seconds: a circuit's time, 0 or more.
        slots: circuits (or jobs) that each backend runs at a time, 1 or more.
        slot_per: 'circuit': the circuits of a job spread over the slots; 'job': a job holds one slot for all its own.
        rtt: seconds of the way there and back of every call.
        faults: `name:rate[:seconds],...`, see `faults`.
        depolarising, angle_error: see `physics`.
        seed: of ids, samples and faults.
        keys: accepted API keys; None: any but an empty one.
        time_scale: emulated seconds in a second; all durations above are emulated ones.
        results: how results are announced: 'both', 'url' (the older generation) or 'artifact' (the newer one).
        host, port: of the context manager; port 0 takes a free one.
        keep_jobs, keep_bytes: beyond these the oldest finished jobs are forgotten; the ledger's sums stay.
        compute: instead of the physics: {state: probability} of each circuit of a `Received` on a backend.

    Raises:
        ConfigError: for an option that is out of range.
    """

    def __init__(
        self,
        *,
        circuit_seconds: float = 0.0,
        slots: int = 1,
        slot_per: SlotPer = "circuit",
        rtt: float = 0.0,
        faults: str = "",
        depolarising: float = 0.0,
        angle_error: float = 0.0,
        seed: int = 0,
        keys: Collection[str] | None = None,
        time_scale: float = 1.0,
        results: Generation = "both",
        host: str = "127.0.0.1",
        port: int = 0,
        keep_jobs: int = 10_000,
        keep_bytes: int = 128_000_000,
        compute: Compute | None = None,
    ) -> None:
        for name, value in {"circuit_seconds": circuit_seconds, "rtt": rtt, "angle_error": angle_error}.items():
            _check(name, "a number of 0 or more", value, holds=0 <= value < math.inf)
        _check("depolarising", "a number from 0 to 1", depolarising, holds=0 <= depolarising <= 1)
        _check("time_scale", "a positive number", time_scale, holds=0 < time_scale < math.inf)
        for name, value in {"slots": slots, "keep_jobs": keep_jobs, "keep_bytes": keep_bytes}.items():
            _check(name, "an integer of 1 or more", value, holds=value >= 1 and value == int(value))
        _one_of("slot_per", slot_per, ("circuit", "job"))
        _one_of("results", results, GENERATIONS)
        if keys is not None and (isinstance(keys, str) or not keys or not all(keys)):
            msg = "expected keys as a collection of one or more texts that are not empty; None accepts any key"
            raise ConfigError(msg)
        rules = Rules(circuit_seconds, slots, slot_per, results, seed, keep_jobs, keep_bytes)
        chosen = Faults.parse(faults, seed)
        self._clock = Clock(time_scale)
        self._service = Service(rules, tuple(MACHINES), prices, chosen, self._clock.epoch)
        physics = compute or Physics(seed, depolarising, angle_error).distributions
        self._jobs = Jobs(self._service, self._clock, physics)
        routes = [
            *own_routes(self._service, self._clock),
            *Offers(self._service, self._clock).routes(),
            *self._jobs.routes(),
        ]
        self.app: ASGIApp = Front(
            application(routes), clock=self._clock, faults=chosen, ledger=self._service.ledger, keys=keys, rtt=rtt
        )
        self._host, self._port = host, port
        self._server: Background | None = None

    def transport(self) -> InProcess:
        """For an `httpx.AsyncClient` in this process, with any base URL that ends in /v0.4."""
        return InProcess(self.app)

    @property
    def url(self) -> str:
        """The API's URL, while the context manager is open."""
        if self._server is None:
            msg = "expected a running emulator, got one without a port; use it as a context manager, or transport()"
            raise ConfigError(msg)
        return self._server.url

    def ledger(self, *, jobs: bool = False) -> dict[str, Any]:
        """The same as GET /emulator/ledger.

        Args:
            jobs: with a line for each job that is not forgotten.
        """
        if self._server:
            return self._server.call(lambda: self._summary(jobs=jobs))  # type: ignore[no-any-return]
        return self._summary(jobs=jobs)

    def serve(self, started: Callable[[str], None]) -> None:
        """Serve in the foreground until SIGINT or SIGTERM.

        Args:
            started: called with the URL once the port is open.

        Raises:
            ConfigError: the port is taken, or not allowed.
            KeyboardInterrupt: interrupted.
        """
        try:
            serve(self.app, self._host, self._port, started)
        finally:
            self._jobs.close()

    def __enter__(self) -> Self:
        self._server = Background(self.app, self._host, self._port)
        return self

    def __exit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if server:
            server.stop()
        self._jobs.close()

    def _summary(self, *, jobs: bool) -> dict[str, Any]:
        return self._service.summary(self._clock.now(), jobs=jobs)


def _check(name: str, expected: str, value: float, *, holds: bool) -> None:
    if not holds:
        msg = f"expected {name} as {expected}, got {value}"
        raise ConfigError(msg)


def _one_of(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        msg = f"expected {name} as one of {', '.join(known)}, got {value!r}{suggestion(str(value), known)}"
        raise ConfigError(msg)
