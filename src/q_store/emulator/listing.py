"""GET /jobs: newest first, children included, in pages that new jobs do not move."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from q_store.emulator.records import Record, State
from q_store.emulator.refusal import Refusal

PAGE = 25
LONGEST_PAGE = 1_000
Item = tuple[Record, int | None]
"""A job, and the number of the child that is meant; None: the job itself."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for; empty filters let everything pass.

    Attributes:
        items: the jobs to choose from, where ids were given (unknown ones are left out); None: all.
        parent: of the children to list.
        statuses, targets: to keep.
        session: to keep.
        limit: page length.
        before: continue below this place.
    """

    items: Sequence[Item] | None = None
    parent: Record | None = None
    statuses: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    session: str | None = None
    limit: int = PAGE
    before: int | None = None


def page_length(text: str | None) -> int:
    """Of the query's `limit`: 25 unless asked, 1,000 at most."""
    if text is None:
        return PAGE
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise Refusal(400, f"expected limit as an integer from 1 to {LONGEST_PAGE}, got {text!r}", ["limit"], "query")
    return min(int(text), LONGEST_PAGE)


def cursor(place: int) -> str:
    """A place in the list as `next` shows it."""
    return f"c{place:x}"


def place_of(text: str) -> int:
    """The place that a cursor stands for."""
    if not re.fullmatch("c[0-9a-f]{1,12}", text):
        msg = f"expected next as an earlier page gave it, got {text!r}; leave it out for the first page"
        raise Refusal(400, msg, ["next"], "query")
    return int(text[1:], 16)


def page(records: Iterable[Record], query: Query, now: float) -> tuple[list[Item], str | None]:
    """One page and the cursor of the next, None at the end.

    Args:
        records: all, newest first.
        query: what is asked.
        now: seconds; jobs that are late are left out.
    """
    found: list[Item] = []
    for item in _candidates(records, query, now):
        if len(found) == query.limit:
            return found, cursor(_place(*found[-1]))
        found.append(item)
    return found, None


def _candidates(records: Iterable[Record], query: Query, now: float) -> Iterator[Item]:
    if query.items is not None:
        yield from _among(query.items, query, now)
        return
    for record in [query.parent] if query.parent else records:
        if record.listed_from <= now and _wanted(record, query):
            yield from _of(record, query, now)


def _among(items: Sequence[Item], query: Query, now: float) -> Iterator[Item]:
    """Those of the items that pass, newest first."""
    for record, child in sorted(items, key=lambda item: -_place(*item)):
        wrong_parent = query.parent is not None and (query.parent is not record or child is None)
        if record.listed_from > now or wrong_parent or not _wanted(record, query):
            continue
        if query.before is not None and _place(record, child) >= query.before:
            continue
        state = record.state(now) if child is None else State(record.states(now)[child])
        if not query.statuses or state.word in query.statuses:
            yield record, child


def _wanted(record: Record, query: Query) -> bool:
    request = record.request
    return (not query.targets or request.backend in query.targets) and query.session in {None, request.session}


def _of(record: Record, query: Query, now: float) -> Iterator[Item]:
    """The children of a record from the last to the first, then the job itself: a child is younger than its parent."""
    if record.request.multi:
        keep = ~record.deleted
        if query.statuses:
            keep &= np.isin(record.states(now), [s.value for s in State if s.word in query.statuses])
        if query.before is not None:
            keep[max(0, query.before - record.number - 1) :] = False
        for child in np.flatnonzero(keep)[::-1].tolist():
            yield record, child
    before = query.before is None or record.number < query.before
    if query.parent is None and before and (not query.statuses or record.state(now).word in query.statuses):
        yield record, None


def _place(record: Record, child: int | None) -> int:
    return record.number if child is None else record.number + 1 + child
