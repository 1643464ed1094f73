"""The slow oracle: a dense state vector in complex128, gate matrices applied one by one.

It shares nothing with the compiled engine but the circuit: it uses the gates' matrices, the engine their Pauli
    rotations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.gates import PAULIEXP, gate, pauli_matrix
from q_store.circuits.observables import Marginal, Observables
from q_store.jobs import Job

Complex = npt.NDArray[np.complex128]
Reals = npt.NDArray[np.float64]


def states(job: Job) -> Complex:
    """Final states [R, 2^n] of every row of a job."""
    pairs = job.row_pairs()
    out = np.empty((len(pairs), 2**job.circuit.n_qubits), dtype=complex)
    for r, (b, k) in enumerate(pairs):
        out[r] = state(job.circuit, None if job.data is None else job.data[b], job.params[k])
    return out


def state(circuit: Circuit, data: npt.ArrayLike | None, params: npt.ArrayLike) -> Complex:
    """The final state [2^n] of one row; qubit 0 is the least significant bit of the index."""
    angles = circuit.bind(None if data is None else np.atleast_2d(np.asarray(data, dtype=float)), params)[0]
    psi = np.zeros(2**circuit.n_qubits, dtype=complex)
    psi[0] = 1
    used = 0
    for op in circuit.ops:
        if op.gate == PREPARE:
            first, number = op.columns
            psi[:] = 0
            psi[:number] = np.asarray(data, dtype=float).reshape(-1)[first : first + number]
            continue
        psi = apply(psi, matrix(op, angles[used : used + len(op.angles)]), op.wires, circuit.n_qubits)
        used += len(op.angles)
    return psi


def matrix(op: Op, angles: npt.ArrayLike) -> Complex:
    """The operation's unitary over `op.wires`, controls first (least significant)."""
    values = np.asarray(angles, dtype=float)
    if op.gate == PAULIEXP:
        # by the eigenbasis of the Hermitian sum, not as a product of rotations
        total = sum(
            (c * pauli_matrix(letters) for letters, c in op.paulis), np.zeros((2 ** len(op.qubits),) * 2, complex)
        )
        energies, vectors = np.linalg.eigh(total)
        target: Any = (vectors * np.exp(-1j * values[0] * energies)) @ vectors.conj().T
    else:
        target = gate(op.gate).matrix(values)
    m = len(op.controls)
    out = np.eye(len(target) << m, dtype=complex)
    ones = np.arange(len(target)) << m | ((1 << m) - 1)
    out[np.ix_(ones, ones)] = target
    return out


def apply(psi: Complex, unitary: Complex, wires: tuple[int, ...], n_qubits: int) -> Complex:
    """unitary on the given wires of a state [2^n]."""
    axes = [n_qubits - 1 - q for q in reversed(wires)]
    tensor = np.moveaxis(psi.reshape((2,) * n_qubits), axes, range(len(axes)))
    shape = tensor.shape
    moved = (unitary @ tensor.reshape(len(unitary), -1)).reshape(shape)
    return np.ascontiguousarray(np.moveaxis(moved, range(len(axes)), axes)).reshape(-1)


def expectations(psi: Complex, observables: Observables, n_qubits: int) -> Reals:
    """Values [R, M] of states [R, 2^n], from dense matrices."""
    columns: list[Reals] = []
    for item in observables.items:
        if isinstance(item, Marginal):
            weights = np.zeros((2**n_qubits, 2 ** len(item.qubits)))
            for s in range(2**n_qubits):
                weights[s, sum((s >> q & 1) << k for k, q in enumerate(item.qubits))] = 1
            columns.append(np.abs(psi) ** 2 @ weights)
        else:
            dense = sum(
                (c * pauli_matrix(p.letters(range(n_qubits))) for c, p in item.terms),
                np.zeros((2**n_qubits,) * 2, complex),
            )
            columns.append(np.einsum("ri,ij,rj->r", psi.conj(), dense, psi).real[:, None])
    return np.concatenate(columns, axis=1)


def metric(circuit: Circuit, data: npt.ArrayLike | None, params: npt.ArrayLike, step: float = 1e-5) -> Reals:
    """The quantum Fisher information [P, P] by central differences of the state."""
    theta = np.asarray(params, dtype=float)
    psi = state(circuit, data, theta)
    derivatives = np.array(
        [
            (state(circuit, data, theta + e) - state(circuit, data, theta - e)) / (2 * step)
            for e in step * np.eye(len(theta))
        ]
    ).reshape(len(theta), len(psi))
    overlap = derivatives.conj() @ psi
    return np.asarray(4 * (derivatives.conj() @ derivatives.T - np.outer(overlap, overlap.conj())).real)
