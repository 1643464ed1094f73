"""Caps on what a run may spend: reserved before a slice is sent, settled after.

At every moment, in every process and after every crash: spent + reserved <= cap. It holds as far as a service charges
no more than was reserved; what it charges is booked in any case.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from q_store.errors import BudgetError, InputError
from q_store.store import sql
from q_store.store.database import Database
from q_store.store.runs import Runs

NANO = 10**9
_MOST_MONEY = 1e9
ANY_RUN, ANY_PROVIDER = 0, ""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Money (in some currency), shots and circuits; 0 or more each.

    Raises:
        InputError: for a negative amount, or money that is not a number below 1e9.
    """

    money: float = 0.0
    shots: int = 0
    circuits: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.money <= _MOST_MONEY and self.shots >= 0 and self.circuits >= 0):
            raise InputError(f"expected amounts of 0 or more, money below {_MOST_MONEY:g}, got {self}")

    @property
    def values(self) -> dict[str, int]:
        """As they are stored: money in whole nano-units."""
        return {"money": round(self.money * NANO), "shots": int(self.shots), "circuits": int(self.circuits)}

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            round((self.money + other.money) * NANO) / NANO, self.shots + other.shots, self.circuits + other.circuits
        )


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be spent; None: no limit.

    Attributes:
        money: in `currency`. shots, circuits: that are charged. seconds: wall time of a run, all processes together.

    Raises:
        InputError: for a cap that is not above 0.
    """

    money: float | None = None
    shots: int | None = None
    circuits: int | None = None
    seconds: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        for name in ("money", "shots", "circuits", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"expected a cap on {name} above 0, got {value}; leave it out for no cap")
        if self.money is not None and self.money > _MOST_MONEY:
            raise InputError(f"expected a cap on money of at most {_MOST_MONEY:g}, got {self.money}")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a cap stands.

    Attributes:
        run, provider: what it holds for; None: any. caps: its limits.
        spent, reserved: so far; money in the caps' currency, shots and circuits in all currencies.
        seconds: wall time of the run so far; 0 where `run` is None.
    """

    run: str | None
    provider: str | None
    caps: Caps
    spent: Amounts
    reserved: Amounts
    seconds: float

    @property
    def scope(self) -> str:
        """What the caps hold for, in words."""
        of_run = "all runs" if self.run is None else f"run {self.run}"
        return of_run if self.provider is None else f"{of_run} on {self.provider}"

    def left(self, name: str) -> float | None:
        """What is left of `money`, `shots`, `circuits` or `seconds`; None: no cap."""
        cap: float | None = getattr(self.caps, name)
        if cap is None:
            return None
        if name == "seconds":
            return max(0.0, cap - self.seconds)
        used = self.spent + self.reserved
        left: float = cap - getattr(used, name)
        return max(0.0, round(left * NANO) / NANO) if name == "money" else max(0, left)

    def refusal(self, asked: Amounts, currency: str) -> str | None:
        """Why the amounts do not fit, and what would; None where they do."""
        if self.caps.money is not None and asked.money and currency != self.caps.currency:
            return (
                f"expected prices in {self.caps.currency}, in which the cap of {self.scope} is, got {currency}; "
                f"give a cap in {currency}"
            )
        if self.left("seconds") == 0:
            return (
                f"expected less than {self.caps.seconds:g} s of wall time for {self.scope}, got {self.seconds:.0f} s; "
                "raise the cap and resume"
            )
        for name in ("money", "shots", "circuits"):
            left, own = self.left(name), asked.values[name]
            if left is not None and own > (round(left * NANO) if name == "money" else left):
                return self._too_much(name, asked, left)
        return None

    def _too_much(self, name: str, asked: Amounts, left: float) -> str:
        unit = f" {self.caps.currency}" if name == "money" else f" {name}"
        spent, reserved, cap = (getattr(each, name) for each in (self.spent, self.reserved, self.caps))
        return (
            f"expected at most {left:.12g}{unit} more for {self.scope} (cap {cap:.12g}, spent {spent:.12g}, reserved "
            f"{reserved:.12g}), got {getattr(asked, name):.12g}; {room([self], asked)} of these {asked.circuits} "
            "circuits would fit: ask for fewer, or raise the cap and resume"
        )


