"""Derivatives of parameters and inputs: against differences, the dense oracle, PennyLane and each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, observables, rows

from q_store.backends.local import LocalBackend, reference
from q_store.circuits import (
    Circuit,
    Marginal,
    Observables,
    PauliSum,
    cnot,
    encoders,
    prepare,
    ry,
    rz,
    templates,
    theta,
    x,
    z,
)
from q_store.errors import CapabilityError
from q_store.gradients import SPSA, ParameterShift
from q_store.jobs import Capabilities, Outcome, Output
from q_store.torch import Layer

BOTH = Circuit.build(
    2,
    [
        prepare(2, 0, 4),
        ry(x(1) * theta(0) + theta(1), 0),
        cnot(0, 1),
        ry(x(4) + 0.3, 1),
        rz(theta(2) * 2.0, 0),
        ry(1, 0),
    ],
)
MODELS = {
    "angles": encoders.angle(3) + templates.hardware_efficient(3, 2),
    "re-uploading": templates.reuploading(2, 2, 3),
    "amplitudes": encoders.amplitude(2) + templates.hardware_efficient(2, 2),
    "some amplitudes": encoders.amplitude(3, 5) + templates.hardware_efficient(3, 1),
    "one amplitude": encoders.amplitude(1, 1) + templates.hardware_efficient(1, 1),
    "amplitudes that are angles too": BOTH,
}
EXACT = LocalBackend(precision="float64")


class Oracle:
    """Expectation values by dense matrices, nothing else."""

    capabilities = Capabilities("oracle", frozenset({Output.EXPECTATION}), 8)

    def __init__(self):
        self.rows = 0
        self.jobs = []

    def run(self, job):
        self.rows += job.rows
        self.jobs.append(job)
        values = reference.expectations(reference.states(job), job.measured, job.circuit.n_qubits)
        return Outcome(values, rows=job.rows)


def double(circuit, measured=None, **more):
    return Layer(circuit, measured, **{"init": 1.0, **more}).double()


def inputs(circuit, rows=2):
    return torch.randn(rows, circuit.n_features, dtype=torch.float64, requires_grad=True)


def gradients(layer, data, weights):
    layer.zero_grad()
    given = data.detach().clone().requires_grad_()
    (layer(given) * weights).sum().backward()
    return layer.theta.grad.numpy().copy(), given.grad.numpy()


@pytest.mark.parametrize("gradient", ["auto", "parameter_shift", "finite_difference"])
@pytest.mark.parametrize("name", MODELS)
def test_gradcheck_passes(name, gradient):
    layer = double(MODELS[name], gradient=gradient)

    def values(data, params):
        return torch.func.functional_call(layer, {"theta": params}, (data,))

    near = {"atol": 2e-4} if gradient == "finite_difference" else {}
    assert torch.autograd.gradcheck(values, (inputs(layer.circuit), layer.theta), **near)


@settings(max_examples=30)
@given(st.data())
def test_the_methods_agree_on_random_circuits(data):
    circuit = data.draw(circuits(max_qubits=3, prepared=True))
    measured = data.draw(observables(circuit.n_qubits))
    given_rows, (params, _) = data.draw(rows(circuit))
    given_rows = np.zeros((2, 0)) if given_rows is None else given_rows
    weights = torch.randn(2, measured.size, dtype=torch.float64)
    found = []
    for method, executor in (("adjoint", EXACT), ("parameter_shift", Oracle())):
        layer = Layer(circuit, measured, executor=executor, gradient=method, init=params).double()
        layer.theta.data = torch.tensor(params)
        found.append(gradients(layer, torch.tensor(given_rows), weights))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_gives_what_pennylane_gives():
    qml = pytest.importorskip("pennylane")
    n, layers = 3, 2
    layer = double(encoders.angle(n) + templates.hardware_efficient(n, layers, ("ry", "rz"), final_rotations=False))

    @qml.qnode(qml.device("default.qubit", wires=n), interface="torch", diff_method="backprop")
    def node(inputs, weights):
        for q in range(n):
            qml.RY(inputs[..., q], wires=q)
        at = 0
        for _ in range(layers):
            for gate in (qml.RY, qml.RZ):
                for q in range(n):
                    gate(weights[at], wires=q)
                    at += 1
            for p, q in templates.pairs(n, "linear"):
                qml.CNOT(wires=[p, q])
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    peer = qml.qnn.TorchLayer(node, {"weights": (layer.circuit.n_params,)}).double()
    peer.weights.data = layer.theta.data.clone()
    data, weights = inputs(layer.circuit, 5), torch.randn(5, n, dtype=torch.float64)
    ours, theirs = layer(data), peer(data)
    torch.testing.assert_close(ours, theirs)
    wanted = torch.autograd.grad((theirs * weights).sum(), (peer.weights, data))
    found = torch.autograd.grad((ours * weights).sum(), (layer.theta, data))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_one_rotation_is_a_cosine():
    layer = double(Circuit.build(1, [ry(theta(0) + 2 * x(0), 0)]), init=[0.4])
    data = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    layer(data).backward()
    angle = layer.theta.item() + 0.6
    assert layer.theta.grad.item() == pytest.approx(-np.sin(angle))
    assert data.grad.item() == pytest.approx(-2 * np.sin(angle))


def test_amplitudes_of_any_length_are_scaled_and_their_gradient_lies_across_them():
    layer = double(encoders.amplitude(2) + templates.hardware_efficient(2, 1))
    data = inputs(layer.circuit)
    weights = torch.randn(2, 2, dtype=torch.float64)
    torch.testing.assert_close(layer(data), layer(data * 7))
    _, found = gradients(layer, data, weights)
    np.testing.assert_allclose((found * data.detach().numpy()).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(gradients(layer, data * 7, weights)[1], found / 7)


@pytest.mark.parametrize("name", ["re-uploading", "amplitudes", "amplitudes that are angles too"])
def test_the_mean_of_spsa_is_the_gradient(name):
    layer = double(MODELS[name], executor=EXACT, gradient=SPSA(perturbation=0.02, pairs=4000))
    exact = double(MODELS[name], executor=EXACT)
    data, weights = inputs(layer.circuit, 1), torch.randn(1, 2, dtype=torch.float64)
    for found, wanted in zip(gradients(layer, data, weights), gradients(exact, data, weights), strict=True):
        assert np.linalg.norm(found - wanted) < 0.15 * np.linalg.norm(wanted)


@pytest.mark.parametrize(("common", "share"), [(False, 1 / 40), (True, 1)])
def test_rows_with_signs_of_their_own_make_spsa_less_noisy(common, share):
    """Forty equal rows: the spread of the sum over rows is a fortieth of that of common signs."""
    circuit = templates.hardware_efficient(3, 2)
    wanted = gradients(double(circuit), torch.zeros(40, 0, dtype=torch.float64), torch.ones(40, 3))[0]
    found = []
    layer = double(circuit, executor=EXACT, gradient=SPSA(perturbation=0.01, common=common), input_gradient=False)
    for _ in range(100):
        layer.zero_grad()
        layer(torch.zeros(40, 0, dtype=torch.float64)).sum().backward()
        found.append(layer.theta.grad.numpy().copy())
    spread = np.mean(np.sum((np.array(found) - wanted) ** 2, axis=1)) / (np.sum(wanted**2) * (circuit.n_params - 1))
    assert share / 2 < spread < 2 * share


def test_shifts_with_shots_are_unbiased_within_their_error():
    layer = double(MODELS["re-uploading"], executor=EXACT, shots=100)
    assert layer.gradient == "parameter_shift"
    data, weights = inputs(layer.circuit), torch.randn(2, 2, dtype=torch.float64)
    found = [gradients(layer, data, weights) for _ in range(300)]
    wanted = gradients(double(MODELS["re-uploading"]), data, weights)
    for part, exact in zip(zip(*found, strict=True), wanted, strict=True):
        error = np.std(part, axis=0) / np.sqrt(len(part))
        assert np.all(abs(np.mean(part, axis=0) - exact) < 5 * error + 1e-12)


def test_only_what_is_asked_for_is_shifted():
    circuit = MODELS["angles"]  # every input and every parameter is one angle
    n = circuit.n_params
    oracle = Oracle()
    layer = double(circuit, executor=oracle)
    data = inputs(circuit, 2)
    for given_rows, of_params, shifted in ((data, True, n + 3), (data.detach(), True, n), (data, False, 3)):
        layer.theta.requires_grad_(of_params)
        oracle.rows = 0
        layer(given_rows).sum().backward()
        assert oracle.rows == 2 * (1 + 2 * shifted)


def test_inputs_without_gradient_cost_nothing():
    circuit = encoders.amplitude(3) + templates.hardware_efficient(3, 1)
    with_inputs, without = (double(circuit, input_gradient=flag) for flag in (True, False))
    for layer, circuits_used in ((with_inputs, 2 + 2 + 2 * 2 * 7), (without, 2 + 2)):
        data = inputs(circuit, 2)
        layer(data).sum().backward()
        assert layer.circuits_used == circuits_used
        assert (data.grad is None) == (layer is without)


@pytest.mark.parametrize("rows", [1, 5])
def test_large_jobs_are_cut(monkeypatch, rows):
    import q_store.gradients.by_row as module

    layer = double(BOTH, gradient="parameter_shift")
    data, weights = inputs(BOTH, 7), torch.randn(7, 2, dtype=torch.float64)
    wanted = gradients(layer, data, weights)
    monkeypatch.setattr(module, "MAX_NUMBERS", rows * 40)
    oracle = Oracle()
    layer.executor = oracle
    for one, other in zip(gradients(layer, data, weights), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    assert len(oracle.jobs) > 3
    assert len({job.seed for job in oracle.jobs}) == len(oracle.jobs)


def test_estimators_of_the_library_give_gradients_of_parameters():
    class Halved:
        """Half of what the shifts give."""

        def estimate(self, problem):
            from dataclasses import replace

            found = yield from ParameterShift().estimate(problem)
            return replace(found, gradient=found.gradient / 2)

    circuit = MODELS["angles"]
    data, weights = inputs(circuit).detach(), torch.randn(2, 3, dtype=torch.float64)
    whole, half = (double(circuit, executor=EXACT, gradient=method) for method in ("adjoint", Halved()))
    for layer in (whole, half):
        (layer(data) * weights).sum().backward()
    torch.testing.assert_close(half.theta.grad, whole.theta.grad / 2)
    assert half.gradient == "Halved"
    with pytest.raises(CapabilityError, match=r"derivatives of inputs, got Halved.*input_gradient=False"):
        half(inputs(circuit)).sum().backward()


def test_some_rows_stand_for_all():
    circuit = MODELS["angles"]
    layer = double(circuit, executor=EXACT, gradient=SPSA(perturbation=0.02, pairs=500, rows=3))
    same = inputs(circuit, 1).detach().expand(6, 3)
    layer(same).sum().backward()
    exact = double(circuit)
    exact(same).sum().backward()
    assert torch.linalg.norm(layer.theta.grad - exact.theta.grad) < 0.3 * torch.linalg.norm(exact.theta.grad)
    assert layer.circuits_used == 6 + 3 * 2 * 500


def test_a_second_derivative_is_refused():
    layer = double(MODELS["angles"])
    data = inputs(layer.circuit)
    for wanted in (data, layer.theta):
        (first,) = torch.autograd.grad(layer(data).sum(), wanted, create_graph=True)
        with pytest.raises(CapabilityError, match="expected first derivatives of a circuit layer, got a second one"):
            (first**2).sum().backward()
        (first.detach() * wanted).sum().backward()


def test_marginals_and_sums_over_several_bases():
    measured = Observables.of(z(0), PauliSum.of((0.7, "XY", (0, 1)), (-0.4, "Z", (1,))), Marginal((1, 0)))
    layer = double(MODELS["re-uploading"], measured, shots=10)
    data = inputs(layer.circuit, 3)
    assert layer(data).shape == (3, 6)
    assert (layer.circuits_used, layer.shots_used) == (2 * 3, 2 * 3 * 10)  # two bases


def test_parameters_may_be_given_from_outside():
    layer = Layer(encoders.angle(2) + templates.hardware_efficient(2, 1)).double()
    x, given = torch.tensor([[0.3, -0.8]], dtype=torch.float64), torch.full_like(layer.theta, 0.4, requires_grad=True)
    torch.func.functional_call(layer, {"theta": given}, (x,)).sum().backward()
    with torch.no_grad():
        layer.theta.fill_(0.4)
    layer(x).sum().backward()
    torch.testing.assert_close(given.grad, layer.theta.grad)
