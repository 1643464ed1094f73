"""Simplification of a circuit, once per structure and symbolic in parameters and data.

Operations of one family (see `powers`) that are neighbours, or separated by operations that commute with them, become
one; what is then the identity disappears. So RY(a) RY(b) = RY(a + b), CNOT CNOT = 1, RZ on a control moves through a
CNOT, and S T = RZ(3 pi/4).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.powers import Power, merged, power
from q_store.circuits.rotations import op_rotations
from q_store.errors import CircuitError

Item = tuple[Op, Power | None]


def simplify(circuit: Circuit, threshold: float = 0.0) -> Circuit:
    """The circuit with fewer operations, equal up to a global phase for all parameters and data.

    Args:
        circuit: any circuit; its numbers of parameters and features stay.
        threshold: constant rotations by up to this many radians are left out too; each changes the state by half of it.

    Returns:
        A circuit of the same operations or fewer, never more.

    Raises:
        CircuitError: for a threshold that is negative or pi/4 and more.
    """
    if not 0 <= threshold < math.pi / 4:
        msg = f"expected a threshold of 0 to less than pi/4 radians, got {threshold!r}"
        raise CircuitError(msg)
    # One pass is enough: what keeps two operations apart could only vanish by one that cannot pass the later of them
    out: list[Item] = []
    for op in circuit.ops:
        exponent = power(op)
        if exponent is None:
            out.append((op, exponent))
        elif not exponent.is_identity(threshold):
            _place(out, op, exponent, threshold)
    return replace(circuit, ops=tuple(op for op, _ in out))


def _place(out: list[Item], op: Op, exponent: Power, threshold: float) -> None:
    """Append the operation, or merge it with the last one of its family that it can reach."""
    for k in range(len(out) - 1, -1, -1):
        earlier, other = out[k]
        total = merged(other, exponent) if other else None
        if total and total.is_identity(threshold):
            del out[k]
            return
        written = total.write(total.angle) if total else None
        if written:
            out[k] = (written, power(written))
            return
        if not commute(earlier, op):
            break
    out.append((op, exponent))


def commute(a: Op, b: Op) -> bool:
    """Whether all Pauli rotations of one operation commute with all of the other, whatever the angles."""
    if PREPARE in {a.gate, b.gate}:
        return False
    if set(a.wires).isdisjoint(b.wires):
        return True
    return all(not ((x & w).bit_count() + (z & v).bit_count()) & 1 for x, z in _strings(a) for v, w in _strings(b))


@lru_cache(maxsize=4096)
def _strings(op: Op) -> tuple[tuple[int, int], ...]:
    """The Pauli strings (x, z) that generate an operation."""
    return tuple({(r.pauli.x, r.pauli.z): None for r in op_rotations(op)})
