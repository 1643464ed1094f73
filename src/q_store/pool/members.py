"""A member of the pool: what it is, what it can run, and how it stands at the moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from q_store.errors import CapabilityError, ConfigError, suggestion
from q_store.jobs import Output
from q_store.pool.breaker import Breaker, Health
from q_store.pool.settings import PoolSettings
from q_store.pool.slices import Flight
from q_store.pool.speed import Speed

_OFTEN = 4
"""Times that a member throttles, without an answer in between, after which it counts as out of work."""
_LONGEST_PAUSE = 6
"""Doublings of the pause of a member that asks for none when it throttles."""


class Needs(NamedTuple):
    """What a job asks of a member; `quick`: a simulation takes some hundredths of a second."""

    n_qubits: int
    output: Output
    exact: bool = False
    quick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSpec:
    """What is known of a member before it runs anything.

    Attributes:
        name: unique in the pool.
        noise_id: noise domain; `ideal` for every noiseless backend.
        max_slice: circuits in one remote job. max_in_flight: slices at a time.
        price: of a circuit, in any unit; 0: free. Only free members run the same circuit twice.
        priority: members of a higher one are preferred, before the price is looked at.
        max_qubits, outputs, exact: what it can run.
        whole: outputs that it gives of whole jobs, in the caller. sliced: those that it gives slice by slice.

    Raises:
        ConfigError: for a limit below 1 or a negative price.
    """

    name: str
    noise_id: str = "ideal"
    max_slice: int = 5000
    max_in_flight: int = 4
    price: float = 0.0
    priority: int = 0
    max_qubits: int = 64
    outputs: frozenset[Output] = frozenset(Output)
    exact: bool = True
    whole: frozenset[Output] = frozenset()
    sliced: frozenset[Output] = frozenset(Output)

    def __post_init__(self) -> None:
        if self.max_slice < 1 or self.max_in_flight < 1 or not self.price >= 0:
            raise ConfigError(
                f"expected max_slice and max_in_flight of 1 or more and a price of 0 or more for {self.name}, got "
                f"{self.max_slice}, {self.max_in_flight} and {self.price}"
            )

    @property
    def rank(self) -> tuple[int, float]:
        """Smaller is preferred."""
        return -self.priority, self.price

    def misfit(self, needs: Needs) -> str:
        """Why it cannot run the job; empty where it can."""
        if needs.output not in self.outputs:
            return f"gives {', '.join(sorted(output.value for output in self.outputs)) or 'nothing'}"
        if needs.n_qubits > self.max_qubits:
            return f"has {self.max_qubits} qubits"
        return "needs shots" if needs.exact and not self.exact else ""


@dataclass(frozen=True, slots=True)
class Load:
    """What the decisions need of a member that can work.

    Attributes:
        spec: of the member.
        ready: seconds until it would begin with more work.
        latency, pace: of a slice, in seconds and seconds per unit of work; guessed where not `known`.
        error: relative, of what they foretell.
        flights: slices that it has. free: places for more.
        largest: circuits of the largest slice that it answered.
        waited: seconds since it got its oldest slice.
    """

    spec: MemberSpec
    ready: float
    latency: float
    pace: float
    error: float
    known: bool
    flights: int
    free: int
    largest: int
    waited: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A member at a glance.

    Attributes:
        name: of the member. health: of its breaker, or DOUBTED. reason: why it is not working.
        speed: units of work a second, latency in seconds; None before its first answer.
        in_flight: slices it has. window: slices it may have. paused: seconds for which it throttles.
        answered, failed: circuits so far.
    """

    name: str
    health: Health
    reason: str
    speed: float | None
    latency: float | None
    in_flight: int
    window: int
    paused: float
    answered: int
    failed: int


