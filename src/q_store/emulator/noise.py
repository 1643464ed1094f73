"""IonQ's documented noise: a depolarising channel after every gate, as sent; see `backends.ionq.noise`."""

from __future__ import annotations

from dataclasses import dataclass

from q_store.backends.ionq.noise import Rates
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.rotations import Rotation, op_rotations


@dataclass(frozen=True, slots=True)
class Site:
    """A depolarising channel.

    Attributes:
        position: number of rotations before it.
        qubits: one or two.
        rate: r.
    """

    position: int
    qubits: tuple[int, ...]
    rate: float

    @property
    def mask(self) -> int:
        """Bit q for qubit q."""
        return sum(1 << q for q in self.qubits)


@dataclass(frozen=True)
class Noisy:
    """A circuit as rotations exp(-i a/2 P), with the channels between them; global phases are left out."""

    n_qubits: int
    rotations: tuple[Rotation, ...]
    sites: tuple[Site, ...]


def unravel(circuit: Circuit, rates: Rates | None) -> Noisy:
    """The rotations and channels of a circuit without preparation."""
    rotations: list[Rotation] = []
    sites: list[Site] = []
    for op in circuit.ops:
        rotations += [r for r in op_rotations(op) if r.pauli.x | r.pauli.z]
        if rates is not None:
            sites += _channels(op, rates, len(rotations))
    return Noisy(circuit.n_qubits, tuple(rotations), tuple(sites))


def _channels(op: Op, rates: Rates, position: int) -> list[Site]:
    """One channel a gate; a gate on k > 2 qubits, which no trapped ion does in one step, counts as k - 1 pairs."""
    *others, target = op.wires
    if not others:
        return [Site(position, (target,), rates.one)]
    return [Site(position, (other, target), rates.two) for other in others]
