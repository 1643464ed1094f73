"""Fetching what a finished job brought: as few calls as it takes, and circuit by circuit where a part is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from q_store.backends.base import Answer, Missing, Slice
from q_store.backends.distributions import Distributions
from q_store.backends.ionq.client.api import Api
from q_store.backends.ionq.client.failures import NotFoundError
from q_store.backends.ionq.client.looking import PAGE, Reader
from q_store.backends.ionq.client.pace import back_off
from q_store.backends.ionq.client.proof import proof
from q_store.backends.ionq.client.records import COMPLETED, Record, page, why
from q_store.backends.ionq.wire import results
from q_store.errors import BackendError, QStoreError, ThrottledError
from q_store.jobs import Status

T = TypeVar("T")
Row = dict[int, float]
_TOGETHER = 16
"""Children whose results are fetched at once."""
_MOST_PAGES = 200
_PART = 0.25
"""Share of the patience of a call that a first, concurrent try may use up."""


@dataclass(frozen=True, slots=True)
class Money:
    """What a job cost, and what to say where that is not settled."""

    value: float = 0.0
    remark: tuple[str, ...] = ()


class Collector:
    """Fetches results."""

    def __init__(self, api: Api, reader: Reader) -> None:
        self._api = api
        self._reader = reader
        self._few = asyncio.Semaphore(_TOGETHER)

    async def collect(self, part: Slice, known: Record) -> Answer:
        """What the final job of a slice brought. Results that cannot be had are UNCERTAIN in it.

        Raises:
            QStoreError: the job itself cannot be read. ThrottledError: something of it, for now.
        """
        n = part.circuit.n_qubits
        fetched = self._single(known, n) if part.size == 1 else self._whole(known)
        told, got, money = await asyncio.gather(self._told(part, known), fetched, self._cost(known))
        rows: list[Row | Missing] = [got] if part.size == 1 else await self._rows(part, told, got)
        missing = {k: row for k, row in enumerate(rows) if isinstance(row, Missing)}
        found = Distributions.of([{} if isinstance(row, Missing) else row for row in rows], n)
        settings = self._api.settings
        said = proof(part.circuit, part.size, settings.gateset, told.body) if len(missing) < part.size else ()
        return Answer(
            found if part.flips is None else found.flipped(part.flips),
            sampled=not settings.is_exact,
            missing=missing,
            shots_paid=(part.shots or 0) * (part.size - len(missing)),
            cost=money.value,
            proof=said + money.remark,
        )

    async def _told(self, part: Slice, known: Record) -> Record:
        """The record with its statistics, and with its children in the order of the circuits if that can be told.

        Nothing promises that ids come in that order; a page of names, fetched beside the results, shows it.
        """
        if part.size == 1:
            return await self._described(known)
        whole = bool(known.children and known.body.get("stats"))
        detail = _given(known) if whole else self._reader.one(known.id, self._api.settings.patience)
        told, names = await asyncio.gather(detail, self._names(known, pages=1))
        children = told.children or ()
        if len(children) == part.size and all(children[place : place + 1] == (job,) for place, job in names.items()):
            return told
        names = await self._names(known)
        complete = sorted(names) == list(range(part.size))
        return replace(told, children=tuple(names[place] for place in range(part.size)) if complete else None)

    async def _described(self, known: Record) -> Record:
        """The record with its statistics, if they can be had: only the proof needs them."""
        if known.body.get("stats"):
            return known
        try:
            return await self._reader.one(known.id)
        except QStoreError:
            return known

    async def _names(self, known: Record, pages: int = _MOST_PAGES) -> dict[int, str]:
        """The children of a job by their place, from the names that we gave them; empty where that cannot be had."""
        out: dict[int, str] = {}
        cursor: str | None = None
        for _ in range(pages):
            params = [("parent_job_id", known.id), ("limit", str(PAGE)), *([("next", cursor)] if cursor else [])]
            try:
                listed, cursor = await self._api.get("/jobs", params, read=page)
            except ThrottledError:
                raise
            except QStoreError:
                return {}
            for child in listed:
                name = child.body.get("name")
                if child.parent == known.id and isinstance(name, str) and name.isdecimal():
                    out[int(name)] = child.id
            if cursor is None:
                break
        return out

    async def _cost(self, known: Record) -> Money:
        if self._api.settings.is_simulator:
            return Money()
        try:
            return await self._api.get(f"/jobs/{known.id}/cost", read=money)
        except ThrottledError:
            raise
        except QStoreError as error:
            return Money(remark=(f"warning: the cost of job {known.id} is unknown: {error}",))

    async def _whole(self, known: Record) -> Any:
        """The results of all circuits, unread; None where they cannot be had at once."""
        if known.status != COMPLETED:
            return None
        try:
            return await self._first(_paths(known, many=True), _mapping, self._api.settings.call_deadline * _PART)
        except ThrottledError:
            raise
        except QStoreError:
            return None

    async def _rows(self, part: Slice, told: Record, whole: Any) -> list[Row | Missing]:
        """A distribution of each circuit, or why there is none."""
        rows: list[Row | None] = [None] * part.size
        # a service that tells no children at all lists results in the order of the circuits, as its clients expect
        if told.status == COMPLETED and (told.children or not told.body.get("child_job_ids")):
            rows = await self._ordered(told, whole, part)
        done: list[Row | Missing] = [row for row in rows if row is not None]
        if len(done) == part.size:
            return done
        return await self._by_children(part, told, rows)

    async def _ordered(self, told: Record, whole: Any, part: Slice) -> list[Row | None]:
        """The results of all circuits, in their order; fetched again where they were damaged."""

        def read(body: Any) -> list[Row | None]:
            rows = results.aggregate(body, told.children, part.circuit.n_qubits)
            if len(rows) != part.size:
                raise BackendError(f"expected results of {part.size} circuits of job {told.id}, got {len(rows)}")
            return rows

        try:
            return read(whole)
        except BackendError:
            try:
                return await self._first(_paths(told, many=True), read, self._api.settings.call_deadline * _PART)
            except ThrottledError:
                raise
            except QStoreError:
                return [None] * part.size

    async def _by_children(self, part: Slice, told: Record, rows: Sequence[Row | None]) -> list[Row | Missing]:
        """Circuits without results, each by its own job."""
        if told.children is None:
            return [_without_children(told) if row is None else row for row in rows]
        try:
            children = await self._settled([job for job, row in zip(told.children, rows, strict=True) if row is None])
        except ThrottledError:
            raise
        except QStoreError as error:
            reason = f"the circuits of job {told.id} cannot be looked at: {error}"
            return [Missing(Status.UNCERTAIN, reason) if row is None else row for row in rows]
        n = part.circuit.n_qubits
        return await asyncio.gather(
            *(
                _given(row) if row is not None else self._child(children.get(job), job, place, n)
                for place, (job, row) in enumerate(zip(told.children, rows, strict=True))
            )
        )

    async def _settled(self, jobs: Sequence[str]) -> dict[str, Record]:
        """Their records, once all are final or the patience is over: a parent may be final a little earlier."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._api.settings.cancel_patience
        known: dict[str, Record] = {}
        attempt = 0
        while True:
            attempt += 1
            left = [job for job in jobs if job not in known or not known[job].is_final]
            known |= await self._reader.read(left, self._api.settings.patience)
            if all(job in known and known[job].is_final for job in jobs) or loop.time() > end:
                return known
            await asyncio.sleep(back_off(attempt, 0.5 + 0.5 * self._api.jitter()))

    async def _child(self, known: Record | None, job: str, place: int, n_qubits: int) -> Row | Missing:
        if known is None:
            return Missing(Status.UNCERTAIN, f"job {job} is unknown to the service")
        name = known.body.get("name")
        if isinstance(name, str) and name.isdecimal() and name != str(place):
            return Missing(Status.UNCERTAIN, f"job {job} is circuit {name} of its parent, expected circuit {place}")
        async with self._few:
            return await self._single(known, n_qubits)

    async def _single(self, known: Record, n_qubits: int) -> Row | Missing:
        """The distribution of a job of one circuit. One that ran is paid: it is never missing but UNCERTAIN."""
        if not known.is_final:
            return Missing(Status.UNCERTAIN, f"job {known.id} is still {known.status}")
        if known.status != COMPLETED:
            return Missing(Status.FAILED, why(known), retry=known.passing)
        try:
            read = partial(results.distribution, n_qubits=n_qubits)
            return await self._first(_paths(known, many=False), read, self._api.settings.patience)
        except ThrottledError:
            raise
        except QStoreError as error:
            return Missing(Status.UNCERTAIN, f"job {known.id} ran, but its results cannot be had: {error}")

    async def _first(self, paths: Sequence[str], read: Callable[[Any], T], patience: float) -> T:
        """What the first path has that has anything; 404 everywhere may mean that the results are not there yet."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        attempt = 0
        while True:
            attempt += 1
            last: QStoreError = NotFoundError("expected a place with the results, got none")
            for path in paths:
                try:
                    return await self._api.get(path, read=read, patience=max(1.0, end - loop.time()))
                except ThrottledError:
                    raise
                except QStoreError as error:
                    last = error
            delay = back_off(attempt, 0.5 + 0.5 * self._api.jitter())
            if not isinstance(last, NotFoundError) or loop.time() + delay > end:
                raise last
            await asyncio.sleep(delay)


def _without_children(told: Record) -> Missing:
    """A circuit without a result in a job whose children cannot be told."""
    if told.status == COMPLETED:
        return Missing(Status.UNCERTAIN, f"job {told.id} ran, but the results of its circuits cannot be told apart")
    if told.started is None:
        return Missing(Status.FAILED, why(told), retry=told.passing)
    return Missing(Status.UNCERTAIN, f"{why(told)}; which of its circuits ran is unknown")


def _paths(known: Record, *, many: bool) -> list[str]:
    kind = {"type": "ionq.multi-circuit.v1"} if many else {"type": "ionq.circuit.v1", "child_job_ids": None}
    return results.result_paths({**known.body, "id": known.id, **kind})


async def _given(value: T) -> T:
    return value


def _mapping(body: Any) -> Any:
    if not isinstance(body, Mapping):
        raise BackendError(f"expected results by circuit, got {type(body).__name__}; try again")
    return body


def money(body: Any) -> Money:
    """What a reply says that a job cost; the estimate while it is not settled. Raises BackendError for neither."""
    if not isinstance(body, Mapping):
        raise BackendError(f"expected a cost, got {type(body).__name__}; try again")
    for key, remark in (
        ("cost", ()),
        ("estimated_cost", ("warning: the cost is not settled yet; it is the estimate",)),
    ):
        entry = body.get(key)
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Money(float(value), remark)
    raise BackendError("expected a cost or an estimate, got neither; try again")
