"""What the service says it ran, beside what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from q_store.circuits.circuit import Circuit

ENTANGLERS = {"ms": "MS", "nzz": "ZZ"}


def sent(circuit: Circuit) -> tuple[int, int]:
    """Gates on one qubit, and on more."""
    more = circuit.two_qubit_gates
    return len(circuit.ops) - more, more


def proof(circuit: Circuit, circuits: int, gateset: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """One sentence: the entangling gates of a circuit as sent, and as the service counted them.

    Args:
        circuit: as sent.
        circuits: circuits of the job, all of this structure.
        gateset: `native` or `qis`.
        body: the job as the service describes it; its counts are taken for one circuit or for all together.
    """
    one, more = sent(circuit)
    names = {ENTANGLERS[op.gate] for op in circuit.ops if op.gate in ENTANGLERS}
    name = "/".join(sorted(names)) if gateset == "native" and names else "gates on two qubits or more"
    told = _counts(body)
    if told is None:
        return (f"{gateset}: sent {more} {name} a circuit, service reports nothing",)
    for scale in (1, circuits):
        if told == (one * scale, more * scale):
            return (f"{gateset}: sent {more} {name}, service reports {told[1] // scale}",)
    whole = f"{one * circuits} one-qubit gates and {more * circuits} {name} in all"
    said = f"{told[0]} and {told[1]}"
    if gateset == "native":
        return (f"warning: native: sent {whole}, service reports {said}: what ran is not what was sent",)
    return (f"{gateset}: sent {whole}, service reports {said} after its own compilation",)


def _counts(body: Mapping[str, Any]) -> tuple[int, int] | None:
    stats = body.get("stats")
    counts = stats.get("gate_counts") if isinstance(stats, Mapping) else None
    if not isinstance(counts, Mapping):
        return None
    one, more = counts.get("1q"), counts.get("2q")
    return (one, more) if isinstance(one, int) and isinstance(more, int) else None
