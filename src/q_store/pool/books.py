"""What a pool writes down, and when: in the store before anything depends on it.

Intent, reservation and claims before a slice leaves; the service's id before it is polled; samples, journal and charge
before a result is used. `Unwritten` stands in where nothing is kept: without a store, and for members that compute
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Answer, Missing, Slice, Ticket
from q_store.jobs import Status
from q_store.pool.contents import Contents
from q_store.pool.membership import Member
from q_store.store import (
    EXACT,
    Amounts,
    Domain,
    Held,
    Intent,
    Measured,
    Replay,
    Source,
    State,
    Store,
    StoredTicket,
    pooled,
)
from q_store.store.store import LEASE_SECONDS

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Times = Mapping[str, float]
NONE: Times = MappingProxyType({})
BEAT = LEASE_SECONDS / 3
"""Seconds between two signs of life."""
STORED = "store"
"""The source of samples that were there already."""
_ELSEWHERE = Missing(Status.FAILED, "answered elsewhere")


@dataclass(frozen=True, slots=True, eq=False)
class Sending:
    """A slice of a job that is to be sent to a member.

    Attributes:
        part: the slice. member: who gets it. job: ordinal of the job in the run.
        keys: of its circuits; None: results go to the journal only.
        claim: whether others that want the same circuits should wait.
        shared: whether samples that others have bought meanwhile do as well.
    """

    part: Slice
    member: Member
    job: int
    keys: Sequence[bytes] | None = None
    claim: bool = False
    shared: bool = False


class Books(Protocol):
    """The life of a slice, written down."""

    def intend(self, sending: Sending) -> list[Held]:
        """Before it is sent; who is getting some of its circuits already, or has got them, then nothing was written.

        Raises BudgetError where a cap leaves no room.
        """

    def sent(self, ticket: Ticket) -> None:
        """The service accepted it."""

    def uncertain(self, fingerprint: str, reason: str, times: Times = NONE) -> None:
        """Nobody knows whether the service accepted it, or what became of it; `times` are those of its life."""

    def nothing(self, fingerprint: str, reason: str, times: Times = NONE) -> None:
        """It was surely not accepted, or failed at no cost."""

    def bought_again(self, fingerprint: str, reason: str) -> None:
        """Nobody knows what became of it, or of what is left of it, and others get these circuits."""

    def unclaim(self, fingerprint: str) -> None:
        """Others get these circuits, at no cost: who wants them waits for those."""

    def answered(
        self, sending: Sending, answer: Answer, fresh: Flags, *, canceled: bool, times: Times = NONE
    ) -> Measured:
        """What came, a row for each circuit; of circuits that are not fresh[S] another slice was faster."""


class Carer(Protocol):
    """Looks after open tickets whose own process is gone."""

    def waits(self, ticket: StoredTicket) -> bool:
        """Whether to wait for what a ticket is getting, though its lease has ended."""

    def is_unknown(self, fingerprint: str) -> bool:
        """Whether nobody can tell what became of a ticket that was waited for: its circuits may be paid for."""

    async def rescue(self, held: Sequence[Held]) -> bool:
        """Bring those of these tickets to their end that nobody looks after; whether there were any."""


class Unwritten:
    """Nothing is kept."""

    def intend(self, sending: Sending) -> list[Held]:
        """Nobody else is known."""
        del sending
        return []

    def sent(self, ticket: Ticket) -> None:
        """Not kept."""

    def uncertain(self, fingerprint: str, reason: str, times: Times = NONE) -> None:
        """Not kept."""

    def nothing(self, fingerprint: str, reason: str, times: Times = NONE) -> None:
        """Not kept."""

    def bought_again(self, fingerprint: str, reason: str) -> None:
        """Not kept."""

    def unclaim(self, fingerprint: str) -> None:
        """Not kept."""

    def answered(
        self, sending: Sending, answer: Answer, fresh: Flags, *, canceled: bool, times: Times = NONE
    ) -> Measured:
        """What came."""
        del canceled, times
        shots = sending.part.shots if answer.sampled else EXACT
        answered = ~np.isin(np.arange(sending.part.size), list(answer.missing))
        return Measured.of(answer.distributions, EXACT if shots is None else shots).only(answered & fresh)


class Written:
    """The books of a run in a store.

    Args:
        store: stays open.
        run: its id.

    Raises:
        RunError: where the store has no such run.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.store = store
        self.run = store.runs.get(run).id
        self.carer: Carer | None = None
        """Who takes up what other processes leave while we wait for it; None: it is bought when leases have ended."""
        self._worked = self._room = 0.0
        """Seconds of work that are not written, and that there may be before the caps are read again."""

    # ------------------------------------------------------------------------------------------------------- of jobs

    def begin(self, job: int, digest: bytes, n_qubits: int) -> Replay:
        """What a job has received already. Raises RunError where the run asked something else as this job."""
        return self.store.journal.begin(self.run, job, digest, n_qubits)

    def known(
        self, contents: Contents, domains: Mapping[Domain, float | None], numbers: Ints, n_qubits: int
    ) -> Measured:
        """What the store has of circuits, a row for each number; `domains` with the largest age of samples."""
        found = [
            self.store.samples.lookup([keys[k] for k in numbers.tolist()], n_qubits, max_age=age)
            for domain, age in domains.items()
            for keys in [contents.keys(domain)]
        ]
        rows = np.arange(len(numbers))
        return pooled([(rows, each) for each in found], len(rows), n_qubits)

    def note(self, job: int, numbers: Ints, measured: Measured, source: Source) -> None:
        """Keep in the journal what the store had: later it may have more, and a resumed run must see the same."""
        self.store.journal.add(self.run, job, numbers, measured, source)

    def paid(self, job: int) -> tuple[int, float]:
        """Shots and money that a job was charged, by all processes."""
        total = self.store.tickets.charged(self.run, job)
        return total.shots, total.money

    # ----------------------------------------------------------------------------------------------------- of slices

    def intend(self, sending: Sending) -> list[Held]:
        """See `Books`."""
        member, part = sending.member, sending.part
        intent = Intent(
            part,
            self.run,
            sending.job,
            member.charges,
            member.name,
            member.shared,
            sending.keys,
            member.price.of(part),
            member.price.currency,
            sending.claim,
            member.account,
        )
        with self.store.transaction():  # nobody settles between the look and the claim
            return self._there(sending) or self.store.tickets.intend(intent, self._waits)

    def claimed(self, keys: Sequence[bytes]) -> list[Held]:
        """Which circuits tickets are getting that are to be waited for."""
        return self.store.tickets.claimed(keys, self._waits)

    def _waits(self, ticket: StoredTicket) -> bool:
        return self.carer is not None and self.carer.waits(ticket)

    def _there(self, sending: Sending) -> list[Held]:
        """Circuits that somebody else has bought since the job was looked up: their claims are gone."""
        if not sending.shared or not sending.keys:
            return []
        member, part = sending.member, sending.part
        found = self.store.samples.lookup(sending.keys, part.circuit.n_qubits, max_age=member.max_age)
        usable = found.shots == EXACT if part.shots is None else found.shots != 0
        places = tuple(np.flatnonzero(usable).tolist())
        return [Held(STORED, "", 0.0, places)] if places else []

    def sent(self, ticket: Ticket) -> None:
        """See `Books`."""
        self.store.tickets.sent(ticket.fingerprint, str(ticket.remote_id), ticket.times)

    def uncertain(self, fingerprint: str, reason: str, times: Times = NONE) -> None:
        """See `Books`."""
        self.store.tickets.uncertain(fingerprint, reason, times)

    def nothing(self, fingerprint: str, reason: str, times: Times = NONE) -> None:
        """See `Books`."""
        self.store.tickets.settle(fingerprint, State.FAILED, reason=reason, times=times)

    def bought_again(self, fingerprint: str, reason: str) -> None:
        """See `Books`."""
        self.store.tickets.bought_again(fingerprint, reason)

    def unclaim(self, fingerprint: str) -> None:
        """See `Books`."""
        self.store.tickets.unclaim(fingerprint)

    def answered(
        self, sending: Sending, answer: Answer, fresh: Flags, *, canceled: bool, times: Times = NONE
    ) -> Measured:
        """See `Books`. Circuits of unknown fate keep a ticket and their share of the reservation.

        What was paid for is kept, also where another was faster; free samples, which may be the same, are not.
        """
        part, tickets = sending.part, self.store.tickets
        second = np.flatnonzero(~fresh).tolist()
        extra = second if sending.member.price.typical else []
        stale = {} if extra else dict.fromkeys(second, _ELSEWHERE)
        unknown = [place for place, gap in answer.missing.items() if gap.status is Status.UNCERTAIN and fresh[place]]
        with self.store.transaction():
            if unknown:
                tickets.set_aside(part.fingerprint, unknown, answer.missing[unknown[0]].reason)
            measured = tickets.settle(
                part.fingerprint,
                State.CANCELLED if canceled else State.DONE,
                replace(answer, missing={**answer.missing, **stale}),
                charge=_charge(answer),
                times=times,
                max_age=sending.member.max_age,
                extra=extra,
            )
        return measured.only(fresh) if measured else Measured.none(part.size, part.circuit.n_qubits)

    # ------------------------------------------------------------------------------------------------ of the process

    def beat(self, seconds: float) -> None:
        """A sign of life, and the wall time since the last one; other runs' tickets stay free for their own process."""
        self.store.tickets.heartbeat(self.run)
        self.store.runs.spend_seconds(self.run, seconds)

    def on_time(self) -> None:
        """Raise BudgetError where the wall time of the run is over, as far as it is known here."""
        if self._worked >= self._room:
            self.keep_time()
            left = self.store.budget.left(self.run, "", "seconds")
            self._room = BEAT if left is None else min(left, BEAT)
            self.store.budget.require(self.run, "", Amounts(), "")

    def worked(self, seconds: float) -> None:
        """Wall time of work that leaves nothing else to write; kept in mind for as long as a beat at most."""
        self._worked += seconds

    def keep_time(self) -> None:
        """Write down what is kept in mind."""
        if self._worked:
            seconds, self._worked = self._worked, 0.0
            self.store.runs.spend_seconds(self.run, seconds)


def _charge(answer: Answer) -> Amounts:
    return Amounts(answer.cost, answer.shots_paid, len(answer.distributions) - len(answer.missing))
