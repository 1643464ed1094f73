"""What qiskit-ionq makes of circuits: `python compile_qiskit_ionq.py IN.json OUT.json`.

IN.json is a list of {"circuit": q-store's JSON without symbols, "state": [[re, im], ...] from |0...0>}; OUT.json gets
{"ms": {"two", "one", "optimised_one"}, "zz": {...}} for each: entanglers and pulses of
`transpile(optimization_level=1)` for the native gates, and pulses after the trapped-ion optimiser. Every gate is handed
over as Qiskit's own, with Qiskit's controls.
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
os.environ["IONQ_API_KEY"] = "none"

from qiskit import QuantumCircuit, transpile  # noqa: E402
from qiskit.circuit import library  # noqa: E402
from qiskit.quantum_info import SparsePauliOp, Statevector  # noqa: E402
from qiskit_ionq import IonQProvider, TrappedIonOptimizerPlugin, ionq_backend  # noqa: E402

N_QUBITS = 36  # of both machines; the client would ask the service
ionq_backend.get_n_qubits = lambda *_args, **_options: N_QUBITS
BACKENDS = {"ms": "ionq_qpu.aria-1", "zz": "ionq_qpu.forte-1"}
TURN = 2 * math.pi
NAMES = {
    **{name: f"{name.upper()}Gate" for name in ("x", "y", "z", "h", "s", "t", "rx", "ry", "rz")},
    **{name: f"R{name.upper()}Gate" for name in ("xx", "yy", "zz")},
    "swap": "SwapGate",
    "si": "SdgGate",
    "ti": "TdgGate",
    "v": "SXGate",
    "vi": "SXdgGate",
    "p": "PhaseGate",
}


def gates(op: dict[str, Any]) -> list[tuple[Any, list[int]]]:
    """An operation as Qiskit gates with their qubits."""
    qubits, controls = op["qubits"], op.get("controls", [])
    angles = [sum(c for _, _, c in terms) for terms in op.get("angles", [])]
    name = op["gate"]
    if name == "pauliexp":
        strings = [("".join(reversed(letters)), c) for letters, c in op["paulis"]]
        return [(library.PauliEvolutionGate(SparsePauliOp.from_list(strings), angles[0]), qubits)]
    if name in {"gpi", "gpi2"}:
        gate = library.RGate(math.pi / (1 if name == "gpi" else 2), TURN * angles[0])
        if name == "gpi" and controls:  # R(pi) is -i GPi
            return [(gate.control(len(controls), annotated=False), controls + qubits), phase(math.pi / 2, controls)]
    elif name == "ms":
        frame = [(library.RZGate(TURN * angle), [q]) for angle, q in zip(angles, qubits, strict=False)]
        back = [(library.RZGate(-TURN * angle), [q]) for angle, q in zip(angles, qubits, strict=False)]
        core = library.RXXGate(TURN * angles[2])
        return [*back, (controlled(core, controls), controls + qubits), *frame]
    elif name == "nzz":
        gate = library.RZZGate(TURN * angles[0])
    else:
        gate = getattr(library, NAMES[name])(*angles)
    return [(controlled(gate, controls), controls + qubits)]


def controlled(gate: Any, controls: list[int]) -> Any:
    return gate.control(len(controls), annotated=False) if controls else gate


def phase(angle: float, qubits: list[int]) -> tuple[Any, list[int]]:
    gate = library.PhaseGate(angle)
    return controlled(gate, qubits[1:]), qubits


def read(case: dict[str, Any]) -> QuantumCircuit:
    """The circuit, checked to be the same one."""
    out = QuantumCircuit(case["circuit"]["n_qubits"])
    for op in case["circuit"]["ops"]:
        for gate, qubits in gates(op):
            out.append(gate, qubits)
    state = np.array([complex(*value) for value in case["state"]])
    overlap = abs(np.vdot(state, Statevector(out).data))
    if abs(overlap - 1) > 1e-6:
        raise SystemExit(f"expected the same circuit, got an overlap of {overlap}: {case['circuit']}")
    return out


def count(circuit: QuantumCircuit) -> tuple[int, int]:
    ops = circuit.count_ops()
    return ops.get("gpi", 0) + ops.get("gpi2", 0), ops.get("ms", 0) + ops.get("zz", 0)


def main(source: str, target: str) -> None:
    provider = IonQProvider("none")
    backends = {family: provider.get_backend(name, gateset="native") for family, name in BACKENDS.items()}
    optimisers = {
        family: TrappedIonOptimizerPlugin().pass_manager(
            SimpleNamespace(backend=backend, target=backend.target, seed_transpiler=1), optimization_level=1
        )
        for family, backend in backends.items()
    }
    out = []
    for case in json.loads(Path(source).read_text()):
        circuit, row = read(case), {}
        for family, backend in backends.items():
            plain = transpile(circuit, backend, optimization_level=1, seed_transpiler=1)
            one, two = count(plain)
            better, _ = count(optimisers[family].run(plain))
            row[family] = {"two": two, "one": one, "optimised_one": better}
        out.append(row)
    Path(target).write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
