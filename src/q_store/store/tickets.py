"""Tickets: what was sent to a service that charges, from the intent to the result, so that nothing is paid twice.

    INTENT -> SENT -> DONE | FAILED | CANCELLED          UNCERTAIN: perhaps accepted, not to be sent again; keeps its
       |       |                                         reservation until it is SENT again (found) or closed
       +-> UNCERTAIN    (an INTENT may be closed as FAILED or CANCELLED: surely never accepted)

Each step is one transaction: the intent (with its reservation and claims) before the slice leaves, the remote id before
it is polled, the result (samples, journal, charge, state) before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from q_store.backends.base import Answer, Slice
from q_store.errors import InputError, StoreError
from q_store.store import sql
from q_store.store.budget import NANO, Amounts, Budget
from q_store.store.circuits import Circuits
from q_store.store.database import Database, Rows
from q_store.store.journal import Journal, Source
from q_store.store.measured import EXACT, Measured
from q_store.store.packing import pack_numbers
from q_store.store.plain import to_text
from q_store.store.runs import Runs
from q_store.store.samples import Samples
from q_store.store.ticket import BOUGHT_AGAIN, REST, Held, Intent, State, StoredTicket, from_row

Waits = Callable[[StoredTicket], bool]
_STEPS = {
    State.INTENT: {State.SENT, State.UNCERTAIN, State.FAILED, State.CANCELLED},
    State.SENT: {State.SENT, State.UNCERTAIN, State.DONE, State.FAILED, State.CANCELLED},
    State.UNCERTAIN: {State.UNCERTAIN, State.SENT, State.DONE, State.FAILED, State.CANCELLED},
}


class Tickets:
    """The tables `tickets`, `claims` and `charges`.

    Args:
        clock: seconds since 1970.
        owner: this process (or one of several stores in it).
        lease: seconds that a ticket stays with its owner without `heartbeat`.
    """

    def __init__(
        self,
        *,
        database: Database,
        runs: Runs,
        circuits: Circuits,
        samples: Samples,
        journal: Journal,
        budget: Budget,
        clock: Callable[[], float],
        owner: str,
        lease: float,
    ) -> None:
        self._database, self._runs, self._circuits = database, runs, circuits
        self._samples, self._journal, self._budget = samples, journal, budget
        self._clock, self.owner, self._lease = clock, owner, lease

    def intend(self, intent: Intent, waits: Waits | None = None) -> list[Held]:
        """Commit to sending a slice: intent, claims and reservation at once. Empty when granted: send it now.

        Otherwise nothing was written, because open tickets are getting some of the circuits; see who, and `claimed`.

        Raises:
            BudgetError: where the reservation does not fit under a cap. RunError: for a run or job that is not there.
            StoreError: for a fingerprint that is taken. InputError: for keys or qubits that do not fit.
        """
        part, now = intent.part, self._clock()
        if intent.keys is not None and len(intent.keys) != part.size:
            raise InputError(f"expected a key for each of {part.size} circuits, got {len(intent.keys)}")
        if (expected := self._journal.n_qubits(intent.run, intent.job)) != part.circuit.n_qubits:
            raise InputError(f"expected circuits of {expected} qubits in this job, got {part.circuit.n_qubits}")
        with self._database.write():
            if intent.claim and intent.keys and (held := self.claimed(intent.keys, waits)):
                return held
            if self._database.row(sql.GET_TICKET, {"fingerprint": part.fingerprint}):
                raise StoreError(f"expected a fresh fingerprint, got {part.fingerprint}, which a ticket has; plan anew")
            self._budget.require(intent.run, intent.provider, intent.reserve, intent.currency)
            self._add(intent, now)
            ticket = self.get(part.fingerprint)
            self._budget.hold(ticket.run_number, intent.provider, intent.currency, intent.reserve.values)
            if intent.claim and intent.keys:
                self._database.many(sql.PUT_CLAIM, [(key, ticket.number) for key in sorted(set(intent.keys))])
        return []

    def claimed(self, keys: Sequence[bytes], waits: Waits | None = None) -> list[Held]:
        """Which of these circuits open tickets are getting.

        Args:
            keys: of circuits.
            waits: whether a ticket counts though its lease has ended; None: no such does.
        """
        places: dict[bytes, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        holders: dict[tuple[str, str, float], list[int]] = {}
        for key, *holder in self._database.rows_in(sql.GET_CLAIMS, sorted(places)):
            fingerprint, owner, until = holder
            holders.setdefault((fingerprint, owner, until), []).extend(places[key])
        now = self._clock()
        return [
            Held(*holder, tuple(sorted(own)))
            for holder, own in holders.items()
            if holder[2] > now or (waits is not None and waits(self.get(holder[0])))
        ]

    def sent(self, fingerprint: str, remote_id: str, times: Mapping[str, float] | None = None) -> None:
        """The service accepted the slice, under this id. Raises StoreError as `settle`."""
        self._move(fingerprint, State.SENT, remote_id, times, "")

    def uncertain(self, fingerprint: str, reason: str, times: Mapping[str, float] | None = None) -> None:
        """Nobody knows whether the service accepted the slice. Raises StoreError as `settle`."""
        self._move(fingerprint, State.UNCERTAIN, None, times, reason)

    def settle(
        self,
        fingerprint: str,
        state: State,
        answer: Answer | None = None,
        *,
        charge: Amounts | None = None,
        reason: str = "",
        times: Mapping[str, float] | None = None,
        max_age: float | None = None,
        extra: Sequence[int] = (),
    ) -> Measured | None:
        """Close a ticket: samples, journal, charge and state in one transaction.

        Args:
            fingerprint: of the slice.
            state: DONE, FAILED or CANCELLED.
            answer: what came; circuits without an answer are left out.
            charge: what the service charged; by default what `answer` says.
            reason: why it is FAILED or CANCELLED.
            times: more of them, by name.
            max_age: of samples that these may be added to, see `Samples.merge`.
            extra: places of circuits that the run has from elsewhere: kept as samples, not in the journal.

        Returns:
            What was kept, a row for each circuit. Use this rather than `answer`, as a resumed run will; where the
            journal had shots before, read the journal.

        Raises:
            StoreError: where the ticket is closed, or another process has adopted it: then its result is not ours.
        """
        if state.is_open:
            raise InputError(f"expected DONE, FAILED or CANCELLED to close a ticket with, got {state.value}")
        with self._database.write():
            ticket = self._mine(fingerprint, state)
            measured = None if answer is None else self._keep(ticket, answer, max_age, extra)
            charge = charge or _charged(answer)
            self._budget.hold(
                ticket.run_number,
                ticket.provider,
                ticket.currency,
                {name: -value for name, value in ticket.reserved.values.items()},
            )
            if charge != Amounts():
                self._budget.spend(ticket.run_number, ticket.provider, ticket.currency, charge)
                self._database.run(sql.ADD_CHARGE, {"id": ticket.number, "time": self._clock(), **charge.values})
            self._database.run(sql.DROP_CLAIMS, {"id": ticket.number})
            values = {"id": ticket.number, "state": state.value, "reason": reason}
            self._database.run(sql.CLOSE_TICKET, {**values, "times": to_text({**ticket.times, **(times or {})})})
        return measured

    def set_aside(self, fingerprint: str, places: Sequence[int], reason: str) -> None:
        """Give circuits whose fate is unknown an UNCERTAIN ticket of their own, so that the others can be settled.

        It has their share of the reservation and cannot be fetched (`StoredTicket.is_rest`). Raises as `settle`.
        """
        with self._database.write():
            ticket = self._mine(fingerprint, State.UNCERTAIN)
            if ticket.numbers is None:
                raise StoreError(f"expected an open ticket with its circuits, got {fingerprint}")
            share = {name: value * len(places) // ticket.circuits for name, value in ticket.reserved.values.items()}
            own = {"fingerprint": fingerprint + REST, "count": len(places), "reason": reason}
            numbers = pack_numbers(ticket.numbers[list(places)])
            self._database.run(sql.SHRINK_TICKET, {"id": ticket.number, **share})
            self._database.run(sql.SET_ASIDE, {"id": ticket.number, **share, **own, "numbers": numbers})

    def bought_again(self, fingerprint: str, reason: str) -> None:
        """Note of a ticket, and of what was set aside of it, that its circuits are bought elsewhere.

        It stays open as far as it is: what still comes of it is kept. Others need not wait for it any more.
        """
        with self._database.write():
            for each in (fingerprint, fingerprint + REST):
                found = self._database.row(sql.GET_TICKET, {"fingerprint": each})
                ticket = None if found is None else from_row(found)
                if ticket is not None and ticket.state.is_open:
                    times = to_text({**ticket.times, BOUGHT_AGAIN: self._clock()})
                    self._database.run(sql.NOTE_TICKET, {"id": ticket.number, "times": times, "reason": reason})
                    self._database.run(sql.DROP_CLAIMS, {"id": ticket.number})

    def unclaim(self, fingerprint: str) -> None:
        """Nobody needs to wait for what a ticket is getting."""
        with self._database.write():
            self._database.run(sql.DROP_CLAIMS, {"id": self.get(fingerprint).number})

    def charged(self, run: str, job: int) -> Amounts:
        """What a job was charged so far; money in whatever currencies."""
        (row,) = self._database.rows(sql.CHARGED, {"run": self._runs.number(run), "job": job})
        return Amounts(row[0] / NANO, row[1], row[2])

    def charges(self, run: str) -> dict[str, Amounts]:
        """What the tickets of a run were charged, by fingerprint; of those that were."""
        rows = self._database.rows(sql.CHARGES_OF_RUN, {"run": self._runs.number(run)})
        return {row[0]: Amounts(row[1] / NANO, row[2], row[3]) for row in rows}

    def heartbeat(self, run: str | None = None) -> set[str]:
        """Renew the leases of this owner's tickets that are on their way; the fingerprints of those it still has.

        Args:
            run: only tickets of this run are renewed; None: all.
        """
        number = None if run is None else self._runs.number(run)
        with self._database.write():
            lease = self._clock() + self._lease
            self._database.run(sql.RENEW, {"owner": self.owner, "lease": lease, "run": number})
            return {row[0] for row in self._database.rows(sql.HELD_BY, {"owner": self.owner})}

    def adoptable(self) -> list[StoredTicket]:
        """Open tickets of others whose lease has ended."""
        return _tickets(self._database.rows(sql.ADOPTABLE, {"now": self._clock(), "owner": self.owner}))

    def adopt(self, wanted: Callable[[StoredTicket], bool] = lambda _: True) -> list[StoredTicket]:
        """Take over those of `adoptable` that are wanted; of two processes that try at once, one gets a ticket."""
        with self._database.write():
            chosen = [ticket.fingerprint for ticket in self.adoptable() if wanted(ticket)]
            for ticket in map(self.get, chosen):
                lease = self._clock() + self._lease
                self._database.run(sql.ADOPT, {"owner": self.owner, "lease": lease, "id": ticket.number})
            return [self.get(fingerprint) for fingerprint in chosen]

    def release(self) -> None:
        """End the leases of this owner: it will look after its open tickets no more."""
        self._database.run(sql.RELEASE_LEASES, {"owner": self.owner})

    def get(self, fingerprint: str) -> StoredTicket:
        """A ticket. Raises StoreError where there is none of that fingerprint."""
        found = self._database.row(sql.GET_TICKET, {"fingerprint": fingerprint})
        if found is None:
            raise StoreError(
                f"expected the fingerprint of a ticket of this store, got {fingerprint!r}; list the tickets"
            )
        return from_row(found)

    def open(self) -> list[StoredTicket]:
        """All open tickets, whoever owns them, in the order of their intents."""
        return _tickets(self._database.rows(sql.OPEN_TICKETS))

    def of_run(self, run: str) -> list[StoredTicket]:
        """All tickets of a run, in the order of their intents."""
        return _tickets(self._database.rows(sql.TICKETS_OF_RUN, {"run": self._runs.number(run)}))

    def part(self, ticket: StoredTicket) -> Slice:
        """The slice of an open ticket, to fetch its results with, see `StoredTicket.part`."""
        return ticket.part(self._circuits.get(ticket.circuit))

    # ----------------------------------------------------------------------------------------------------------- inside

    def _add(self, intent: Intent, now: float) -> None:
        part = intent.part
        amounts = intent.reserve.values
        values = {
            "fingerprint": part.fingerprint,
            "run": self._runs.number(intent.run),
            "job": intent.job,
            "provider": intent.provider,
            "backend": intent.backend,
            "origin": self._circuits.origin(part.circuit, intent.domain),
            "shots": part.shots,
            "seed": str(part.seed),
            "circuits": part.size,
            "numbers": pack_numbers(part.numbers),
            "keys": None if intent.keys is None else b"".join(intent.keys),
            "flips": None if part.flips is None else pack_numbers(part.flips),
            "money": amounts["money"],
            "currency": intent.currency,
            "reserved_shots": amounts["shots"],
            "reserved_circuits": amounts["circuits"],
            "owner": self.owner,
            "lease": now + self._lease,
            "times": to_text({}),
            "created": now,
            "account": intent.account,
        }
        self._database.run(sql.ADD_TICKET, values)

    def _mine(self, fingerprint: str, to: State) -> StoredTicket:
        ticket = self.get(fingerprint)
        if to not in _STEPS.get(ticket.state, ()):
            raise StoreError(
                f"expected an open ticket that can become {to.value}, got {ticket.state.value} {fingerprint}"
            )
        if ticket.owner != self.owner:
            raise StoreError(
                f"expected a ticket of this process, got {fingerprint}, which {ticket.owner} has adopted; leave it"
            )
        return ticket

    def _move(
        self, fingerprint: str, state: State, remote_id: str | None, times: Mapping[str, float] | None, reason: str
    ) -> None:
        with self._database.write():
            ticket = self._mine(fingerprint, state)
            values = {
                "id": ticket.number,
                "state": state.value,
                "remote_id": remote_id or ticket.remote_id,
                "lease": self._clock() + self._lease,
                "times": to_text({**ticket.times, **(times or {})}),
                "reason": reason,
            }
            self._database.run(sql.MOVE_TICKET, values)

    def _keep(self, ticket: StoredTicket, answer: Answer, max_age: float | None, extra: Sequence[int]) -> Measured:
        if ticket.numbers is None or len(answer.distributions) != ticket.circuits:
            raise InputError(f"expected an answer of {ticket.circuits} rows, got {len(answer.distributions)}")
        shots = ticket.shots if answer.sampled else EXACT
        if shots is None:
            raise InputError(f"expected probabilities for ticket {ticket.fingerprint} without shots, got samples")
        answered = ~np.isin(np.arange(ticket.circuits), list(answer.missing))
        measured = Measured.of(answer.distributions, shots).only(answered)
        source = Source(ticket.backend, ticket.domain.noise_id)
        asked = measured.only(~np.isin(np.arange(ticket.circuits), extra))
        self._journal.add(ticket.run, ticket.job, ticket.numbers, asked, source)
        if ticket.keys is not None:
            self._samples.add(ticket.keys, measured, ticket.origin, max_age)
        return measured


def _charged(answer: Answer | None) -> Amounts:
    if answer is None:
        return Amounts()
    return Amounts(answer.cost, answer.shots_paid, len(answer.distributions) - len(answer.missing))


def _tickets(rows: Rows) -> list[StoredTicket]:
    return [from_row(row) for row in rows]
