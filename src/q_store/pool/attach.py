"""Taking up what an earlier process left: its open tickets, before anything new is sent.

A ticket with an id is waited for and fetched. One without is looked up at the service: found, it is fetched; surely
never accepted, it is closed, and its circuits are asked for again; otherwise it is UNCERTAIN and stays so. One that was
sent with another key, or to another address, is not looked up: where it is not, it would be found absent.

Tickets of other runs are taken up too, once their leases have ended: at the beginning, and whenever somebody waits for
their circuits. So a process that dies costs those that ask the same as it some time, and nothing is bought twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from q_store.backends.base import Found, Missing, Ticket
from q_store.errors import BackendError, PausedError, RunError, StoreError
from q_store.events import Announcer
from q_store.jobs import Status
from q_store.pool.books import Sending, Written
from q_store.pool.carriage import Carriage, Flags
from q_store.pool.delivery import together
from q_store.pool.lives import Life
from q_store.pool.membership import Member
from q_store.pool.watch import Watch
from q_store.store import Held, State, StoredTicket

_BEFORE = 60.0
"""Seconds that clocks may differ: the service's list is read back to so long before the intent."""
_FIRST, _LONGEST = 1.0, 30.0
"""Seconds between two tries to look a ticket up."""
_BRIEFLY = 0.1
"""Seconds of silence after which others get what a free member was sent: it is known to be out of reach then."""
Gaps = dict[int, dict[int, Missing]]


