"""What goes into a ledger, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

SHARES = ("client", "network", "queue", "execution", "poll", "rest")
HERE = "this machine"
"""The backend of what is no remote job's."""
BEFORE, AFTER = "before", "after"
"""Names of what is before the first step, and after the last."""


class Told(Protocol):
    """An event with its time, as `apps.history.Entry` has it."""

    @property
    def time(self) -> float:
        """Seconds since 1970."""

    @property
    def kind(self) -> str:
        """Name of the event's class."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Its fields."""


@dataclass(frozen=True, slots=True)
class Life:
    """A remote job: its member, times by our clock and by the service's (see `events.JobEnded`), and what it cost.

    `until`: when nobody waited for it any more, where that was before its end.
    """

    member: str
    times: Mapping[str, float]
    provider: Mapping[str, float] = field(default_factory=dict)
    state: str = "done"
    circuits: int = 0
    answered: int = 0
    shots_paid: int = 0
    cost: float = 0.0
    currency: str = ""
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Span:
    """A share of somebody's time: `weight` of each second between begin and end."""

    begin: float
    end: float
    member: str
    share: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a run.

    Attributes:
        name: of the backend, the number of the step, or the stage of a recipe. seconds: of each of `SHARES`.
        began: seconds since 1970; None for a backend and a stage. steps: how many; quick ones are told some at a time.
    """

    name: str
    seconds: Mapping[str, float]
    began: float | None = None
    steps: int = 0

    @property
    def wall(self) -> float:
        """The sum."""
        return math.fsum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Sum:
    """What the jobs of a backend took, each for itself, however many ran at a time; `seconds` by share."""

    member: str
    jobs: int
    failed: int
    circuits: int
    shots: int
    cost: float
    currency: str
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of a run: the whole, by backend, by step, and sums of jobs.

    Steps are named by their numbers (of several the last), `finish 3` in the stage of that name; `before` the first and
    `after` the last. The stages of a recipe have what they took in all, steps included; other trainings have none.
    """

    run: Part
    backends: Sequence[Part]
    steps: Sequence[Part]
    jobs: Sequence[Sum]
    stages: Sequence[Part] = ()

    def body(self, *, steps: bool = False) -> dict[str, Any]:
        """As JSON."""

        def part(each: Part) -> dict[str, Any]:
            return {"seconds": round(each.wall, 6), **_rounded(each.seconds)}

        body: dict[str, Any] = part(self.run)
        body["backends"] = {each.name: part(each) for each in self.backends}
        body["jobs"] = {
            each.member: {**{name: getattr(each, name) for name in _COUNTS}, **_rounded(each.seconds)}
            for each in self.jobs
        }
        if self.stages:
            body["stages"] = {each.name: {"steps": each.steps, **part(each)} for each in self.stages}
        if steps:
            about = [{"step": each.name, "steps": each.steps, "began": each.began} for each in self.steps]
            body["steps"] = [{**one, **part(each)} for one, each in zip(about, self.steps, strict=True)]
        return body


_COUNTS = ("jobs", "failed", "circuits", "shots", "cost", "currency")


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(each, 6) for name, each in seconds.items()}
