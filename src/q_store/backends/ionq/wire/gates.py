"""The gates of the wire: which there are, and any circuit in terms of them.

QIS gates keep our names; native `nzz` is `zz` there. What the service is documented to take, and what its clients
disagree about, decides what we send:

- controls only on gates of one qubit ("any gate except swap", but no client sends other ones);
- no `z` with a rotation for a phase gate: one client means diag(1, e^{i a}) by it, the description says nothing. RZ is
  the same without controls, and with m of them C^m P(a) = C^m RZ(a) C^{m-1} P(a/2), the last on the controls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from q_store.circuits.circuit import Circuit, Op, rotation
from q_store.circuits.gates import GATES, PAULIEXP
from q_store.circuits.interop.elementary import expand
from q_store.errors import GateError

ONE_QUBIT = frozenset({"x", "y", "z", "rx", "ry", "rz", "h", "s", "si", "v", "vi", "t", "ti"})
TWO_QUBIT = frozenset({"swap", "xx", "yy", "zz"})
NATIVE = frozenset(name for name, gate in GATES.items() if gate.native)


def expressible(circuit: Circuit) -> Circuit:
    """The circuit in QIS gates of the wire: the same unitary up to a global phase, over the same parameters and data.

    Angles stay linear in parameters and data, so this is done once for a structure.

    Raises:
        GateError: for a `prepare`.
    """
    if circuit.prepare is not None:
        msg = "expected gates only, got 'prepare'; lower it first: circuit, data = encoders.lower(circuit, data)"
        raise GateError(msg)
    ops = expand((part for op in circuit.ops for part in _plain(op)), is_qis)
    return replace(circuit, ops=tuple(ops))


def is_qis(op: Op) -> bool:
    """Whether the operation is written as one QIS gate."""
    return op.gate in ONE_QUBIT or (not op.controls and (op.gate in TWO_QUBIT or op.gate == PAULIEXP))


def is_native(op: Op) -> bool:
    """Whether the operation is written as one native gate."""
    return op.gate in NATIVE and not op.controls


def _plain(op: Op) -> Iterable[Op]:
    """Phase gates as RZ, exponentials without identities."""
    if op.gate == "p":
        return _phase(op)
    if op.gate == PAULIEXP and not op.controls:
        return _exponential(op)
    return (op,)


def _phase(op: Op) -> list[Op]:
    out = [replace(op, gate="rz")]
    controls, angle = op.controls, op.angles[0]
    while controls:
        *others, last = controls
        controls, angle = tuple(others), angle * 0.5
        out.append(Op("rz", (last,), (angle,), controls))
    return out


def _exponential(op: Op) -> list[Op]:
    terms = [(letters, c) for letters, c in op.paulis if letters.strip("I")]
    if len(terms) > 1:
        return [replace(op, paulis=tuple(terms))]
    out = []
    for letters, c in terms:
        support = [(a, q) for a, q in zip(letters, op.qubits, strict=True) if a != "I"]
        out.append(rotation("".join(a for a, _ in support), op.angles[0] * (2 * c), *(q for _, q in support)))
    return out
