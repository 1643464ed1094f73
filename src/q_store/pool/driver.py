"""What keeps a pool going in one event loop: tells the state what happens, and does what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from q_store.backends.base import Missing
from q_store.errors import PausedError, QStoreError, ThrottledError
from q_store.events import Announcer, PoolBought, PoolPaused, PoolResumed
from q_store.jobs import Status
from q_store.pool.actions import Action, BuyAgain, Cancel, Finished, GiveUp, Probe, Send, Starve, Wake
from q_store.pool.books import Books
from q_store.pool.contact import FAILING, SILENCE, Contact
from q_store.pool.delivery import Delivery, Order, Traffic
from q_store.pool.events import Asked, Break, Broke, Doubted, Event, Probed, Reported, Tick, Withdrawn
from q_store.pool.membership import Member
from q_store.pool.state import PoolState
from q_store.pool.telling import Telling
from q_store.pool.watch import Watch

FAREWELL = 15.0
"""Seconds that canceled slices have at most to come to their end."""
_PROBE = 15.0
"""Seconds that a probe takes at most."""
_LEAST = 1e-3
"""Seconds after which the state looks again at the earliest: a timer may fire a little early."""
_THROTTLED = 15.0
"""Seconds within which a member that throttles is looked at again."""
_STOPPED = "stopped"


class Clock:
    """The time of whatever event loop runs; goes on where it was in the one before. `last`: said last, to anybody."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._zero = self.last = 0.0

    def now(self) -> float:
        """Seconds, never fewer than before; they stand still where no loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self.last
        if loop is not self._loop:
            self._loop, self._zero = loop, self.last - loop.time()
        self.last = max(self.last, loop.time() + self._zero)
        return self.last


class Driver:
    """Drives a state in the running event loop.

    Args:
        state: of the pool. clock: of the pool.
        members, books: by name.
        patience: seconds to wait for a member to return when none works, and for one that has slices of ours.
        announce: hears when the pool pauses, of jobs, members and decisions.
    """

    def __init__(
        self,
        state: PoolState,
        clock: Clock,
        *,
        members: Mapping[str, Member],
        books: Mapping[str, Books],
        patience: float,
        announce: Announcer,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._state, self._clock, self._members, self._books = state, clock, members, books
        self._patience, self._announce = patience, announce
        self.watches = {name: Watch(each.backend, self._contact(each), patience) for name, each in members.items()}
        self._traffic = Traffic()
        self._orders: dict[int, Order] = {}
        self._deliveries: dict[int, tuple[Delivery, asyncio.Task[None]]] = {}
        self._probes: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._starving: dict[int, asyncio.TimerHandle] = {}
        self._paused_at = 0.0
        self._telling = Telling(state, announce, lambda delay: self.loop.call_later(delay, self.tell, Tick()))
        self._does: dict[type, Callable[[Any], None]] = {
            Send: self._send,
            GiveUp: self._give_up,
            BuyAgain: self._buy_again,
            Finished: self._finished,
            Cancel: self._cancel,
            Probe: self._probe,
            Starve: self._starve,
            Wake: self._wake,
        }

    # -------------------------------------------------------------------------------------------------------- orders

    def place(self, order: Order, work: float, fewest: Mapping[str, int]) -> None:
        """Ask for the circuits of an order; its `done` says when they are all answered or given up."""
        self._orders[order.batch] = order
        self.tell(Asked(order.batch, len(order.lacking.numbers), order.members, work, fewest))

    async def abandon(self, orders: Iterable[Order], *, leave: bool) -> None:
        """Nobody waits for these orders any more: cancel their slices, or `leave` them to be taken up later."""
        tasks = set()
        for order in orders:
            order.withdrawn = True
            order.done.cancel()
            self._fed(order.batch)
            if self._orders.pop(order.batch, None) is not None:
                self._telling.forget(order.batch)
                self.tell(Withdrawn(order.batch))
            own = [each for each in self._deliveries.values() if each[0].order is order]
            tasks |= {task for _, task in own}
            self._let_go(own)
        await _ended(tasks, 0.0 if leave else FAREWELL)

    @property
    def busy(self) -> frozenset[str]:
        """Fingerprints of the slices that are on their way."""
        return frozenset(self._traffic.fingerprints)

    async def aclose(self) -> None:
        """Cancel what is still on its way, and stop."""
        await self.abandon(list(self._orders.values()), leave=False)
        for delivery, _ in self._deliveries.values():
            delivery.canceled.set()
        self._let_go(self._deliveries.values())
        await _ended({task for _, task in self._deliveries.values()}, FAREWELL)
        await _ended(set(self._probes), 0.0)
        self._stop_timer()
        for watch in self.watches.values():
            await watch.aclose()

    def _let_go(self, deliveries: Iterable[tuple[Delivery, asyncio.Task[None]]]) -> None:
        """End those of which nothing is heard, where others have the circuits or nothing is charged for them."""
        for delivery, task in deliveries:
            contact = delivery.watch.contact
            if (delivery.lost and contact.is_lost) or (contact.lost and not delivery.member.price.typical):
                task.cancel()

    def lost(self) -> list[Event]:
        """What the state must hear when the event loop has ended without `aclose`."""
        for watch in self.watches.values():
            watch.contact.close()
        probed: list[Event] = [Probed(name, ok=False) for name in self._members]
        return probed + [Broke(name, Break.CANCELED, _STOPPED) for name in self._deliveries]

    # -------------------------------------------------------------------------------------------------------- events

    def tell(self, event: Event) -> None:
        """Tell the state, and do what it says; a fault of ours ends what was asked for, instead of being waited for."""
        try:
            now = self._clock.now()
            actions: list[Action] = self._state.handle(event, now)
            self._stop_timer()
            if self._announce:
                self._telling.tell(event, actions, now)
            for action in actions:
                does = self._does.get(type(action))
                if does is not None:  # Keep: what was received first is what counts
                    does(action)
        except Exception as error:  # noqa: BLE001  # it may come from a timer, whose errors nobody would hear of
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End everything that is asked for with an error."""
        for order in self._orders.values():
            if not order.done.done():
                order.done.set_exception(error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _contact(self, member: Member) -> Contact:
        """What a paid member has is not given to others, so that there is no haste to give it up."""
        tell, doubt = partial(self._reported, member.name), partial(self._doubted, member.name)
        return Contact(member.backend, tell, doubt, SILENCE if member.price.typical else FAILING)

    def _doubted(self, name: str, reason: str) -> None:
        self.tell(Doubted(name, reason))

    def _reported(self, name: str, reason: str, throttled: ThrottledError | None) -> None:
        pause = 0.0 if throttled is None else max(_THROTTLED, throttled.pause)
        self.tell(Reported(name, not reason, reason, throttled is not None, pause))

    # ------------------------------------------------------------------------------------------------------- actions

    def _send(self, action: Send) -> None:
        self._fed(action.batch)
        delivery = Delivery(
            action,
            self._orders[action.batch],
            self._members[action.member],
            self._books[action.member],
            self.watches[action.member],
            self._traffic,
            self.tell,
            self._announce,
        )
        task = asyncio.create_task(self._deliver(delivery), name=f"q-store: slice {action.slice}")
        self._deliveries[action.slice] = delivery, task

    async def _deliver(self, delivery: Delivery) -> None:
        name = delivery.send.slice
        event: Event = Broke(name, Break.CANCELED, _STOPPED)
        try:
            event = await delivery.run()
        except Exception as error:  # noqa: BLE001  # who waits for the order hears of it, a fault of ours included
            self.fail(error)
        finally:
            self.tell(event)  # which may be answered by what is to be done about this delivery
            del self._deliveries[name]

    def _give_up(self, action: GiveUp) -> None:
        order = self._orders[action.batch]
        said = action.reason
        if order.failure and order.failure not in said:
            said = f"{said}; at last: {order.failure}"
        gap = Missing(Status.UNCERTAIN if action.uncertain else Status.FAILED, said)
        order.work.give_up(order.lacking.numbers[action.numbers], gap)

    def _cancel(self, action: Cancel) -> None:
        delivery, _ = self._deliveries[action.slice]
        delivery.canceled.set()
        if action.forgone:
            delivery.give_away()

    def _buy_again(self, action: BuyAgain) -> None:
        """In the store before it is sent: the sending begins when this task waits."""
        delivery, _ = self._deliveries[action.slice]
        delivery.lose(f"{action.reason}; bought again elsewhere")
        if delivery.sent:  # else it was still waiting for its turn
            count = len(action.numbers)
            self._announce(PoolBought(action.member, count, action.reason))
            said = f"{count} circuits of {action.member} were bought again, and are perhaps paid twice: {action.reason}"
            delivery.order.remarks.append(f"warning: {said}")

    def _finished(self, action: Finished) -> None:
        order = self._orders.pop(action.batch)
        self._telling.forget(action.batch)
        order.withdrawn = True  # slices that came second may still run
        self._fed(action.batch)
        if not order.done.done():
            order.done.set_result(None)

    def _probe(self, action: Probe) -> None:
        task = asyncio.create_task(self._probed(action.member), name=f"q-store: probe of {action.member}")
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _probed(self, name: str) -> None:
        ok, reason = False, ""  # as before
        try:
            await asyncio.wait_for(self._members[name].probe(), _PROBE)
            ok = True
        except (QStoreError, TimeoutError) as error:
            reason = str(error) or self.watches[name].contact.failing or "no answer to a probe"
        except Exception as error:  # noqa: BLE001  # as above
            self.fail(error)
        finally:
            self.tell(Probed(name, ok=ok, reason=reason))

    def _wake(self, action: Wake) -> None:
        delay = max(_LEAST, action.at - self._clock.now())
        self._timer = self.loop.call_later(delay, self.tell, Tick())

    def _starve(self, action: Starve) -> None:
        if not self._starving:
            self._paused_at = self._clock.now()
            self._announce(PoolPaused(action.reason, self._patience))
        self._starving[action.batch] = self.loop.call_later(self._patience, self._give_in, action)

    def _fed(self, batch: int) -> None:
        """Somebody works on the batch again, or nobody needs to."""
        timer = self._starving.pop(batch, None)
        if timer is not None:
            timer.cancel()
            if not self._starving:
                self._announce(PoolResumed(self._clock.now() - self._paused_at))

    def _give_in(self, action: Starve) -> None:
        order = self._orders.get(action.batch)
        if order is not None and not order.done.done():
            text = (
                f"expected a backend to work within {self._patience:.0f} s, got none: {action.reason}; what was "
                "received is kept where there is a store: resume the run when one is back"
            )
            order.done.set_exception(order.refusal or PausedError(text))


async def _ended(tasks: set[asyncio.Task[None]], patience: float) -> None:
    """Wait for tasks, and cancel those that take longer."""
    if tasks and patience:
        await asyncio.wait(tasks, timeout=patience)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
