"""pennylane-ionq, driven line by line."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pennylane as qml
from lines import serve
from pennylane import numpy as pnp
from pennylane_ionq import api_client, ops

Json = Any
GATES = {
    "h": qml.Hadamard, "x": qml.PauliX, "y": qml.PauliY, "z": qml.PauliZ, "s": qml.S, "t": qml.T, "v": qml.SX,
    "swap": qml.SWAP, "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "xx": qml.IsingXX, "yy": qml.IsingYY, "zz": qml.IsingZZ,
    "gpi": ops.GPI, "gpi2": ops.GPI2, "ms": ops.MS,
}  # fmt: skip


def device(url: str, backend: str, n_qubits: int, shots: int, **options: Any) -> Any:
    # the plugin knows no option for its address
    api_client.APIClient.BASE_URL = url
    if backend == "simulator":
        return qml.device("ionq.simulator", wires=n_qubits, shots=shots, **options)
    return qml.device("ionq.qpu", wires=n_qubits, shots=shots, backend=backend.removeprefix("qpu."), **options)


def operations(plain: Json) -> list[Any]:
    return [
        qml.CNOT(wires=[*controls, *qubits]) if controls else GATES[name](*angles, wires=qubits)
        for name, qubits, angles, controls in plain["gates"]
    ]


def counted(samples: Any, n_qubits: int) -> Json:
    """[S, n] bits by wire, as {state: count} with wire 0 least significant."""
    states = samples.reshape(-1, n_qubits).astype(int) @ (1 << np.arange(n_qubits))
    return {int(state): int(count) for state, count in zip(*np.unique(states, return_counts=True), strict=True)}


def run(  # noqa: PLR0917
    url: str,
    backend: str,
    circuits: Json,
    shots: int,
    batch: bool = False,
    native: str | None = None,
    noise: str | None = None,
    seed: int | None = None,
) -> Json:
    n_qubits = circuits[0]["qubits"]
    options = {"noise_model": noise, "noise_seed": seed} if noise else {}
    chosen = device(url, backend, n_qubits, shots, gateset="native" if native else "qis", **options)
    every = range(n_qubits)
    tapes = [qml.tape.QuantumScript(operations(plain), [qml.sample(wires=every)], shots=shots) for plain in circuits]
    found = chosen.batch_execute(tapes if batch else tapes[:1])
    exact = [dict(each) for each in chosen.histograms] if backend == "simulator" and not noise else None
    return {
        "job": None,
        "counts": [counted(np.asarray(each), n_qubits) for each in found],
        "probabilities": exact,
    }


def gradient(url: str, theta: list[float], shots: int) -> Json:
    """Value and parameter-shift gradient of <Z1> behind RY(a) on 0, RX(b) on 1 and CNOT(0, 1)."""
    chosen = device(url, "simulator", 2, shots)

    @qml.qnode(chosen, diff_method="parameter-shift")
    def energy(angles: Any) -> Any:
        qml.RY(angles[0], wires=0)
        qml.RX(angles[1], wires=1)
        qml.CNOT(wires=[0, 1])
        return qml.expval(qml.PauliZ(1))

    angles = pnp.array(theta, requires_grad=True)
    return {"value": float(energy(angles)), "gradient": [float(each) for each in qml.grad(energy)(angles)]}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run, gradient)
