"""What cirq-ionq makes of circuits: `python compile_cirq_ionq.py IN.json OUT.json`.

IN.json is a list of {"circuit": q-store's JSON without symbols, "state": [[re, im], ...] from |0...0>}; OUT.json gets
{"ms": {"two", "one"}, "zz": {...}} for each: entanglers and pulses of `cirq.optimize_for_target_gateset` for the native
gates. Every gate is handed over as Cirq's own, with Cirq's controls.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import cirq
import cirq_ionq
import numpy as np

TURN = 2 * math.pi
GATESETS = {"ms": cirq_ionq.AriaNativeGateset(), "zz": cirq_ionq.ForteNativeGateset()}
FIXED = {
    "x": cirq.X,
    "y": cirq.Y,
    "z": cirq.Z,
    "h": cirq.H,
    "s": cirq.S,
    "si": cirq.S**-1,
    "t": cirq.T,
    "ti": cirq.T**-1,
    "v": cirq.X**0.5,
    "vi": cirq.X**-0.5,
    "swap": cirq.SWAP,
}
ROTATIONS = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}
# exp(-i a/2 P) = (P ** (a / pi)) without the global phase e^{i a/2}
PAIRS = {"xx": cirq.XXPowGate, "yy": cirq.YYPowGate, "zz": cirq.ZZPowGate, "nzz": cirq.ZZPowGate}


def operations(op: dict[str, Any], line: list[cirq.Qid]) -> list[cirq.Operation]:
    """An operation as Cirq's; line[q] is qubit q."""
    targets, controls = [line[q] for q in op["qubits"]], [line[q] for q in op.get("controls", [])]
    angles = [sum(c for _, _, c in terms) for terms in op.get("angles", [])]
    name = op["gate"]
    if name == "pauliexp":
        return [part for letters, c in op["paulis"] for part in exponential(letters, 2 * c * angles[0], targets)]
    if name == "gpi":  # RZ(2 pi f) X RZ(-2 pi f)
        gate: cirq.Gate = cirq.PhasedXPowGate(phase_exponent=2 * angles[0])
    elif name == "gpi2":
        gate = cirq.PhasedXPowGate(phase_exponent=2 * angles[0], exponent=0.5, global_shift=-0.5)
    elif name == "ms":
        frame = [cirq.rz(TURN * angle)(q) for angle, q in zip(angles, targets, strict=False)]
        core = cirq.XXPowGate(exponent=2 * angles[2], global_shift=-0.5)(*targets)
        return [*(each**-1 for each in frame), core.controlled_by(*controls), *frame]
    elif name in PAIRS:
        exponent = angles[0] * (2 if name == "nzz" else 1 / math.pi)
        gate = PAIRS[name](exponent=exponent, global_shift=-0.5)
    elif name == "p":
        gate = cirq.ZPowGate(exponent=angles[0] / math.pi)
    else:
        gate = ROTATIONS[name](*angles) if name in ROTATIONS else FIXED[name]
    return [gate(*targets).controlled_by(*controls)]


def exponential(letters: str, angle: float, targets: list[cirq.Qid]) -> list[cirq.Operation]:
    string = cirq.PauliString({q: letter for q, letter in zip(targets, letters, strict=True) if letter != "I"})
    if not len(string):
        return []
    return [cirq.PauliStringPhasor(string, exponent_neg=angle / math.pi, exponent_pos=0)]


def read(case: dict[str, Any]) -> cirq.Circuit:
    """The circuit, checked to be the same one."""
    n = case["circuit"]["n_qubits"]
    line = cirq.LineQubit.range(n)
    out = cirq.Circuit(operations(op, line) for op in case["circuit"]["ops"])
    state = np.array([complex(*value) for value in case["state"]])
    order = line[::-1]  # Cirq's first qubit is the most significant bit
    found = cirq.Simulator(dtype=np.complex128).simulate(out, qubit_order=order).final_state_vector
    overlap = abs(np.vdot(state, found))
    if abs(overlap - 1) > 1e-6:
        raise SystemExit(f"expected the same circuit, got an overlap of {overlap}: {case['circuit']}")
    return out


def count(circuit: cirq.Circuit) -> dict[str, int]:
    sizes = [len(op.qubits) for op in circuit.all_operations()]
    return {"two": sum(size > 1 for size in sizes), "one": sum(size == 1 for size in sizes)}


def main(source: str, target: str) -> None:
    out = []
    for case in json.loads(Path(source).read_text()):
        circuit = read(case)
        out.append(
            {
                family: count(cirq.optimize_for_target_gateset(circuit, gateset=gateset))
                for family, gateset in GATESETS.items()
            }
        )
    Path(target).write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
