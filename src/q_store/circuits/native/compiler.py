"""Compilation to IonQ's native gates: the fewest entanglers, then the fewest pulses.

1. `simplify`, then every operation as rotations of one and two qubits (`turns`).
2. Constant local gates move to the end, equal rotations merge (`network`).
3. Quarter turns around one rotation collapse (`reductions`), runs of constant rotations on one pair become at most
   three (`weyl`).
4. Each qubit takes the cheapest way through its gates (`path`), written as native gates with virtual Z (`pulses`).

Everything works on symbolic angles, once per structure; nothing depends on values but which constants are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from q_store.circuits.circuit import Circuit
from q_store.circuits.native.network import Network
from q_store.circuits.native.pulses import Family, write
from q_store.circuits.native.reductions import blocks, collapsed, from_zero, without_unseen
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
        measured: the circuit starts from |0...0> and all qubits are measured in Z right behind it, so gates that make
            no difference then are left out; only the probabilities are kept.

    Raises:
        GateError: for a `prepare`; `encoders.lower` makes gates of it.
    """
    plain = simplify(circuit)
    parts = [turn for op in plain.ops for turn in turns(op, circuit.n_qubits)]
    networks = [_merged(circuit.n_qubits, parts, commuting=c, measured=measured) for c in (True, False)]
    fewest = min(network.entanglers for network in networks)
    short = [network for network in networks if network.entanglers == fewest]
    written = [write(each, family, measured=measured) for network in short for each in (network, *_aligned(network))]
    ops = min(written, key=len)
    return Circuit(circuit.n_qubits, circuit.n_params, circuit.n_features, tuple(ops))


def _aligned(network: Network) -> list[Network]:
    """The network with right angles between the axes of its runs on a pair, if it has any runs."""
    runs = blocks(network.turns)
    aligned = [shortest(run, aligned=True) for run in runs]
    parts = [turn for run, new in zip(runs, aligned, strict=True) for turn in new or run]
    return [_again(network, parts, commuting=False)] if any(aligned) else []


def _merged(n_qubits: int, parts: Iterable[Turn], *, commuting: bool, measured: bool) -> Network:
    """The network of these turns at its shortest; merging past commuting turns at once may or may not find the best."""
    network = _shortened(Network.of(n_qubits, parts, commuting=commuting))
    if not commuting:
        network = _shortened(_again(network, network.turns, commuting=True))
    if measured:
        network = _shortened(from_zero(network))
        network.turns = without_unseen(network, [turned(inverse(local), Z_AXIS) for local in network.rest])
    return network


def _shortened(network: Network) -> Network:
    """The network with quarter turns collapsed and its runs on a pair at their shortest, until nothing changes."""
    while True:
        runs = blocks(collapsed(network.turns))
        parts = [turn for run in runs for turn in shortest(run) or run]
        again = _again(network, parts, commuting=network.commuting)
        if len(again.turns) == len(network.turns):
            return network
        network = again


def _again(network: Network, parts: Iterable[Turn], *, commuting: bool) -> Network:
    """A network of other turns with the same constants behind them."""
    out = Network.of(len(network.rest), parts, commuting=commuting)
    out.finish(enumerate(network.rest))
    return out