@dataclass(eq=False)
class Attachment:
    """Takes up open tickets.

    Attributes:
        books: of the run. members, watches: by name.
        patience: seconds for which a service may be out of reach. busy: fingerprints of slices that are on their way.
        lost_after: seconds without an answer after which what is lacking is bought again; None: never.
        announce: tells of the lives of tickets.
    """

    books: Written
    members: Mapping[str, Member]
    watches: Mapping[str, Watch]
    patience: float
    busy: Collection[str] = ()
    lost_after: float | None = None
    announce: Announcer = field(default_factory=Announcer)
    _left: list[StoredTicket] = field(default_factory=list)
    _cared: set[str] = field(default_factory=set)
    _unknown: set[str] = field(default_factory=set)
    """Fingerprints of other runs' tickets: those that are being brought to their end, and see `is_unknown`."""

    async def own(self) -> Gaps:
        """Bring the run's tickets to their end; what stays uncertain, by job and circuit.

        Raises:
            RunError: where another process is at work on the run. PausedError: where a service is out of reach.
        """
        await self._alone()
        tickets = self.books.store.tickets
        own = [ticket for ticket in self._open() if self._can(ticket) and ticket.owner == tickets.owner]
        for ticket in own:
            if why := estranged(ticket, self.members[ticket.backend]):
                self.books.uncertain(ticket.fingerprint, why)
        await together([self._own(each) for each in own if self._reads(each) and each.fingerprint not in self.busy])
        gaps: Gaps = {}
        for ticket in self._open():
            if self._is_bought(ticket):
                continue
            if ticket.fingerprint not in self.busy and ticket.numbers is not None:
                gap = Missing(Status.UNCERTAIN, ticket.reason or self._foreign(ticket))
                gaps.setdefault(ticket.job, {}).update(dict.fromkeys(ticket.numbers.tolist(), gap))
        return gaps

    async def others(self) -> None:
        """Bring tickets to their end that nobody waits for: of other runs, and of circuits that are bought again.

        What fails is left as it is.
        """
        adopted = self.books.store.tickets.adopt(lambda ticket: ticket.run != self.books.run and self._reads(ticket))
        tasks = [*map(self._rescue, adopted), *(self._take_up(ticket, extra=True) for ticket in self._left)]
        await asyncio.gather(*tasks, return_exceptions=True)

    def waits(self, ticket: StoredTicket) -> bool:
        """See `Carer`: it is perhaps paid for, and a member can fetch it; one that is lost, only where nobody buys."""
        uncertain = ticket.state is State.UNCERTAIN and ticket.fingerprint not in self._cared | self._unknown
        if uncertain or not self._reads(ticket):
            return False
        return self.lost_after is None or self.watches[ticket.backend].contact.silence < self.lost_after

    def is_unknown(self, fingerprint: str) -> bool:
        """See `Carer`: another's slice that was on its way, until we found that nobody can tell what became of it."""
        return fingerprint in self._unknown

    async def rescue(self, held: Sequence[Held]) -> bool:
        """See `Carer`: those of other runs whose lease has ended are ours, until they have come to their end.

        Raises PausedError where a service is out of reach.
        """
        tickets, names = self.books.store.tickets, {each.fingerprint for each in held} - self._cared
        wanted = [ticket for ticket in tickets.open() if ticket.fingerprint in names and self.waits(ticket)]
        names = {ticket.fingerprint for ticket in wanted if ticket.run != self.books.run}
        tickets.adopt(lambda ticket: ticket.fingerprint in names)
        left = [ticket for ticket in map(tickets.get, names) if ticket.owner == tickets.owner and ticket.state.is_open]
        await together([self._rescue(ticket) for ticket in left])
        return bool(left)

    async def _rescue(self, ticket: StoredTicket) -> None:
        """Bring a ticket of another run to its end, unless its own process is back, or that is being done here."""
        tickets = self.books.store.tickets
        if ticket.fingerprint in self._cared:
            return
        self._cared.add(ticket.fingerprint)
        try:
            await self._take_up(ticket)
            if ticket.state is not State.UNCERTAIN and tickets.get(ticket.fingerprint).state is State.UNCERTAIN:
                self._unknown.add(ticket.fingerprint)
        except StoreError:
            now = tickets.get(ticket.fingerprint)
            if now.state.is_open and now.owner == tickets.owner:
                raise
        finally:
            self._cared.discard(ticket.fingerprint)

    def _reads(self, ticket: StoredTicket) -> bool:
        """Whether a member can look the slice up."""
        return self._can(ticket) and not estranged(ticket, self.members[ticket.backend])

    def _can(self, ticket: StoredTicket) -> bool:
        """Whether a member is the one that the slice was sent to: its name may have got another meaning."""
        member = self.members.get(ticket.backend)
        if member is None or ticket.is_rest:
            return False
        return (member.charges, member.shared) == (ticket.provider, ticket.domain)

    def _foreign(self, ticket: StoredTicket) -> str:
        return (
            f"sent to {ticket.backend} ({ticket.provider}), which is not in this pool: resume the run with it, or "
            f"cancel ticket {ticket.fingerprint}"
        )

    def _open(self) -> list[StoredTicket]:
        return [ticket for ticket in self.books.store.tickets.open() if ticket.run == self.books.run]

    async def _alone(self) -> None:
        """Wait until the leases of others have ended, and take the run's tickets over.

        Who renews one is at work on the run. A process of another run that looks after a ticket renews none: a lease
        that it gets with a new owner or state proves nothing.
        """
        tickets = self.books.store.tickets
        seen: dict[tuple[str, str, State], float] = {}
        while True:
            free = {ticket.fingerprint for ticket in tickets.adoptable()}
            held = [t for t in self._open() if t.owner != tickets.owner and t.fingerprint not in free]
            held = [ticket for ticket in held if ticket.state is not State.UNCERTAIN]
            if not held:
                tickets.adopt(lambda ticket: ticket.run == self.books.run and self._can(ticket))
                held = [t for t in self._open() if t.owner != tickets.owner and self._can(t)]
                held = [ticket for ticket in held if ticket.state is not State.UNCERTAIN]  # another one was faster
            if not held:
                return
            for ticket in held:
                if ticket.lease > seen.setdefault((ticket.fingerprint, ticket.owner, ticket.state), ticket.lease):
                    raise RunError(
                        f"expected run {self.books.run} for this process alone, got {ticket.owner} at work on it; end "
                        "that, or wait for it"
                    )
            await asyncio.sleep(_FIRST)

    def _is_bought(self, ticket: StoredTicket) -> bool:
        """Whether its circuits are bought again, so that they are no gap; noted, unless it was."""
        buys = self.lost_after is not None and ticket.backend in self.members
        if buys and not ticket.bought_again and ticket.fingerprint not in self.busy:
            buys = not estranged(ticket, self.members[ticket.backend])
            if buys:
                self.books.bought_again(ticket.fingerprint, f"{ticket.reason or 'no answer'}; bought again elsewhere")
        return buys

    async def _own(self, stored: StoredTicket) -> None:
        """Bring a ticket of the run to its end; where others are to get its circuits, only while there is hope."""
        free = self._is_free(stored)
        lost_after = _BRIEFLY if free else self.lost_after
        if lost_after is None:
            await self._take_up(stored)
            return
        watch, task = self.watches[stored.backend], asyncio.ensure_future(self._take_up(stored))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            while not (await asyncio.wait({task}, timeout=_FIRST))[0]:
                waited = loop.time() - begun if stored.bought_again else watch.contact.silence
                if waited >= lost_after:
                    break
            else:
                await task
                return
        except PausedError:
            pass
        finally:
            task.cancel()
            await asyncio.wait({task})
        if not free:
            self._left.append(stored)
        elif self.books.store.tickets.get(stored.fingerprint).state.is_open:
            self.books.nothing(stored.fingerprint, f"no answer from {stored.backend}: others run its circuits")

    def _is_free(self, stored: StoredTicket) -> bool:
        """Whether others may run the circuits of a ticket at no cost, and somebody of them answers."""
        own = self.members[stored.backend]
        others = [each for name, each in self.members.items() if name != own.name and each.recorded]
        able = [each.name for each in others if each.shared.noise_id == own.shared.noise_id]
        return not own.price.typical and any(not self.watches[name].contact.is_lost for name in able)

    async def _take_up(self, stored: StoredTicket, *, extra: bool = False) -> None:
        """Bring one ticket to its end; `extra`: whoever asked for its circuits gets them from others."""
        member = self.members[stored.backend]
        ticket = await self._accepted(stored, member)
        if ticket is None:
            return
        part = self.books.store.tickets.part(stored)
        sending = Sending(part, member, stored.job)
        carriage = Carriage(
            sending,
            self.books,
            self.watches[stored.backend],
            lambda: self._fresh(stored, extra=extra),
            life=Life(sending, self.announce, times={**stored.times, **ticket.times}),
        )
        carriage.ended(await carriage.bring(ticket))

    def _fresh(self, stored: StoredTicket, *, extra: bool) -> Flags:
        """[S], the circuits that the run lacks; of a ticket that was given up it may have some from others by now."""
        numbers = self.books.store.tickets.part(stored).numbers
        if extra or not stored.bought_again:
            return np.full(len(numbers), not extra)
        return ~np.isin(numbers, self.books.store.journal.read(stored.run, stored.job).numbers)

    async def _accepted(self, stored: StoredTicket, member: Member) -> Ticket | None:
        """The ticket of a slice that was accepted; None where there is nothing to wait for."""
        if stored.remote_id is not None:
            return Ticket(stored.fingerprint, stored.remote_id, times=stored.times)
        found = await self._found(stored, member)
        if found is Found.ABSENT:
            self.books.nothing(stored.fingerprint, "never accepted")
            return None
        if isinstance(found, Found):
            reason = f"perhaps accepted before the process ended, and {member.name} cannot tell"
            self.books.uncertain(stored.fingerprint, stored.reason or reason)
            return None
        self.books.sent(found)
        return found

    async def _found(self, stored: StoredTicket, member: Member) -> Ticket | Found:
        """What the service knows of a slice; asked again while it is out of reach."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + self.patience, _FIRST
        while True:
            try:
                return await member.backend.find(stored.fingerprint, stored.created - _BEFORE)
            except BackendError as error:
                if loop.time() + pause > end:
                    raise PausedError(
                        f"expected an answer from {member.name} about a slice that was perhaps sent, got none for "
                        f"{self.patience:.0f} s: {error}; resume the run when it is back"
                    ) from error
            await asyncio.sleep(pause)
            pause = min(_LONGEST, 2 * pause)


def estranged(ticket: StoredTicket, member: Member) -> str:
    """Why a ticket cannot be looked up by the member of its name, and what to do; empty where it can.

    Another account does not have the job, which proves nothing.
    """
    if not ticket.account or not member.account or ticket.account == member.account:
        return ""
    return (
        f"sent by {ticket.backend} to the account {ticket.account}, which is now {member.account}: not looked up "
        "there, and not bought again; resume with the key and url of before, or, where that is gone, settle it by the "
        f"list of jobs of that account: q-store cancel {ticket.fingerprint} --paid MONEY"
    )
