"""A pool in virtual time: members that work, lag, throttle, hang, fail or die, as discrete events.

A service works its slices off in the order of arrival, `side_by_side` of them at a time.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tests.pool.judge import Judge

from q_store.pool.actions import Cancel, Finished, Probe, Send, Starve
from q_store.pool.events import Accepted, Answered, Asked, Break, Broke, Probed, Reported, Tick, Withdrawn
from q_store.pool.members import MemberSpec
from q_store.pool.settings import PoolSettings
from q_store.pool.state import PoolState

FAULTS = ("dead", "500", "429", "hang", "failing")


@dataclass
class Service:
    """A member's other end, and what it does with slices.

    speed: circuits a second of each of `side_by_side` workers. latency: before a slice may start. jitter: relative.
    fault: what is wrong between `broken_from` and `broken_to`:
        dead      sending fails after `notice`, nothing that runs comes back, polls and probes fail
        500       sending fails after `notice`; probes are fine and what runs comes back
        429       sending is throttled for a second; what runs comes back
        hang      slices are accepted and never end
        failing   slices end without results
        poison    slices that hold a circuit of `poison` end without results
    obeys: whether cancels are confirmed.
    """

    speed: float = 100.0
    latency: float = 0.1
    side_by_side: int = 1
    jitter: float = 0.0
    fault: str = ""
    broken_from: float = 0.0
    broken_to: float = math.inf
    notice: float = 0.2
    poison: frozenset[int] = frozenset()
    obeys: bool = True
    waiting: list[Send] = field(default_factory=list)
    working: set[int] = field(default_factory=set)

    def at(self, now: float) -> str:
        return self.fault if self.broken_from <= now < self.broken_to else ""


class Simulation:
    """Runs batches on the real `PoolState`; `now` is virtual, a `Judge` watches."""

    def __init__(self, services: dict[str, Service], specs: dict[str, dict] | None = None, seed=0, **settings):
        self.random = np.random.default_rng(seed)
        self.services = services
        members = [MemberSpec(name=name, **(specs or {}).get(name, {})) for name in services]
        self.state = PoolState(members, PoolSettings(**settings))
        self.judge = Judge(members, allow_mixed=self.state.settings.allow_mixed, buys=settings.get("lost") == "buy")
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], object]]] = []
        self.order = itertools.count()
        self.finished: dict[int, float] = {}
        self.starved: list[Starve] = []
        self.sends: list[tuple[float, Send]] = []
        for name, service in services.items():
            if service.fault == "dead" and service.broken_from:
                self._later(service.broken_from + service.notice - self.now, self._notice, name)

    # ------------------------------------------------------------------------------------------------------- driving

    def ask(self, batch: int, count: int, members=None, work=1.0):
        self.tell(Asked(batch, count, frozenset(members or self.services), work))

    def withdraw(self, batch: int):
        self.tell(Withdrawn(batch))

    def run(self, until=math.inf, most=20_000) -> float:
        """To the end of all batches, or until that time; the time that passed since the call."""
        begun = self.now
        for _ in range(most):
            wake = math.inf if self.judge.wake is None else self.judge.wake
            at = min(wake, self.queue[0][0] if self.queue else math.inf)
            if not self.judge.open or at > until or at == math.inf:
                return self.now - begun
            self.now = at
            if wake == at:
                self.tell(Tick())
            else:
                heapq.heappop(self.queue)[2]()
        raise AssertionError(f"{most} events without an end, at {self.now} s")

    def makespan(self, count: int) -> float:
        """Seconds for one more batch; every circuit must have been answered."""
        batch = len(self.judge.asked)
        self.ask(batch, count)
        seconds = self.run()
        assert set(self.judge.fates(batch)) <= self.services.keys()
        assert batch in self.finished
        return seconds

    def most_in_flight(self) -> dict[str, int]:
        """The most circuits that each member has at any time from now on."""
        most = dict.fromkeys(self.services, 0)
        send = self._send

        def counted(action: Send):
            name = action.member
            held = sum(len(each.numbers) for each in self.judge.in_flight.values() if each.member == name)
            most[name] = max(most[name], held)
            send(action)

        self._send = counted
        return most

    def tell(self, event):
        self.judge.event(event, self.now)
        actions = self.state.handle(event, self.now)
        self.judge.actions(actions, self.now)
        for action in actions:
            self._do(action)

    # ------------------------------------------------------------------------------------------------------ services

    def _later(self, seconds: float, call: Callable[..., object], *args):
        heapq.heappush(self.queue, (self.now + seconds, next(self.order), lambda: call(*args)))

    def _do(self, action):
        match action:
            case Send():
                self.sends.append((self.now, action))
                self._send(action)
            case Finished(batch=batch):
                self.finished[batch] = self.now
            case Cancel(slice=name):
                self._later(0.01, self._cancel, self.judge.in_flight[name])
            case Probe(member=name):
                alive = self.services[name].at(self.now) != "dead"
                self._later(0.05, self.tell, Probed(name, alive, "no connection"))
            case Starve():
                self.starved.append(action)

    def _send(self, send: Send):
        service = self.services[send.member]
        match service.at(self.now):
            case "dead" | "500" as fault:
                self._later(service.notice, self._end, send, Broke(send.slice, Break.UNREACHABLE, fault))
            case "429" as fault:
                self._later(0.01, self._end, send, Broke(send.slice, Break.THROTTLED, fault, 1.0))
            case fault:
                self._later(0.01, self._accept, send)
                if fault != "hang":
                    self._later(service.latency, self._arrive, service, send)

    def _accept(self, send: Send):
        if send.slice in self.judge.in_flight:
            self.tell(Accepted(send.slice))

    def _arrive(self, service: Service, send: Send):
        service.waiting.append(send)
        self._start(service)

    def _start(self, service: Service):
        while service.waiting and len(service.working) < service.side_by_side:
            send = service.waiting.pop(0)
            if send.slice in self.judge.in_flight:
                service.working.add(send.slice)
                took = len(send.numbers) / service.speed * (1 + service.jitter * self.random.uniform(-1, 1))
                self._later(took, self._work, service, send)

    def _work(self, service: Service, send: Send):
        fault = service.at(self.now)
        if send.slice not in self.judge.in_flight or fault in {"hang", "dead"}:
            return
        if fault == "failing" or (fault == "poison" and service.poison & set(send.numbers.tolist())):
            self._end(send, Broke(send.slice, Break.FAILED, fault))
        else:
            self._end(send, Answered(send.slice))

    def _end(self, send: Send, event):
        if send.slice in self.judge.in_flight:
            service = self.services[send.member]
            service.working.discard(send.slice)
            self.tell(event)
            self._start(service)

    def _cancel(self, send: Send):
        service = self.services[send.member]
        if service.at(self.now) == "dead":
            self._later(5.0, self._cancel, send)
        elif service.obeys:
            self._end(send, Broke(send.slice, Break.CANCELED))

    def _notice(self, name: str):
        """Polls fail; what was in flight is not heard of again."""
        self.tell(Reported(name, available=False, reason="polls fail"))
