"""Whole layers of a circuit: left out without renumbering anything, or made the identity by zeros.

A circuit from `templates` knows its layers (`Circuit.layers`); `Circuit.layered` names those of any other. A shallower
circuit keeps all parameters and features, so a vector fits both: the parameters of dropped layers just stand there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.simplify import simplify
from q_store.errors import CircuitError


def truncated(circuit: Circuit, depth: int) -> Circuit:
    """The circuit with its first `depth` layers in the order of `Circuit.layers`, and all that is in no layer.

    Raises:
        CircuitError: for a circuit without layers, or a depth out of 0..number of layers.
    """
    require_layers(circuit)
    if not 0 <= depth <= len(circuit.layers):
        msg = f"expected a depth of 0..{len(circuit.layers)} layers, got {depth}"
        raise CircuitError(msg)
    left_out = {k for first, last in circuit.layers[depth:] for k in range(first, last)}
    return without(circuit, left_out)


def without(circuit: Circuit, positions: Iterable[int]) -> Circuit:
    """The circuit without these operations; layers that lose all of theirs are gone, the others are kept."""
    gone = set(positions)
    kept = [k for k in range(len(circuit.ops)) if k not in gone]
    before = np.searchsorted(kept, range(len(circuit.ops) + 1))  # how many of the kept come before an operation
    layers = [(int(before[first]), int(before[last])) for first, last in circuit.layers]
    fewer = replace(circuit, ops=tuple(circuit.ops[k] for k in kept))
    return fewer.layered(layer for layer in layers if layer[0] < layer[1])


def parameters(circuit: Circuit) -> npt.NDArray[np.bool_]:
    """Which of the P parameters occur in an operation, [P]."""
    used = np.zeros(circuit.n_params, dtype=bool)
    used[list({i for op in circuit.ops for angle in op.angles for i in angle.params})] = True
    return used


def zeroed(op: Op, parameters: Iterable[int]) -> Op:
    """The operation where these parameters are 0."""
    gone = set(parameters)
    angles = tuple(Angle(tuple(term for term in angle.terms if term[0][0] not in gone)) for angle in op.angles)
    return replace(op, angles=angles)


def why_not_identity(circuit: Circuit, layer: int) -> str:
    """Why layer number `layer` is not the identity where all its parameters are 0; empty where it is.

    Exact, for all data: operations that cancel each other (CNOT, CNOT) are no obstacle.
    """
    first, last = circuit.layers[layer]
    inside = circuit.ops[first:last]
    own = {i for op in inside for angle in op.angles for i in angle.params}
    shared = own & {i for op in (*circuit.ops[:first], *circuit.ops[last:]) for a in op.angles for i in a.params}
    if shared:
        return f"parameter {min(shared)} of layer {layer} occurs outside of it too"
    rest = simplify(replace(circuit, ops=tuple(zeroed(op, own) for op in inside))).ops
    if rest:
        gate = "c" * len(rest[0].controls) + rest[0].gate
        return f"{gate} on qubits {rest[0].wires} in layer {layer} stays where the parameters are 0"
    return ""


def require_layers(circuit: Circuit) -> None:
    """Raise CircuitError for a circuit that names no layers."""
    if not circuit.layers:
        msg = (
            "expected a circuit of whole layers, got one without; take one of q_store.circuits.templates, "
            "or name the layers: circuit.layered([(first, last + 1), ...])"
        )
        raise CircuitError(msg)