class Member:
    """A member at the moment: its slices, speed, breaker and window.

    The window is how many slices it may have: halved when the member throttles, and up by one slice for every window
    of answered ones (TCP's additive increase, multiplicative decrease).
    """

    def __init__(self, spec: MemberSpec, settings: PoolSettings) -> None:
        self.spec = spec
        self.speed = Speed()
        self.breaker = Breaker(settings)
        self.flights: dict[int, Flight] = {}
        self.window = float(spec.max_in_flight)
        self.paused_until = 0.0
        self.doubt = ""
        """Why the latest call has no answer."""
        self.silent: float | None = None
        """Since when it gives no usable answer."""
        self.unreachable = False
        """Whether it gives none at all; throttling is one."""
        self.largest = self.answered = self.failed = 0
        self._last = -math.inf
        self._throttled = 0

    @property
    def works(self) -> bool:
        """Whether it may get slices, a pause apart."""
        return self.breaker.health is Health.CLOSED

    def free(self, now: float) -> int:
        """Slices that it may get now."""
        if now < self.paused_until or self.doubt:
            return 0
        room = max(0, int(self.window) - len(self.flights))
        if self.breaker.health is Health.TRIAL:
            tried = any(flight.sent >= self.breaker.since for flight in self.flights.values())
            return min(room, int(not tried))
        return room if self.works else 0

    def outlived(self, flight: Flight) -> bool:
        """Whether what becomes of a slice says nothing of the member: canceled, or sent before it came back."""
        return flight.canceled or (self.breaker.health is Health.TRIAL and flight.sent < self.breaker.since)

    def ended(self, flight: Flight, now: float, *, answered: int) -> None:
        """A slice ended, with this many circuits answered; of a canceled one no speed is learned."""
        del self.flights[flight.name]
        if answered and not flight.canceled:
            queued = flight.sent < self._last
            self.speed.saw(flight.work, now - max(flight.sent, self._last), queued=queued)
            self.largest = max(self.largest, len(flight.numbers))
            self.answered += answered
            self.window = min(self.window + 1 / self.window, float(self.spec.max_in_flight))
            self._throttled = 0
        if not flight.canceled:
            self._last = now

    def probed(self, now: float, reason: str, *, ok: bool) -> None:
        """The answer to a probe."""
        if ok:
            self.silent, self.unreachable = None, False
        self.breaker.probed(now, reason, ok=ok)

    def throttled(self, now: float, pause: float, reason: str) -> None:
        """Too many requests: a pause; where that goes on, probes find out when it is over."""
        pause = max(pause, 0.5 * 2.0**self._throttled)
        self._throttled = min(self._throttled + (now >= self.paused_until), _LONGEST_PAUSE)
        self.paused_until = max(self.paused_until, now + pause)
        self.window = max(1.0, self.window / 2)
        if self._throttled >= _OFTEN:
            self.breaker.trip(now, f"throttled: {reason}")

    def etas(self, now: float, latency: float, pace: float) -> list[tuple[Flight, float]]:
        """(slice, when it should end). One that is late is taken to need as long again as it is late."""
        etas, at = [], self._last
        for flight in self.flights.values():
            at = max(at, flight.sent + latency) + flight.work * pace
            etas.append((flight, at))
        late = now - etas[0][1] if etas else 0.0
        return [(flight, eta + 2 * late) for flight, eta in etas] if late > 0 else etas

    def load(self, now: float, guess: tuple[float, float]) -> Load:
        """How it stands; `guess`: latency and pace of a member whose speed is not known."""
        latency, pace = self.speed.fit() if self.speed.known else guess
        waited = now - min((flight.sent for flight in self.flights.values()), default=now)
        work = sum(flight.work for flight in self.flights.values())
        if not self.speed.known and work:
            pace = max(pace, 2 * waited / work)
        etas = self.etas(now, latency, pace)
        ready = max(etas[-1][1] - now, 0.0) if etas else latency
        return Load(
            self.spec,
            max(ready, self.paused_until - now),
            latency,
            pace,
            self.speed.error,
            self.speed.known,
            len(self.flights),
            self.free(now),
            self.largest,
            waited,
        )

    def standing(self, now: float) -> Standing:
        """It at a glance."""
        latency, pace = self.speed.fit() if self.speed.known else (None, None)
        doubted = bool(self.doubt) and self.works
        return Standing(
            name=self.spec.name,
            health=Health.DOUBTED if doubted else self.breaker.health,
            reason=self.doubt if doubted else self.breaker.reason,
            speed=1 / pace if pace else None,
            latency=latency,
            in_flight=len(self.flights),
            window=int(self.window),
            paused=max(0.0, self.paused_until - now),
            answered=self.answered,
            failed=self.failed,
        )


def choose(
    specs: Sequence[MemberSpec], jobs: Sequence[Needs], score: dict[str, float], noise_id: str | None, *, mixed: bool
) -> list[frozenset[str]]:
    """Who may run each job: members of one noise domain (all, where `mixed`) that fit.

    Of several domains the one with the most preferred member is taken, then the one of the highest total score (so a
    domain that works goes before one that is down), then the first.

    Raises:
        CapabilityError: when no domain can run all jobs; says what each member can do.
    """
    known = dict.fromkeys(spec.noise_id for spec in specs)
    if noise_id is not None and noise_id not in known:
        msg = f"expected a noise domain of the pool, got {noise_id!r}{suggestion(noise_id, known)}"
        raise CapabilityError(msg)
    domains = [noise_id] if noise_id is not None else [None] if mixed else list(known)
    fitting: list[tuple[int, float, int, list[frozenset[str]]]] = []
    for domain in domains:
        members = [spec for spec in specs if domain in {None, spec.noise_id}]
        allowed = [frozenset(spec.name for spec in members if not spec.misfit(needs)) for needs in jobs]
        if all(allowed):
            used = [spec for spec in members if any(spec.name in names for names in allowed)]
            rank = min((spec.rank[0] for spec in used), default=0)
            fitting.append((rank, -sum(score[spec.name] for spec in used), len(fitting), allowed))
    if not fitting:
        raise CapabilityError(_unfit(specs, jobs))
    return min(fitting, key=lambda entry: entry[:3])[3]


def _unfit(specs: Sequence[MemberSpec], jobs: Sequence[Needs]) -> str:
    """What no domain can do, and why."""
    for needs in jobs:
        if all(spec.misfit(needs) for spec in specs):
            exact = ", exactly" if needs.exact else ""
            reasons = "; ".join(f"{spec.name} {spec.misfit(needs)}" for spec in specs)
            return (
                f"expected a member that gives {needs.output.value} of {needs.n_qubits} qubits{exact}, got {reasons}; "
                "change the job, or add a backend that can run it"
            )
    domains = ", ".join(sorted({f"{spec.name} is {spec.noise_id}" for spec in specs}))
    return (
        f"expected one noise domain that can run every job of the call, got {domains}; run the jobs in separate calls, "
        "or set allow_mixed"
    )
