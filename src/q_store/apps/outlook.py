"""What circuits on a remote backend come to, before they run: how many, which gates, cost, time."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import typer
from rich.console import Console

from q_store.apps.assemble import Assembly
from q_store.apps.members import Crew
from q_store.apps.place import Place
from q_store.apps.pool_place import PoolPlace
from q_store.apps.progress import clock_time, plain
from q_store.apps.remote import Remote
from q_store.backends import measurement
from q_store.backends.ionq.client.service import Estimate
from q_store.backends.ionq.wire.gates import expressible
from q_store.circuits import encoders
from q_store.circuits.circuit import Circuit
from q_store.circuits.native import Counts, Family, counts, to_native
from q_store.circuits.observables import Observables
from q_store.errors import ConfigError, UnreachableError
from q_store.training.cost import gradient_circuits, validations
from q_store.training.settings import TrainingSettings
from q_store.waiting import wait

SHOTS_OF_ESTIMATE = 1_000
"""Asked for where shots do not matter: the service wants a number."""


@dataclass(frozen=True)
class Outlook:
    """Circuits of a training.

    Attributes:
        steps: of the optimiser. gradient: circuits of them all. validation: of all looks at the validation rows.
        test: of the final evaluation.
    """

    steps: int
    gradient: int
    validation: int
    test: int

    @property
    def circuits(self) -> int:
        """In all."""
        return self.gradient + self.validation + self.test


def outlook(circuit: Circuit, observables: Observables, settings: TrainingSettings, rows: Mapping[str, int]) -> Outlook:
    """For so many rows of each part: see `gradient_circuits`; a row that is only looked at costs its measured bases."""
    train, validation, test = (rows[name] for name in ("train", "validation", "test"))
    bases = len(measurement.plan(circuit, observables).settings)
    steps = settings.epochs * -(-train // settings.batch_size)
    gradient = gradient_circuits(settings, circuit, train, bases)
    return Outlook(steps, gradient, validations(settings, circuit) * validation * bases, test * bases)


def sent(circuit: Circuit, family: Family | None) -> Counts:
    """Gates of a circuit as it is sent: its exact preparation and all, in QIS gates or in a family's native ones."""
    lowered = circuit
    if circuit.prepare is not None:
        lowered, _ = encoders.lower(circuit, np.ones((1, circuit.n_features)))
    return counts(expressible(lowered) if family is None else to_native(lowered, family, measured=True))


@dataclass(frozen=True)
class Cost:
    """So many circuits of the same gates on a target: what the service says of one, times their number."""

    place: Place
    circuits: int
    qubits: int
    gates: Counts
    shots: int
    one: Estimate

    @property
    def total(self) -> float | None:
        """In the unit of the service; None where it does not say."""
        return None if self.one.cost is None else self.one.cost * self.circuits

    @property
    def seconds(self) -> float | None:
        """Of execution, one circuit after the other; None where the service does not say."""
        return None if self.one.execution is None else self.one.execution * self.circuits

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "target": self.place.target,
            "url": self.place.url,
            "circuits": self.circuits,
            "qubits": self.qubits,
            "one_qubit": self.gates.one_qubit,
            "two_qubit": self.gates.two_qubit,
            "shots": self.shots,
            "cost": self.total,
            "unit": self.one.unit,
            "execution_seconds": self.seconds,
            "queue_seconds": self.one.queue,
        }

    def price(self) -> str:
        """`12.50 USD`, in words."""
        if self.total is None:
            return "a cost that the service does not say"
        return f"{self.total:,.2f} {self.one.unit.upper()}".strip()

    def line(self) -> str:
        """All of it, in one line."""
        seconds = "" if self.seconds is None else f", {clock_time(self.seconds)} of execution"
        queue = "" if self.one.queue is None else f" after {clock_time(self.one.queue)} in the queue"
        return (
            f"{self.circuits:,} circuits of {self.gates.one_qubit} one-qubit and {self.gates.two_qubit} two-qubit "
            f"gates on {self.place.title}: {self.price()} estimated{seconds}{queue}"
        )


def cost(far: Remote, circuit: Circuit, circuits: int, shots: int | None) -> Cost:
    """What the service estimates. Raises as `Remote.require`, and GateError for gates that cannot be sent."""
    gates, asked = sent(circuit, far.family), shots or SHOTS_OF_ESTIMATE
    far.require(circuit.n_qubits)
    estimated = far.service.estimate(
        far.settings.backend,
        qubits=circuit.n_qubits,
        one_qubit=gates.one_qubit,
        two_qubit=gates.two_qubit,
        shots=asked,
    )
    return Cost(far.place, circuits, circuit.n_qubits, gates, asked, wait(estimated))


def announce(crew: Crew, place: Place | PoolPlace, parts: Assembly, console: Console, *, yes: bool) -> None:
    """Say what the training comes to, and ask before it costs money. Raises ConfigError unless it may start.

    In a pool nobody knows who will get how much: each member is told as if it ran everything.
    """
    model, rows = parts.model, {name: len(parts.part(name)[1]) for name in parts.data.parts}
    found = outlook(model.circuit, model.observables, model.settings, rows)
    dearest = ""
    lines, most = [], -1.0
    for name, far in crew.services.items():
        try:
            expected = cost(far, model.circuit, found.circuits, model.settings.shots)
        except UnreachableError as error:
            if len(crew.members) == 1:
                raise
            lines.append(f"{name}: no estimate: {error}")
            continue
        lines.append(expected.line() if len(crew.members) == 1 else f"all on {name}: {expected.line()}")
        if (expected.total or 0.0) > most:
            most, dearest = expected.total or 0.0, expected.price()
    plain(
        console,
        f"{found.circuits:,} circuits in all: {found.steps:,} steps on {rows['train']:,} training {parts.unit} "
        f"({found.gradient:,}), {rows['validation']:,} validation {parts.unit} after each epoch ({found.validation:,}),"
        f" {rows['test']:,} test {parts.unit} ({found.test:,})",
    )
    for line in lines:
        plain(console, line)
    if not (place.free or yes):
        _ask(dearest or "a cost that nobody says", place.title, at_most=len(crew.members) > 1)


def price_of_one(crew: Crew, circuit: Circuit, shots: int | None) -> float | None:
    """Money for a circuit on the dearest service of a pool; None where none says. Raises as `cost`."""
    found: list[float] = []
    for far in crew.services.values():
        try:
            one = cost(far, circuit, 1, shots).total
        except UnreachableError:
            if len(crew.members) == 1:
                raise
            continue
        found += [] if one is None else [one]
    return max(found, default=None)


def accept(place: Place | PoolPlace, circuits: int, each: float | None, *, yes: bool) -> None:
    """Ask before so many circuits cost money. Raises ConfigError unless they may."""
    if not (place.free or yes):
        _ask("a cost that nobody says" if each is None else f"{each * circuits:,.2f} USD", place.title, at_most=True)


def _ask(price: str, title: str, *, at_most: bool) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"expected --yes before a target that costs money, got none and no terminal to ask on; {price} "
            f"is the estimate for {title}, add --yes to accept it"
        )
    typer.confirm(f"Spend {'up to ' * at_most}about {price}?", abort=True, err=True)
