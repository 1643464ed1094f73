"""Circuits to and from Qiskit, OpenQASM 2 and 3, and PennyLane.

| | in | out | extra |
|---|---|---|---|
| Qiskit | `from_qiskit` | `to_qiskit` | qiskit |
| OpenQASM | `from_qasm` | `to_qasm` (needs nothing) | qiskit |
| PennyLane | `from_pennylane` | `to_pennylane` | pennylane |

The libraries are imported on the first call. Circuits keep their unitary up to a global phase. Qubit 0 is the least
significant bit in q-store, Qiskit and OpenQASM; PennyLane's wire 0 is the most significant, see `interop.pennylane`.
"""

from q_store.circuits.interop.imported import Imported
from q_store.circuits.interop.openqasm import from_qasm, to_qasm
from q_store.circuits.interop.pennylane import to_pennylane
from q_store.circuits.interop.pennylane_reader import feature_symbols, from_pennylane, parameter_symbols
from q_store.circuits.interop.qiskit import to_qiskit
from q_store.circuits.interop.qiskit_reader import from_qiskit

__all__ = [
    "Imported",
    "feature_symbols",
    "from_pennylane",
    "from_qasm",
    "from_qiskit",
    "parameter_symbols",
    "to_pennylane",
    "to_qasm",
    "to_qiskit",
]
