"""Two processes on one store against a model in plain dicts: samples, journal, tickets, claims, leases and budgets."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.store.parts import DOMAIN, Clock, answer, as_counts, begun, intent, memory, part

from q_store.backends.base import Missing
from q_store.errors import BudgetError, StoreError
from q_store.jobs import Status
from q_store.store import Amounts, Caps, State, keys_of

CIRCUITS = 5
OWNERS = ("one", "two")
JOBS = (0, 1)
LEASE = 60
OPEN = {State.INTENT, State.SENT, State.UNCERTAIN}
KEYS = keys_of(part("x", range(CIRCUITS)), DOMAIN)
owners = st.sampled_from(OWNERS)
choice = st.integers(0, 10**6)
cents = st.integers(0, 300)
several = st.sets(st.integers(0, CIRCUITS - 1), min_size=1)
ends = st.tuples(st.sampled_from([State.DONE, State.DONE, State.FAILED, State.CANCELLED]), st.integers(0, 100))


@dataclass
class Ticket:
    """What the model knows of a ticket."""

    name: str
    owner: str
    job: int
    numbers: list[int]
    price: int
    lease: float
    state: State = State.INTENT

    @property
    def shots(self):
        return 100 * len(self.numbers)


class StoreMachine(RuleBasedStateMachine):
    """Names of the model end in `_of`; money is in cents."""

    @initialize(run_cap=st.integers(100, 2000), provider_cap=st.integers(100, 2000), shots=st.integers(200, 4000))
    def start(self, run_cap, provider_cap, shots):
        self.clock = Clock()
        self.store = memory(self.clock, owner="one")
        begun(self.store, "later")
        self.store.journal.begin("run", 1, b"another", 3)
        second = copy.copy(self.store.tickets)
        second.owner = "two"
        self.of = {"one": self.store.tickets, "two": second}
        self.store.budget.set(Caps(money=run_cap / 100, shots=shots), run="run")
        self.store.budget.set(Caps(money=provider_cap / 100), provider="ionq")
        self.money_cap, self.shots_cap = min(run_cap, provider_cap), shots
        self.tickets: dict[str, Ticket] = {}
        self.holder: dict[int, str] = {}  # who claimed a circuit last
        self.samples_of = {k: Counter() for k in range(CIRCUITS)}
        self.journal_of = {(job, k): Counter() for job in JOBS for k in range(CIRCUITS)}
        self.spent, self.spent_shots = 0, 0

    def open(self):
        return [ticket for ticket in self.tickets.values() if ticket.state in OPEN]

    def held(self, numbers):
        holders = [self.tickets[self.holder[k]] for k in numbers if k in self.holder]
        return {ticket.name for ticket in holders if ticket.state in OPEN and ticket.lease > self.clock.now}

    @rule(owner=owners, job=st.sampled_from(JOBS), numbers=several, price=cents, claim=st.booleans())
    def intend(self, owner, job, numbers, price, claim):
        name, numbers = f"t{len(self.tickets)}", sorted(numbers)
        wanted = intent(part(name, numbers), job=job, money=price / 100, claim=claim)
        waits_for = self.held(numbers) if claim else set()
        reserved, shots = sum(t.price for t in self.open()), sum(t.shots for t in self.open())
        fits = self.spent + reserved + price <= self.money_cap
        fits = fits and self.spent_shots + shots + 100 * len(numbers) <= self.shots_cap
        if waits_for:
            assert {held.fingerprint for held in self.of[owner].intend(wanted)} == waits_for
        elif not fits:
            with pytest.raises(BudgetError):
                self.of[owner].intend(wanted)
        else:
            assert self.of[owner].intend(wanted) == []
            self.tickets[name] = Ticket(name, owner, job, numbers, price, self.clock.now + LEASE)
            if claim:
                self.holder.update(dict.fromkeys(numbers, name))

    def drawn(self, number):
        """Any ticket."""
        return list(self.tickets.values())[number % len(self.tickets)]

    @precondition(lambda self: self.tickets)
    @rule(owner=owners, number=choice, to=st.sampled_from([State.SENT, State.UNCERTAIN]))
    def move(self, owner, number, to):
        ticket = self.drawn(number)

        def act():
            if to is State.SENT:
                self.of[owner].sent(ticket.name, "remote")
            else:
                self.of[owner].uncertain(ticket.name, "why")

        if ticket.state not in OPEN or ticket.owner != owner:
            with pytest.raises(StoreError):
                act()
        else:
            act()
            ticket.state, ticket.lease = to, self.clock.now + LEASE

    @precondition(lambda self: self.tickets)
    @rule(owner=owners, number=choice, end=ends, gaps=st.sets(st.integers(0, CIRCUITS - 1)), first=st.integers(0, 7))
    def settle(self, owner, number, end, gaps, first):
        """A charge of a share of what was reserved; results of DONE and CANCELLED."""
        to, share = end
        ticket = self.drawn(number)
        gaps = {k: Missing(Status.FAILED, "child") for k in gaps if k < len(ticket.numbers)}
        both = [{(first + k) % 8: 60, (first + k + 3) % 8: 40} for k in range(len(ticket.numbers))]
        rows = [{} if k in gaps else row for k, row in enumerate(both)]
        found = answer(rows, gaps) if to is not State.FAILED else None
        cost, shots = ticket.price * share // 100, 100 * (len(rows) - len(gaps)) if found else 0
        charge = Amounts(cost / 100, shots, len(rows) - len(gaps) if found else 0)
        too_early = ticket.state is State.INTENT and to is State.DONE
        legal = ticket.state in OPEN and ticket.owner == owner and not too_early
        if not legal:
            with pytest.raises(StoreError):
                self.of[owner].settle(ticket.name, to, found, charge=charge)
            return
        kept = self.of[owner].settle(ticket.name, to, found, charge=charge)
        ticket.state = to
        self.spent, self.spent_shots = self.spent + cost, self.spent_shots + shots
        if found:
            assert as_counts(kept) == [dict(sorted(row.items())) for row in rows]
            for k, row in zip(ticket.numbers, rows, strict=True):
                self.samples_of[k].update(row)
                self.journal_of[ticket.job, k].update(row)

    @rule(owner=owners)
    def heartbeat(self, owner):
        mine = [t for t in self.open() if t.owner == owner and t.state is not State.UNCERTAIN]
        assert self.of[owner].heartbeat() == {t.name for t in mine}
        for ticket in mine:
            ticket.lease = self.clock.now + LEASE

    @rule(owner=owners)
    def adopt(self, owner):
        lapsed = [t for t in self.open() if t.owner != owner and t.lease <= self.clock.now]
        assert [ticket.fingerprint for ticket in self.of[owner].adopt()] == [t.name for t in lapsed]
        for ticket in lapsed:
            ticket.owner, ticket.lease = owner, self.clock.now + LEASE

    @rule(seconds=st.sampled_from([1, 20, 59, 60, 100]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(numbers=st.lists(st.integers(0, CIRCUITS - 1), max_size=8))
    def look_up(self, numbers):
        found = self.store.samples.lookup([KEYS[k] for k in numbers], 3)
        assert as_counts(found) == [dict(sorted(self.samples_of[k].items())) for k in numbers]

    @rule(job=st.sampled_from(JOBS))
    def replay(self, job):
        replay = self.store.journal.read("run", job)
        received = {k: row for (own, k), row in self.journal_of.items() if own == job and row}
        assert dict(zip(replay.numbers.tolist(), as_counts(replay.measured), strict=True)) == received

    @invariant()
    def nothing_is_ever_beyond_a_cap(self):
        totals = self.store.budget.totals("run").get("USD", (Amounts(), Amounts()))
        spent, reserved = (round(100 * each.money) for each in totals)
        assert (spent, reserved) == (self.spent, sum(t.price for t in self.open()))
        assert spent + reserved <= self.money_cap
        assert totals[0].shots + totals[1].shots <= self.shots_cap

    def teardown(self):
        if hasattr(self, "store"):
            self.store.check()
            states = {ticket.fingerprint: (ticket.state, ticket.owner) for ticket in self.store.tickets.of_run("run")}
            assert states == {t.name: (t.state, t.owner) for t in self.tickets.values()}
            self.store.close()


StoreMachine.TestCase.settings = settings(max_examples=settings().max_examples * 3 // 5, stateful_step_count=40)
TestStore = StoreMachine.TestCase
