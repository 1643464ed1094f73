"""Whatever members do and whenever they do it: every circuit is settled once, within the limits, nothing paid twice."""

from __future__ import annotations

import math
import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.pool.judge import Judge

from q_store.backends.base import Missing
from q_store.jobs import Status
from q_store.pool.events import Accepted, Answered, Asked, Break, Broke, Doubted, Probed, Reported, Tick, Withdrawn
from q_store.pool.members import MemberSpec
from q_store.pool.settings import PoolSettings
from q_store.pool.state import PoolState

SEQUENCES = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 200
TRUSTY = "m0"
"""Never refuses and is never barred, so that there is always somebody left."""

members = st.builds(
    dict,
    max_slice=st.sampled_from([1, 3, 10, 1000]),
    max_in_flight=st.integers(1, 4),
    price=st.sampled_from([0.0, 0.0, 1.0]),
    priority=st.integers(0, 1),
    noise_id=st.sampled_from(["ideal", "ideal", "ideal", "forte"]),
)
figures = st.builds(
    PoolSettings,
    allow_mixed=st.booleans(),
    hedge=st.booleans(),
    thrift=st.sampled_from([0.0, 0.5, 5.0]),
    failures=st.integers(1, 3),
    tries=st.integers(1, 4),
    quota=st.sampled_from([0.0, 3.0, 20.0]),
    lost=st.sampled_from(["wait", "buy"]),
    lost_after=st.sampled_from([0.0, 60.0]),
    recall_after=st.sampled_from([0.0, 5.0]),
)
gaps = st.builds(
    Missing,
    st.sampled_from([Status.FAILED, Status.FAILED, Status.UNCERTAIN]),
    st.sampled_from(["no result", "no qubit"]),
    st.booleans(),
)


