"""The ground energy of the hydrogen molecule by a variational quantum eigensolver, to better than 1e-6 hartree.

Run: python examples/vqe.py
"""

from __future__ import annotations

import numpy as np

from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, PauliSum, cnot, ry, theta
from q_store.circuits.gates import pauli_matrix
from q_store.events import Event, StepDone
from q_store.training import Energy, IdentityReadout, Objective, Trainer, TrainingSettings

# H2 at a distance of 0.735 angstrom in the STO-3G basis, on two qubits (parity mapping); electronic energy in hartree.
HYDROGEN = PauliSum.of(
    (-1.052373245772859, "I", (0,)),
    (0.39793742484318045, "Z", (0,)),
    (-0.39793742484318045, "Z", (1,)),
    (-0.01128010425623538, "ZZ", (0, 1)),
    (0.18093119978423156, "XX", (0, 1)),
)


def exact_energy() -> float:
    """The smallest eigenvalue of the Hamiltonian as a matrix."""
    matrix = sum(c * pauli_matrix(p.letters((0, 1))) for c, p in HYDROGEN.terms)
    return float(np.linalg.eigvalsh(matrix)[0])


def watch(event: Event) -> None:
    """Print every tenth step."""
    if isinstance(event, StepDone) and event.step % 10 == 0:
        print(f"step {event.step:3d}   energy {event.loss:.9f}")


def main() -> None:
    """Train and compare."""
    circuit = Circuit.build(2, [ry(theta(0), 0), ry(theta(1), 1), cnot(0, 1), ry(theta(2), 0), ry(theta(3), 1)])
    objective = Objective(circuit, [HYDROGEN], IdentityReadout(1), Energy())
    settings = TrainingSettings(epochs=30, learning_rate=0.2, finish_iterations=50)
    result = Trainer(objective, settings, LocalBackend(precision="float64"), sinks=[watch]).fit()
    energy = result.history[-1].train_loss
    print(f"energy {energy:.9f}   exact {exact_energy():.9f}   error {energy - exact_energy():.1e} hartree")


if __name__ == "__main__":
    main()
