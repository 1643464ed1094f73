"""Circuits that wait together, and circuits that are on their way together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What waiting circuits have in common.

    Attributes:
        tries: how often they failed.
        failed_at: who failed them, since they last went round; those are not asked while others remain.
        cap: circuits in a slice at most: slices that failed are cut up, so that one bad circuit is found.
        bought: how often they were bought, as nobody knows what became of them.
    """

    tries: int
    failed_at: frozenset[str]
    cap: int
    bought: int = 0


@dataclass(slots=True, eq=False)
class Flight:
    """A slice on its way.

    Attributes:
        name, member, batch, numbers: as in its `Send`.
        parcel: where its circuits waited.
        work: of its circuits together; 0 once canceled.
        sent, expected: when it was sent, and how many seconds it was expected to take.
        hedged: whether another member has some of its circuits too. canceled: whether that was asked for.
        forgone: whether its circuits went elsewhere, so that nobody waits for it. accepted: whether the service has it.
    """

    name: int
    member: str
    batch: int
    numbers: Ints
    parcel: Parcel
    work: float
    sent: float
    expected: float
    hedged: bool = False
    canceled: bool = False
    forgone: bool = False
    accepted: bool = False
