"""The service without HTTP: whatever is done to it, states move forward and every finished circuit is charged once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from q_store.emulator.faults import Faults
from q_store.emulator.listing import Query, place_of
from q_store.emulator.records import MULTI, Request, State, child_id, child_ids, child_number, job_id
from q_store.emulator.refusal import Refusal
from q_store.emulator.service import Rules, Service

SLOTS = 3
PICK = st.integers(0, 10**6)


def request(size, *, multi, dry_run=False, backend="a"):
    none = np.zeros(size, dtype=np.int64)
    return Request(
        type=MULTI if multi else "ionq.circuit.v1",
        backend=backend,
        name=None,
        metadata=None,
        shots=100,
        session=None,
        dry_run=dry_run,
        settings={},
        noise_model=None,
        noise_seed=None,
        qubits=none + 2,
        names=(None,) * size,
        one_qubit=none + 1,
        two_qubit=none,
    )


def prices(_backend, one, _two, _shots):
    return one * 0.5


class Anything(RuleBasedStateMachine):
    """Random submissions, cancellations and deletions, with random faults."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.service = Service(
            Rules(circuit_seconds=1.0, slots=SLOTS),
            ("a", "b"),
            prices,
            Faults.parse("failed-job:0.1,stuck:0.1,failed-child:0.2,late:0.2:3,unknown-state:0.2:2", seed=7),
        )
        self.records = []
        self.seen = {}  # (record, circuit) -> state
        self.deleted = set()
        self.content = 0

    @rule(size=st.integers(1, 6), multi=st.booleans(), dry_run=st.sampled_from([False, False, True]), late=PICK)
    def submit(self, size, multi, dry_run, late):
        size = size if multi else 1
        contents = np.arange(self.content, self.content + size, dtype=np.uint64)
        self.content += size
        backend = "ab"[late % 2]
        record = self.service.accept(request(size, multi=multi, dry_run=dry_run, backend=backend), contents, self.now)
        if not dry_run:
            self.service.computed(record, [b"{}"] * size, self.now + late % 3)
        self.records.append(record)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 2.5, 10.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(pick=PICK, child=PICK)
    def cancel(self, pick, child):
        names = self.names(pick, child)
        if names:
            assert self.service.cancel([*names, "unknown"], self.now) == names

    @rule(pick=PICK, child=PICK)
    def delete(self, pick, child):
        names = self.names(pick, child)
        if names:
            self.service.delete(names, self.now)
            self.deleted.update(names)
            with pytest.raises(Refusal):
                self.service.find(names[0])

    @rule()
    def settle(self):
        self.service.settle(self.now)

    def names(self, pick, child):
        """A job, or one of its children, that is not deleted."""
        alive = [record for record in self.records if record.id not in self.deleted]
        if not alive:
            return []
        record = alive[pick % len(alive)]
        if record.request.multi and child % 2:
            name = child_ids(record.id, record.size)[child % record.size]
            return [] if name in self.deleted else [name]
        return [record.id]

    @invariant()
    def states_move_forward_and_final_ones_stay(self):
        for record in self.records:
            for i, state in enumerate(record.states(self.now).tolist()):
                before = self.seen.get((record.id, i), State.READY)
                assert state == before or (state > before and not State(before).is_final)
                self.seen[record.id, i] = state

    @invariant()
    def no_more_than_the_slots_run(self):
        for backend in "ab":
            running = 0
            for record in self.records:
                if record.request.backend == backend and not record.request.dry_run:
                    b = record.booking
                    running += int((b.active & (b.starts <= self.now) & (self.now < b.ends)).sum())
            assert running <= SLOTS

    @invariant()
    def every_completed_circuit_is_charged_once(self):
        ledger = self.service.summary(self.now)
        completed = sum(
            int((record.states(self.now) == State.COMPLETED).sum())
            for record in self.records
            if not record.request.dry_run
        )
        assert ledger["charged_circuits"] == completed
        assert ledger["charges_usd"] == pytest.approx(0.5 * completed)
        assert ledger["circuits_charged_twice"] == 0

    @invariant()
    def the_list_shows_everything_once(self):
        expected = []
        for record in reversed(self.records):
            if record.id in self.deleted or record.listed_from > self.now:
                continue
            children = reversed(child_ids(record.id, record.size)) if record.request.multi else []
            expected += [name for name in [*children, record.id] if name not in self.deleted]
        seen, cursor = [], None
        while True:
            reply = self.service.jobs(Query(limit=7, before=cursor and place_of(cursor)), self.now)
            seen += [job["id"] for job in reply["jobs"]]
            cursor = reply["next"]
            if cursor is None:
                break
        assert seen == expected

    @invariant()
    def a_parent_is_what_its_children_are(self):
        for record in self.records:
            states, whole = record.states(self.now), record.state(self.now)
            assert whole.is_final == (states >= State.COMPLETED).all()
            if whole is State.COMPLETED:
                assert (states == State.COMPLETED).all()


Anything.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestAnything = Anything.TestCase


def test_names_of_children_need_no_memory():
    parent = job_id(3, 9)
    names = child_ids(parent, 5_000)
    assert len({parent, *names}) == 5_001
    assert all(len(name) == 36 for name in names)
    assert [child_number(parent, name) for name in names] == list(range(5_000))
    assert [child_id(parent, i) for i in (0, 4_999)] == [names[0], names[-1]]
    assert child_number(parent, parent) == -1
    ordered = sorted(names)
    assert sum(a == b for a, b in zip(names, ordered, strict=True)) < 50


@pytest.mark.parametrize("name", ["", "x", "../..", "z" * 36])
def test_names_that_are_none(name):
    service = Service(Rules(), ("a",), prices)
    record = service.accept(request(2, multi=True), np.zeros(2, dtype=np.uint64), 0.0)
    for wrong in (name, record.id[:24] + "z" * 12, record.id[:-1], record.id + "0", child_ids(record.id, 3)[2]):
        with pytest.raises(Refusal) as caught:
            service.find(wrong)
        assert caught.value.status == 404


def test_forgetting_is_by_size_too():
    service = Service(Rules(keep_bytes=100_000), ("a",), prices)
    for i in range(40):
        record = service.accept(request(1, multi=False), np.array([i], dtype=np.uint64), float(i))
        service.computed(record, [b"x" * 10_000], float(i))
    service.settle(50.0)
    kept = service.jobs(Query(limit=100), 50.0)["jobs"]
    assert 5 <= len(kept) <= 10
    assert kept[0]["id"] == record.id
    assert service.summary(50.0)["charged_circuits"] == 40


def test_a_failed_child_counts_before_a_canceled_one():
    service = Service(Rules(circuit_seconds=1.0, slots=2), ("a",), prices, Faults.parse("failed-child:1"))
    record = service.accept(request(4, multi=True), np.arange(4, dtype=np.uint64), 0.0)
    service.computed(record, [b"{}"] * 4, 0.0)
    service.cancel([record.id], 1.5)
    assert record.states(1.5).tolist() == [State.FAILED, State.FAILED, State.CANCELED, State.CANCELED]
    assert record.state(1.5) is State.FAILED