class AnyPool(RuleBasedStateMachine):
    """Circuits have identities of their own, which outlive restarts of the process (a new state, new batches)."""

    @initialize(members=st.lists(members, min_size=1, max_size=4), figures=figures)
    def begin(self, members, figures):
        self.specs = [MemberSpec(name=f"m{k}", **each) for k, each in enumerate(members)]
        self.figures = figures
        self.now, self.batches, self.circuits = 0.0, 0, 0
        self.fates: dict[int, str] = {}
        self._start()

    def _start(self):
        self.state, self.judge = (
            PoolState(self.specs, self.figures),
            Judge(self.specs, allow_mixed=self.figures.allow_mixed, buys=self.figures.lost == "buy"),
        )
        self.identity: dict[int, list[int]] = {}

    def tell(self, event):
        self.judge.event(event, self.now)
        self.judge.actions(self.state.handle(event, self.now), self.now)

    def _ask(self, identities, members, work=1.0):
        self.identity[self.batches] = identities
        self.tell(Asked(self.batches, len(identities), frozenset(members), work))
        self.batches += 1

    def _domain(self):
        noise_id = self.specs[0].noise_id
        return [spec.name for spec in self.specs if self.figures.allow_mixed or spec.noise_id == noise_id]

    # -------------------------------------------------------------------------------------------------------- events

    @rule(count=st.sampled_from([1, 2, 7, 40, 300]), data=st.data(), work=st.sampled_from([1.0, 1.0, 1e3]))
    def ask(self, count, data, work):
        names = self._domain()
        chosen = data.draw(st.sets(st.sampled_from(names)), label="members") | {TRUSTY}
        self._ask(list(range(self.circuits, self.circuits + count)), chosen, work)
        self.circuits += count

    @rule(seconds=st.sampled_from([0.0, 1e-3, 0.1, 1.0, 30.0, 1000.0]))
    def wait(self, seconds):
        self.now += seconds
        self.tell(Tick())

    @precondition(lambda self: self.judge.wake is not None)
    @rule()
    def wake(self):
        self.now = max(self.now, self.judge.wake)
        self.tell(Tick())

    def _one(self, data):
        return self.judge.in_flight[data.draw(st.sampled_from(sorted(self.judge.in_flight)), label="slice")]

    @precondition(lambda self: self.judge.in_flight)
    @rule(data=st.data(), due=st.none() | st.floats(0, 100))
    def accept(self, data, due):
        self.tell(Accepted(self._one(data).slice, due))

    @precondition(lambda self: self.judge.in_flight)
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 0.01, 0.5, 5.0]))
    def answer(self, data, seconds):
        self.now += seconds
        self.tell(Answered(self._one(data).slice))

    @precondition(lambda self: self.judge.in_flight)
    @rule(data=st.data())
    def answer_in_part(self, data):
        send = self._one(data)
        places = st.integers(0, len(send.numbers) - 1)
        self.tell(Answered(send.slice, data.draw(st.dictionaries(places, gaps, min_size=1, max_size=5))))

    @precondition(lambda self: self.judge.in_flight)
    @rule(data=st.data(), kind=st.sampled_from(Break), pause=st.sampled_from([0.0, 2.0, 100.0]))
    def fail(self, data, kind, pause):
        send = self._one(data)
        if kind in {Break.BARRED, Break.REFUSED} and send.member == TRUSTY:
            kind = Break.UNREACHABLE
        self.tell(Broke(send.slice, kind, kind.value, pause))

    @precondition(lambda self: self.judge.probing)
    @rule(data=st.data(), ok=st.booleans())
    def probe(self, data, ok):
        self.tell(Probed(data.draw(st.sampled_from(sorted(self.judge.probing))), ok))

    @rule(data=st.data(), available=st.booleans(), throttled=st.booleans())
    def report(self, data, available, throttled):
        name = data.draw(st.sampled_from([spec.name for spec in self.specs]))
        self.tell(Reported(name, available, throttled=throttled and not available, pause=2.0))

    @rule(data=st.data(), reason=st.sampled_from(["", "refused"]))
    def doubt(self, data, reason):
        self.tell(Doubted(data.draw(st.sampled_from([spec.name for spec in self.specs])), reason))

    @rule(name=st.integers(10_000, 10_010))
    def hear_of_a_slice_that_is_over(self, name):
        before = len(self.judge.in_flight)
        self.judge.actions(self.state.handle(Answered(name), self.now), self.now)
        assert len(self.judge.in_flight) >= before

    @precondition(lambda self: self.judge.open)
    @rule(data=st.data())
    def withdraw(self, data):
        batch = data.draw(st.sampled_from(sorted(self.judge.open)))
        self._record(batch)
        for number, circuit in enumerate(self.identity[batch]):
            if number not in self.judge.settled[batch]:
                self._settle(circuit, "withdrawn")
        self.tell(Withdrawn(batch))
        flights = [send.slice for send in self.judge.in_flight.values() if send.batch == batch]
        assert set(flights) <= self.judge.canceled

    @rule(data=st.data())
    def restart(self, data):
        """The process dies. The next one settles what is in flight (as the shell does), then asks for the rest."""
        for batch in self.identity:
            self._record(batch)
        for send in self.judge.in_flight.values():
            fate = data.draw(st.sampled_from(["answered", "uncertain", "absent"]), label="fate")
            for number in send.numbers.tolist():
                circuit = self.identity[send.batch][number]
                if fate != "absent" and circuit not in self.fates:
                    self._settle(circuit, fate)
        self._start()
        left = [circuit for circuit in range(self.circuits) if circuit not in self.fates]
        if left:
            self._ask(left, self._domain())

    # ---------------------------------------------------------------------------------------------------- accounting

    def _settle(self, circuit, fate):
        assert circuit not in self.fates
        self.fates[circuit] = fate

    def _record(self, batch):
        """Fates of a batch; a withdrawn one was recorded before."""
        for number, fate in self.judge.settled[batch].items():
            circuit = self.identity[batch][number]
            if batch in self.judge.open:
                self._settle(circuit, fate)
            else:
                self.fates.setdefault(circuit, fate)

    def teardown(self):
        """Now everything works: then every circuit must come to an end, soon."""
        if not hasattr(self, "state"):
            return
        for spec in self.specs:
            self.tell(Doubted(spec.name, ""))
        for _ in range(5000):
            if not self.judge.open:
                break
            if self.judge.probing:
                self.tell(Probed(min(self.judge.probing), ok=True))
            elif self.judge.in_flight:
                self.now += 0.1
                self.tell(Answered(min(self.judge.in_flight)))
            else:
                assert self.judge.wake is not None, "nothing is under way and nobody will look again"
                self.now = self.judge.wake
                self.tell(Tick())
        assert not self.judge.open
        for batch in self.identity:
            self._record(batch)
        assert sorted(self.fates) == list(range(self.circuits))
        assert all(np.isfinite(each.window) for each in self.state.standing(self.now))
        assert math.isfinite(self.now)


AnyPool.TestCase.settings = settings(max_examples=SEQUENCES, stateful_step_count=30)
TestAnyPool = AnyPool.TestCase
