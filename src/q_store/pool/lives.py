"""The life of a slice on one clock: what is told while it lasts, and what the store keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from q_store import ledger
from q_store.backends.base import Ticket
from q_store.events import Announcer, JobBuilt, JobEnded, JobMoved, moment
from q_store.pool.books import Sending

OURS = "our_"
"""Begins the names of our times among those that a ticket keeps."""
PROVIDER = ("accepted", "started", "finished")
"""Times of a ticket that are the service's."""


class Life:
    """Notes when a slice got how far; times by `events.moment`.

    Args:
        sending: the slice and its member.
        announce: is told; nothing is where nobody listens, but the times are noted.
        begun: when its circuits were chosen.
        times: those that an earlier process has noted, as `stored` gave them.
    """

    def __init__(
        self,
        sending: Sending,
        announce: Announcer,
        begun: float | None = None,
        times: Mapping[str, float] | None = None,
    ) -> None:
        self._sending, self._announce = sending, announce
        given = times or {}
        self.times = {name.removeprefix(OURS): at for name, at in given.items() if name.startswith(OURS)}
        self.provider = {name: given[name] for name in PROVIDER if name in given}
        self._remote_id: str | None = None
        if times is None:
            now = moment()
            self.times |= {"begun": now if begun is None else begun, "built": now}

    @property
    def stored(self) -> dict[str, float]:
        """Our times, named so that a ticket can keep them."""
        return {OURS + name: at for name, at in self.times.items()}

    def built(self, *, hedge: bool) -> None:
        """The intent is written."""
        self.times["built"] = moment()
        if self._announce:
            part, sending = self._sending.part, self._sending
            about = part.fingerprint, sending.job, sending.member.name, part.size, part.shots
            self._announce(JobBuilt(*about, hedge, self.times["built"]))

    def mark(self, name: str) -> None:
        """This moment has a name."""
        self.times[name] = moment()

    def accepted(self, ticket: Ticket) -> None:
        """The service has it. What the client says of its writing and sending is put on our clock."""
        now = self.times["accepted"] = moment()
        for name in ("written", "sent"):
            if "written" in ticket.times:
                self.times[name] = max(self.times["built"], now - (ticket.times["accepted"] - ticket.times[name]))
        self._know(ticket)
        self._told("accepted", ticket)

    def looked(self, ticket: Ticket, asked: float) -> None:
        """How it stands, asked at that time."""
        new = "started" in ticket.times and "started" not in self.provider
        self._know(ticket)
        if new:
            self._told("started", ticket)
        if ticket.state.is_final:
            self.times |= {"asked": asked, "seen": moment()}

    def final(self, ticket: Ticket) -> None:
        """It is over; where no look showed it, that is known since now."""
        self._know(ticket)
        if "seen" not in self.times:
            self.times["asked"] = self.times["seen"] = moment()

    def ended(
        self,
        state: str,
        reason: str,
        answered: int = 0,
        *,
        shots_paid: int = 0,
        cost: float = 0.0,
        proof: tuple[str, ...] = (),
    ) -> None:
        """What became of it, see `JobEnded`."""
        if not self._announce:
            return
        sending, part = self._sending, self._sending.part
        event = JobEnded(
            part.fingerprint,
            sending.job,
            sending.member.name,
            part.size,
            part.shots,
            state,
            reason,
            {**self.times, "ended": moment()},
            dict(self.provider),
            answered,
            shots_paid,
            cost,
            sending.member.price.currency,
            self._remote_id,
            proof,
            sending.member.charges if sending.member.recorded else "",
        )
        self._announce(event)

    def _know(self, ticket: Ticket) -> None:
        self._remote_id = ticket.remote_id
        self.provider |= {name: ticket.times[name] for name in PROVIDER if name in ticket.times}

    def _told(self, stage: str, ticket: Ticket) -> None:
        if self._announce:
            name = self._sending.member.name
            self._announce(
                JobMoved(self._sending.part.fingerprint, name, stage, moment(), ticket.remote_id, ticket.due)
            )


def of_ticket(member: str, times: Mapping[str, float], **more: Any) -> ledger.Life:
    """The life of a ticket of the store; `more` as `ledger.Life`."""
    own = {name.removeprefix(OURS): at for name, at in times.items() if name.startswith(OURS)}
    return ledger.Life(member, own, {name: times[name] for name in PROVIDER if name in times}, **more)
