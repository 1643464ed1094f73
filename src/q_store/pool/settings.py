"""How a pool decides: every figure that the decisions use, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from q_store.errors import ConfigError, suggestion

WAIT, BUY = "wait", "buy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """Figures of the decisions. Times are seconds.

    Attributes:
        allow_mixed: whether members of different noise domains may answer one call.
        hedge: whether circuits of a late free member are also given to an idle free one.
        thrift: a less preferred (dearer, or of lower priority) member works only where without it the circuits would
            take more than 1 + thrift times as long.
        hush: how long the most preferred members work alone while no speed is known.
        grain: no slice is cut shorter than this, where the speed is known.
        stake: a paid member has no more on its way than lasts this long, or twice its latency where that is longer (20
            times where it takes one slice at a time): what it has when it breaks is perhaps paid and lost.
        failures: failed slices in a row that open the breaker of a member.
        recent: so many of the last slices are remembered; the breaker opens too when half of them failed.
        pause, longest_pause: how long an open breaker waits before it probes: doubles from the one to the other.
        tries: failures of a circuit after which no member is asked twice.
        quota, refill: tokens for asking a member for a circuit again that it failed; an answered slice brings refill.
        lost: what is done about circuits that a paid member took and of which nobody knows whether they ran: `wait` for
            it, and never buy them a second time, or `buy` them elsewhere, within the budget, perhaps paid twice.
        lost_after: with `buy`, how long a member may give no usable answer before that.
        recall, recall_after: a slice that cannot be hedged and takes longer than recall times what was expected plus
            recall_after is canceled when somebody else is idle; its circuits go there once the cancel is confirmed.

    Raises:
        ConfigError: for a figure out of range.
    """

    allow_mixed: bool = False
    hedge: bool = True
    thrift: float = 0.5
    hush: float = 1.0
    grain: float = 0.02
    stake: float = 10.0
    failures: int = 3
    recent: int = 10
    pause: float = 1.0
    longest_pause: float = 60.0
    tries: int = 6
    quota: float = 20.0
    refill: float = 0.5
    lost: str = WAIT
    lost_after: float = 60.0
    recall: float = 3.0
    recall_after: float = 30.0

    def __post_init__(self) -> None:
        if self.lost not in {WAIT, BUY}:
            raise ConfigError(
                f"expected lost to be {WAIT!r} or {BUY!r}, got {self.lost!r}{suggestion(str(self.lost), (WAIT, BUY))}"
            )
        for each in fields(self):
            value = 1.0 if each.name == "lost" else getattr(self, each.name)
            least = 1 if each.name in {"failures", "recent", "tries"} else 0
            if not (math.isfinite(value) and value >= least):
                raise ConfigError(f"expected {each.name} of {least} or more, got {value!r}")
        if not 0 < self.pause <= self.longest_pause:
            raise ConfigError(f"expected 0 < pause <= longest_pause, got {self.pause} and {self.longest_pause}")

    @property
    def patience_of_buyers(self) -> float | None:
        """Seconds without a usable answer after which circuits are bought again; None: never."""
        return self.lost_after if self.lost == BUY else None
