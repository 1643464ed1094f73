"""What goes wrong, how often: seeded, and the same for the same sequence of requests.

A specification is `name:rate[:seconds],...`. Draws are numbered, so the n-th call, the n-th accepted job and each of
its children meet the same fate in every run with the same seed, whatever else happens in between.

| name | hits | what happens; `seconds` and its default |
|---|---|---|
| 429, 429-retry-after | call | refused before it is handled; the header Retry-After: seconds (1) |
| 500, 502-504, 520-529 | call | error reply; `-before` (default) or `-after` it is handled |
| drop-before, drop-after | call | the connection breaks before or after it is handled; it looks the same |
| slow | call | the reply is late by seconds (5) |
| truncated, invalid-json | call | handled; half the reply arrives, or something that is no JSON |
| failed-job | job | QuantumComputerError at its end, not charged |
| stuck | job | `started` until it is canceled; the slots are free again after its time |
| unknown-state | job | a state that no document names, for seconds (5) |
| late | job | the list shows it only after seconds (a draw up to 20); by its id it is there at once |
| failed-child | child | InternalError at its end, not charged |
| unordered | reply | the aggregate's keys come in an order of their own |
| all | | every fault: a rate of all calls, of all jobs, of all children and of all aggregates |
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from q_store.errors import ConfigError, suggestion

STATUSES = (500, 502, 503, 504, *range(520, 530))
CALLS: dict[str, float | None] = {
    "429": None,
    "429-retry-after": 1.0,
    "drop-before": None,
    "drop-after": None,
    "slow": 5.0,
    "truncated": None,
    "invalid-json": None,
    **{f"{status}{when}": None for status in STATUSES for when in ("", "-before", "-after")},
}
JOBS: dict[str, float | None] = {"failed-job": None, "stuck": None, "unknown-state": 5.0, "late": 20.0}
CHILDREN: dict[str, float | None] = {"failed-child": None}
REPLIES: dict[str, float | None] = {"unordered": None}
KINDS: tuple[dict[str, float | None], ...] = (CALLS, JOBS, CHILDREN, REPLIES)
NAMES = {name: seconds for kind in KINDS for name, seconds in kind.items()}
ERRORS = {when: [f"{status}-{when}" for status in STATUSES] for when in ("before", "after")}
FAMILIES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in CALLS if name[0] != "5"),
    tuple(ERRORS["before"]),
    tuple(ERRORS["after"]),
)
"""Of the calls, for `all`: fourteen statuses count as one fault, so that the others are not drowned."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One that is drawn, with its seconds."""

    name: str
    seconds: float = 0.0

    @property
    def status(self) -> int | None:
        """The status of its reply, of an HTTP error."""
        return int(self.name[:3]) if self.name[:3].isdigit() else None

    @property
    def refuses(self) -> bool:
        """Whether the call is not handled at all."""
        return self.name.startswith("429") or self.name.endswith("-before") or self.name.isdigit()


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of an emulator; see the module for the names.

    Attributes:
        rates: {name: rate} of each kind.
        seconds: {name: seconds} where the specification gives them.
        seed: of all draws.
    """

    rates: tuple[dict[str, float], ...] = ({}, {}, {}, {})
    seconds: dict[str, float] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """Read a specification.

        Raises:
            ConfigError: for a name, a rate or seconds that make no sense.
        """
        rates: tuple[dict[str, float], ...] = ({}, {}, {}, {})
        seconds: dict[str, float] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            name, rate, time = _entry(entry)
            if time is not None:
                seconds[name] = time
            for kind, shares in enumerate(_shares(name, rate)):
                for each, share in shares.items():
                    rates[kind][each] = rates[kind].get(each, 0.0) + share
        for each_kind in rates:
            total = sum(each_kind.values())
            if total > 1 + 1e-9:
                msg = f"expected rates of at most 1 in all, got {total:g} for {', '.join(each_kind)}; lower them"
                raise ConfigError(msg)
        return cls(rates, seconds, seed)

    def call(self, number: int) -> Fault | None:
        """What hits the call of this number."""
        return self._draw(0, number)

    def job(self, number: int) -> Fault | None:
        """What hits the accepted job of this number."""
        return self._draw(1, number)

    def children(self, number: int, size: int) -> npt.NDArray[np.bool_]:
        """[size], which children of the accepted job of this number fail."""
        rate = self.rates[2].get("failed-child", 0.0)
        if not rate:
            return np.zeros(size, dtype=bool)
        return np.random.default_rng([2, number, self.seed & 0xFFFF_FFFF]).random(size) < rate

    def shuffle(self, number: int) -> random.Random | None:
        """What brings the keys of the aggregate of this number out of order, if they are to be."""
        source = random.Random(f"3/{number}/{self.seed}")  # noqa: S311 - no cryptography
        return source if source.random() < self.rates[3].get("unordered", 0.0) else None

    def _draw(self, kind: int, number: int) -> Fault | None:
        rates = self.rates[kind]
        if not rates:
            return None
        source = random.Random(f"{kind}/{number}/{self.seed}")  # noqa: S311 - no cryptography
        place = source.random()
        for name, rate in rates.items():
            place -= rate
            if place < 0:
                return Fault(name, self._time(name, source))
        return None

    def _time(self, name: str, source: random.Random) -> float:
        if name in self.seconds:
            return self.seconds[name]
        longest = NAMES[name] or 0.0
        return source.random() * longest if name == "late" else longest


def _entry(entry: str) -> tuple[str, float, float | None]:
    name, *numbers = entry.split(":")
    if name != "all" and name not in NAMES:
        msg = f"expected the name of a fault, got {name!r}{suggestion(name, [*NAMES, 'all'])}"
        raise ConfigError(msg)
    if len(numbers) not in {1, 2}:
        msg = f"expected name:rate or name:rate:seconds, got {entry!r}; e.g. '{name}:0.1'"
        raise ConfigError(msg)
    rate = _number(numbers[0], entry)
    if rate > 1:
        msg = f"expected a rate from 0 to 1, got {entry!r}; 0.1 is one in ten"
        raise ConfigError(msg)
    if len(numbers) == 1:
        return name, rate, None
    if NAMES.get(name) is None:
        timed = ", ".join(each for each, seconds in NAMES.items() if seconds is not None)
        msg = f"expected no seconds for {name}, got {entry!r}; those that take some: {timed}"
        raise ConfigError(msg)
    return name, rate, _number(numbers[1], entry)


def _number(text: str, entry: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        msg = f"expected a number of 0 or more in {entry!r}, got {text!r}; e.g. '{entry.partition(':')[0]}:0.1'"
        raise ConfigError(msg)
    return value


def _shares(name: str, rate: float) -> tuple[dict[str, float], ...]:
    """The rates of each kind that an entry stands for."""
    if name != "all":
        return tuple({name: rate} if name in kind else {} for kind in KINDS)
    calls = {each: rate / len(FAMILIES) / len(family) for family in FAMILIES for each in family}
    return calls, *({each: rate / len(kind) for each in kind} for kind in KINDS[1:])
