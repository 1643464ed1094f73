"""PennyLane's lightning.qubit, called through its device (a QNode is about three times slower).

Wire 0 is PennyLane's most significant bit, so our qubit q is wire n - 1 - q. The gradient is lightning's adjoint
vector-Jacobian product, with one effective observable a circuit.
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()

from collections.abc import Sequence  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pennylane as qml  # noqa: E402
from pennylane.devices import ExecutionConfig  # noqa: E402
from pennylane.tape import QuantumScript  # noqa: E402
from protocol import serve  # noqa: E402
from workloads import SHOTS, Case, operations, signs  # noqa: E402

ADJOINT = ExecutionConfig(gradient_method="adjoint", use_device_gradient=True, use_device_jacobian_product=True)


class Simulation:
    """The device and everything of a case that is built before the clock starts."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.wires = list(range(case.n))
        self.device = qml.device("lightning.qubit", wires=case.n, c_dtype=np.complex64)
        states = case.inputs.astype(np.complex64)
        self.preparations = [qml.StatePrep(row, wires=self.wires, validate_norm=False) for row in states]
        self.z = [qml.expval(qml.PauliZ(case.n - 1 - q)) for q in range(case.n)]
        self.signs = signs(case.n)

    def gates(self, theta: np.ndarray) -> list[Any]:
        n = self.case.n
        made = []
        for name, a, b in operations(n):
            if name == "cnot":
                made.append(qml.CNOT([n - 1 - a, n - 1 - b]))
            else:
                made.append((qml.RY if name == "ry" else qml.RZ)(theta[b], n - 1 - a))
        return made

    def tapes(self, theta: np.ndarray, measurements: list[Any], shots: int | None = None) -> list[QuantumScript]:
        gates = self.gates(theta)
        trainable = list(range(1, 1 + len(theta)))
        return [
            QuantumScript([p, *gates], measurements, shots=shots, trainable_params=trainable) for p in self.preparations
        ]


def values(simulation: Simulation, theta: np.ndarray, _seed: int) -> np.ndarray:
    return np.asarray(simulation.device.execute(simulation.tapes(theta, simulation.z)))


def gradient(simulation: Simulation, theta: np.ndarray, _seed: int) -> tuple[float, np.ndarray]:
    tapes = simulation.tapes(theta, simulation.z)
    found = np.asarray(simulation.device.execute(tapes, ADJOINT))
    loss, cotangents = simulation.case.loss(found)
    products = simulation.device.compute_vjp(tapes, [tuple(row) for row in cotangents], ADJOINT)
    return loss, np.sum([np.asarray(product) for product in products], axis=0)


def shifted(simulation: Simulation, theta: np.ndarray, _seed: int) -> np.ndarray:
    estimates = np.empty((simulation.case.batch, len(theta), 2, simulation.case.n))
    for k in range(len(theta)):
        for side, step in enumerate((np.pi / 2, -np.pi / 2)):
            moved = theta.copy()
            moved[k] += step
            estimates[:, k, side] = np.asarray(simulation.device.execute(simulation.tapes(moved, simulation.z, SHOTS)))
    return estimates


def fisher(simulation: Simulation, theta: np.ndarray, _seed: int) -> np.ndarray:
    """d_k psi = psi(theta_k + pi) / 2, because exp(-i pi P / 2) = -i P."""
    measured = [qml.state()]
    states = np.asarray(simulation.device.execute(simulation.tapes(theta, measured)))
    derivatives = np.empty((len(states), len(theta), states.shape[1]), dtype=states.dtype)
    for k in range(len(theta)):
        moved = theta.copy()
        moved[k] += np.pi
        derivatives[:, k] = np.asarray(simulation.device.execute(simulation.tapes(moved, measured)))
    overlap = np.einsum("rix,rx->ri", derivatives.conj(), states)
    gram = np.matmul(derivatives.conj(), derivatives.transpose(0, 2, 1))
    return (gram - overlap[:, :, None] * overlap[:, None, :].conj()).real


CALLS = {"W1": values, "W2": gradient, "W3": shifted, "W4": fisher}


class LightningRunner:
    """One workload on one device."""

    def __init__(self, case: Case) -> None:
        self._simulation = Simulation(case)
        self._function = CALLS[case.workload]

    def stage(self, theta: np.ndarray) -> Sequence[Any]:
        return list(theta)

    def call(self, staged: Any, seed: int) -> Any:
        return self._function(self._simulation, staged, seed)

    def numbers(self, result: Any) -> np.ndarray:
        parts = result if isinstance(result, tuple) else (result,)
        return np.concatenate([np.asarray(part, dtype=float).reshape(-1) for part in parts])


class Lightning:
    """lightning.qubit in single precision."""

    name = "lightning.qubit"

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("pennylane", "pennylane-lightning")}

    def formulations(self, workload: str, n: int) -> list[str]:  # noqa: ARG002
        return ["device"]

    def prepare(self, case: Case, formulation: str) -> LightningRunner:  # noqa: ARG002
        return LightningRunner(case)


ENGINE = Lightning()

if __name__ == "__main__":
    serve(ENGINE, _STARTED)
