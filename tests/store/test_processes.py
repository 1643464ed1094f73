"""Several processes on one file: one cap, one buyer a circuit, one heir a ticket."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.store.parts import Clock, begun, intent, part

from q_store.store import Amounts, Caps, Store

HOLDER = """
import sys
from q_store.store import Store
from tests.store.parts import intent, part
store = Store(sys.argv[1], lease=1000.0)
store.tickets.intend(intent(part("theirs")))
with store.transaction():
    store.runs.note("run", [("theirs", {})])
    print("ready", flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).resolve().parents[2]
ROUNDS, PROCESSES = 40, 3


@pytest.fixture
def results(tmp_path):
    """What each process got, and the store that they leave."""
    path = tmp_path / "s.db"
    with begun(Store(path, lease=0.0)) as store:
        store.budget.set(Caps(money=5.0), run="run")
        for k in range(10):
            store.tickets.intend(intent(part(f"left{k}", [k]), money=0.05, claim=False))
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.store.worker", path, name, str(ROUNDS)], stdout=subprocess.PIPE, cwd=ROOT
            )
            for name in "abc"
        ]
        got = [json.loads(worker.communicate()[0]) for worker in workers]
        yield got, store


def test_processes_share_a_cap_and_their_purchases(results):
    got, store = results
    store.check()
    bought = sum(each["bought"] for each in got)
    spent, reserved = store.budget.totals("run")["USD"]
    assert (reserved, spent.money) == (Amounts(), 5.0)
    assert (bought, spent.shots) == (50, 50 * 200)
    assert all(each["bought"] + each["waited"] + each["refused"] == ROUNDS for each in got)
    assert sum(store.journal.read("run", 0).measured.shots) == 50 * 200
    assert sum(each["adopted"] for each in got) == 10
    assert store.tickets.open() == []


@pytest.mark.kill
def test_a_process_that_is_killed_in_a_transaction_stops_nobody(tmp_path):
    """Its transaction is undone, its ticket waits for the end of its lease, as its owner could still live."""
    path, clock = tmp_path / "s.db", Clock(time.time())
    with begun(Store(path, clock=clock)) as store:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", HOLDER, path], cwd=ROOT, **pipes) as holder:
            assert holder.stdout.readline() == b"ready\n"
            holder.kill()
        store.runs.note("run", [("ours", {})])
        assert [note.kind for note in store.runs.notes("run")] == ["ours"]
        assert store.tickets.adopt() == []
        clock.now += 2000
        assert [ticket.fingerprint for ticket in store.tickets.adopt()] == ["theirs"]
        store.check()
