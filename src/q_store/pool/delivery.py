"""What one `Send` of the state comes to: slices planned, granted by the books, carried, and told in one event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Missing, Slice
from q_store.errors import BudgetError, CapabilityError, InputError, QStoreError
from q_store.events import Announcer, moment
from q_store.jobs import Status
from q_store.pool.actions import Send
from q_store.pool.books import STORED, Books, Sending, Written
from q_store.pool.carriage import Carriage, Fate, broke
from q_store.pool.contents import Contents, topping
from q_store.pool.events import Accepted, Answered, Break, Broke, Event
from q_store.pool.lives import Life
from q_store.pool.membership import Member
from q_store.pool.watch import Watch
from q_store.pool.work import Lacking, Work
from q_store.store import EXACT, Held, Measured, Source

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
_FIRST_LOOK, _LONGEST_LOOK = 0.2, 2.0
"""Seconds between two looks whether another process is done with circuits that we want too."""


@dataclass(eq=False)
class Order:
    """A batch that the state was asked for.

    Attributes:
        batch: its name. job: ordinal of the job in the run. work: the job. lacking: circuit k of the batch is row k.
        contents: what its circuits are; None where nothing is kept of them.
        members: who may run it. done: set once every circuit is answered or given up, or to what went wrong.
        withdrawn: whether nobody waits for it any more. failure: why circuits of it failed, the last time.
        remarks: what else is to be said of it.
    """

    batch: int
    job: int
    work: Work
    lacking: Lacking
    contents: Contents | None
    members: frozenset[str]
    done: asyncio.Future[None] = field(default_factory=asyncio.Future)
    withdrawn: bool = False
    fates: list[Fate] = field(default_factory=list)
    errors: list[QStoreError] = field(default_factory=list)
    failure: str = ""
    refusal: BudgetError | None = None
    remarks: list[str] = field(default_factory=list)


class Traffic:
    """Which slices hold a reservation, and a pulse when one gives it back."""

    def __init__(self) -> None:
        self.fingerprints: set[str] = set()
        self.lost: set[str] = set()
        """Those of which nobody knows when they end."""
        self._ended = asyncio.Event()

    @property
    def flows(self) -> bool:
        """Whether a reservation may become free."""
        return bool(self.fingerprints - self.lost)

    async def carry(self, fingerprint: str, carriage: Coroutine[Any, Any, Fate]) -> Fate:
        """Know of a slice while it is on its way."""
        self.fingerprints.add(fingerprint)
        try:
            return await carriage
        finally:
            self.fingerprints.discard(fingerprint)
            self.lost.discard(fingerprint)
            self._ended.set()
            self._ended = asyncio.Event()

    async def change(self) -> None:
        """Wait until a slice has ended."""
        await self._ended.wait()


@dataclass(eq=False)
class Delivery:
    """Carries the circuits of a `Send`.

    Attributes:
        send: which circuits. order: of which batch. member: to whom.
        books: of the member: where steps are written. watch: of the member. traffic: of the pool.
        tell: hears that the member accepted a slice. announce: tells of lives.
        canceled: set when the circuits are not wanted any more. forgone: set when others get them.
        sent: fingerprints of slices whose intent was written. lost: whether others get its circuits.
        begun: when it was begun, see `events.moment`.
    """

    send: Send
    order: Order
    member: Member
    books: Books
    watch: Watch
    traffic: Traffic
    tell: Callable[[Event], None]
    announce: Announcer = field(default_factory=Announcer)
    canceled: asyncio.Event = field(default_factory=asyncio.Event)
    forgone: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[str] = field(default_factory=list)
    lost: bool = False
    begun: float = 0.0

    async def run(self) -> Answered | Broke:
        """Bring the circuits to their end, and say what it was."""
        self.begun = moment()
        numbers = self.order.lacking.numbers[self.send.numbers]
        lacking = self.order.work.lacking(numbers)  # now: other slices may have brought some
        fates = await self._lacking(lacking) if len(lacking.numbers) else []
        self.order.fates += [fate for fate in fates if fate.measured is not None]
        said = [reason for fate in fates for reason in (fate.reason, *(gap.reason for gap in fate.missing.values()))]
        self.order.failure = next(filter(None, reversed(said)), self.order.failure)
        return told(self.send.slice, numbers, fates)

    async def _lacking(self, lacking: Lacking) -> list[Fate]:
        """Plan and carry some circuits."""
        try:
            parts = list(self._parts(lacking))
        except (CapabilityError, InputError) as error:
            self.order.errors.append(error)
            return [broke(lacking.numbers, Break.REFUSED, str(error))]
        fates = await together([self._part(part) for part in parts])
        return [fate for each in fates for fate in each]

    def _parts(self, lacking: Lacking) -> list[Slice]:
        """Slices; circuits that have some shots get others than those."""
        job, bought, out = self.order.work.job, self.send.bought, []
        for have in np.unique(lacking.have).tolist():
            some = lacking.take(np.flatnonzero(lacking.have == have))
            own = replace(job, seed=topping(job.seed, have, bought)) if have or bought else job
            out += self.member.backend.plan(own, some.numbers, some.shots)
        return out

    async def _part(self, part: Slice) -> list[Fate]:
        """Write the intent of a slice and carry it."""
        contents, job = self.order.contents, self.order.work.job
        keys = None
        if contents is not None:
            every = contents.keys(self.member.shared)
            keys = [every[k] for k in part.numbers.tolist()]
        claim = job.reuse and not self.send.hedge
        bare = not self.order.work.lacking(part.numbers).have.any()  # what the store has may be what we have
        sending = Sending(part, self.member, self.order.job, keys, claim, claim and bare)
        life = Life(sending, self.announce, self.begun)
        try:
            held = await self._granted(sending)
        except BudgetError as error:
            self.order.refusal = error
            return [broke(part.numbers, Break.REFUSED, str(error))]
        if held is None:
            return [broke(part.numbers, Break.CANCELED, "canceled before it was sent")]
        if held:
            return await self._shared(part, held, keys or [])
        self.sent.append(part.fingerprint)
        life.built(hedge=self.send.hedge)
        carriage = Carriage(
            sending,
            self.books,
            self.watch,
            lambda: ~self.order.work.settled[part.numbers],
            lambda due: self.tell(Accepted(self.send.slice, due)),
            self.canceled,
            lambda: self.order.withdrawn,
            life,
            self.forgone,
        )
        fate = await self.traffic.carry(part.fingerprint, self._carried(carriage))
        if isinstance(fate.error, CapabilityError) and part.size > 1:  # too large, whatever is documented
            half = part.size // 2
            halves = [self.order.work.lacking(part.numbers[:half]), self.order.work.lacking(part.numbers[half:])]
            return [one for each in await together([self._lacking(each) for each in halves]) for one in each]
        if fate.error is not None:
            self.order.errors.append(fate.error)
        return [fate]

    async def _carried(self, carriage: Carriage) -> Fate:
        try:
            fate = await carriage.send()
        except BaseException as error:
            carriage.now.ended("left", str(error) or type(error).__name__)
            raise
        if fate.measured is not None:
            source = Source(self.member.name, self.member.backend.capabilities.noise_id)
            self.order.work.receive(fate.numbers, fate.measured, source)
        carriage.ended(fate)
        return fate

    async def _granted(self, sending: Sending) -> list[Held] | None:
        """The intent is written when this is empty; None: canceled. Raises BudgetError where there is no room."""
        while not self.canceled.is_set():
            try:
                return self.books.intend(sending)
            except BudgetError:
                if not self.traffic.flows:
                    raise
            await self._unless_canceled(self.traffic.change())
        return None

    async def _shared(self, part: Slice, held: Sequence[Held], keys: Sequence[bytes]) -> list[Fate]:
        """Some circuits are being bought elsewhere: carry the others, and wait for these."""
        theirs = np.zeros(part.size, bool)
        theirs[[place for each in held for place in each.places]] = True
        ours = self.order.work.lacking(part.numbers[~theirs])
        waiting = self._after(part.numbers[theirs], [keys[k] for k in np.flatnonzero(theirs).tolist()])
        both = [waiting, self._lacking(ours)] if len(ours.numbers) else [waiting]
        return [fate for each in await together(both) for fate in each]

    async def _after(self, numbers: Ints, keys: Sequence[bytes]) -> list[Fate]:
        """Wait until others have bought circuits, take what there is then, and carry the rest."""
        work, contents, books = self.order.work, self.order.contents, self.books
        if not isinstance(books, Written) or contents is None:
            raise TypeError("expected a store where circuits are claimed, got none")
        pause = _FIRST_LOOK
        while held := books.claimed(keys):
            if unknown := [each for each in held if books.carer and books.carer.is_unknown(each.fingerprint)]:
                return await self._beside(numbers, keys, unknown)
            await self._unless_canceled(_tended(books, held, pause))
            if self.canceled.is_set():
                return [broke(numbers, Break.CANCELED, "canceled")]
            pause = min(_LONGEST_LOOK, 1.5 * pause)
        bare = work.lacking(numbers)
        bare = bare.take(np.flatnonzero(bare.have == 0))  # what the store has may be the very shots that we have
        domain = {self.member.shared: self.member.max_age}
        found = books.known(contents, domain, bare.numbers, work.n_qubits)
        take_over(books, self.order.job, work, bare.numbers, found, noise_id=self.member.shared.noise_id)
        left = work.lacking(numbers)
        return await self._lacking(left) if len(left.numbers) else []

    async def _beside(self, numbers: Ints, keys: Sequence[bytes], unknown: Sequence[Held]) -> list[Fate]:
        """Of some circuits nobody can tell whether others have bought them: wait for the rest."""
        fates = []
        rest = np.ones(len(numbers), bool)
        for each in unknown:
            rest[list(each.places)] = False
            reason = f"on its way for another run, and nobody knows what became of it: ticket {each.fingerprint}"
            fates.append(broke(numbers[list(each.places)], Break.UNCERTAIN, reason))
        if rest.any():
            fates += await self._after(numbers[rest], [keys[k] for k in np.flatnonzero(rest).tolist()])
        return fates

    def lose(self, reason: str) -> None:
        """Nobody knows what became of it: others get its circuits."""
        self.lost = True
        self.traffic.lost |= self.traffic.fingerprints.intersection(self.sent)
        for fingerprint in self.sent:
            self.books.bought_again(fingerprint, reason)

    def give_away(self) -> None:
        """Others get its circuits, and must not wait for it."""
        self.forgone.set()
        for fingerprint in self.sent:
            self.books.unclaim(fingerprint)

    async def _unless_canceled(self, waiting: Coroutine[Any, Any, Any]) -> None:
        """Wait for something, or until the circuits are not wanted any more."""
        tasks = {asyncio.ensure_future(waiting), asyncio.ensure_future(self.canceled.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()


async def _tended(books: Written, held: Sequence[Held], pause: float) -> None:
    """What their processes have left is brought to its end; otherwise some time passes."""
    if books.carer is None or not await books.carer.rescue(held):
        await asyncio.sleep(pause)


def take_over(books: Written, job: int, work: Work, numbers: Ints, found: Measured, *, noise_id: str) -> None:
    """Use what the store has of circuits; it is kept in the journal, so that a resumed run sees the same."""
    usable = found.only(found.shots == EXACT) if work.job.shots is None else found
    if (usable.shots != 0).any():
        source = Source(STORED, noise_id)
        books.note(job, numbers, usable, source)
        work.receive(numbers, usable, source)


def told(name: int, numbers: Ints, fates: Sequence[Fate]) -> Answered | Broke:
    """The event of a slice, from what became of its parts; `numbers` are its circuits by place."""
    kinds = {fate.kind for fate in fates}
    if len(kinds) == 1 and None not in kinds:
        pause = max(fate.pause for fate in fates)
        return Broke(name, fates[0].kind or Break.FAILED, fates[0].reason, pause)
    place = {number: k for k, number in enumerate(numbers.tolist())}
    missing: dict[int, Missing] = {}
    for fate in fates:
        own = fate.numbers.tolist()
        if fate.kind is None:
            missing |= {place[own[k]]: gap for k, gap in fate.missing.items()}
        else:
            unknown = fate.kind is Break.UNCERTAIN
            gap = Missing(Status.UNCERTAIN if unknown else Status.FAILED, fate.reason, retry=not unknown)
            missing |= dict.fromkeys([place[k] for k in own], gap)
    return Answered(name, missing)


async def together(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results; when one fails, the others are canceled before its error is raised."""
    if len(coroutines) == 1:
        return [await coroutines[0]]
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        raise
