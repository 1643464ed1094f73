"""IonQ's documented noise: a depolarising channel after every gate, as sent.

With rate r the channel on k qubits is rho -> (1 - r) rho + r (1/2^k on these qubits): with probability r a Pauli string
drawn evenly from all 4^k is applied. This is the service's K_0 = sqrt(1 - 3r/4), K_i = sqrt(r/4) sigma_i for one qubit
and K_00 = sqrt(1 - 15r/16), K_ij = sqrt(r/16) sigma_i sigma_j for two
(https://docs.ionq.com/guides/simulation-with-noise-models).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.rotations import Rotation, op_rotations


@dataclass(frozen=True, slots=True)
class Rates:
    """Depolarising rates after a gate on one and on two qubits."""

    one: float
    two: float


_HARMONY = Rates(0.01, 0.04)
_FORTE = Rates(0.00026667, 0.00494933)
MODELS: Mapping[str, Rates | None] = {
    "ideal": None,
    # Another formula, which is not public: ours are the rates that give fidelities of 0.995 and 0.97.
    "harmony": _HARMONY,
    "harmony-1": _HARMONY,
    "harmony-2": _HARMONY,
    "aria-1": Rates(0.0005, 0.0133),
    "aria-2": Rates(0.00065733, 0.01856),
    "forte-1": _FORTE,
    # Not documented: those of forte-1.
    "forte-enterprise-1": _FORTE,
}
"""Rates by noise model, None without noise. Documented are aria-1, aria-2 and forte-1."""


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
