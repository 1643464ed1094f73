"""Jobs as the emulator keeps them: one record for a job and all its children, whose states are functions of time."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.emulator.ledger import Hashes
from q_store.emulator.schedule import Booking

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
States = npt.NDArray[np.int8]
MULTI = "ionq.multi-circuit.v1"
LOW = (1 << 48) - 1
STRIDE = 0x9E3779B97F4B  # odd: a bijection of 48 bits, far from order
UNSTRIDE = pow(STRIDE, -1, 1 << 48)


class State(enum.IntEnum):
    """The documented states; `deleted` is none."""

    SUBMITTED = 0
    READY = 1
    STARTED = 2
    COMPLETED = 3
    FAILED = 4
    CANCELED = 5

    @property
    def word(self) -> str:
        """As the service writes it."""
        return self.name.lower()

    @property
    def is_final(self) -> bool:
        """Whether it stays."""
        return self >= COMPLETED


READY, STARTED, COMPLETED, FAILED, CANCELED = (int(state) for state in list(State)[1:])
"""For arrays: the attributes of an enum are slow."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a circuit failed: one of the documented codes, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, without the circuits.

    Attributes:
        type, backend, name, metadata, shots, session, dry_run, settings: as in the body.
        noise_model, noise_seed: None where the body has none.
        qubits: [S]; names: one for each circuit.
        one_qubit, two_qubit: [S], gates of each circuit.
        body: the bytes that came, for cloning; None where they are many.
    """

    type: str
    backend: str
    name: str | None
    metadata: dict[str, str] | None
    shots: int
    session: str | None
    dry_run: bool
    settings: dict[str, Any]
    noise_model: str | None
    noise_seed: int | None
    qubits: Ints
    names: tuple[str | None, ...]
    one_qubit: Ints
    two_qubit: Ints
    body: bytes | None = None

    @property
    def size(self) -> int:
        """S."""
        return len(self.qubits)

    @property
    def multi(self) -> bool:
        """Whether the circuits are jobs of their own, children of this one."""
        return self.type == MULTI


@dataclass(slots=True, eq=False)
class Record:
    """A job with all its children, numbered 0 to S - 1; a job of one circuit is its own circuit 0.

    Attributes:
        number: place in the order of arrival; lists count the parent as `number` and child i as number + 1 + i.
        serial: which accepted job this is, from 0.
        request: what was asked.
        submitted: seconds on the emulator's clock.
        booking: when each circuit runs.
        prices: [S] in USD.
        contents: [S], see `Ledger.charge`.
        computed: when the physics was done; inf before.
        rows: the results of each circuit as JSON; None until computed.
        failures: by circuit; see `fail`.
        canceled: [S] seconds; inf where not canceled.
        failing, charged, deleted: [S], which circuits.
        stuck: never ends. unknown_until: until when its state is an undocumented word. listed_from: when lists show it.
    """

    number: int
    serial: int
    id: str
    request: Request
    submitted: float
    booking: Booking
    prices: Reals
    contents: Hashes
    computed: float = np.inf
    rows: list[bytes] | None = None
    failures: dict[int, Failure] = field(default_factory=dict)
    canceled: Reals = field(init=False)
    failing: Bools = field(init=False)
    charged: Bools = field(init=False)
    deleted: Bools = field(init=False)
    stuck: bool = False
    unknown_until: float = -np.inf
    listed_from: float = -np.inf
    fault: str | None = None

    def __post_init__(self) -> None:
        size = self.request.size
        self.canceled = np.full(size, np.inf)
        self.failing = np.zeros(size, dtype=bool)
        self.charged = np.zeros(size, dtype=bool)
        self.deleted = np.zeros(size, dtype=bool)

    @property
    def size(self) -> int:
        """S."""
        return self.request.size

    @property
    def ends(self) -> Reals:
        """[S], when each circuit ends unless it is canceled; inf while that is not known."""
        return np.full(self.size, np.inf) if self.stuck else np.maximum(self.booking.ends, self.computed)

    def fail(self, circuits: Iterable[int], failure: Failure) -> None:
        """Let circuits end in failure, those that do not do so already."""
        self.failures = {**dict.fromkeys(circuits, failure), **self.failures}
        self.failing[list(self.failures)] = True

    def states(self, now: float) -> States:
        """[S], of each circuit."""
        out = np.where(self.booking.starts <= now, STARTED, READY).astype(np.int8)
        ended = self.ends <= now
        out[ended] = COMPLETED
        out[ended & self.failing] = FAILED
        out[np.isfinite(self.canceled)] = CANCELED
        return out

    def state(self, now: float) -> State:
        """Of the whole job: its children's once all are final, where failed counts before canceled."""
        states = self.states(now)
        if (states >= COMPLETED).all():
            return State(next((s for s in (FAILED, CANCELED) if (states == s).any()), COMPLETED))
        return State.STARTED if (states >= STARTED).any() else State.READY

    @property
    def memory(self) -> int:
        """Bytes, roughly."""
        body = len(self.request.body or b"")
        return 2_000 + 200 * self.size + body + sum(map(len, self.rows or ())) + len(str(self.request.metadata))


def job_id(seed: int, serial: int) -> str:
    """The name of an accepted job: looks like a UUID, its last 48 bits belong to `child_ids`."""
    text = hashlib.blake2b(f"{seed}/{serial}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-8{text[17:20]}-{text[20:]}"


def child_ids(parent: str, size: int) -> list[str]:
    """The names of a job's children: in no order when sorted, and none has to be stored."""
    head, low = parent[:24], int(parent[24:], 16)
    return [f"{head}{low + (i + 1) * STRIDE & LOW:012x}" for i in range(size)]


def child_id(parent: str, number: int) -> str:
    """The name of one of them."""
    return f"{parent[:24]}{int(parent[24:], 16) + (number + 1) * STRIDE & LOW:012x}"


def child_number(parent: str, name: str) -> int:
    """Which child of `parent` this is; -1: the parent itself."""
    return (int(name[24:], 16) - int(parent[24:], 16)) * UNSTRIDE % (1 << 48) - 1
