"""Circuits as plain lists that any client can build, and what they must give.

A gate is [name, qubits, angles, controls] in the names of `q_store.circuits.gates`; qubit 0 is the least significant
bit. Expected probabilities come from the dense oracle, never from the engine that the emulator runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from q_store.backends.local.reference import apply, matrix, state
from q_store.circuits import Circuit, op
from q_store.circuits.gates import GATES

EVERYWHERE = ("h", "x", "y", "z", "s", "t", "v", "rx", "ry", "rz", "swap", "xx", "yy", "zz")  # and x with one control
CONTROLLED = ("x", "y", "z", "h", "v", "rx", "ry", "rz", "p")
INVERSES = ("si", "ti", "vi")


@dataclass(frozen=True)
class Program:
    """A circuit of `n_qubits` and its gates as lists."""

    n_qubits: int
    gates: tuple[tuple[str, tuple[int, ...], tuple[float, ...], tuple[int, ...]], ...]

    @cached_property
    def circuit(self) -> Circuit:
        ops = tuple(
            op(name, *qubits, angles=angles, controls=controls) for name, qubits, angles, controls in self.gates
        )
        return Circuit(self.n_qubits, 0, 0, ops)

    @cached_property
    def probabilities(self):
        """[2^n] of the noiseless circuit."""
        return np.abs(state(self.circuit, None, [])) ** 2

    @property
    def plain(self):
        """As JSON."""
        return {"qubits": self.n_qubits, "gates": self.gates}


def asymmetric(seed, n_qubits=4, *, length=24, names=EVERYWHERE, controlled=("x",), max_controls=1):
    """A random program whose distribution tells the order of its qubits: reversed bits are far from it."""
    rng = np.random.default_rng(seed)
    while True:
        gates = tuple(_gate(rng, n_qubits, names, controlled, max_controls) for _ in range(length))
        program = Program(n_qubits, gates)
        p = program.probabilities
        if np.abs(p - p[reversal(n_qubits)]).sum() > 0.5 and p.max() < 0.6:
            return program


def _gate(rng, n_qubits, names, controlled, max_controls):
    if controlled and rng.random() < 0.3:
        name, controls = str(rng.choice(controlled)), int(rng.integers(1, max_controls + 1))
    else:
        name, controls = str(rng.choice(names)), 0
    kind = GATES[name]
    wires = [int(q) for q in rng.permutation(n_qubits)[: kind.n_qubits + controls]]
    angles = tuple(float(a) for a in np.round(rng.uniform(-3, 3, kind.n_angles), 4))
    return name, tuple(wires[: kind.n_qubits]), angles, tuple(wires[kind.n_qubits :])


def reversal(n_qubits):
    """The permutation [2^n] of states that reads every bit string backwards."""
    return np.array([int(format(s, f"0{n_qubits}b")[::-1], 2) for s in range(2**n_qubits)])


@cache
def depolarised(program, one, two):
    """[2^n] probabilities with a depolarising channel after every gate, by its density matrix.

    rho -> (1 - r) rho + r (I/d on the gate's qubits, traced out elsewhere), r = `one` or `two` by the number of qubits.
    """
    n = program.n_qubits
    rho = np.zeros((2**n, 2**n), dtype=complex)
    rho[0, 0] = 1
    for gate in program.circuit.ops:
        unitary = matrix(gate, [a.constant for a in gate.angles])
        rho = _both(rho, unitary, gate.wires, n)
        r = one if len(gate.wires) == 1 else two
        paulis = [np.eye(2), GATES["x"].matrix(np.zeros(0)), GATES["y"].matrix(np.zeros(0)), np.diag([1, -1])]
        strings = [np.eye(1)]
        for _ in gate.wires:
            strings = [np.kron(p, s) for s in strings for p in paulis]
        mixed = sum(_both(rho, p, gate.wires, n) for p in strings) / len(strings)
        rho = (1 - r) * rho + r * mixed
    return np.diag(rho).real


def _both(rho, unitary, wires, n):
    """U rho U+."""
    left = np.array([apply(column, unitary, wires, n) for column in rho.T]).T
    return np.array([apply(row, unitary.conj(), wires, n) for row in left])


def dense(found, n_qubits):
    """[2^n] of a {state: number} map with decimal keys; a state that does not exist is an error."""
    out = np.zeros(2**n_qubits)
    for key, value in found.items():
        out[int(key)] = value
    return out


def standard_errors(counts, probabilities):
    """The largest distance of frequencies from probabilities, in standard errors (one count is forgiven)."""
    shots = counts.sum()
    sigma = np.sqrt(probabilities * (1 - probabilities) / shots) + 1e-12
    return float((np.maximum(np.abs(counts / shots - probabilities) - 1 / shots, 0) / sigma).max())


def assert_exact(found, expected):
    """A client's {state: probability} is the distribution [2^n]; qiskit-ionq leaves out what it did not sample."""
    given = dense(found, len(expected).bit_length() - 1)
    np.testing.assert_allclose(given, np.where(given == 0, 0, expected), atol=1e-6)
    assert given.sum() > 0.98
