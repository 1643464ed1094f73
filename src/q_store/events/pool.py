"""What a pool tells: jobs on their way, members, decisions, money. Times `at` are those of `events.moment`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolPaused:
    """No backend of a pool works; it waits for one to return, `patience` seconds at most."""

    reason: str
    patience: float


@dataclass(frozen=True, slots=True)
class PoolResumed:
    """A backend has returned after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PoolBought:
    """Circuits that a member of a pool took, perhaps ran and perhaps charged, are bought again elsewhere."""

    member: str
    circuits: int
    reason: str


@dataclass(frozen=True, slots=True)
class BudgetSet:
    """A cap on what the run may spend, told when it begins; of a `provider`, or of all of them where None."""

    provider: str | None
    money: float | None
    currency: str
    shots: int | None
    circuits: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class CircuitsKnown:
    """Circuits of a job that need not run: an earlier process of the run or the store has them, or they are alike.

    Attributes:
        job: ordinal in the run. circuits: that were asked for. lacking: that are left to run. at: see `moment`.
    """

    job: int
    circuits: int
    lacking: int
    at: float


@dataclass(frozen=True, slots=True)
class CircuitsDone:
    """All circuits of a job (see `CircuitsKnown`) have their answers, or none will come; at, see `moment`."""

    job: int
    at: float


@dataclass(frozen=True, slots=True)
class JobBuilt:
    """A remote job is about to leave.

    Attributes:
        slice: its fingerprint, as the store has it. job: ordinal in the run of the job that its circuits are of.
        member: who gets it. circuits: how many. shots: of each, None for exact values.
        hedge: whether another member has the same circuits. at: see `moment`.
    """

    slice: str
    job: int
    member: str
    circuits: int
    shots: int | None
    hedge: bool
    at: float


@dataclass(frozen=True, slots=True)
class JobMoved:
    """A remote job got further.

    Attributes:
        slice, member: as in `JobBuilt`. stage: `accepted` or `started`. at: when that was heard, see `moment`.
        remote_id: the service's name for it. due: seconds until the service expects to be ready, where it says so.
    """

    slice: str
    member: str
    stage: str
    at: float
    remote_id: str | None = None
    due: float | None = None


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The life of a remote job, when it is over.

    Attributes:
        slice, job, member, circuits, shots: as in `JobBuilt`.
        state: `done`, `failed`, `uncertain`, `canceled`, or `left` for another process. reason: why, unless done.
        times: by our clock (`moment`), as far as it got: `begun` (its circuits were chosen), `built` (it is planned and
            may leave), `written` (as the service takes it), `sent` (the request left), `accepted` (its answer was
            there), `asked` (the look that showed the end left), `seen` (its answer was there), `fetched` (results were
            there), `merged` (they are being written down), `ended`.
        provider: by the service's clock, seconds since 1970, as far as it says: `accepted`, `started`, `finished`.
        answered: circuits with an answer. shots_paid, cost, currency: what was charged.
        remote_id: the service's name for it. proof: what the service says it ran.
        account: who charges; empty where nobody does, as for what is computed here.
    """

    slice: str
    job: int
    member: str
    circuits: int
    shots: int | None
    state: str
    reason: str
    times: Mapping[str, float]
    provider: Mapping[str, float]
    answered: int = 0
    shots_paid: int = 0
    cost: float = 0.0
    currency: str = ""
    remote_id: str | None = None
    proof: tuple[str, ...] = ()
    account: str = ""


@dataclass(frozen=True, slots=True)
class JobsRun:
    """Whole jobs that a backend ran in this process, added up and told a few times a second.

    Attributes:
        member: the backend. jobs, rows: how many. seconds: in the backend.
        began, ended: of the first and the last of them, see `moment`.
    """

    member: str
    jobs: int
    rows: int
    seconds: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """How a member of a pool stands; told when that changed.

    Attributes:
        member: its name. at: see `moment`.
        health: `working`, `failing` (the latest call to it has no answer yet: it gets nothing new), `paused` (the
            breaker is open), `probing`, `on trial` or `barred`. reason: why not working.
        rate: circuits a second, latency: seconds of a job beside that; None before its first answer.
        in_flight, window: jobs that it has, and may have. paused: seconds for which it asks to be left alone.
        answered, failed: circuits so far.
    """

    member: str
    at: float
    health: str
    reason: str
    rate: float | None
    latency: float | None
    in_flight: int
    window: int
    paused: float
    answered: int
    failed: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision of the pool, and why.

    Attributes:
        what: `moved` (circuits that a member failed, or had when it broke, go to another one), `sent again` (to the
            same), `hedged` (a second member gets circuits that are late), `recalled` (a job is canceled),
            `breaker opened`, `on trial`, `breaker closed`, `barred`, `refused` (a member, or a cap, does not let
            circuits pass) or `given up`.
        member: whom it is about; empty: nobody. to: who gets the circuits. circuits: how many. reason: why.
        at: see `moment`.
    """

    what: str
    member: str
    at: float
    reason: str = ""
    to: str | None = None
    circuits: int = 0


PoolEvent = (
    PoolPaused
    | PoolResumed
    | PoolBought
    | BudgetSet
    | CircuitsKnown
    | CircuitsDone
    | JobBuilt
    | JobMoved
    | JobEnded
    | JobsRun
    | MemberChanged
    | Decided
)
