"""The workloads W1-W4 of the benchmark: what every engine must compute, in NumPy only.

The circuit (n qubits, L = 4 layers) starts in a real unit vector x of 2^n amplitudes and repeats, L times,

    RY(theta[l, 0, q]) on every qubit q, RZ(theta[l, 1, q]) on every qubit q, CNOT(0, 1), CNOT(1, 2) ... CNOT(n-2, n-1).

Rotations are exp(-i theta P / 2). Qubit q is bit q of a state index (qubit 0 is the least significant bit).
Parameters are flat, P = 2 n L: theta[l, kind, q] has index (2 l + kind) n + q; kind 0 is RY, kind 1 is RZ.

    W1  values z[B, n] = <Z_q> of B inputs.
    W2  loss (scalar) = mean_b cross_entropy(softmax(z_b W^T + c), y_b) over a fixed readout W[10, n], c[10], and its
        gradient [P] with regard to all circuit parameters.
    W3  estimates [B, P, 2, n] of <Z_q> from 1000 sampled shots of each of the 2 P circuits with theta_k + pi/2
        (index 0) and theta_k - pi/2 (index 1), of every input.
    W4  quantum Fisher information F[B, P, P] = 4 Re(<d_i psi|d_j psi> - <d_i psi|psi><psi|d_j psi>) of B states.

Inputs, labels and the readout are data: fixed for a case and handed over before the clock starts. Parameters are fresh
in every single call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

LAYERS = 4
CLASSES = 10
SHOTS = 1000
SEED = 20261122
WORKLOADS = ("W1", "W2", "W3", "W4")
BATCHES = {"W1": (10, 1000), "W2": (10, 1000), "W3": (10,), "W4": (1, 10)}

Op = tuple[str, int, int]
"""("ry" | "rz", qubit, parameter index) or ("cnot", control, target)."""


def operations(n: int) -> list[Op]:
    """The gates of the circuit in time order."""
    ops: list[Op] = []
    for layer in range(LAYERS):
        ops += [("ry", q, 2 * layer * n + q) for q in range(n)]
        ops += [("rz", q, (2 * layer + 1) * n + q) for q in range(n)]
        ops += [("cnot", q, q + 1) for q in range(n - 1)]
    return ops


def signs(n: int) -> np.ndarray:
    """[2^n, n]: +1 where bit q of the index is 0, -1 where it is 1, so that probabilities @ signs = <Z_q>."""
    index = np.arange(2**n)[:, None]
    return 1.0 - 2.0 * ((index >> np.arange(n)[None, :]) & 1)


@dataclass(frozen=True)
class Case:
    """One workload at one size: n qubits, B inputs."""

    workload: str
    n: int
    batch: int

    @property
    def n_params(self) -> int:
        return 2 * self.n * LAYERS

    @property
    def label(self) -> str:
        return f"{self.workload} n={self.n} B={self.batch}"

    @property
    def circuits(self) -> int:
        """How many circuits one call evaluates (2 P shifted ones an input for W3)."""
        return self.batch * (2 * self.n_params if self.workload == "W3" else 1)

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([SEED, self.n, stream])

    @cached_property
    def inputs(self) -> np.ndarray:
        """X[B, 2^n], float32, rows of unit norm."""
        x = self._generator(0).standard_normal((self.batch, 2**self.n))
        return np.ascontiguousarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32)

    @cached_property
    def labels(self) -> np.ndarray:
        """y[B], integers 0..9."""
        return self._generator(1).integers(0, CLASSES, self.batch)

    @cached_property
    def readout(self) -> tuple[np.ndarray, np.ndarray]:
        """W[10, n] and c[10], float32."""
        generator = self._generator(2)
        weight = generator.standard_normal((CLASSES, self.n)).astype(np.float32)
        return weight, generator.standard_normal(CLASSES).astype(np.float32)

    def parameters(self, repetition: int, calls: int) -> np.ndarray:
        """theta[calls, P], float64, in [-pi, pi): new for every repetition and call; repetition 0 is the check."""
        return self._generator(1000 + repetition).uniform(-np.pi, np.pi, (calls, self.n_params))

    def loss(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """W2's loss of values[B, n], and its gradient [B, n] with regard to them."""
        weight, bias = self.readout
        logits = values @ weight.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        exponentials = np.exp(logits)
        normaliser = exponentials.sum(axis=1, keepdims=True)
        rows = np.arange(self.batch)
        loss = float(np.mean(np.log(normaliser[:, 0]) - logits[rows, self.labels]))
        delta = exponentials / normaliser
        delta[rows, self.labels] -= 1.0
        return loss, (delta / self.batch) @ weight
