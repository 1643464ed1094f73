"""Reading the state of many jobs: in bulk where the service understands it, and what its list of jobs leaves out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from q_store.backends.ionq.client.api import Api, Params
from q_store.backends.ionq.client.failures import NotFoundError
from q_store.backends.ionq.client.records import Record, page, record
from q_store.errors import AuthenticationError, BackendError, InputError, UnreachableError

PAGE = 25
_REMEMBERED = 4096


class Acceptances:
    """Jobs that we know to be accepted, and how late the service's list has been with them."""

    def __init__(self) -> None:
        self.lateness = 0.0
        """The longest time after which an accepted job was still missing from the list, seconds."""
        self._sent: OrderedDict[str, float] = OrderedDict()

    def add(self, job: str, sent: float) -> None:
        """A job that was accepted, and when it was sent."""
        self._sent[job] = sent
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)

    def since(self, first: float, last: float) -> list[str]:
        """Jobs sent between two times."""
        return [job for job, sent in self._sent.items() if first <= sent <= last]

    def missing(self, job: str, looked: float) -> None:
        """A list asked for at `looked` had not this job."""
        sent = self._sent.get(job)
        if sent is not None:
            self.lateness = max(self.lateness, looked - sent)


class Absences:
    """Jobs that were accepted, and that the service does not know now: one that begins anew has forgotten them."""

    def __init__(self) -> None:
        self._since: OrderedDict[str, float] = OrderedDict()

    def last(self, job: str, now: float, *, known: bool) -> float:
        """Seconds for which a job has not been known, each time that it was looked at."""
        if known:
            self._since.pop(job, None)
            return 0.0
        since = self._since.setdefault(job, now)
        if len(self._since) > _REMEMBERED:
            self._since.popitem(last=False)
        return now - since


class Reader:
    """Reads jobs by id: in pages of 25 while the service understands lists of ids, one by one where it does not."""

    def __init__(self, api: Api, acceptances: Acceptances) -> None:
        self._api = api
        self._acceptances = acceptances
        self._ways = [_repeated, _comma]

    async def read(self, ids: Sequence[str], patience: float | None = None) -> dict[str, Record]:
        """The records of these jobs; those that the service does not know are left out. Raises as `Api.get`."""
        if len(ids) == 1 or not self._ways:
            return await self._singly(ids, patience)
        parts = await asyncio.gather(*(self._page(part, patience) for part in _pages(ids)))
        found = {known.id: known for part in parts for known in part}
        lacking = [job for job in ids if job not in found]
        return {**found, **await self._singly(lacking, patience)}

    async def one(self, job: str, patience: float | None = None) -> Record:
        """The record of one job, with its children. Raises as `Api.get`."""
        return await self._api.get(f"/jobs/{job}", read=record, patience=patience)

    async def _singly(self, ids: Sequence[str], patience: float | None) -> dict[str, Record]:
        found = await asyncio.gather(*(self._known(job, patience) for job in ids))
        return {known.id: known for known in found if known is not None}

    async def _known(self, job: str, patience: float | None) -> Record | None:
        try:
            return await self.one(job, patience)
        except NotFoundError:
            return None

    async def _page(self, ids: Sequence[str], patience: float | None) -> list[Record]:
        """What a list of these ids shows. A way of writing them that the service does not understand is given up."""
        found: list[Record] = []
        looked = asyncio.get_running_loop().time()
        for way in tuple(self._ways):
            try:
                listed, _ = await self._api.get("/jobs", way(ids), read=page, patience=patience)
            except (AuthenticationError, UnreachableError):
                raise
            except (InputError, BackendError):
                self._give_up(way)
                continue
            if any(known.id not in ids for known in listed):
                self._give_up(way)
                continue
            found = max(found, listed, key=len)
            if len(listed) != 1:  # one of many: perhaps it reads only one of several ids
                break
        if self._ways:
            self._note(ids, found, looked)
        return found

    def _give_up(self, way: Callable[[Sequence[str]], Params]) -> None:
        if way in self._ways:
            self._ways.remove(way)

    def _note(self, ids: Sequence[str], found: Sequence[Record], looked: float) -> None:
        shown = {known.id for known in found}
        for job in ids:
            if job not in shown:
                self._acceptances.missing(job, looked)


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[k : k + PAGE] for k in range(0, len(ids), PAGE)]


def _repeated(ids: Sequence[str]) -> Params:
    return [*(("ids", job) for job in ids), ("limit", str(PAGE))]


def _comma(ids: Sequence[str]) -> Params:
    return [("ids", ",".join(ids)), ("limit", str(PAGE))]
