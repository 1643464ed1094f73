"""`q-store cancel`: end jobs that are on their way, and settle by hand what nobody can know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from q_store.apps.members import Crew, crew
from q_store.apps.place import Place
from q_store.apps.pool_file import Entry
from q_store.apps.pool_place import PoolPlace, entries
from q_store.apps.progress import plain
from q_store.apps.request import stored
from q_store.apps.shelf import SHOWN, named, opened
from q_store.apps.underway import Tell, underway
from q_store.backends.base import Ticket
from q_store.errors import ConfigError, RunError, StoreError
from q_store.pool.attach import Attachment, estranged
from q_store.pool.books import Written
from q_store.pool.contact import Contact
from q_store.pool.watch import Watch
from q_store.store import Amounts, Run, State, Store, StoredTicket
from q_store.waiting import wait

PATIENCE = 60.0
"""Seconds for which a service may be out of reach."""


def cancel(store: Path | None, name: str, paid: float | None, pool: Path | None, key_file: Path | None) -> None:
    """Run the command. Raises ConfigError and StoreError for what cannot be settled so."""
    console = Console()
    with opened(store) as shelf:
        found = named(shelf, name)
        run = found.id if isinstance(found, Run) else found.ticket.run
        chosen = shelf.tickets.of_run(run) if isinstance(found, Run) else [found.ticket]
        chosen = [ticket for ticket in chosen if ticket.state.is_open]
        if not chosen:
            plain(console, f"{name}: nothing is on its way.")
            return
        if paid is not None:
            _by_hand(shelf, chosen, paid)
        else:
            _cancel(shelf, run, chosen, _entries(shelf.runs.get(run), pool, key_file), console)
        for ticket in chosen:
            now = shelf.tickets.get(ticket.fingerprint)
            reason = f": {now.reason}" if now.reason else ""
            plain(console, f"{now.fingerprint[:SHOWN]} {now.state.value}, {now.circuits:,} circuits{reason}")


def _entries(run: Run, pool: Path | None, key_file: Path | None) -> tuple[Entry, ...]:
    """Who the run's jobs were sent to, with the keys of today. Raises ConfigError where the run does not say."""
    if pool is not None:
        return PoolPlace.of(str(pool)).file.entries
    if "request" not in run.config:
        raise ConfigError(
            f"expected --pool FILE with the members of run {run.id}, which was not started by q-store train"
        )
    place = stored(run.config, f"run {run.id}").place
    if isinstance(place, Place) and not place.remote:
        raise ConfigError(f"expected a run whose jobs were sent somewhere, got {run.id}, which ran on this machine")
    return entries(place, key_file)


def _cancel(shelf: Store, run: str, chosen: Sequence[StoredTicket], given: Sequence[Entry], console: Console) -> None:
    wanted = {ticket.backend for ticket in chosen}
    with crew([entry for entry in given if entry.name in wanted]) as found:
        if missing := wanted - {member.name for member in found.members}:
            raise ConfigError(
                f"expected the members {', '.join(sorted(missing))} in the pool, got none of them; --pool"
            )
        try:
            with underway("canceling", "jobs", len(chosen)) as tell:
                wait(_end(shelf, run, chosen, found, tell))
        except RunError as error:  # whoever has sent them hears of the cancel, and writes it down
            plain(console, f"asked the service; {error}")


async def _end(shelf: Store, run: str, chosen: Sequence[StoredTicket], found: Crew, tell: Tell) -> None:
    """Ask the service to cancel, then bring the tickets to their end as a resumed run would."""
    members = {member.name: member for member in found.members}
    for ticket in chosen:
        if why := estranged(ticket, members[ticket.backend]):
            raise ConfigError(f"{ticket.fingerprint[:SHOWN]}: {why}")
    for k, ticket in enumerate(chosen, 1):
        tell(k)
        if ticket.remote_id is not None:
            await members[ticket.backend].backend.cancel([Ticket(ticket.fingerprint, ticket.remote_id)])
    watches = {name: Watch(member.backend, Contact(member.backend), PATIENCE) for name, member in members.items()}
    others = {ticket.fingerprint for ticket in shelf.tickets.of_run(run)} - {each.fingerprint for each in chosen}
    try:
        await Attachment(Written(shelf, run), members, watches, PATIENCE, others).own()
    finally:
        for watch in watches.values():
            await watch.aclose()


def _by_hand(shelf: Store, chosen: Sequence[StoredTicket], paid: float) -> None:
    """Close UNCERTAIN tickets with what the service is known to have charged: 0 where it never had them."""
    if not 0 <= paid < math.inf:
        raise ConfigError(f"expected --paid of 0 or more, got {paid}; give what the service charged")
    certain = [ticket for ticket in chosen if ticket.state is not State.UNCERTAIN]
    if certain or len(chosen) > 1:
        raise ConfigError(
            f"expected --paid with one job that is UNCERTAIN, got {len(chosen)} open ones, {len(certain)} of them "
            "not; cancel the others first, without --paid"
        )
    (ticket,) = chosen
    if not shelf.tickets.adopt(lambda each: each.fingerprint == ticket.fingerprint):
        raise StoreError(f"expected a job that nobody looks after, got {ticket.fingerprint}, which {ticket.owner} does")
    charge = Amounts(paid, ticket.reserved.shots, ticket.reserved.circuits) if paid else Amounts()
    shelf.tickets.settle(ticket.fingerprint, State.FAILED, charge=charge, reason=f"settled by hand, {paid:g} paid")
