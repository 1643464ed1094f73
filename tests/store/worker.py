"""A process that buys as much as it can: python -m tests.store.worker FILE NAME ROUNDS; prints what it got."""

from __future__ import annotations

import json
import sys

from tests.store.parts import answer, intent, part

from q_store.errors import BudgetError
from q_store.store import State, Store

CIRCUITS = 7


def main(path, name, rounds):
    got = {"bought": 0, "waited": 0, "refused": 0, "adopted": 0}
    with Store(path, lease=1000.0) as store:
        for ticket in store.tickets.adopt():
            store.tickets.settle(ticket.fingerprint, State.FAILED, reason="surely absent")
            got["adopted"] += 1
        for k in range(rounds):
            own = part(f"{name}{k}", [k % CIRCUITS, (k + 1) % CIRCUITS])
            try:
                held = store.tickets.intend(intent(own, money=0.1))
            except BudgetError:
                got["refused"] += 1
                continue
            got["waited" if held else "bought"] += 1
            if not held:
                store.tickets.sent(own.fingerprint, "remote")
                store.tickets.settle(own.fingerprint, State.DONE, answer([{0: 60, 1: 40}, {2: 100}], cost=0.1))
    sys.stdout.write(json.dumps(got))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
