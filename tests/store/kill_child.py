"""A small run against a service that keeps a book, killed before each statement in turn, then resumed.

python -m tests.store.kill_child FOLDER STEP: kills before the statements 0, STEP, 2 STEP, ... and prints one JSON line
with what was found after each; the last one is of the run that was not killed. The service's book is a file of its own:
it knows what was accepted, whatever the store says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
from tests.store.parts import SHOTS, answer, as_counts, intent, part

from q_store.store import Amounts, Caps, State, Store

JOB_SIZE, SLICE = 4, 2
PRICE = 0.25


class Service:
    """Accepts slices, writes each acceptance into its book, and answers the same to the same circuit."""

    def __init__(self, book):
        self.book = book

    def send(self, own):
        with self.book.open("a") as file:
            file.write(json.dumps([own.fingerprint, own.numbers.tolist()]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return f"remote-{own.fingerprint}"

    def accepted(self):
        return [json.loads(line) for line in self.book.read_text().splitlines()] if self.book.exists() else []

    def find(self, fingerprint):
        return any(fingerprint == name for name, _ in self.accepted())

    def result(self, numbers):
        return answer([{int(k) % 8: 60, (int(k) + 1) % 8: SHOTS - 60} for k in numbers], cost=PRICE * len(numbers))


def work(path, service):
    """Start or resume the run, take up what is open, buy what is missing; what the run received."""
    with Store(path) as store:
        if not store.runs.all():
            store.runs.start("kill", {}, run="run")
            store.budget.set(Caps(money=PRICE * JOB_SIZE), run="run")
        store.journal.begin("run", 0, b"asked", 3)
        for ticket in store.tickets.adopt():
            if ticket.state is State.INTENT and not service.find(ticket.fingerprint):
                store.tickets.settle(ticket.fingerprint, State.FAILED, reason="surely absent")
                continue
            if ticket.state is State.INTENT:
                store.tickets.sent(ticket.fingerprint, f"remote-{ticket.fingerprint}")
            own = store.tickets.part(ticket)
            store.tickets.settle(ticket.fingerprint, State.DONE, service.result(own.numbers))
        known = store.journal.read("run", 0).numbers
        missing = np.setdiff1d(np.arange(JOB_SIZE), known)
        for first in range(0, len(missing), SLICE):
            buy(store, service, missing[first : first + SLICE])
        return store.journal.read("run", 0)


def buy(store, service, numbers):
    """One slice, from the intent to the result."""
    own = part(f"fp{len(store.tickets.of_run('run'))}", numbers)
    assert store.tickets.intend(intent(own, money=PRICE * own.size)) == []
    store.tickets.sent(own.fingerprint, service.send(own))
    store.tickets.settle(own.fingerprint, State.DONE, service.result(own.numbers))


def bomb(countdown):
    """Count the statements of every connection, and kill this process before one of them."""
    left = [countdown]

    def tick(_):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    from q_store.store.database import Database

    connect = Database._connect

    def watched(self):
        connection = connect(self)
        connection.set_trace_callback(tick)
        return connection

    Database._connect = watched
    send = Service.send

    def counted(self, own):
        tick(None)
        remote = send(self, own)
        tick(None)
        return remote

    Service.send = counted


def killed(folder, countdown):
    """Whether the run was killed before it ended."""
    child = os.fork()
    if not child:
        bomb(countdown)
        work(folder / "s.db", Service(folder / "book"))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def judged(folder):
    """Resume the run, and compare the store with the service's book."""
    service = Service(folder / "book")
    replay = work(folder / "s.db", service)
    accepted = [number for _, numbers in service.accepted() for number in numbers]
    with Store(folder / "s.db") as store:
        store.check()
        return {
            "received": [replay.numbers.tolist(), as_counts(replay.measured)],
            "accepted": sorted(accepted),
            "spent": store.budget.totals()["USD"] == (Amounts(PRICE * JOB_SIZE, SHOTS * JOB_SIZE, JOB_SIZE), Amounts()),
            "open": len(store.tickets.open()),
            "samples": len(store.samples),
        }


def main(folder, step):
    countdown = 0
    while True:
        own = folder / str(countdown)
        own.mkdir()
        again = killed(own, countdown)
        sys.stdout.write(json.dumps(judged(own)) + "\n")
        if not again:
            return
        countdown += step


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
