"""qulacs: one C++ state vector after another, called through its Python module.

Qubit 0 is the least significant bit, as here; its rotations are exp(+i theta P / 2), so every angle goes in negated.

W2 in two ways. `backprop`: its `backprop_inner_product` starts from |0>, so the circuits begin with a Householder
reflection that maps |0> to the input (built before the clock starts; the data are fixed). `adjoint`: the reverse sweep
written gate by gate in Python, also for sizes where a 2^n x 2^n reflection does not pay.
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()

from collections.abc import Callable, Sequence  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import qulacs  # noqa: E402
from protocol import serve  # noqa: E402
from qulacs.gate import CNOT, RY, RZ, DenseMatrix, Y, Z  # noqa: E402
from qulacs.state import inner_product  # noqa: E402
from workloads import SHOTS, Case, operations, signs  # noqa: E402

Staged = list[float]


def build(n: int, first: Any = None) -> qulacs.ParametricQuantumCircuit:
    """The circuit; the order of its parameters is ours, because the rotations are added in our order."""
    circuit = qulacs.ParametricQuantumCircuit(n)
    if first is not None:
        circuit.add_gate(first)
    for name, a, b in operations(n):
        if name == "cnot":
            circuit.add_CNOT_gate(a, b)
        elif name == "ry":
            circuit.add_parametric_RY_gate(a, 0.0)
        else:
            circuit.add_parametric_RZ_gate(a, 0.0)
    return circuit


def set_parameters(circuit: qulacs.ParametricQuantumCircuit, angles: Staged) -> None:
    for k, angle in enumerate(angles):
        circuit.set_parameter(k, angle)


class Simulation:
    """Everything of a case that is built before the clock starts."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.signs = signs(case.n)
        self.inputs = [np.ascontiguousarray(row, dtype=complex) for row in case.inputs]
        self.circuit = build(case.n)
        self.state = qulacs.QuantumState(case.n)

    def run(self, row: np.ndarray) -> qulacs.QuantumState:
        self.state.load(row)
        self.circuit.update_quantum_state(self.state)
        return self.state

    def states(self) -> np.ndarray:
        return np.array([self.run(row).get_vector() for row in self.inputs])

    def values(self, states: np.ndarray) -> np.ndarray:
        return (states.real**2 + states.imag**2) @ self.signs


def workload_values(simulation: Simulation) -> Callable[[Staged, int], Any]:
    def call(angles: Staged, _seed: int) -> np.ndarray:
        set_parameters(simulation.circuit, angles)
        return simulation.values(simulation.states())

    return call


def reflection(row: np.ndarray) -> Any:
    """A Householder matrix whose first column is the real unit vector `row`."""
    size = len(row)
    row = row.real / np.linalg.norm(row.real)
    normal = row.copy()
    normal[0] += -1.0 if row[0] < 0 else 1.0
    matrix = np.eye(size) - 2.0 * np.outer(normal, normal) / (normal @ normal)
    sign = 1.0 if row[0] < 0 else -1.0
    return DenseMatrix(list(range(size.bit_length() - 1)), sign * matrix)


def workload_gradient(simulation: Simulation) -> Callable[[Staged, int], Any]:
    n = simulation.case.n
    circuits = [build(n, reflection(row)) for row in simulation.inputs]
    costate = qulacs.QuantumState(n)

    def call(angles: Staged, _seed: int) -> tuple[float, np.ndarray]:
        set_parameters(simulation.circuit, angles)
        states = simulation.states()
        loss, cotangents = simulation.case.loss(simulation.values(states))
        effective = (cotangents @ simulation.signs.T) * states
        gradient = np.zeros(len(angles))
        for circuit, row in zip(circuits, effective, strict=True):
            set_parameters(circuit, angles)
            costate.load(row)
            gradient -= circuit.backprop_inner_product(costate)
        return loss, 2.0 * gradient

    return call


