"""A circuit built in Qiskit, trained in q-store: which of two interleaved half moons does a point belong to?

Run: python examples/from_qiskit.py   (needs pip install 'q-store[qiskit]')
"""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from q_store.circuits.interop import from_qiskit, to_qiskit
from q_store.models import Model
from q_store.models.features import Scaled
from q_store.training import TrainingSettings

QUBITS, LAYERS = 3, 4


def ansatz() -> tuple[QuantumCircuit, ParameterVector]:
    """Layers of RY(w x + b), RZ and CX that upload both coordinates again and again, and the vector that holds them."""
    x, w = ParameterVector("x", 2), iter(ParameterVector("w", 3 * QUBITS * LAYERS))
    qc = QuantumCircuit(QUBITS)
    for _ in range(LAYERS):
        for qubit in range(QUBITS):
            qc.ry(next(w) * x[qubit % 2] + next(w), qubit)
            qc.rz(next(w), qubit)
        for qubit in range(QUBITS):
            qc.cx(qubit, (qubit + 1) % QUBITS)
    return qc, x


def moons(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n noisy points [n, 2] on two half circles, and which circle each is on."""
    rng = np.random.default_rng(seed)
    label, turn = rng.integers(0, 2, n), rng.uniform(0, np.pi, n)
    upper, lower = np.stack([np.cos(turn), np.sin(turn)]), np.stack([1 - np.cos(turn), 0.5 - np.sin(turn)])
    return np.where(label, lower, upper).T + rng.normal(scale=0.1, size=(n, 2)), label


def main() -> None:
    """Import, train, test, and hand the trained circuit back to Qiskit."""
    qc, x = ansatz()
    circuit = from_qiskit(qc, features=x).circuit
    settings = TrainingSettings(epochs=40, batch_size=50, learning_rate=0.1)
    model = Model(Scaled(), circuit, settings=settings, circuit_scale=0.5, name="moons")
    model.fit(*moons(400, seed=0))
    print(f"{circuit.n_params} circuit parameters   test accuracy {model.score(*moons(400, seed=1)):.1%}")
    trained = to_qiskit(circuit, params=model.trained.vector[: circuit.n_params])
    print(f"back in Qiskit: {trained.num_parameters} free parameters (the features), depth {trained.depth()}")


if __name__ == "__main__":
    main()
