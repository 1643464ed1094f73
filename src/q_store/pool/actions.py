"""What the pool wants done. The shell does it and reports back with events.

Every circuit of a batch appears exactly once in a `Keep` or a `GiveUp` of it; then comes `Finished`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Send:
    """Send a slice; to be answered by `Accepted` and one of `Answered` and `Broke`.

    Attributes:
        slice: its name, fresh.
        member: who runs it.
        batch, numbers: which circuits.
        hedge: whether another free member has the same circuits.
        bought: how often they were bought before, see `BuyAgain`.
    """

    slice: int
    member: str
    batch: int
    numbers: Ints
    hedge: bool = False
    bought: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Keep:
    """These answers of an answered slice count; those of its other circuits came second.

    Attributes:
        places: in the slice. numbers: the circuits of the batch, in the same order.
    """

    slice: int
    batch: int
    places: Ints
    numbers: Ints


@dataclass(frozen=True, slots=True, eq=False)
class GiveUp:
    """These circuits have no answer and are not sent again; `uncertain`: perhaps charged."""

    batch: int
    numbers: Ints
    reason: str
    uncertain: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class BuyAgain:
    """These circuits of a slice of a paid member, whose fate nobody knows, go to others; what comes of it is extra."""

    slice: int
    batch: int
    member: str
    numbers: Ints
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Every circuit of the batch is kept or given up."""

    batch: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a slice, if it still runs; it stays in flight until `Answered` or `Broke` says what became of it.

    `forgone`: others get its circuits without waiting for that.
    """

    slice: int
    forgone: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """Find out whether the member can be reached, at no cost; to be answered by `Probed`."""

    member: str


@dataclass(frozen=True, slots=True)
class Starve:
    """Nobody can work on the batch for now: said once, until somebody can. Probing goes on."""

    batch: int
    reason: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Hand over a `Tick` at this time. The latest list of actions says the only one; none in it: not needed."""

    at: float


Action = Send | Keep | GiveUp | BuyAgain | Finished | Cancel | Probe | Starve | Wake
