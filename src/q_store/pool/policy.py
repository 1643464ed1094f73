"""Who gets how many circuits: arithmetic on loads, without state.

The waiting circuits are shared out so that all members would end at the same time T (`level`). A member then takes not
its whole share but a part of it, less and less towards the end (guided self-scheduling; Polychronopoulos and Kuck,
IEEE Trans. Comput. C-36, 1425 (1987)), so that an error in its speed is made up for later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from q_store.pool.members import Load
from q_store.pool.settings import PoolSettings

_GROWTH = 4
"""A slice has at most this many times the circuits of the largest that the member answered."""
_FIRST = 2
"""Slices, of one circuit, that a free member gets before its speed is known: the second hides the latency."""
_LATENCIES = 4
"""The slices of a member together last at least this many times its latency."""
_HELD, _HELD_ALONE = 2, 20
"""The slices of a paid member together last this many times its latency, which keeps it busy while one is fetched and
the next is sent; a member that takes one slice at a time is idle for a latency after each: a twentieth of its time."""
_DOUBT = 3
"""A member takes 1 / (1 + this times the error of its speed) of its share, and at least half."""


def level(work: float, loads: Sequence[Load]) -> float:
    """T in seconds from now with sum over members of max(0, T - ready) / pace = work."""
    speed = weighted = 0.0
    for load in sorted(loads, key=lambda each: each.ready):
        if speed and (work + weighted) / speed <= load.ready:
            break
        speed += 1 / load.pace
        weighted += load.ready / load.pace
    return (work + weighted) / speed


def preferred(
    work: float, total: float, loads: Sequence[Load], elapsed: float, settings: PoolSettings
) -> Sequence[Load]:
    """The most preferred members that together end soon enough: in (1 + thrift) times what all need for the batch.

    Args:
        work: that waits.
        total: of the batch, from its start `elapsed` seconds ago. Against this, not against what waits: else others
            would be called in for every end, and never where those who are preferred do not get on.
        loads: of those that may be chosen.
        elapsed: seconds since the batch began.
        settings: `thrift` and `hush` are used.
    """
    ranks = sorted({load.spec.rank for load in loads})
    if len(ranks) == 1:
        return loads
    first = [load for load in loads if load.spec.rank == ranks[0]]
    unknown = not any(load.known for load in loads)
    if unknown and max(elapsed, *(load.waited for load in first)) < settings.hush:
        return first
    least = min(load.latency for load in loads) + total / sum(1 / load.pace for load in loads)
    for rank in ranks:
        chosen = [load for load in loads if load.spec.rank <= rank]
        if elapsed + level(work, chosen) <= (1 + settings.thrift) * least:
            return chosen
    return loads


def size(waiting: int, each: float, share: float, load: Load, settings: PoolSettings, *, fewest: int = 1) -> int:
    """Circuits of the next slice of a member; 0: it leaves them to others.

    Args:
        waiting: circuits.
        each: work of one.
        share: circuits that the member would run until T.
        load: of the member.
        settings: `grain` and `stake` are used.
        fewest: circuits below which a slice of this member costs no less.
    """
    if share < 0.5:
        return 0
    slots = load.spec.max_in_flight
    if not load.known:
        wanted = int(load.flights < (1 if load.spec.price else _FIRST))
    else:
        grain = max(settings.grain, _LATENCIES * load.latency / slots) / (load.pace * each)
        part = share / (1 + min(1.0, _DOUBT * load.error)) / slots
        wanted = math.ceil(max(part, min(share, grain)))
        if load.spec.price:
            wanted = min(wanted, max(fewest, _at_stake(each, load, settings)))  # `fewest` no floor: speeds are unsure
        wanted = min(wanted, _GROWTH * load.largest)
    return min(wanted, waiting, load.spec.max_slice)


def _at_stake(each: float, load: Load, settings: PoolSettings) -> int:
    """Circuits of a slice at most, as what a paid member has when it breaks is perhaps lost, and not bought again."""
    slots = load.spec.max_in_flight
    seconds = max(settings.stake, (_HELD if slots > 1 else _HELD_ALONE) * load.latency)
    return math.ceil(seconds / slots / (load.pace * each))
