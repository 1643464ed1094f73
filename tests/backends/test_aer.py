"""Qiskit Aer as a backend: the contracts, noise against other implementations of it, seeds, devices."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("qiskit_aer")
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, amplitude_damping_error, depolarizing_error

from q_store.backends import aer
from q_store.backends.aer import AerBackend
from q_store.backends.contract import SHOTS, BackendContract, assert_frequencies
from q_store.backends.ionq.noise import MODELS
from q_store.backends.remote_contract import RemoteContract
from q_store.backends.threaded import Stop
from q_store.circuits import Circuit, Observables, cnot, op, ry, rz, theta
from q_store.emulator import density
from q_store.emulator.noise import unravel
from q_store.emulator.trajectories import unravelled
from q_store.errors import CapabilityError, ConfigError
from q_store.jobs import Job, Output

FLIPPED = NoiseModel()
FLIPPED.add_readout_error(ReadoutError([[0.9, 0.1], [0.25, 0.75]]), [1])


class TestIdeal(RemoteContract):
    tolerance = 1e-9

    def backend(self):
        return AerBackend()

    def failing(self):
        return Broken()


class TestIdealWholeJobs(BackendContract):
    tolerance = 1e-9

    def backend(self):
        return AerBackend(workers=0)


class TestSampled(RemoteContract):
    """The path of what has no exact answer."""

    def backend(self):
        return Sampled()


class Sampled(AerBackend):
    def __init__(self):
        super().__init__(workers=0)
        self._exact = False
        self.capabilities = replace(self.capabilities, exact=False)


class Broken(AerBackend):
    """Fails at one circuit."""

    def step(self, _):
        return 1

    def measure(self, part, stop):
        if part.numbers[0] == 2:
            raise MemoryError("too large")
        return super().measure(part, stop)


GATES = Circuit.build(
    3,
    [
        *(ry(theta(q) + 0.3 * q, q) for q in range(3)),
        cnot(0, 2),
        op("gpi2", 1, angles=[theta(0)]),
        op("xx", 0, 1, angles=[theta(1)]),
        op("zz", 1, 2, angles=[theta(2)]),
        op("vi", 0),
        rz(theta(0), 2),
        op("swap", 0, 2),
    ],
)
PARAMS = np.random.default_rng(3).uniform(-2, 2, (3, 3))


def noisy_oracle(circuit, params, name):
    """Probabilities under documented noise by Pauli strings, as the emulated service computes them."""
    noisy = unravel(circuit, MODELS[name])
    return density.distributions(noisy, unravelled(noisy, clifford=False).angles(params))


@pytest.mark.parametrize("name", ["aria-1", "forte-1", "harmony"])
def test_documented_noise_is_that_of_the_emulator(name):
    job = Job(GATES, params=PARAMS, output=Output.PROBABILITIES)
    found = AerBackend(name, workers=0).run(job).values
    np.testing.assert_allclose(found, noisy_oracle(GATES, PARAMS, name), atol=1e-9)
    assert np.abs(found - AerBackend(workers=0).run(job).values).max() > 1e-4


def test_samples_of_many_qubits_have_the_noise(monkeypatch):
    monkeypatch.setattr(aer, "DENSITY_QUBITS", 2)
    backend = AerBackend("harmony", workers=0)
    outcome = backend.run(Job(GATES, params=PARAMS, output=Output.COUNTS, shots=SHOTS, seed=1))
    assert_frequencies(outcome.counts / SHOTS, noisy_oracle(GATES, PARAMS, "harmony"))
    assert outcome.shots_paid == 3 * SHOTS
    with pytest.raises(CapabilityError, match="at most 2 qubits for exact values with noise, got 3; give shots"):
        backend.run(Job(GATES, params=PARAMS, output=Output.PROBABILITIES))


def test_errors_of_the_readout_are_sampled():
    backend = AerBackend(FLIPPED, workers=0)
    assert not backend.capabilities.exact
    circuit = Circuit.build(2, [op("x", 0), ry(theta(0), 1)])
    job = Job(circuit, params=np.array([[0.0], [np.pi]]), output=Output.COUNTS, shots=SHOTS)
    right = np.zeros((2, 4))
    right[0, [0b01, 0b11]] = 0.9, 0.1
    right[1, [0b01, 0b11]] = 0.25, 0.75
    assert_frequencies(backend.run(job).counts / SHOTS, right)
    with pytest.raises(CapabilityError, match="shots"):
        backend.run(Job(circuit, params=np.zeros((1, 1)), output=Output.PROBABILITIES))


def test_samples_depend_on_seed_and_circuit_and_not_on_the_slice():
    backend, params = Sampled(), np.full((3, 3), 0.4)
    job = Job(GATES, params=params, output=Output.COUNTS, shots=100, seed=5)
    counts = backend.run(job).counts
    np.testing.assert_array_equal(backend.run(job).counts, counts)
    assert (counts[0] != counts[1]).any()  # equal circuits are not sampled alike
    assert (backend.run(replace(job, seed=6)).counts != counts).any()
    parts = [part for numbers in ([2], [1, 0]) for part in backend.plan(job, np.array(numbers))]
    carried = [(part, backend._answer(part, Stop())) for part in parts]
    np.testing.assert_array_equal(backend._outcome(job, carried, 0.0).counts, counts)


def test_a_circuit_without_angles_is_run_for_every_row():
    circuit = Circuit.build(2, [op("x", 1)])
    job = Job(circuit, np.zeros((3, 0)), output=Output.PROBABILITIES)
    right = np.tile([0.0, 0.0, 1.0, 0.0], (3, 1))
    np.testing.assert_array_equal(AerBackend(workers=0).run(job).values, right)
    np.testing.assert_array_equal(Sampled().run(replace(job, shots=7)).values, right)


def test_noise_domains_tell_noise_models_apart():
    def damped(rate):
        model = NoiseModel()
        model.add_all_qubit_quantum_error(amplitude_damping_error(rate), ["x"])
        return model

    ids = [AerBackend(noise).capabilities.noise_id for noise in (damped(0.1), damped(0.1), damped(0.2), "aria-1")]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(each.startswith("aer:") for each in ids)
    for nothing in (None, "ideal", NoiseModel()):
        assert AerBackend(nothing).capabilities.noise_id == "ideal"


def test_noise_of_ones_own_acts_on_the_gates_that_it_names():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.5, 1), ["x"])
    circuit = Circuit.build(1, [op("x", 0)])
    found = AerBackend(model, workers=0).run(Job(circuit, output=Output.PROBABILITIES)).values
    np.testing.assert_allclose(found, [[0.25, 0.75]], atol=1e-12)


def test_without_a_gpu_it_is_the_cpu_with_one_warning(monkeypatch):
    monkeypatch.setattr(AerSimulator, "available_devices", lambda _: ("CPU",))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backend = AerBackend(device="GPU", workers=0)
        job = Job(GATES, params=PARAMS, observables=Observables.local_z(3))
        values = [backend.run(job).values for _ in range(2)]
    assert len(caught) == 1
    assert "uses the CPU" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert (backend.device, backend.capabilities.name) == ("CPU", "aer")
    np.testing.assert_array_equal(*values)


def test_with_a_gpu_aer_is_asked_for_it(monkeypatch):
    asked = []
    monkeypatch.setattr(AerSimulator, "available_devices", lambda _: ("CPU", "GPU"))
    monkeypatch.setattr(AerSimulator, "set_option", lambda _, key, value: asked.append((key, value)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend = AerBackend(device="GPU")
    backend._compiled(GATES, exact=True)
    assert ("device", "GPU") in asked
    assert backend.capabilities.name == "aer gpu"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"device": "TPU"}, "CPU or GPU, got 'TPU'"), ({"noise": "aria"}, "did you mean 'aria-")],
)
def test_options_that_there_are_not_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        AerBackend(**options)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit_aer", None)
    with pytest.raises(CapabilityError, match=r"pip install 'q-store\[aer\]'"):
        AerBackend()
