"""What the store knows of a slice that was sent, or is about to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from q_store.backends.base import Slice
from q_store.circuits.circuit import Circuit
from q_store.errors import StoreError
from q_store.store.budget import NANO, Amounts
from q_store.store.keys import KEY_BYTES, Domain
from q_store.store.measured import Ints
from q_store.store.packing import unpack_numbers
from q_store.store.plain import from_text

BOUGHT_AGAIN = "bought_again"
"""Among the times of a ticket: when its circuits were bought elsewhere, as nobody knew what became of them."""
REST = "/rest"
"""Ends the fingerprint of circuits that were set aside."""


class State(Enum):
    """Where a ticket stands."""

    INTENT = "INTENT"
    """About to be sent, or sent and the reply not seen."""
    SENT = "SENT"
    """Accepted by the service."""
    UNCERTAIN = "UNCERTAIN"
    """Perhaps accepted, perhaps charged."""
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_open(self) -> bool:
        """Whether something can still come of it."""
        return self in {State.INTENT, State.SENT, State.UNCERTAIN}


@dataclass(frozen=True, slots=True, eq=False)
class Intent:
    """A slice that is about to be sent.

    Attributes:
        part: the slice.
        run, job: what it is for; the job must be begun in the journal.
        provider: who charges; budgets count by it. backend: the name that results bear.
        domain: noise domain, for the sample cache.
        keys: of its circuits; None: results go into the journal only.
        reserve: the most that may be charged. currency: of the money.
        claim: whether others that want the same circuits should wait for this one.
        account: of the service, see `pool.membership.Member.account`.
    """

    part: Slice
    run: str
    job: int
    provider: str
    backend: str
    domain: Domain
    keys: Sequence[bytes] | None = None
    reserve: Amounts = field(default_factory=Amounts)
    currency: str = "USD"
    claim: bool = True
    account: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Circuits that an open ticket is getting already: that ticket, who has it until when, and their places."""

    fingerprint: str
    owner: str
    until: float
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StoredTicket:
    """A ticket as the store has it.

    Attributes:
        fingerprint: of the slice. run, job, provider, backend, domain, currency, account: as in `Intent`.
        circuit: digest of the structure. n_qubits, shots, seed: of the slice. circuits: S.
        numbers, keys, flips: [S] each, None where there are none or the ticket is closed.
        reserved: while it is open. state, remote_id, reason: how it stands.
        owner, lease: who looks after it, and until when. times: seconds since 1970, by name. created: of the intent.
        number, run_number, origin: in other tables.
    """

    number: int
    fingerprint: str
    run: str
    job: int
    provider: str
    backend: str
    circuit: str
    domain: Domain
    n_qubits: int
    shots: int | None
    seed: int
    circuits: int
    numbers: Ints | None
    keys: tuple[bytes, ...] | None
    flips: Ints | None
    reserved: Amounts
    currency: str
    state: State
    remote_id: str | None
    owner: str
    lease: float
    times: Mapping[str, float]
    reason: str
    created: float
    run_number: int
    origin: int
    account: str = ""

    @property
    def bought_again(self) -> bool:
        """Whether its circuits were bought elsewhere, as nobody knew what became of them."""
        return BOUGHT_AGAIN in self.times

    @property
    def is_rest(self) -> bool:
        """Whether it stands for circuits of another ticket, set aside: the service knows no such slice."""
        return self.fingerprint.endswith(REST)

    def part(self, circuit: Circuit) -> Slice:
        """The slice, to fetch results with: its angles are NaN, so it cannot be sent. Raises StoreError when closed."""
        if self.numbers is None or circuit.digest != self.circuit:
            raise StoreError(f"expected an open ticket and its circuit, got {self.state.value} {self.fingerprint}")
        angles = np.full((self.circuits, circuit.angle_table.constant.size), np.nan)
        return Slice(circuit, angles, self.numbers, self.shots, self.seed, self.fingerprint, self.flips)


def from_row(row: tuple[Any, ...]) -> StoredTicket:
    """The ticket of a row of `sql.GET_TICKET`."""
    (number, fingerprint, run, run_number, job, provider, backend, origin, circuit, domain, n_qubits, shots, seed,
     circuits, numbers, keys, flips, money, currency, reserved_shots, reserved_circuits, state, remote_id, owner, lease,
     times, reason, created, account) = row  # fmt: skip
    return StoredTicket(
        number=number,
        fingerprint=fingerprint,
        run=run,
        run_number=run_number,
        origin=origin,
        job=job,
        provider=provider,
        backend=backend,
        circuit=circuit,
        domain=Domain.from_text(domain),
        n_qubits=n_qubits,
        shots=shots,
        seed=int(seed),
        circuits=circuits,
        numbers=None if numbers is None else unpack_numbers(numbers),
        keys=None if keys is None else tuple(keys[k : k + KEY_BYTES] for k in range(0, len(keys), KEY_BYTES)),
        flips=None if flips is None else unpack_numbers(flips),
        reserved=Amounts(money / NANO, reserved_shots, reserved_circuits),
        currency=currency,
        state=State(state),
        remote_id=remote_id,
        owner=owner,
        lease=lease,
        times=from_text(times),
        reason=reason,
        created=created,
        account=account,
    )
