"""The layer as a module: shapes, types, seeds, counters, copies, state, executors, bad input, training."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Observables, encoders, ry, templates, theta, z
from q_store.emulator.emulator import Emulator
from q_store.errors import CapabilityError, CircuitError, ConfigError, InputError, ShapeError
from q_store.gradients import SPSA, Adjoint
from q_store.jobs import Capabilities, Output
from q_store.models import fashion_mnist
from q_store.torch import Layer

CIRCUIT = encoders.angle(2) + templates.hardware_efficient(2, 1)


def model(**more):
    return torch.nn.Sequential(torch.nn.Linear(6, 2), Layer(CIRCUIT, **more), torch.nn.Linear(2, 3))


def fitted(net, steps=30, rate=0.05):
    """The losses of some steps on three classes."""
    chance = torch.Generator().manual_seed(1)
    data = torch.randn(60, 6, generator=chance)
    labels = data[:, :3].argmax(dim=1)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(data), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


# --------------------------------------------------------------------------------------------------- shapes and types


@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3), (0,), (2, 0, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_shape_and_type_are_kept(lead, dtype):
    layer = Layer(CIRCUIT)
    data = torch.randn(*lead, 2, dtype=dtype, requires_grad=True)
    values = layer(data)
    assert (values.shape, values.dtype) == ((*lead, 2), dtype)
    values.sum().backward()
    assert (data.grad.shape, data.grad.dtype, layer.theta.grad.dtype) == (data.shape, dtype, torch.float32)


def test_rows_of_any_memory_layout():
    layer = Layer(CIRCUIT)
    data = torch.randn(2, 5).T
    torch.testing.assert_close(layer(data), layer(data.contiguous()))
    torch.testing.assert_close(layer(data.reshape(5, 1, 2))[:, 0], layer(data))


def test_values_are_as_exact_as_the_inputs_are():
    layer = Layer(Circuit.build(1, [ry(theta(0), 0)]), init=np.array([0.7])).double()
    layer.theta.data = torch.tensor([0.7], dtype=torch.float64)
    assert abs(layer().item() - np.cos(0.7)) < 1e-15
    assert 1e-15 < abs(layer.float()().item() - np.cos(0.7)) < 1e-6


def test_a_circuit_without_features_is_called_without_inputs():
    layer = Layer(templates.hardware_efficient(3, 1), shots=50, init=1.0)
    assert layer().shape == (3,)
    layer().sum().backward()
    assert layer.theta.grad.shape == (6,)
    rows = layer(torch.zeros(4, 0))
    assert rows.shape == (4, 3)
    assert len(torch.unique(rows, dim=0)) > 1, "rows are sampled one by one"


def test_a_circuit_without_parameters():
    layer = Layer(encoders.angle(2))
    data = torch.tensor([[0.3, 0.4]], requires_grad=True)
    layer(data).sum().backward()
    torch.testing.assert_close(data.grad, -torch.sin(data.detach()))


# ------------------------------------------------------------------------------------------------------- what it costs


def test_a_forward_pass_alone_costs_no_gradient():
    layer = Layer(CIRCUIT, gradient="parameter_shift")
    data = torch.randn(3, 2)
    with torch.no_grad():
        assert not layer(data).requires_grad
    layer.eval()(data)
    assert (layer.circuits_used, layer.calls) == (6, 2)
    layer(data).sum().backward()
    assert layer.circuits_used == 6 + 3 + 3 * 2 * 4
    assert layer.calls == 4


def test_counters_of_shots():
    layer = Layer(CIRCUIT, shots=20)
    layer(torch.randn(3, 2)).sum().backward()
    assert (layer.circuits_used, layer.shots_used) == (3 * 9, 20 * 3 * 9)


def test_samples_are_new_at_each_call_and_the_same_when_all_is_repeated():
    data = torch.randn(3, 2)

    def story(seed):
        layer = Layer(CIRCUIT, shots=30, seed=seed, init=[0.1, 0.2, 0.3, 0.4])
        out = []
        for _ in range(2):
            layer.zero_grad()
            values = layer(data)
            values.sum().backward()
            out += [values.detach().clone(), layer.theta.grad.clone()]
        return out

    one, same, other = story(1), story(1), story(2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], one[2])
    assert not torch.equal(one[1], one[3])
    assert not torch.equal(one[0], other[0])


def test_a_restored_layer_goes_on_with_the_same_samples():
    data = torch.randn(3, 2)
    layer = Layer(CIRCUIT, shots=30, seed=4)
    layer(data)
    twin = Layer(CIRCUIT, shots=30, seed=4, init=2.0)
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(layer(data), twin(data))
    assert twin.circuits_used == 6


# ------------------------------------------------------------------------------------------------------------ options


def test_init():
    chosen = [Layer(CIRCUIT, init=init).theta.detach() for init in (0.0, [1, 2, 3, 4], torch.nn.init.ones_)]
    assert [each.tolist() for each in chosen] == [[0] * 4, [1, 2, 3, 4], [1] * 4]
    drawn = [Layer(CIRCUIT, seed=seed, init=2.0).theta.detach() for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    torch.testing.assert_close(Layer(CIRCUIT, init=1.0).theta.detach() * 2, drawn[0])


def test_observables():
    assert Layer(CIRCUIT, [z(0, 1)])(torch.randn(5, 2)).shape == (5, 1)


@pytest.mark.parametrize(
    ("asked", "shots", "name"),
    [
        ("auto", None, "adjoint"),
        ("auto", 10, "parameter_shift"),
        ("spsa", None, "spsa"),
        ("spsa", 10, "spsa"),
        ("finite_difference", None, "finite_difference"),
        (Adjoint(), None, "adjoint"),
        (SPSA(pairs=3), 10, "spsa"),
    ],
)
def test_the_method_shows(asked, shots, name):
    layer = Layer(CIRCUIT, gradient=asked, shots=shots)
    assert f"2 -> 2, qubits=2, params=4, executor=local, shots={shots}, gradient={name}" in repr(layer)
    layer(torch.randn(3, 2)).sum().backward()
    each = {"adjoint": 1, "parameter_shift": 8, "finite_difference": 8, "spsa": 2}[name]
    assert layer.circuits_used == 3 + 3 * each * getattr(asked, "pairs", 1)


def test_another_executor_may_be_set():
    layer = Layer(CIRCUIT)
    data = torch.randn(3, 2)
    before = layer(data)
    layer.executor = Remote()
    assert layer.gradient == "parameter_shift"
    torch.testing.assert_close(layer(data), before)
    layer.executor = None
    assert layer.gradient == "adjoint"


@pytest.mark.parametrize(("shots", "step"), [(None, 0.01), (20, 0.3)])
def test_steps_of_differences_and_stored_samples(shots, step):
    """Differences of samples need long steps; samples are new, so none that a pool has stored may answer."""
    executor = Remote()
    layer = Layer(CIRCUIT, executor=executor, gradient="finite_difference", shots=shots)
    layer(torch.zeros(1, 2)).sum().backward()
    values, moved = executor.jobs
    assert {values.reuse, moved.reuse} == {shots is None}
    np.testing.assert_allclose(np.ptp(moved.params, axis=0), 2 * step)


class Remote:
    """The local engine, asynchronous and without derivatives."""

    capabilities = Capabilities("remote", frozenset({Output.EXPECTATION}), 4)

    def __init__(self):
        self.inner, self.jobs = LocalBackend(), []

    async def run_async(self, jobs):
        await asyncio.sleep(0)
        self.jobs += jobs
        assert all(job.output is Output.EXPECTATION for job in jobs)
        return [self.inner.run(job) for job in jobs]


@pytest.mark.parametrize("gradient", ["parameter_shift", "spsa", "finite_difference"])
def test_it_trains_on_asynchronous_executors(gradient):
    losses = fitted(model(executor=Remote(), gradient=gradient), steps=12)
    assert losses[-1] < losses[0] - 0.05


def test_it_works_inside_a_running_event_loop():
    async def notebook():
        layer = Layer(CIRCUIT, executor=Remote())
        layer(torch.randn(2, 2)).sum().backward()
        return layer.theta.grad

    assert asyncio.run(notebook()).abs().sum() > 0


def test_shifts_on_a_remote_service():
    emulator = Emulator(seed=1, circuit_seconds=0.0, rtt=0.0)
    settings = IonQSettings(key="a-key", url="https://service.test/v0.4", parallel=1, min_interval=0.01)
    layer = Layer(CIRCUIT, executor=IonQBackend(settings, emulator.transport()), init=0.5, shots=100_000)
    here = Layer(CIRCUIT, init=0.5)
    data = torch.randn(2, 2)
    found = []
    for each in (layer, here):
        given = data.clone().requires_grad_()
        values = each(given)
        values.sum().backward()
        found.append((values.detach(), each.theta.grad, given.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=0.03, rtol=0)
    assert emulator.ledger()["accepted_circuits"] == layer.circuits_used == 2 * (1 + 2 * 6)


# --------------------------------------------------------------------------------------------------- saved and copied


def test_state_dict_through_a_file_without_pickled_code():
    net, other = model(seed=3), model(seed=4)
    fitted(net, 2)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    data = torch.randn(4, 6)
    assert torch.equal(net(data), other(data))


def test_the_state_of_another_circuit_is_refused():
    other = Layer(encoders.angle(2, "rx") + templates.hardware_efficient(2, 1))
    with pytest.raises(RuntimeError, match="state of the same circuit and observables at ''"):
        other.load_state_dict(Layer(CIRCUIT).state_dict())
    with pytest.raises(RuntimeError, match="state of the same circuit and observables at '1\\.'"):
        model(observables=[z(0), z(0, 1)]).load_state_dict(model().state_dict())


def test_the_memory_of_an_estimator_is_part_of_the_state():
    class Remembering:
        """Gradients that count."""

        def __init__(self):
            self.seen = 0

        def estimate(self, problem):
            from dataclasses import replace

            self.seen += 1
            found = yield from Adjoint().estimate(problem)
            return replace(found, gradient=np.full_like(found.gradient, self.seen))

        def arrays(self):
            return {"seen": np.array(self.seen)} if self.seen else {}

        def restore(self, arrays):
            self.seen = int(arrays["seen"]) if arrays else 0

    one, other = (Layer(CIRCUIT, gradient=Remembering()) for _ in range(2))
    data = torch.randn(2, 2)
    for _ in range(3):
        one(data).sum().backward()
    other.load_state_dict(one.state_dict())
    other(data).sum().backward()
    assert other.theta.grad.tolist() == [4] * 4
    with pytest.raises(RuntimeError, match="Unexpected key"):
        Layer(CIRCUIT).load_state_dict(one.state_dict())


def test_copies_are_independent_and_share_the_executor():
    executor = Remote()
    net = model(executor=executor, shots=20)
    twin = copy.deepcopy(net)
    data = torch.randn(4, 6)
    assert torch.equal(net(data), twin(data))
    assert twin[1].executor is executor
    fitted(twin, 1)
    assert not torch.equal(net[1].theta, twin[1].theta)
    assert net[1].circuits_used < twin[1].circuits_used


def pickled(module):
    return pickle.loads(pickle.dumps(module))  # noqa: S301  # our own


@pytest.mark.parametrize("executor", [None, LocalBackend(precision="float64", threads=1)])
def test_pickles(executor):
    net = model(executor=executor)
    twin = pickled(net)
    data = torch.randn(4, 6)
    assert torch.equal(net(data), twin(data))
    if executor is not None:
        assert twin[1].executor.precision == "float64"
    assert fitted(twin, 2) == fitted(net, 2)


def test_a_pickle_holds_no_connection():
    layer = pickled(Layer(CIRCUIT, executor=Remote()))
    data = torch.randn(2, 2)
    with pytest.raises(ConfigError, match=r"a pickle keeps no connection; set layer\.executor first"):
        layer(data)
    layer.executor = Remote()
    assert layer(data).shape == (2, 2)


# ----------------------------------------------------------------------------------------------------------- training


def test_it_trains_inside_a_model():
    net = model(init=0.5)
    losses = fitted(net, 60)
    assert losses[-1] < 0.5 * losses[0]
    assert fitted(model(init=0.5), 3) != losses[:3], "torch's own layers have another start"


def test_training_repeats_bit_by_bit():
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(fitted(model(shots=50, gradient="spsa"), 4))
    assert runs[0] == runs[1]


def test_fashion_images_through_workers_of_a_loader():
    data = fashion_mnist.load_bundled()
    images = torch.tensor(np.asarray(data.train.x[:128], dtype=np.float32).reshape(128, -1) / 255)
    labels = torch.tensor(np.asarray(data.train.y[:128], dtype=np.int64))
    net = torch.nn.Sequential(torch.nn.Linear(784, 2), Layer(CIRCUIT, init=0.5), torch.nn.Linear(2, 10))
    net[1](torch.zeros(1, 2))  # so that the engine has been used before workers are forked
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    means = []
    for _ in range(4):
        losses = []
        for rows, classes in DataLoader(TensorDataset(images, labels), batch_size=32, num_workers=2):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(rows), classes)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        means.append(np.mean(losses))
    assert means[-1] < means[0] - 0.1


class Encoded(torch.utils.data.Dataset):
    """Rows that a layer makes in the worker."""

    def __init__(self, layer):
        self.layer = layer

    def __len__(self):
        return 8

    def __getitem__(self, index):
        with torch.no_grad():
            return self.layer(torch.full((2,), float(index)))


@pytest.mark.parametrize("executor", [None, Remote()])
def test_a_layer_runs_in_workers(executor):
    data = Encoded(Layer(CIRCUIT, executor=executor))
    here = torch.stack([data[k] for k in range(8)])
    there = torch.cat(list(DataLoader(data, batch_size=4, num_workers=2)))
    torch.testing.assert_close(there, here)


def test_a_compiled_model_runs_the_layer_as_it_is():
    net = model()
    data = torch.randn(4, 6)
    torch.testing.assert_close(torch.compile(net, backend="eager")(data), net(data))


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (torch.zeros(3, 5), ShapeError, r"expected inputs \[\.\.\., 2\], a column for each feature, got \[3, 5\]"),
        (torch.tensor(1.0), ShapeError, r"got \[\]"),
        (None, ShapeError, "got none; the circuit reads features"),
        (torch.zeros(3, 2, dtype=torch.int64), InputError, r"float32 or float64, got torch\.int64; use \.float"),
        (torch.zeros(3, 2, dtype=torch.float16), InputError, "got torch.float16"),
        (torch.zeros(3, 2, dtype=torch.complex64), InputError, "got torch.complex64"),
        (
            torch.zeros(3, 2, device="meta"),
            InputError,
            r"on the CPU, got meta; this layer runs there: use \.cpu",
        ),
        (np.zeros((3, 2)), InputError, "as a torch.Tensor, got ndarray"),
        (torch.tensor([[0.0, 1.0], [0.0, torch.nan]]), InputError, "got a NaN or an infinity in row 1"),
    ],
    ids=str,
)
def test_bad_inputs_are_told(data, error, message):
    with pytest.raises(error, match=message) as found:
        Layer(CIRCUIT)(data)
    assert "\n" not in str(found.value)


def test_bad_amplitudes_are_told():
    layer = Layer(encoders.amplitude(2))
    with pytest.raises(InputError, match="zero vector in row 2"):
        layer(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]))


def test_parameters_elsewhere_are_told():
    with pytest.raises(InputError, match="expected theta on the CPU, got meta"):
        Layer(CIRCUIT).to("meta")(torch.zeros(3, 2))
    with pytest.raises(InputError, match=r"theta of float32 or float64, got torch\.bfloat16"):
        Layer(CIRCUIT).bfloat16()(torch.zeros(3, 2))


class Sampling:
    """No exact values."""

    capabilities = Capabilities("sampling", frozenset({Output.EXPECTATION, Output.COUNTS}), 1, exact=False)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"circuit": "ry"}, InputError, "expected a q_store Circuit, got str"),
        ({"observables": []}, CircuitError, "expected one observable or more, got none"),
        ({"observables": [z(5)]}, CircuitError, r"qubits in 0\.\.1"),
        ({"shots": 0}, InputError, "expected shots of 1 or more, at most 2147483647, got 0"),
        ({"shots": True}, InputError, "got True"),
        ({"shots": 1.5}, InputError, "got 1.5"),
        ({"seed": -1}, InputError, "expected a seed of 0 or more"),
        ({"gradient": "adjont"}, ConfigError, "got 'adjont'; did you mean 'adjoint'"),
        ({"gradient": 3}, InputError, "expected a gradient estimator or its name, got 3"),
        ({"gradient": "adjoint", "shots": 10}, ConfigError, "shots=None with the adjoint gradient, got 10"),
        ({"gradient": "adjoint", "executor": Remote()}, CapabilityError, "adjoint gradients, got remote"),
        ({"executor": "ionq"}, InputError, "expected an executor, a backend or a pool, got str"),
        ({"executor": Sampling()}, CapabilityError, "at most 1 qubits for sampling, got 2"),
        (
            {"executor": Sampling(), "circuit": encoders.angle(1)},
            ConfigError,
            "expected shots, as sampling has no exact",
        ),
        ({"init": [1.0]}, ShapeError, r"expected 4 finite first parameters, got \[1\]"),
        ({"init": [1.0, 2, 3, np.inf]}, ShapeError, "expected 4 finite first parameters"),
    ],
    ids=str,
)
def test_bad_arguments_are_told(arguments, error, message):
    with pytest.raises(error, match=message) as found:
        Layer(**{"circuit": CIRCUIT, **arguments})
    assert "\n" not in str(found.value)


def test_without_pytorch_it_says_what_to_install(monkeypatch):
    import importlib
    import sys

    for name in ("torch", "q_store.torch", "q_store.torch.layer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CapabilityError, match=r"pip install 'q-store\[torch\]'"):
        importlib.import_module("q_store.torch")


def test_observables_may_be_a_list_or_observables():
    pair = Layer(CIRCUIT, [z(0), z(1)]), Layer(CIRCUIT, Observables.local_z(2))
    assert torch.equal(pair[0].fingerprint, pair[1].fingerprint)
