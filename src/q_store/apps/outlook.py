"""What a training on a remote backend comes to, before it starts: circuits, gates, cost, time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from q_store.backends import measurement
from q_store.backends.ionq.wire.gates import expressible
from q_store.circuits import encoders
from q_store.circuits.circuit import Circuit
from q_store.circuits.native import Family, to_native
from q_store.circuits.observables import Observables
from q_store.circuits.shifts import shift_rules
from q_store.training.settings import TrainingSettings


@dataclass(frozen=True)
class Outlook:
    """Circuits of a training by parameter shift.

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
    """For so many rows of each part: one of the training costs 1 + T circuits in each epoch, T the shifted ones.

    All that times the measured bases.
    """
    train, validation, test = (rows[name] for name in ("train", "validation", "test"))
    bases = len(measurement.plan(circuit, observables).settings)
    steps = settings.epochs * -(-train // settings.batch_size)
    gradient = settings.epochs * train * (1 + shift_rules(circuit).size) * bases
    return Outlook(steps, gradient, settings.epochs * validation * bases, test * bases)


@dataclass(frozen=True)
class Sent:
    """A circuit as it is sent: its qubits, and its gates on one and on more qubits."""

    qubits: int
    one_qubit: int
    two_qubit: int


def sent(circuit: Circuit, family: Family | None) -> Sent:
    """The circuit with its exact preparation, in QIS gates, or in the native gates of a family."""
    lowered = circuit
    if circuit.prepare is not None:
        lowered, _ = encoders.lower(circuit, np.ones((1, circuit.n_features)))
    written = expressible(lowered) if family is None else to_native(lowered, family, measured=True)
    wide = sum(len(op.wires) > 1 for op in written.ops)
    return Sent(circuit.n_qubits, len(written.ops) - wide, wide)
