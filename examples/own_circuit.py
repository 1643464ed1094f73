"""A circuit gate by gate in a training loop of one's own: fit a function of one variable, then look at the shots.

Run: python examples/own_circuit.py
"""

from __future__ import annotations

import numpy as np

from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, cnot, ry, rz, theta, x
from q_store.circuits.interop import to_qasm
from q_store.jobs import Job, Output

LAYERS, STEPS, RATE = 3, 300, 0.1


def ansatz() -> Circuit:
    """Both qubits upload x in every layer: the output is a Fourier series whose coefficients the parameters shape."""
    ops = []
    for k in range(0, 6 * LAYERS, 6):
        ops += [ry(theta(k) * x(0) + theta(k + 1), 0), ry(theta(k + 2) * x(0) + theta(k + 3), 1), cnot(0, 1)]
        ops += [rz(theta(k + 4), 0), ry(theta(k + 5), 1)]
    return Circuit.build(2, ops)


def main() -> None:
    circuit, engine, measured = ansatz(), LocalBackend(), Observables.local_z(2)
    inputs = np.linspace(-2, 2, 80)[:, None]
    target = 0.8 * np.sin(2 * inputs[:, 0]) * np.exp(-(inputs[:, 0] ** 2) / 4)
    params = np.random.default_rng(0).normal(scale=0.5, size=circuit.n_params)

    def pullback(values: np.ndarray) -> np.ndarray:
        """The derivative of mean (<Z_1> - target)^2 with regard to the values."""
        error = values[:, 1] - target
        return np.stack([np.zeros_like(error), 2 * error / len(error)], axis=1)

    velocity = np.zeros_like(params)
    for step in range(STEPS):
        outcome = engine.run(Job(circuit, inputs, params, measured, Output.VJP, pullback=pullback))
        if step % 100 == 0:
            print(f"step {step:3d}   error {np.sqrt(np.mean((outcome.values[:, 1] - target) ** 2)):.4f}")
        velocity = 0.9 * velocity - RATE * outcome.gradient[0]
        params = params + velocity
    values = engine.run(Job(circuit, inputs, params, measured)).values[:, 1]
    print(f"step {STEPS}   error {np.sqrt(np.mean((values - target) ** 2)):.4f}")
    sampled = engine.run(Job(circuit, inputs, params, measured, shots=400, seed=1))
    ratio = (sampled.values[:, 1] - values) / np.sqrt(sampled.variances[:, 1])
    print(f"400 shots: errors of {np.sqrt(np.mean(ratio**2)):.2f} times the standard error that comes with them")
    print(to_qasm(circuit, params=params).splitlines()[4])


if __name__ == "__main__":
    main()
