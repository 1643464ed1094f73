"""A process that ends at any write of the store: the next one goes on, and nothing is charged twice."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
from tests.pool.pools import Site, epoch, opened, run, sweep

from q_store.emulator.clock import run_virtual
from q_store.errors import StorageError
from q_store.jobs import Output
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings
from q_store.store import State


class Crash:
    """Ends a store at its write number `at`, before or after it is on the disk; nothing is written after that."""

    def __init__(self, store, at, *, before):
        self.database, self.at, self.before = store._database, at, before
        self.writes = 0
        self.dead = False
        self._write = self.database.write
        self.database.write = self.write

    @contextmanager
    def write(self):
        if self.database._depth:
            with self._write():
                yield
            return
        self.writes += 1
        if self.dead or (self.before and self.writes == self.at):
            self._die()
        with self._write():
            yield
        if self.writes == self.at:
            self._die()

    def _die(self):
        self.dead = True
        raise StorageError("the process has ended here")

    def bury(self):
        """As the end of a process does it: nothing is tidied up."""
        self.database.write = self._write
        self.database.close()


def job(reuse):
    return sweep(5, output=Output.COUNTS, observables=(), shots=200, reuse=reuse)


def sites():
    return [
        Site("one", backend="qpu.aria-1", circuit_seconds=1.0, rtt=0.1),
        Site("two", backend="qpu.aria-1", circuit_seconds=1.0, rtt=0.1),
    ]


def begun(path):
    store = opened(path)
    if not store.runs.all():
        store.runs.start("train", {}, run="r")
    return store


def broken(own, path, at, reuse, *, before):
    """Whether the process has ended at this write."""
    store = begun(path)
    crash = Crash(store, at, before=before)
    try:
        run(own, [job(reuse)], store, run="r")
    except StorageError:
        return True
    finally:
        crash.bury()
    return False


@pytest.mark.parametrize(("reuse", "before"), [(True, False), (False, True)])
def test_a_crash_at_any_write_costs_nothing(tmp_path, reuse, before):
    (right,), _ = run(sites(), [job(reuse)])
    for at in itertools.count(1 + before, 2):
        own, path = sites(), tmp_path / f"{at}.db"
        if not broken(own, path, at, reuse, before=before):
            break
        with begun(path) as store:
            (outcome,), _ = run(own, [job(reuse)], store, run="r")
            store.check()
            spent, reserved = store.budget.totals("r")["USD"]
        ledgers = [site.ledger for site in own]
        assert outcome.complete
        np.testing.assert_array_equal(outcome.counts, right.counts)
        assert sum(ledger["charged_circuits"] for ledger in ledgers) == 5, at
        assert all(ledger["circuits_charged_twice_by_fingerprint"] == 0 for ledger in ledgers)
        assert spent.money == pytest.approx(sum(ledger["charges_usd"] for ledger in ledgers))
        assert (spent.circuits, reserved.circuits) == (5, 0)
    assert at > 10


@pytest.mark.parametrize("before", [False, True])
def test_whoever_waits_for_circuits_of_a_process_that_has_ended_fetches_them(tmp_path, before):
    """Two runs ask the same at once, and one ends at any write: the other waits, and buys nothing that was sent."""
    (right,), _ = run(sites(), [job(reuse=True)])
    for at in itertools.count(1 + before, 2):
        own, path = sites(), tmp_path / f"{at}.db"
        with begun(path) as first, opened(path, owner="two") as second:
            second.runs.start("train", {}, run="s")
            crash = Crash(first, at, before=before)
            outcome = beside(own, first, second)
            crash.bury()
            with opened(path, owner="three") as third:
                (resumed,), _ = run(own, [job(reuse=True)], third, run="r")
            second.check()
            assert second.tickets.open() == []
        for each in (outcome, resumed):
            np.testing.assert_array_equal(each.counts, right.counts)
        assert sum(site.ledger["charged_circuits"] for site in own) == 5, at
        if not crash.dead:
            break
    assert at > 10


def beside(own, first, second):
    """The outcome of run "s", which begins when run "r" has sent what both ask."""

    async def go():
        one, two = (Pool([site.member for site in own], store, name) for store, name in ((first, "r"), (second, "s")))
        ends = asyncio.ensure_future(one.run_async([job(reuse=True)]))
        await asyncio.sleep(0.5)
        (outcome,) = await two.run_async([job(reuse=True)])
        await asyncio.wait({ends})
        assert isinstance(ends.exception(), StorageError | None)
        await asyncio.gather(one.aclose(), two.aclose())
        return outcome

    epoch()
    return run_virtual(go())


def left_behind(own, path):
    """End processes earlier and later, until one has left a slice with the service."""
    for at in itertools.count(1):
        assert broken(own, path, at, reuse=True, before=False), "all was done, and nothing left"
        with begun(path) as store:
            if any(ticket.state is State.SENT for ticket in store.tickets.open()):
                return


def test_a_run_goes_on_beside_another_that_looks_after_what_it_left(tmp_path):
    """Both resumed at once: the other one takes up what the run left, which must not look like work on the run."""
    site, path = Site("one", backend="qpu.aria-1", circuit_seconds=60.0, rtt=0.1), tmp_path / "s.db"
    left_behind([site], path)
    stores = [opened(path, owner=name) for name in ("other", "own")]
    stores[0].runs.start("train", {}, run="other")

    async def go():
        other, own = Pool([site.member], stores[0], "other"), Pool([site.member], stores[1], "r")
        beside = asyncio.ensure_future(other.run_async([sweep(7, shots=200)]))
        await asyncio.sleep(30)
        assert {ticket.owner for ticket in stores[0].tickets.of_run("r") if ticket.state is State.SENT} == {"other"}
        (outcome,) = await own.run_async([job(reuse=True)])
        await beside
        await asyncio.gather(other.aclose(), own.aclose())
        return outcome

    epoch()
    assert run_virtual(go()).complete
    assert site.ledger["charged_circuits"] == 5 + 7
    assert site.ledger["circuits_charged_twice"] == 0
    for store in stores:
        store.close()


def test_a_run_waits_for_another_that_was_faster_to_take_up_what_it_left(tmp_path, monkeypatch):
    """Between the look at the leases and the taking over, somebody else may take them over."""
    site, path = Site("one", backend="qpu.aria-1", circuit_seconds=60.0, rtt=0.1), tmp_path / "s.db"
    left_behind([site], path)
    other, own = (opened(path, owner=name) for name in ("other", "own"))
    adopt, taken = own.tickets.adopt, []

    def late(wanted):
        if not taken:
            taken.extend(other.tickets.adopt())
        return adopt(wanted)

    monkeypatch.setattr(own.tickets, "adopt", late)

    async def go():
        asyncio.get_running_loop().call_later(5.0, other.tickets.release)
        async with Pool([site.member], own, "r") as pool:
            (outcome,) = await pool.run_async([job(reuse=True)])
        return outcome

    epoch()
    assert run_virtual(go()).complete
    assert taken
    assert site.ledger["charged_circuits"] == 5
    for store in (other, own):
        store.close()


def test_several_that_wait_for_what_another_one_left_hand_it_on_and_back_to_its_own_run(tmp_path):
    """The job takes longer than leases last: whoever fetches it may lose it, and nobody buys it again."""
    site, path = Site("one", backend="qpu.aria-1", circuit_seconds=60.0, rtt=0.1), tmp_path / "s.db"
    left_behind([site], path)
    stores = {name: opened(path, owner=name) for name in ("s", "t", "r")}
    for name in ("s", "t"):
        stores[name].runs.start("train", {}, run=name)
    owners = []

    async def ask(name, after):
        await asyncio.sleep(after)
        async with Pool([site.member], stores[name], name) as pool:
            (outcome,) = await pool.run_async([job(reuse=True)])
        return outcome

    async def look():
        while open_ := stores["s"].tickets.open():
            owners.append(open_[0].owner)
            await asyncio.sleep(1)

    async def go():
        asked = asyncio.gather(ask("s", 0), ask("t", 5), ask("r", 150))
        await look()
        return await asked

    epoch()
    outcomes = run_virtual(go())
    assert [name for name, _ in itertools.groupby(owners)][1:] == ["s", "t", "r"]
    for outcome in outcomes:
        np.testing.assert_array_equal(outcome.counts, outcomes[0].counts)
    assert site.ledger["charged_circuits"] == 5
    for store in stores.values():
        store.close()


def test_what_no_member_can_fetch_is_waited_for_only_while_its_process_lives(tmp_path):
    """The slice of another account, whose process has ended: its lease is what there is to wait for."""
    theirs, ours = (
        Site(name, backend="qpu.aria-1", circuit_seconds=60.0, rtt=0.1, key=f"key-of-{name}") for name in ("one", "two")
    )
    path = tmp_path / "s.db"
    left_behind([theirs], path)
    with opened(path) as store:
        (outcome,), _ = run([ours], [job(reuse=True)], store)
    assert outcome.complete
    assert ours.ledger["charged_circuits"] == 5


@pytest.mark.parametrize("buys", [False, True])
def test_what_a_lost_member_has_of_another_run_is_bought_where_the_user_says_so(tmp_path, buys):
    settings = PoolSettings(lost="buy", lost_after=20.0) if buys else None
    slow = Site("one", backend="qpu.aria-1", circuit_seconds=60.0, rtt=0.1)
    own, path = [slow, sites()[1]], tmp_path / "s.db"
    left_behind([slow], path)
    with begun(path) as store:
        circuits = sum(ticket.circuits for ticket in store.tickets.open() if ticket.state is State.SENT)
        slow.line.dead = True
        (outcome,), took = run(own, [job(reuse=True)], store, settings=settings, patience=300.0)
        assert outcome.complete is buys
        assert took < 120 if buys else len(outcome.status) == circuits
    slow.line.dead = False
    with begun(path) as store:
        (again,), _ = run(own, [job(reuse=True)], store)
    assert again.complete
    assert buys or sum(site.ledger["charged_circuits"] for site in own) == 5
