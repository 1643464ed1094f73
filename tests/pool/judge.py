"""What must hold for every pool at every moment, whatever its members do."""

from __future__ import annotations

from q_store.pool.actions import BuyAgain, Cancel, Finished, GiveUp, Keep, Probe, Send, Starve, Wake
from q_store.pool.events import Answered, Asked, Break, Broke, Doubted, Probed, Withdrawn


class Judge:
    """Sees all events before and all actions after they are handled."""

    def __init__(self, specs, *, allow_mixed=False, buys=False):
        self.specs = {spec.name: spec for spec in specs}
        self.allow_mixed = allow_mixed
        self.buys = buys
        self.let_go: set[int] = set()
        self.bought: dict[tuple[int, int], int] = {}
        self.asked: dict[int, Asked] = {}
        self.settled: dict[int, dict[int, str]] = {}
        self.open: set[int] = set()
        self.in_flight: dict[int, Send] = {}
        self.canceled: set[int] = set()
        self.ended: dict[int, Send] = {}
        self.probing: set[str] = set()
        self.doubted: set[str] = set()
        self.barred: set[tuple[str, int | None]] = set()
        self.paused: dict[str, float] = {}
        self.uncertain: set[tuple[int, int]] = set()
        self.wake: float | None = None

    def event(self, event, now):
        match event:
            case Asked():
                self.asked[event.batch], self.settled[event.batch] = event, {}
                self.open.add(event.batch)
            case Answered() | Broke():
                send = self.ended[event.slice] = self.in_flight.pop(event.slice)
                if isinstance(event, Broke):
                    self._broke(send, event, now)
            case Probed():
                self.probing.discard(event.member)
            case Doubted():
                self.doubted = self.doubted - {event.member} | ({event.member} if event.reason else set())
            case Withdrawn():
                self.open.discard(event.batch)

    def _broke(self, send, event, now):
        if event.kind is Break.UNCERTAIN and self.specs[send.member].price and send.slice not in self.let_go:
            self.uncertain.update((send.batch, number) for number in send.numbers.tolist())
        if event.kind is Break.BARRED:
            self.barred.add((send.member, None))
        elif event.kind is Break.REFUSED:
            self.barred.add((send.member, send.batch))
        elif event.kind is Break.THROTTLED:
            self.paused[send.member] = now + event.pause

    def actions(self, actions, now):
        for action in actions:
            self._action(action, now)
        self.wake = None
        for wake in [action for action in actions if isinstance(action, Wake)]:
            assert wake is actions[-1]
            assert wake.at > now
            self.wake = wake.at
        for batch in self.open:
            assert len(self.settled[batch]) < self.asked[batch].count, "all is settled and nobody said so"

    def _action(self, action, now):
        match action:
            case Send():
                self._send(action, now)
            case Keep():
                self._keep(action)
            case GiveUp():
                fate = "uncertain" if action.uncertain else "given up"
                self._settle(action.batch, action.numbers.tolist(), fate)
                assert action.reason or action.uncertain
            case BuyAgain():
                self._bought(action)
            case Finished():
                assert len(self.settled[action.batch]) == self.asked[action.batch].count
                self.open.remove(action.batch)
            case Cancel():
                assert action.slice in self.in_flight.keys() - self.canceled
                self.canceled.add(action.slice)
            case Probe():
                assert action.member not in self.probing, "two probes at once"
                self.probing.add(action.member)
            case Starve():
                assert action.batch in self.open

    def _bought(self, action):
        """Only where the user wants it, only what a paid member had, and only what nobody else has."""
        assert self.buys
        assert self.specs[action.member].price
        send = self.in_flight.get(action.slice) or self.ended[action.slice]
        assert (send.member, send.batch) == (action.member, action.batch)
        assert action.reason
        self.let_go.add(action.slice)
        for number in action.numbers.tolist():
            assert number in send.numbers
            assert number not in self.settled[action.batch]
            self.uncertain.discard((action.batch, number))
            self.bought[action.batch, number] = self.bought.get((action.batch, number), 0) + 1

    def _send(self, send, now):
        spec, asked = self.specs[send.member], self.asked[send.batch]
        numbers = set(send.numbers.tolist())
        assert send.batch in self.open
        assert send.slice not in self.in_flight.keys() | self.ended.keys()
        assert send.member in asked.members
        assert not {(send.member, None), (send.member, send.batch)} & self.barred, "sent to who refused"
        assert now >= self.paused.get(send.member, now), "sent in spite of a pause"
        assert send.member not in self.probing, "sent to who is being probed"
        assert send.member not in self.doubted, "sent to who does not answer"
        if not self.allow_mixed:
            assert len({self.specs[name].noise_id for name in asked.members}) == 1
        assert 1 <= len(numbers) == len(send.numbers) <= spec.max_slice
        assert numbers <= set(range(asked.count))
        assert not numbers & self.settled[send.batch].keys(), "sent what is settled"
        assert not {(send.batch, number) for number in numbers} & self.uncertain, "sent what is perhaps paid"
        own = [other for other in self.in_flight.values() if other.member == send.member]
        assert len(own) < spec.max_in_flight
        live = [o for o in self.in_flight.values() if o.slice not in self.canceled or self.specs[o.member].price]
        live = [other for other in live if other.slice not in self.let_go]
        assert {self.bought.get((send.batch, number), 0) for number in numbers} == {send.bought}
        beside = [other for other in live if other.batch == send.batch and numbers & set(other.numbers.tolist())]
        assert bool(beside) == send.hedge
        for other in beside:
            assert other.member != send.member
            assert not spec.price, "a second member that is paid"
            assert not self.specs[other.member].price, "a circuit beside a paid one"
        for number in numbers if beside else ():
            assert sum(number in other.numbers for other in beside) <= 1, "at three members"
        self.in_flight[send.slice] = send

    def _keep(self, keep):
        send = self.ended[keep.slice]
        assert keep.batch == send.batch
        assert send.numbers[keep.places].tolist() == keep.numbers.tolist()
        self._settle(keep.batch, keep.numbers.tolist(), send.member)

    def _settle(self, batch, numbers, fate):
        assert batch in self.open
        assert numbers
        for number in numbers:
            assert number not in self.settled[batch], "settled twice"
            self.settled[batch][number] = fate

    def fates(self, batch):
        return list(self.settled[batch].values())