def room(standings: Iterable[Standing], asked: Amounts) -> int:
    """How many of `asked.circuits` circuits, alike in cost, fit under all caps."""
    most = asked.circuits
    for standing in standings:
        for name in ("money", "shots", "circuits"):
            left, own = standing.left(name), getattr(asked, name)
            if left is not None and own:
                most = min(most, math.floor(asked.circuits * left / own + 1e-9))
    return most


class Budget:
    """The tables `caps` and `accounts`. Runs and providers may be None: any."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    def set(self, caps: Caps, *, run: str | None = None, provider: str | None = None) -> None:
        """Limit a run, a provider over all runs, or a run on a provider; replaces the caps that were there.

        Raises:
            InputError: for a cap on seconds without a run, or of one provider: wall time belongs to a run.
        """
        if caps.seconds is not None and (run is None or provider is not None):
            raise InputError("expected a cap on seconds for a run as a whole, got it for a provider or all runs")
        values = {
            **self._scope(run, provider),
            "money": None if caps.money is None else round(caps.money * NANO),
            "currency": caps.currency,
            "shots": caps.shots,
            "circuits": caps.circuits,
            "seconds": caps.seconds,
        }
        self._database.run(sql.PUT_CAP, values)

    def standings(self, run: str, provider: str) -> list[Standing]:
        """Every cap that holds for this run on this provider, and where it stands."""
        with self._database.read():
            scope = self._scope(run, provider)
            return [self._standing(run, provider, row) for row in self._database.rows(sql.GET_CAPS, scope)]

    def left(self, run: str, provider: str, name: str) -> float | None:
        """What is left of `money`, `shots`, `circuits` or `seconds` under all caps; None: no cap."""
        found = [left for each in self.standings(run, provider) if (left := each.left(name)) is not None]
        return min(found, default=None)

    def totals(self, run: str | None = None, provider: str | None = None) -> dict[str, tuple[Amounts, Amounts]]:
        """Spent and reserved, by currency."""
        return {row[0]: (_amounts(row[1:4]), _amounts(row[4:7])) for row in self._balance(run, provider)}

    def require(self, run: str, provider: str, asked: Amounts, currency: str) -> None:
        """Raise BudgetError where the amounts do not fit under every cap."""
        for standing in self.standings(run, provider):
            if refusal := standing.refusal(asked, currency):
                raise BudgetError(refusal)

    def hold(self, run: int, provider: str, currency: str, change: dict[str, int]) -> None:
        """Reserve, or give back where negative; within a transaction."""
        account = {"run": run, "provider": provider, "currency": currency}
        self._database.run(sql.OPEN_ACCOUNT, account)
        self._database.run(sql.HOLD, {**account, **change})

    def spend(self, run: int, provider: str, currency: str, amounts: Amounts) -> None:
        """Book what was charged; within a transaction."""
        account = {"run": run, "provider": provider, "currency": currency}
        self._database.run(sql.SPEND, {**account, **amounts.values})

    def _scope(self, run: str | None, provider: str | None) -> dict[str, Any]:
        return {
            "run": ANY_RUN if run is None else self._runs.number(run),
            "provider": ANY_PROVIDER if provider is None else provider,
        }

    def _balance(self, run: str | None, provider: str | None) -> list[tuple[Any, ...]]:
        return self._database.rows(sql.BALANCE, self._scope(run, provider))

    def _standing(self, run: str, provider: str, row: tuple[Any, ...]) -> Standing:
        own_run = None if row[0] == ANY_RUN else run
        own_provider = None if row[1] == ANY_PROVIDER else provider
        caps = Caps(None if row[2] is None else row[2] / NANO, row[4], row[5], row[6], row[3])
        rows = self._balance(own_run, own_provider)
        spent, reserved = (_sum(rows, first, caps.currency) for first in (1, 4))
        seconds = 0.0
        if own_run is not None:
            seconds = float(self._database.rows(sql.GET_SECONDS, {"run": row[0]})[0][0])
        return Standing(own_run, own_provider, caps, spent, reserved, seconds)


def _amounts(values: tuple[int, int, int]) -> Amounts:
    return Amounts(values[0] / NANO, values[1], values[2])


def _sum(rows: list[tuple[Any, ...]], first: int, currency: str) -> Amounts:
    money = sum(row[first] for row in rows if row[0] == currency)
    return Amounts(money / NANO, sum(row[first + 1] for row in rows), sum(row[first + 2] for row in rows))
