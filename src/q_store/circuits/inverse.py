"""The inverse of a circuit: its operations inverted, in reverse order, over the same parameters and features."""

from __future__ import annotations

from dataclasses import replace

from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.errors import CircuitError

_PAIRS = {"s": "si", "si": "s", "t": "ti", "ti": "t", "v": "vi", "vi": "v"}
_SELF = frozenset({"x", "y", "z", "h", "swap", "gpi"})
_HALF_TURN = 0.5


def inverse(circuit: Circuit) -> Circuit:
    """U^-1 for the circuit's U, exact, global phase included; applied after it, it leads back to |0...0>.

    Raises:
        CircuitError: for a circuit that loads amplitudes, which is no unitary: lower it first, see `encoders.lower`.
    """
    if circuit.prepare is not None:
        msg = (
            "expected a circuit of gates alone to invert, got one with `prepare`; replace it by `encoders.lower` first"
        )
        raise CircuitError(msg)
    return replace(circuit, ops=tuple(inverted(op) for op in reversed(circuit.ops)))


def inverted(op: Op) -> Op:
    """The inverse of one operation, as one operation."""
    if op.gate == PREPARE:
        msg = "expected a gate to invert, got `prepare`, which is no unitary"
        raise CircuitError(msg)
    if op.gate in _SELF:
        return op
    if op.gate in _PAIRS:
        return replace(op, gate=_PAIRS[op.gate])
    if op.gate == "gpi2":  # (1 - i GPi(a)) / sqrt 2, and GPi(a + 1/2) = -GPi(a)
        return replace(op, angles=(op.angles[0] + _HALF_TURN,))
    # a rotation by its last angle; those of ms before it are phases
    return replace(op, angles=(*op.angles[:-1], -op.angles[-1]))
