"""What the pool is told. Each event is handed over with the time: `PoolState.handle(event, now)`.

Circuits of a batch are numbered 0 ... count - 1; circuits of a slice are known by their place in it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from q_store.backends.base import Missing


@dataclass(frozen=True, slots=True)
class Asked:
    """Circuits of one structure are wanted.

    Attributes:
        batch: a name that was never used before in this pool.
        count: how many circuits, 1 or more.
        members: who may run them (`PoolState.choose`).
        work: of each circuit, in any unit that is the same for all batches: shots times gates, or 1.
        fewest: circuits below which a slice of a member costs no less, by name; 1 for others.
    """

    batch: int
    count: int
    members: frozenset[str]
    work: float = 1.0
    fewest: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service has the slice; `due` seconds from now it expects to be ready (None: it does not say)."""

    slice: int
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A slice came to its end and its results are safe; all circuits are answered but the `missing` ones.

    Attributes:
        slice: of the `Send`.
        missing: as in `backends.base.Answer`: by the place in the slice.
    """

    slice: int
    missing: Mapping[int, Missing] = field(default_factory=dict)


class Break(enum.Enum):
    """Why a slice brought nothing."""

    THROTTLED = "throttled"
    """Too many requests; surely not accepted."""
    UNREACHABLE = "unreachable"
    """No usable answer in spite of the client's own retries; surely not accepted."""
    REFUSED = "refused"
    """The member will never run circuits of this batch."""
    BARRED = "barred"
    """The member runs nothing any more: its key, its account, its cap. Surely not accepted."""
    FAILED = "failed"
    """The job failed as a whole; nothing is charged and sending the circuits again is worthwhile."""
    UNCERTAIN = "uncertain"
    """Perhaps accepted and perhaps charged: its circuits are never sent again, unless the member is free."""
    CANCELED = "canceled"
    """Canceled, nothing of it ran (else it is `Answered` with the rest missing)."""


@dataclass(frozen=True, slots=True)
class Broke:
    """A slice brought nothing. `pause`: seconds that the service asks to wait, with THROTTLED."""

    slice: int
    kind: Break
    reason: str = ""
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Probed:
    """The answer to a `Probe`; every probe must be answered. Without a reason, the one before holds."""

    member: str
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Doubted:
    """Why the latest call got no answer so far, and an empty text when one has: nothing new goes there meanwhile."""

    member: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reported:
    """What the provider's status says, or that polling cannot reach it (False). May come at any time.

    `throttled`: it is there, and answers only that there are too many requests, or to wait for `pause` seconds.
    """

    member: str
    available: bool
    reason: str = ""
    throttled: bool = False
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; see `actions.Wake`."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nobody wants the batch any more: its slices are canceled."""

    batch: int


Event = Asked | Accepted | Answered | Broke | Probed | Doubted | Reported | Tick | Withdrawn
