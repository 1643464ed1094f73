"""An executor over the dense oracle, and random circuits of every gate."""

from __future__ import annotations

import numpy as np
import pytest

from q_store.backends.local import reference
from q_store.circuits import Circuit, Op, theta, x
from q_store.circuits.angle import Angle
from q_store.circuits.circuit import PAULIEXP
from q_store.circuits.gates import GATES
from q_store.jobs import Capabilities, Job, Outcome, Output


def exact_values(job: Job) -> np.ndarray:
    return reference.expectations(reference.states(job), job.measured, job.circuit.n_qubits)


class OracleExecutor:
    """Exact expectation values by matrices; with shots the exact value and a made-up variance, to follow it through."""

    capabilities = Capabilities("oracle", frozenset({Output.EXPECTATION}), 8)

    def __init__(self, variance: float = 0.25) -> None:
        self.variance = variance
        self.jobs: list[Job] = []

    def run(self, job: Job) -> Outcome:
        self.jobs.append(job)
        values = exact_values(job)
        if job.shots is None:
            return Outcome(values, rows=job.rows)
        variances = np.full(values.shape, self.variance / job.shots)
        return Outcome(values, variances, rows=job.rows, shots_paid=job.shots * job.rows)


@pytest.fixture
def oracle():
    return OracleExecutor()


def random_angle(rng, n_params: int, n_features: int, scale: float) -> Angle:
    """A sum of a constant, parameters, a feature and a product of both."""
    angle = Angle.of(rng.uniform(-1, 1)) + scale * rng.uniform(0.3, 1.5) * theta(int(rng.integers(n_params)))
    if rng.random() < 0.5:
        angle = angle + x(int(rng.integers(n_features))) * 0.3
    if rng.random() < 0.5:
        angle = angle + theta(int(rng.integers(n_params))) * x(int(rng.integers(n_features))) * scale
    return angle


def random_op(rng, n_qubits: int, n_params: int, n_features: int) -> Op:
    name = str(rng.choice([*sorted(GATES), PAULIEXP]))
    wires = [int(q) for q in rng.permutation(n_qubits)]
    if name == PAULIEXP:
        strings = (("XX", 0.4), ("ZZ", -0.7), ("YY", 0.25)) if rng.random() < 0.5 else (("XY", 0.5),)
        n_angles, n_targets = 1, 2
    else:
        strings, n_angles, n_targets = (), GATES[name].n_angles, GATES[name].n_qubits
    scale = 0.2 if name in GATES and GATES[name].native else 1.0
    angles = tuple(random_angle(rng, n_params, n_features, scale) for _ in range(n_angles))
    controls = tuple(wires[n_targets : n_targets + int(rng.integers(0, 3))])
    return Op(name, tuple(wires[:n_targets]), angles, controls, strings)


@pytest.fixture
def random_circuit():
    def build(seed: int, n_qubits: int = 3, n_ops: int = 8, n_params: int = 3, n_features: int = 2) -> Circuit:
        rng = np.random.default_rng(seed)
        start = tuple(Op("h", (q,)) for q in range(n_qubits))
        ops = tuple(random_op(rng, n_qubits, n_params, n_features) for _ in range(n_ops))
        return Circuit(n_qubits, n_params, n_features, start + ops)

    return build
