"""Where the time of a run went: job lives in, shares of the wall time out. Pure.

A life is a chain of moments, each a share of what lies before the next:

    begun -> written              client      choosing circuits, planning, writing them down as the service takes them
    written -> sent               rest        tries that were refused or throttled, and the waits between them
    sent -> accepted there        network
    accepted there -> started     queue       by the service's clock
    started -> finished           execution   by the service's clock
    finished -> asked             poll        until somebody looked
    asked -> fetched              network     the look that showed it, and the results
    fetched -> merged             client      (and on to `ended`)

Where the service says nothing of queue and execution, all between is `rest`. Its clock is put on ours as NTP does: it
accepted a job after we sent it and before we had its answer; the offset is in the middle of what all jobs of a backend
leave.

At every moment each job on its way counts alike: of n jobs each has 1/n of it; one that nobody waits for any more, as
another was faster, has none. When there is none, the time is `rest` while circuits wait all the same (for a member that
pauses, for others to bring them) or the run is held, else `client`. So the shares of a run sum to its wall time, those
of its steps and of its backends (with this machine as one) as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from q_store.ledger.lives import chain, life, lives_of, local, offsets, spans_of
from q_store.ledger.moments import Cell, sweep, waits_of
from q_store.ledger.parts import AFTER, BEFORE, HERE, SHARES, Ledger, Life, Part, Span, Sum, Told
from q_store.ledger.windows import Window, windows_of

__all__ = [
    "AFTER",
    "BEFORE",
    "HERE",
    "SHARES",
    "Ledger",
    "Life",
    "Part",
    "Span",
    "Sum",
    "Told",
    "chain",
    "ledger",
    "life",
    "offsets",
]


def ledger(entries: Iterable[Told]) -> Ledger:
    """The ledger of a run from its events, in order."""
    told = list(entries)
    lives = lives_of(told)
    spans, sums = spans_of(lives)
    spans += [local(each.values) for each in told if each.kind == "JobsRun"]
    windows, waits = windows_of(told), waits_of(told)
    cells: list[Cell] = [{} for _ in windows]
    sweep(windows, spans, waits, cells)
    backends: dict[str, dict[str, float]] = {}
    for cell in cells:
        for (member, share), seconds in cell.items():
            own = backends.setdefault(member, dict.fromkeys(SHARES, 0.0))
            own[share] += seconds
    steps = [Part(own.name, _by_share(cell), own.begin, own.steps) for own, cell in zip(windows, cells, strict=True)]
    whole = {share: math.fsum(own[share] for own in backends.values()) for share in SHARES}
    names = sorted(backends, key=lambda name: (name == HERE, name))
    parts = [Part(name, backends[name]) for name in names]
    return Ledger(Part("run", whole), parts, steps, sums, _stages(windows, cells))


def _stages(windows: Sequence[Window], cells: Sequence[Cell]) -> list[Part]:
    """Of a recipe, in the order in which they came first."""
    found: dict[str, Part] = {}
    for window, cell in zip(windows, cells, strict=True):
        if window.stage:
            before = found.get(window.stage, Part(window.stage, {}))
            own = _by_share(cell)
            seconds = {share: before.seconds.get(share, 0.0) + own[share] for share in SHARES}
            found[window.stage] = Part(window.stage, seconds, steps=before.steps + window.steps)
    return list(found.values())


def _by_share(cell: Cell) -> dict[str, float]:
    seconds = dict.fromkeys(SHARES, 0.0)
    for (_, share), own in cell.items():
        seconds[share] += own
    return seconds
