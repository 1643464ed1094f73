"""Whether the service accepted a slice whose sending went wrong: its list of jobs, read until that is sure.

The list may be late, flooded with children, and spread over many pages. A job is ABSENT only when

- the list was read without a gap from its newest entry to before the first sending,
- the last sending is longer ago than the settling time, and several times longer than the list has ever been seen to
  be late with jobs that we know to be accepted,
- and two such looks, one after the other, agree.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from q_store.backends.base import Found
from q_store.backends.ionq.client.api import Api
from q_store.backends.ionq.client.looking import Acceptances
from q_store.backends.ionq.client.records import Record, page, record
from q_store.errors import InputError, QStoreError, ThrottledError, UnreachableError

SEVERAL = 4.0
"""The last sending must be this many times longer ago than the list has been late."""
_LIMITS = (1000, 100, 25, None)
_MOST_PAGES = 4000
_BETWEEN = 1.0
_LONGEST_BETWEEN = 10.0


@dataclass(eq=False)
class Sending:
    """What we know of the sendings of a slice; times of the loop's clock.

    Attributes:
        fingerprint: of the slice.
        first: before the first sending; None: unknown.
        last: after the last one.
        horizon: a service time before the first sending, where that is known otherwise.
        times: how often it was sent with an unknown fate.
        surely: whether one was surely accepted.
    """

    fingerprint: str
    first: float | None
    last: float
    horizon: float | None = None
    times: int = 1
    surely: bool = False


@dataclass(eq=False)
class Look:
    """One reading of the list.

    Attributes:
        at: when it was begun, by the loop's clock.
        complete: whether it reached back far enough, without a gap.
        found: jobs with the fingerprint, oldest first. listed: ids seen.
    """

    at: float
    complete: bool = False
    found: list[Record] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)


class Search:
    """Looks for slices in the service's list of jobs."""

    def __init__(self, api: Api, acceptances: Acceptances) -> None:
        self._api = api
        self._acceptances = acceptances
        self._limits = list(_LIMITS)

    async def find(self, sending: Sending) -> list[Record] | Found:
        """The jobs of a slice, or whether there is surely none.

        More than one where it was accepted more than once; the first is the one to keep.
        """
        settings, loop = self._api.settings, asyncio.get_running_loop()
        patience = settings.patience * sending.times
        most = max(patience, settings.longest(1))  # while it is only throttled
        agreeing = looks = 0
        while True:
            begun = loop.time()
            throttled = False
            try:
                look = await self._look(sending)
            except UnreachableError as error:
                look, throttled = Look(loop.time()), isinstance(error, ThrottledError)
            except QStoreError:
                return Found.UNKNOWN
            if look.found:
                return look.found
            self._compare(look, sending)
            needed = self._needed(sending)
            agreeing = agreeing + 1 if look.complete and not sending.surely and look.at - sending.last >= needed else 0
            if agreeing > 1:
                return Found.ABSENT
            looks += 1
            now = loop.time()
            if now - sending.last > patience and not agreeing:
                return Found.UNKNOWN
            await asyncio.sleep(self._between(looks, agreeing, sending.last + needed - now))
            if throttled:
                patience = min(most, patience + loop.time() - begun)

    def _needed(self, sending: Sending) -> float:
        """Seconds after the last sending from which on the list counts."""
        return max(self._api.settings.settle * sending.times, SEVERAL * self._acceptances.lateness)

    def _between(self, looks: int, agreeing: int, left: float) -> float:
        """Seconds until the next look: ever longer, but no longer than until the list counts."""
        if agreeing:
            return _BETWEEN
        longer = min(_LONGEST_BETWEEN, _BETWEEN * 2.0 ** (looks - 1)) * (0.75 + 0.25 * self._api.jitter())
        return max(0.1, min(longer, left)) if left > 0 else longer

    def _compare(self, look: Look, sending: Sending) -> None:
        """Learn how late the list is from jobs that must be in it."""
        if look.complete and sending.first is not None:
            for job in self._acceptances.since(sending.first, look.at):
                if job not in look.listed:
                    self._acceptances.missing(job, look.at)

    async def _look(self, sending: Sending) -> Look:
        """Read the list from its newest entry to before the first sending."""
        look = Look(asyncio.get_running_loop().time())
        horizon = sending.horizon
        if sending.first is not None:
            horizon = self._api.clock.earliest(sending.first)
        cursor, newest_first, last = None, True, float("inf")
        for _ in range(_MOST_PAGES):
            records, following = await self._page(cursor)
            for known in records:
                look.listed.add(known.id)
                if known.submitted is not None:
                    newest_first &= known.submitted <= last
                    last = known.submitted
            look.found += await self._ours(records, sending.fingerprint, look.found)
            if look.found and sending.times == 1 and sending.first is not None:  # sent once: there is no other
                return look
            before = horizon is not None and newest_first and last < horizon and bool(records)
            if following is None or before:
                look.complete = True
                break
            if following == cursor:
                break
            cursor = following
        look.found.sort(key=lambda known: known.submitted or 0.0)
        return look

    async def _ours(self, records: list[Record], fingerprint: str, have: list[Record]) -> list[Record]:
        """Jobs of this fingerprint. A child may repeat what its parent is called, and shows that there is one."""
        ids = {known.id for known in have}
        out = []
        for known in records:
            if known.fingerprint != fingerprint or (known.parent or known.id) in ids:
                continue
            ids.add(known.parent or known.id)
            out.append(await self._api.get(f"/jobs/{known.parent}", read=record) if known.parent else known)
        return out

    async def _page(self, cursor: str | None) -> tuple[list[Record], str | None]:
        while True:
            limit = self._limits[0]
            params = [] if limit is None else [("limit", str(limit))]
            params += [("next", cursor)] if cursor else []
            try:
                return await self._api.get("/jobs", params, read=page)
            except InputError:
                if len(self._limits) == 1:
                    raise
                self._limits.pop(0)
