"""A store looked at from outside a training: opened where there is one, its tickets found by what a user types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from q_store.apps.record import DEFAULT
from q_store.errors import RunError, StoreError
from q_store.store import BOUGHT_AGAIN, Amounts, Run, State, Store, StoredTicket

SHORTEST = 4
"""Characters of a fingerprint or id that are enough, where they are unique."""
SHOWN = 12
"""Characters of a fingerprint that are shown."""


@contextmanager
def opened(path: Path | None) -> Iterator[Store]:
    """The store at `path`. Raises StoreError where there is none: looking makes no file."""
    chosen = path or DEFAULT
    if not chosen.is_file():
        raise StoreError(
            f"expected a store at {chosen}, got no such file; give --store FILE, or run something remotely first: "
            "q-store train MODEL --backend ionq"
        )
    with Store(chosen) as store:
        yield store


@dataclass(frozen=True)
class Charged:
    """A ticket with what it was charged; None: not yet, or nothing."""

    ticket: StoredTicket
    charge: Amounts | None

    def row(self) -> dict[str, Any]:
        """As JSON."""
        ticket, charge = self.ticket, self.charge
        return {
            "id": ticket.fingerprint,
            "run": ticket.run,
            "job": ticket.job,
            "member": ticket.backend,
            "account": ticket.provider,
            "circuits": ticket.circuits,
            "shots": ticket.shots,
            "state": ticket.state.value,
            "remote_id": ticket.remote_id,
            "created": when(ticket.created),
            "reserved": ticket.reserved.money if ticket.state.is_open else 0.0,
            "cost": 0.0 if charge is None else charge.money,
            "currency": ticket.currency,
            "reason": ticket.reason,
            "bought_again": when(ticket.times[BOUGHT_AGAIN]) if ticket.bought_again else None,
        }


def tickets(store: Store, run: str | None = None, tell: Callable[[int, int], None] = lambda *_: None) -> list[Charged]:
    """Those of a run, or of all runs in their order. Raises RunError for a run that is not there.

    `tell` hears how many runs are read, and how many there are.
    """
    runs = [store.runs.get(run)] if run is not None else store.runs.all()
    found = []
    for k, each in enumerate(runs, 1):
        tell(k, len(runs))
        charges = store.tickets.charges(each.id)
        found += [Charged(ticket, charges.get(ticket.fingerprint)) for ticket in store.tickets.of_run(each.id)]
    return found


def named(store: Store, name: str) -> Run | Charged:
    """The run or the job of that id, or the only one that begins with it. Raises RunError for any other number."""
    runs = [run for run in store.runs.all() if run.id == name]
    if runs:
        return runs[0]
    if len(name) >= SHORTEST:
        found: list[Run | Charged] = [run for run in store.runs.all() if run.id.startswith(name)]
        found += [each for each in tickets(store) if each.ticket.fingerprint.startswith(name)]
        exact = [each for each in found if isinstance(each, Charged) and each.ticket.fingerprint == name]
        if len(exact or found) == 1:
            return (exact or found)[0]
        if found:
            raise RunError(f"expected the id of one run or job, got {name!r}, which {len(found)} begin with; give more")
    ids = ", ".join(run.id for run in store.runs.all()[-5:]) or "none yet"
    raise RunError(
        f"expected the id of a run or job of {store.path}, got {name!r}; the latest runs: {ids}; see q-store runs, "
        "q-store jobs"
    )


def folder_of(name: Path, store: Path | None) -> Path:
    """The folder of a run that is named by its folder, or by its id in the store."""
    if name.exists() or not (store or DEFAULT).is_file():
        return name
    with opened(store) as shelf:
        ids = {run.id: run for run in shelf.runs.all()}
    run = ids.get(str(name))
    return name if run is None or not run.config.get("folder") else Path(str(run.config["folder"]))


def when(seconds: float) -> str:
    """A time as ISO 8601, of UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def advice(ticket: StoredTicket) -> str:
    """What to do about a ticket that is UNCERTAIN."""
    own = ticket.fingerprint
    if ticket.bought_again:
        return (
            f"Nobody knows whether {ticket.backend} ran these circuits; they were bought again elsewhere. What it "
            "still brings is kept as more samples, by the next run with that member. Until then the reservation stays: "
            f"q-store cancel {own[:SHOWN]} looks the job up now, or settles it by hand with --paid MONEY."
        )
    return (
        f"Nobody knows whether {ticket.backend} accepted these circuits: they are not sent again, and their "
        f"reservation stays. Look for {own.removesuffix('/rest')} in the list of jobs of your account, then: "
        f"q-store cancel {own[:SHOWN]} looks it up once more; q-store cancel {own[:SHOWN]} --paid MONEY settles it by "
        "hand, with 0 where the service never had it. Then resume the run."
    )


def uncertain(found: list[Charged]) -> list[StoredTicket]:
    """The tickets that are."""
    return [each.ticket for each in found if each.ticket.state is State.UNCERTAIN]
