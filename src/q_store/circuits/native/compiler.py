"""Compilation to IonQ's native gates: the fewest entanglers, then the fewest pulses.

1. `simplify`, then every operation as rotations of one and two qubits (`turns`).
2. Constant local gates move to the end, equal rotations merge (`network`).
3. Runs of constant rotations on one pair become at most three (`weyl`).
4. Each qubit takes the cheapest way through its gates (`path`), written as native gates with virtual Z (`pulses`).

Everything works on symbolic angles, once per structure; nothing depends on values but which constants are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.native.network import Network, blocks, collapsed, without_unseen
from q_store.circuits.native.pulses import Family, write
from q_store.circuits.native.sphere import Z_AXIS, inverse, turned
from q_store.circuits.native.turns import Turn, turns
from q_store.circuits.native.weyl import shortest
from q_store.circuits.simplify import simplify


class Counts(NamedTuple):
    """Gates by the number of their qubits."""

    one_qubit: int
    two_qubit: int


def counts(circuit: Circuit) -> Counts:
    """How many operations of one and of two qubits (or more) a circuit has; a preparation is none."""
    two = circuit.two_qubit_gates
    return Counts(len(circuit.ops) - two - (circuit.prepare is not None), two)


def to_native(circuit: Circuit, family: Family, *, measured: bool = False) -> Circuit:
    """The circuit in native gates, equal up to a global phase for all parameters and data.

    Symbolic angles stay affine in the same parameters and features; native angles are turns. Constant phases are in
    [-1/2, 1/2], constant MS angles in [0, 1/4], constant ZZ angles in [-1/4, 1/4]; `fold` brings bound ones there.

    Args:
        circuit: any circuit without `prepare`.
        family: the native gates.
        measured: all qubits are measured in Z right behind it, so gates that cannot be seen are left out; only the
            probabilities are those of the circuit then.

    Raises:
        GateError: for a `prepare`; `encoders.lower` makes gates of it.
    """
    plain = simplify(circuit)
    parts = [turn for op in plain.ops for turn in turns(op, circuit.n_qubits)]
    written = [
        write(network, family, measured=measured) for network in _networks(circuit.n_qubits, parts, measured=measured)
    ]
    ops = min(written, key=_price)
    return Circuit(circuit.n_qubits, circuit.n_params, circuit.n_features, tuple(ops))


def _price(ops: list[Op]) -> tuple[int, int]:
    entanglers = sum(op.is_entangling for op in ops)
    return entanglers, len(ops) - entanglers


def _networks(n_qubits: int, parts: list[Turn], *, measured: bool) -> list[Network]:
    """Several ways to merge; which of them is the shortest depends on the circuit."""
    found = []
    for commuting in (True, False):
        network = _shortened(Network.of(n_qubits, parts, commuting=commuting))
        if not commuting:
            network = _shortened(_again(network, network.turns, commuting=True))
        if measured:
            axes = [turned(inverse(local), Z_AXIS) for local in network.rest]
            network.turns = without_unseen(network, axes)
        found.append(network)
    return found


def _shortened(network: Network) -> Network:
    """The network with its runs on a pair at their shortest and quarter turns collapsed, until nothing changes."""
    while True:
        runs = blocks(network.turns)
        shorter = [shortest(run) for run in runs]
        parts = [turn for run, new in zip(runs, shorter, strict=True) for turn in (new or run)]
        again = _again(network, collapsed(network.turns) or parts, commuting=network.commuting)
        if len(again.turns) == len(network.turns):
            return network
        network = again


def _again(network: Network, parts: Iterable[Turn], *, commuting: bool) -> Network:
    """A network of other turns with the same constants behind them."""
    out = Network.of(len(network.rest), parts, commuting=commuting)
    out.finish(enumerate(network.rest))
    return out