def workload_adjoint(simulation: Simulation) -> Callable[[Staged, int], Any]:
    n = simulation.case.n
    state, costate, work = (qulacs.QuantumState(n) for _ in range(3))
    paulis = {"ry": [Y(q) for q in range(n)], "rz": [Z(q) for q in range(n)]}
    rotations = {"ry": RY, "rz": RZ}
    backwards = operations(n)[::-1]

    def sweep(gates: list[Any], gradient: np.ndarray) -> None:
        for (name, a, b), gate in zip(backwards, gates, strict=True):
            if name != "cnot":
                work.load(state)
                paulis[name][a].update_quantum_state(work)
                gradient[b] += inner_product(costate, work).imag
            gate.update_quantum_state(state)
            gate.update_quantum_state(costate)

    def call(angles: Staged, _seed: int) -> tuple[float, np.ndarray]:
        set_parameters(simulation.circuit, angles)
        states = simulation.states()
        loss, cotangents = simulation.case.loss(simulation.values(states))
        effective = (cotangents @ simulation.signs.T) * states
        gates = [CNOT(a, b) if name == "cnot" else rotations[name](a, -angles[b]) for name, a, b in backwards]
        gradient = np.zeros(len(angles))
        for final, row in zip(states, effective, strict=True):
            state.load(final)
            costate.load(row)
            sweep(gates, gradient)
        return loss, gradient

    return call


LARGEST_REFLECTION = 8


def workload_shifted(simulation: Simulation) -> Callable[[Staged, int], Any]:
    size = 2**simulation.case.n

    def call(angles: Staged, seed: int) -> np.ndarray:
        circuit = simulation.circuit
        set_parameters(circuit, angles)
        counts = np.empty((len(simulation.inputs), len(angles), 2, size))
        for k, angle in enumerate(angles):
            for side, step in enumerate((-np.pi / 2, np.pi / 2)):
                circuit.set_parameter(k, angle + step)
                for b, row in enumerate(simulation.inputs):
                    samples = simulation.run(row).sampling(
                        SHOTS, (seed * 7919 + b * 2 * len(angles) + 2 * k + side) & 0x7FFFFFFF
                    )
                    counts[b, k, side] = np.bincount(samples, minlength=size)
            circuit.set_parameter(k, angle)
        return counts @ simulation.signs / SHOTS

    return call


def workload_fisher(simulation: Simulation) -> Callable[[Staged, int], Any]:
    """d_k psi = psi(theta_k + pi) / 2, because exp(-i pi P / 2) = -i P."""

    def call(angles: Staged, _seed: int) -> np.ndarray:
        circuit = simulation.circuit
        set_parameters(circuit, angles)
        states = simulation.states()
        derivatives = np.empty((len(states), len(angles), states.shape[1]), dtype=complex)
        for k, angle in enumerate(angles):
            circuit.set_parameter(k, angle - np.pi)
            derivatives[:, k] = simulation.states()
            circuit.set_parameter(k, angle)
        overlap = np.einsum("rix,rx->ri", derivatives.conj(), states)
        gram = np.matmul(derivatives.conj(), derivatives.transpose(0, 2, 1))
        return (gram - overlap[:, :, None] * overlap[:, None, :].conj()).real

    return call


BUILD = {"W1": workload_values, "W2": workload_gradient, "W3": workload_shifted, "W4": workload_fisher}


class QulacsRunner:
    """One workload as a closure over its circuits."""

    def __init__(self, case: Case, formulation: str) -> None:
        build = workload_adjoint if formulation == "adjoint" else BUILD[case.workload]
        self._function = build(Simulation(case))

    def stage(self, theta: np.ndarray) -> Sequence[Any]:
        return (-theta).tolist()

    def call(self, staged: Any, seed: int) -> Any:
        return self._function(staged, seed)

    def numbers(self, result: Any) -> np.ndarray:
        parts = result if isinstance(result, tuple) else (result,)
        return np.concatenate([np.asarray(part, dtype=float).reshape(-1) for part in parts])


class Qulacs:
    """qulacs, double precision (it has no other)."""

    name = "qulacs"

    def versions(self) -> dict[str, str]:
        return {"qulacs": qulacs.__version__}

    def formulations(self, workload: str, n: int) -> list[str]:
        if workload != "W2":
            return ["python"]
        return ["backprop", "adjoint"] if n <= LARGEST_REFLECTION else ["adjoint"]

    def prepare(self, case: Case, formulation: str) -> QulacsRunner:
        return QulacsRunner(case, formulation)


ENGINE = Qulacs()

if __name__ == "__main__":
    serve(ENGINE, _STARTED)
