"""Remote jobs that the store has settled and the history of the run lacks.

The store is written at once, the history a few times a second: a process that is killed takes some of it along. And
another run may bring a job of this one to its end. Who goes on with the run tells them, so that what is added up from
the history, the cost above all, is what was charged.
"""

from __future__ import annotations

from pathlib import Path

from q_store.apps.history import History
from q_store.events import JobEnded, Sink
from q_store.pool.lives import of_ticket
from q_store.store import Amounts, State, Store

STATES = {State.DONE: "done", State.FAILED: "failed", State.CANCELLED: "canceled"}
"""What a `JobEnded` says of a ticket."""


def tell_untold(folder: Path, store: Store, run: str, tell: Sink) -> None:
    """Tell of them, each as it ended; before anything new is sent."""
    tickets = [ticket for ticket in store.tickets.of_run(run) if ticket.state in STATES and not ticket.is_rest]
    if not tickets:
        return
    ended = (entry.values for entry in History(folder).read() if entry.kind == JobEnded.__name__)
    told = {values["slice"] for values in ended if values["state"] in STATES.values()}
    charges = store.tickets.charges(run)
    for ticket in tickets:
        if ticket.fingerprint in told:
            continue
        life, paid = of_ticket(ticket.backend, ticket.times), charges.get(ticket.fingerprint, Amounts())
        tell(
            JobEnded(
                ticket.fingerprint,
                ticket.job,
                ticket.backend,
                ticket.circuits,
                ticket.shots,
                STATES[ticket.state],
                ticket.reason,
                dict(life.times),
                dict(life.provider),
                paid.circuits,
                paid.shots,
                paid.money,
                ticket.currency,
                ticket.remote_id,
                account=ticket.provider,
            )
        )
