"""Who is in a pool: backends with a name, and what cannot be read off them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from q_store.backends.base import Accountable, Backend, Slice
from q_store.circuits.circuit import PREPARE, Circuit
from q_store.errors import ConfigError
from q_store.jobs import EXACT_ONLY, Capabilities, SyncExecutor
from q_store.pool.members import MemberSpec
from q_store.store import Amounts, Domain

DAY = 86_400.0
_TYPICAL_SHOTS, _TYPICAL_ONE, _TYPICAL_TWO = 1000, 40, 20


@dataclass(frozen=True, slots=True)
class Price:
    """What a slice costs at most: max(minimum, S (circuit + shots (one n_1 + two n_2))) for n_1 gates on one qubit.

    It is what is reserved; what the service charges is booked.

    Attributes:
        circuit: of each circuit. one, two: of a gate in a shot, on one qubit and on more. minimum: of a slice.
        currency: of all of them.

    Raises:
        ConfigError: for a negative price.
    """

    circuit: float = 0.0
    one: float = 0.0
    two: float = 0.0
    minimum: float = 0.0
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not min(self.circuit, self.one, self.two, self.minimum) >= 0:
            raise ConfigError(f"expected prices of 0 or more, got {self}; 0 is free")

    @property
    def typical(self) -> float:
        """Of a circuit among many, to compare members by."""
        gates = self.one * _TYPICAL_ONE + self.two * _TYPICAL_TWO
        return self.circuit + _TYPICAL_SHOTS * gates + self.minimum / _TYPICAL_SHOTS

    def each(self, circuit: Circuit, shots: int) -> float:
        """Of one such circuit, the minimum apart."""
        two = circuit.two_qubit_gates
        one = sum(op.gate != PREPARE for op in circuit.ops) - two
        return self.circuit + shots * (self.one * one + self.two * two)

    def fewest(self, circuit: Circuit, shots: int) -> int:
        """Circuits that cost as much as the minimum: a smaller slice costs no less."""
        each = self.each(circuit, shots)
        return max(1, math.ceil(self.minimum / each - 1e-9)) if each else 1

    def of(self, part: Slice) -> Amounts:
        """What to reserve for a slice."""
        shots = part.shots or 0
        money = max(self.minimum, part.size * self.each(part.circuit, shots))
        return Amounts(money, shots * part.size, part.size)


FREE = Price()


def for_a_day(_circuits: int) -> float:
    """Seconds without progress after which a slice is given up."""
    return DAY


async def trust() -> None:
    """A probe that asks nobody: the next slice shows whether the member is back."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """A backend in a pool.

    Attributes:
        name: unique in the pool; results bear it, and a ticket is taken up again by the member of its name.
        backend: what runs slices.
        provider: who charges: caps of a budget hold for it. None: the name.
        domain: where samples may be shared; None: the noise domain of the backend alone.
        price: of circuits. priority: members of a higher one are preferred, before the price.
        max_slice: circuits in a remote job. max_in_flight: slices at a time.
        recorded: whether what it does is kept in the store: tickets, journal, samples. False for what is computed here,
            at no cost, and the same again.
        max_age: seconds after which samples of hardware that drifts are too old; None: never.
        at_once: the same backend for jobs that it can run as a whole, in the caller; for outputs that cannot be
            measured, and where nobody else is to share the work. Not of a recorded member. Makes each outcome anew; the
            pool puts the name of the member on it.
        probe: finds out whether the backend can be reached, at no cost; raises QStoreError where it cannot.
        deadline: seconds without progress, by the circuits of a slice, after which it is canceled.

    Raises:
        ConfigError: for an empty name.
    """

    name: str
    backend: Backend
    provider: str | None = None
    domain: Domain | None = None
    price: Price = FREE
    priority: int = 0
    max_slice: int = 5000
    max_in_flight: int = 4
    recorded: bool = True
    max_age: float | None = None
    at_once: SyncExecutor | None = None
    probe: Callable[[], Awaitable[None]] = trust
    deadline: Callable[[int], float] = for_a_day

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("expected a name for every member of a pool, got an empty one")

    @property
    def charges(self) -> str:
        """The provider."""
        return self.name if self.provider is None else self.provider

    @property
    def account(self) -> str:
        """Of the service, without giving its key away; empty where the backend does not say."""
        return self.backend.account if isinstance(self.backend, Accountable) else ""

    @property
    def shared(self) -> Domain:
        """The domain of its samples."""
        return self.domain or Domain(self.backend.capabilities.noise_id)

    @property
    def spec(self) -> MemberSpec:
        """What the decisions need of it."""
        can = self.backend.capabilities
        whole = frozenset() if self.at_once is None or self.recorded else self.at_once.capabilities.outputs
        sliced = can.outputs - EXACT_ONLY
        return MemberSpec(
            name=self.name,
            noise_id=can.noise_id,
            max_slice=self.max_slice,
            max_in_flight=self.max_in_flight,
            price=self.price.typical,
            priority=self.priority,
            max_qubits=can.max_qubits,
            outputs=sliced | whole,
            exact=can.exact,
            whole=whole,
            sliced=sliced,
        )


def together(members: Sequence[Member]) -> Capabilities:
    """What a pool can do: what any of its members can."""
    every = [member.backend.capabilities for member in members]
    specs = [member.spec for member in members]
    return Capabilities(
        "the pool",
        frozenset().union(*(spec.outputs for spec in specs)),
        max(each.max_qubits for each in every),
        exact=any(each.exact for each in every),
        shots_matter=any(each.shots_matter for each in every),
        noise_id=", ".join(dict.fromkeys(each.noise_id for each in every)),
        least_shots=max(each.least_shots for each in every),
    )
