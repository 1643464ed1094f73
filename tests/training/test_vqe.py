"""The hydrogen molecule: the exact ground energy, and the steps that lead there."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from q_store.circuits import Circuit, PauliSum, cnot, op, rotation, ry, theta
from q_store.circuits.gates import pauli_matrix
from q_store.training import Energy, IdentityReadout, Objective, Trainer, TrainingSettings

# H2 at 0.735 angstrom, STO-3G, parity mapping with two qubits removed, electronic energy in hartree
# (Qiskit's tutorial; P. J. J. O'Malley et al., Phys. Rev. X 6, 031007 for the method)
H2 = PauliSum.of(
    (-1.052373245772859, "I", (0,)),
    (0.39793742484318045, "Z", (0,)),
    (-0.39793742484318045, "Z", (1,)),
    (-0.01128010425623538, "ZZ", (0, 1)),
    (0.18093119978423156, "XX", (0, 1)),
)


def ground_energy(hamiltonian, n_qubits):
    dense = sum(c * pauli_matrix(p.letters(range(n_qubits))) for c, p in hamiltonian.terms)
    return np.linalg.eigvalsh(dense)[0]


def test_the_sum_is_the_molecule():
    # FCI total energy of H2 at this distance is -1.137306 hartree; the nuclei repel with 1/R
    assert ground_energy(H2, 2) + 1 / (0.735 / 0.529177210903) == pytest.approx(-1.137306, abs=1e-6)


@pytest.mark.parametrize("gradient", ["adjoint", "parameter_shift"])
def test_the_exact_energy(backend, gradient):
    circuit = Circuit.build(2, [ry(theta(0), 0), ry(theta(1), 1), cnot(0, 1), ry(theta(2), 0), ry(theta(3), 1)])
    objective = Objective(circuit, [H2], IdentityReadout(1), Energy())
    settings = TrainingSettings(epochs=20, learning_rate=0.2, finish_iterations=60, gradient=gradient)
    result = Trainer(objective, settings, backend).fit()
    assert result.history[-1].train_loss == pytest.approx(ground_energy(H2, 2), abs=1e-8)
    assert all(record.train_loss >= ground_energy(H2, 2) - 1e-12 for record in result.history)


def test_one_parameter_of_unitary_coupled_cluster_is_enough(backend):
    # exp(-i t/2 XY) from the Hartree-Fock state |01>
    circuit = Circuit.build(2, [op("x", 0), rotation("XY", theta(0), 0, 1)])
    settings = TrainingSettings(epochs=60, learning_rate=0.1, finish_iterations=30)
    result = Trainer(Objective(circuit, [H2], IdentityReadout(1), Energy()), settings, backend).fit()
    assert result.history[-1].train_loss == pytest.approx(ground_energy(H2, 2), abs=1e-9)


def test_the_example_reaches_it_too(capsys):
    example = Path(__file__).resolve().parents[2] / "examples" / "vqe.py"
    assert len(example.read_text().splitlines()) < 60
    runpy.run_path(str(example), run_name="__main__")
    assert "error" in capsys.readouterr().out
