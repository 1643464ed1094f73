"""Write golden/vN.db.gz, a small store of the current version: python -m tests.store.make_golden FILE.

Run it once for each version of the schema, and keep what it wrote for ever.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

from tests.store.parts import Clock, answer, begun, intent, part

from q_store.store import Caps, State, Store

ROWS = [{0: 60, 3: 40}, {1: 100}, {2: 99, 5: 1}]


def write(path):
    with begun(Store(path, clock=Clock(), owner="golden")) as store:
        run = store.runs.start("compact", {"epochs": 2}, seed=5, versions={"q-store": "0.2.0"}, run="golden").id
        store.runs.note(run, [("epoch", {"loss": 0.5}), ("epoch", {"loss": 0.25})])
        store.runs.add_checkpoint(run, 1, "checkpoints/1.npz", "00" * 32)
        store.runs.spend_seconds(run, 12.5)
        store.budget.set(Caps(money=10.0, shots=1_000_000), run=run)
        store.journal.begin(run, 0, b"golden", 3)
        for name, numbers, rows in (("done", (0, 1, 2), ROWS), ("more", (0,), [{0: 100}])):
            job = 0 if name == "done" else 1
            store.journal.begin(run, job, b"golden", 3)
            store.tickets.intend(intent(part(name, numbers), run=run, job=job))
            store.tickets.sent(name, name)
            store.tickets.settle(name, State.DONE, answer(rows, cost=0.5 if job == 0 else 0.25))
        store.journal.begin(run, 2, b"golden", 3)
        store.tickets.intend(intent(part("open", (7, 8), flips=(1, 2)), run=run, job=2, money=2.0))
        store.tickets.sent("open", "remote", {"accepted": 5.0})
        store.runs.set_status(run, "stopped")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "golden.db"
        write(file)
        Path(sys.argv[1]).write_bytes(gzip.compress(file.read_bytes(), mtime=0))
