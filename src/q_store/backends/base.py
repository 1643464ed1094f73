"""What a remote backend is: slices go out, tickets are watched, answers come back.

A job becomes slices, one remote job each (`Backend.plan`, pure). A slice that was sent has a ticket. Nothing here
decides when to send or what to do after a failure: a bare backend does it for itself (`run_async`), a pool does it for
many.
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from q_store.backends.distributions import Distributions
from q_store.circuits.circuit import Circuit
from q_store.jobs import Capabilities, Job, Status

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One remote job: S circuits of one structure.

    Attributes:
        circuit: the structure, in gates of the target, without `prepare`.
        angles: [S, A], one column for each angle of `circuit`, in the unit of its gate.
        numbers: [S], which circuits of the job's expansion these are; answers go back there.
        shots: measurements of each; None where the backend gives probabilities.
        seed: of the backend's own samples, where it takes one.
        flips: [S], bits that the compiled circuits leave inverted (measured state XOR mask is the answer); None: none.
        fingerprint: identifies this slice for ever; no two slices share one, a slice that is sent again keeps it.
    """

    circuit: Circuit
    angles: Reals
    numbers: Ints
    shots: int | None
    seed: int
    fingerprint: str
    flips: Ints | None = None

    @property
    def size(self) -> int:
        """S."""
        return len(self.numbers)


def fingerprint() -> str:
    """A new one."""
    return secrets.token_hex(12)


class TicketState(enum.Enum):
    """Where a slice that was sent stands."""

    OPEN = "open"
    """Accepted and not finished."""
    FINISHED = "finished"
    """Results can be fetched, of some circuits at least."""
    FAILED = "failed"
    """Nothing ran to its end and nothing is charged."""
    CANCELED = "canceled"
    """Canceled; circuits that had finished before are charged and can be fetched."""
    UNCERTAIN = "uncertain"
    """Perhaps accepted and perhaps charged: must not be sent again."""

    @property
    def is_final(self) -> bool:
        """Whether it can change no more by itself."""
        return self is not TicketState.OPEN


@dataclass(frozen=True, slots=True)
class Ticket:
    """A slice that was sent.

    Attributes:
        fingerprint: of the slice.
        remote_id: the service's name for it; None where UNCERTAIN.
        state: see `TicketState`.
        reason: why it is FAILED, CANCELED or UNCERTAIN, in a sentence.
        retry: whether sending the circuits again (as a new slice) is worthwhile.
        due: seconds from now until the service expects to be ready; None: it does not say.
        times: seconds since 1970 of `written` (as the service takes it), `sent`, `accepted`, `started`, `finished` and
            `seen`, as far as known.
    """

    fingerprint: str
    remote_id: str | None
    state: TicketState = TicketState.OPEN
    reason: str = ""
    retry: bool = False
    due: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """A circuit without an answer: its fate, why, and whether sending it again is worthwhile."""

    status: Status
    reason: str
    retry: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came back for a slice.

    Attributes:
        distributions: a row for each circuit, in the order of the slice; empty where missing.
        sampled: whether they are frequencies of `Slice.shots` measurements; False: probabilities.
        missing: circuits without an answer, by their place in the slice.
        shots_paid, cost: what was charged; cost in the backend's currency.
        proof: what the service says it ran beside what was sent, a sentence each.
    """

    distributions: Distributions
    sampled: bool
    missing: Mapping[int, Missing] = field(default_factory=dict)
    shots_paid: int = 0
    cost: float = 0.0
    proof: tuple[str, ...] = ()


def nothing(part: Slice, gap: Missing) -> Answer:
    """An answer without an answer: every circuit is missing."""
    empty = Distributions.empty(part.size, part.circuit.n_qubits)
    return Answer(empty, sampled=True, missing=dict.fromkeys(range(part.size), gap))


class Found(enum.Enum):
    """The outcome of a search that found nothing."""

    ABSENT = "absent"
    """The service surely never accepted it: it may be sent again."""
    UNKNOWN = "unknown"
    """It cannot be told: sending again could pay twice."""


@runtime_checkable
class Accountable(Protocol):
    """A backend that knows which account of which service it uses."""

    @property
    def account(self) -> str:
        """A name for both that gives no key away; another one for another account or service."""


class Backend(Protocol):
    """A service that runs slices. All methods raise QStoreError with a remedy, and CancelledError."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """The slices of a job, which together hold every circuit of `expansion.expand(job)` once.

        Pure but for fresh fingerprints. A circuit of a job is planned the same in whatever company, seed included: who
        adds shots to some that it has gives the job another seed.

        Args:
            job: what is asked.
            numbers: [S], which circuits of the expansion, each once; None: all.
            shots: [S], of these circuits, in place of the job's; circuits of different shots are in different slices.

        Raises:
            CapabilityError: for what the backend cannot run. InputError: for numbers or shots that do not fit.
        """

    async def submit(self, part: Slice) -> Ticket:
        """Send a slice, at most once in effect: a lost reply is looked up, never answered by sending blindly.

        The ticket is OPEN, or UNCERTAIN. Raises CapabilityError or InputError when the service refuses it.
        """

    async def poll(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """The tickets as they stand now, in the same order."""

    async def result(self, part: Slice, ticket: Ticket) -> Answer:
        """What a final ticket brought."""

    async def find(self, fingerprint: str, since: float | None = None) -> Ticket | Found:
        """Look a slice up that was perhaps accepted; not before `since`, seconds since 1970, where that is known."""

    async def cancel(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """Cancel what is open; the tickets as they stand then."""

    async def aclose(self) -> None:
        """Release connections; nothing is canceled."""
