"""The metric against PennyLane and differences of states, measured and exact; natural gradients on known cases."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from q_store.backends.local import LocalBackend, reference
from q_store.circuits import (
    Circuit,
    Observables,
    PauliSum,
    cnot,
    encoders,
    op,
    rotation,
    ry,
    rz,
    templates,
    theta,
    x,
    z,
)
from q_store.circuits.blocks import blocks
from q_store.errors import CapabilityError, ConfigError
from q_store.gradients import SPSA, Adjoint, Metric, NaturalGradient, ParameterShift, Problem
from q_store.jobs import Outcome, Output, drive

if find_spec("pennylane"):  # a library beneath it opens a socket when it is imported, which no test may
    import pennylane as qml

WITH_RZ = templates.hardware_efficient(3, 2, ("ry", "rz"), "ring")


@pytest.fixture(scope="module")
def backend():
    return LocalBackend(threads=1, precision="float64")


def problem(circuit, params, data=None, shots=None, seed=0):
    return Problem(circuit, [z(0)], np.asarray(params, dtype=float), data, np.ones_like, shots, seed)


def measured(kind, circuit, params, backend, data=None, *, rows=None, **options):
    return drive(Metric(kind, rows).measure(problem(circuit, params, data, **options)), backend)


def from_blocks(circuit, row, params, step=1e-5):
    """sum_b J_b^T F_b J_b, F_b from differences of the state: one angle of the circuit at a time, blocks apart."""
    size = circuit.n_params
    total = np.zeros((size, size))
    for block in blocks(circuit):
        before = reference.state(block.before, row if block.before.n_features else None, params)
        chain = block.table.jacobian(np.zeros((1, circuit.n_features)) if row is None else row[None])[0]
        turned = []
        for s in range(len(block.generator)):
            p = block.strings[block.generator[s]]
            gate = rotation(p.letters(p.qubits), theta(0), *p.qubits)
            up, down = (
                reference.apply(before, reference.matrix(gate, [t]), gate.wires, circuit.n_qubits)
                for t in (step, -step)
            )
            turned.append((up - down) / (2 * step))
        d = np.array(turned)
        overlap = d.conj() @ before
        total += chain.T @ (4 * (d.conj() @ d.T - np.outer(overlap, overlap.conj())).real) @ chain
    return total


# ------------------------------------------------------------------------------------------------------- exact metrics


def test_the_term_that_the_textbook_formula_lacks_is_not_zero_with_rz(backend):
    params = np.random.default_rng(0).uniform(-3, 3, WITH_RZ.n_params)
    full = measured("full", WITH_RZ, params, backend).matrix
    step = 1e-5
    d = np.array(
        [
            (reference.state(WITH_RZ, None, params + e) - reference.state(WITH_RZ, None, params - e)) / (2 * step)
            for e in step * np.eye(len(params))
        ]
    )
    lacking = 4 * (d.conj() @ d.T).real
    np.testing.assert_allclose(full, reference.metric(WITH_RZ, None, params), atol=1e-8)
    assert np.abs(full - lacking).max() > 0.5


@pytest.mark.skipif(find_spec("pennylane") is None, reason="needs PennyLane")
@pytest.mark.parametrize("kind", ["full", "block", "diagonal"])
def test_pennylane_has_a_quarter_of_it(kind, backend):
    params = np.random.default_rng(1).uniform(-3, 3, 12)

    @qml.qnode(qml.device("default.qubit", wires=4))
    def circuit(weights):
        for layer in range(2):
            for q in range(3):
                qml.RY(weights[6 * layer + q], wires=q)
            for q in range(3):
                qml.RZ(weights[6 * layer + 3 + q], wires=q)
            for q in range(3):
                qml.CNOT(wires=[q, (q + 1) % 3])
        return qml.expval(qml.PauliZ(0))

    approximation = {"full": None, "block": "block-diag", "diagonal": "diag"}[kind]
    theirs = qml.metric_tensor(circuit, approx=approximation)(qml.numpy.array(params, requires_grad=True))
    ours = templates.hardware_efficient(3, 2, ("ry", "rz"), "ring", final_rotations=False)
    np.testing.assert_allclose(measured(kind, ours, params, backend).matrix, 4 * np.asarray(theirs), atol=1e-7)


PAULIS = {"rx": "X", "ry": "Y", "rz": "Z", "xx": "XX", "zz": "ZZ"}


def drawn(seed):
    """A random circuit over a few parameters, scaled, shifted and shared: operations, and those of PennyLane."""
    rng = np.random.default_rng(seed)
    n, n_params = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    ours = [ry(float(t), q) for q, t in enumerate(rng.uniform(-2, 2, n))]
    theirs = [("ry", [q], op.angles[0].value({}), None) for q, op in enumerate(ours)]
    for name in rng.choice([*PAULIS, "crx", "crz", "cnot"] if n > 1 else ["rx", "ry", "rz"], 8):
        wires = [int(q) for q in rng.permutation(n)[:2]]
        index, scale, shift = int(rng.integers(n_params)), float(rng.choice([1, 2, -0.5])), float(rng.choice([0, 0.7]))
        angle = theta(index) * scale + shift
        if name == "cnot":
            ours.append(cnot(*wires))
        elif name in PAULIS:
            ours.append(rotation(PAULIS[name], angle, *wires[: len(PAULIS[name])]))
        else:
            ours.append(op(name[1:], wires[1], angles=[angle], controls=[wires[0]]))
        theirs.append((str(name), wires, shift, (index, scale)))
    return Circuit(n, n_params, 0, tuple(ours)), theirs


@pytest.mark.skipif(find_spec("pennylane") is None, reason="needs PennyLane")
@pytest.mark.parametrize("seed", range(8))
def test_pennylane_has_a_quarter_of_it_on_random_circuits(seed, backend):
    """By its adjoint method: its `metric_tensor` is wrong for controlled rotations that share a parameter."""
    circuit, theirs = drawn(seed)
    gates = {"rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "xx": qml.IsingXX, "zz": qml.IsingZZ, "crx": qml.CRX}
    gates |= {"crz": qml.CRZ}

    @qml.qnode(qml.device("default.qubit", wires=circuit.n_qubits))
    def run(weights):
        for name, wires, shift, moved in theirs:
            angle = shift if moved is None else moved[1] * weights[moved[0]] + shift
            if name == "cnot":
                qml.CNOT(wires=wires)
            else:
                gates[name](angle, wires=wires if name[0] in "xzc" else wires[0])
        return qml.expval(qml.PauliZ(0))

    params = np.random.default_rng(seed).uniform(-3, 3, circuit.n_params)
    expected = 4 * np.asarray(qml.adjoint_metric_tensor(run)(qml.numpy.array(params, requires_grad=True)))
    found = measured("full", circuit, params, backend).matrix
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-7)


@pytest.mark.skipif(find_spec("pennylane") is None, reason="needs PennyLane")
@pytest.mark.parametrize(("kind", "approximation"), [("block", "block-diag"), ("diagonal", "diag")])
def test_a_parameter_of_several_blocks_is_taken_as_pennylane_takes_it(kind, approximation, backend):
    """The angles' metric is cut into blocks, then chained: what a parameter's blocks have in common is left out."""
    first, second = (0, 1, 0), (0, 1, 2)
    ops = [ry(theta(i), q) for q, i in enumerate(first)]
    ops += [cnot(q, (q + 1) % 3) for q in range(3)]
    ops += [ry(theta(i) * 2 + 0.3, q) for q, i in enumerate(second)]

    @qml.qnode(qml.device("default.qubit", wires=3))
    def run(weights):
        for q, i in enumerate(first):
            qml.RY(weights[i], wires=q)
        for q in range(3):
            qml.CNOT(wires=[q, (q + 1) % 3])
        for q, i in enumerate(second):
            qml.RY(2 * weights[i] + 0.3, wires=q)
        return qml.expval(qml.PauliZ(0))

    circuit, params = Circuit(3, 3, 0, tuple(ops)), np.array([0.4, -1.1, 2.0])
    found = measured(kind, circuit, params, backend).matrix
    theirs = qml.metric_tensor(run, approx=approximation)(qml.numpy.array(params, requires_grad=True))
    np.testing.assert_allclose(found, 4 * np.asarray(theirs), atol=1e-7)
    full = measured("full", circuit, params, backend).matrix
    assert np.abs(np.diag(full - found)).max() > 0.1  # such a diagonal is not that of F


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_block_and_diagonal_on_random_circuits(backend, data):
    circuit = data.draw(strategies.circuits(max_qubits=3, max_ops=8, prepared=True))
    features, params = data.draw(strategies.rows(circuit, n_data=2, n_params=1))
    rows = [None] if features is None else features
    expected = np.mean([from_blocks(circuit, row, params[0]) for row in rows], axis=0)
    scale = max(1.0, np.abs(expected).max())
    found = measured("block", circuit, params[0], backend, features)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-7 * scale)
    diagonal = measured("diagonal", circuit, params[0], backend, features).matrix
    np.testing.assert_allclose(diagonal, np.diag(np.diag(expected)), atol=1e-7 * scale)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_parameters_of_one_angle_each_have_the_full_metric_within_their_blocks(backend, data):
    numbers = iter(range(99))
    shape = data.draw(st.lists(st.sampled_from(["ry", "rz", "rx", "xx", "cnot", "crz"]), min_size=1, max_size=9))
    ops = []
    for name in shape:
        p, q = data.draw(st.permutations(range(3)))[:2]
        if name == "cnot":
            ops.append(cnot(p, q))
        elif name == "xx":
            ops.append(rotation("XX", theta(next(numbers)), p, q))
        else:
            controls = [q] if name == "crz" else []
            ops.append(op(name[-2:], p, angles=[theta(next(numbers))], controls=controls))
    circuit = Circuit(3, next(numbers), 0, tuple(ops))
    params = np.random.default_rng(len(ops)).uniform(-3, 3, circuit.n_params)
    full, block = (measured(kind, circuit, params, backend).matrix for kind in ("full", "block"))
    for found in blocks(circuit):
        mine = np.flatnonzero(found.table.theta.any(axis=0))
        np.testing.assert_allclose(block[np.ix_(mine, mine)], full[np.ix_(mine, mine)], atol=1e-10)


def test_angles_that_are_multiplied_by_data(backend):
    circuit = Circuit.build(1, [op("h", 0), rz(theta(0) * x(0) + theta(1), 0)])
    data = np.array([[2.0], [0.5]])
    found = measured("block", circuit, [0.3, 0.4], backend, data).matrix
    np.testing.assert_allclose(found, [[(4 + 0.25) / 2, 2.5 / 2], [2.5 / 2, 1]], atol=1e-12)
    np.testing.assert_allclose(found, measured("full", circuit, [0.3, 0.4], backend, data).matrix, atol=1e-12)


def test_an_angle_of_twice_the_parameter_has_four_times_the_metric(backend):
    circuit = Circuit.build(2, [ry(theta(0) * 2, 0), ry(theta(1) - theta(0), 1)])
    for kind, expected in (("block", [[5, -1], [-1, 1]]), ("diagonal", [[5, 0], [0, 1]])):
        np.testing.assert_allclose(measured(kind, circuit, [0.3, 0.4], backend).matrix, expected, atol=1e-12)


def test_the_first_rows_are_the_ones(backend):
    circuit = Circuit.build(1, [ry(x(0), 0), rz(theta(0), 0)])
    data = np.array([[0.3], [0.9], [1.5]])
    found = measured("block", circuit, [0.0], backend, data, rows=2)
    np.testing.assert_allclose(found.matrix, [[np.mean(np.sin(data[:2, 0]) ** 2)]])
    assert found.circuits == 2


# ------------------------------------------------------------------------------------------------------- what it costs


def test_one_circuit_for_each_block_and_row(backend):
    circuit = encoders.angle(3, "rx") + WITH_RZ
    data = np.zeros((5, 3))
    found = measured("block", circuit, np.zeros(circuit.n_params), backend, data, rows=4, shots=10)
    assert found.circuits == 4 * 6
    assert found.shots == 10 * 4 * 6
    assert measured("full", circuit, np.zeros(circuit.n_params), backend, data, rows=4).circuits == 4


def test_the_start_is_known_and_costs_nothing(backend):
    found = measured("block", WITH_RZ, np.zeros(WITH_RZ.n_params), backend, shots=10)
    assert found.circuits == 5


def test_entangled_generators_are_one_circuit_too(oracle):
    circuit = Circuit.build(2, [op("h", 0), rotation("XY", theta(0), 0, 1), rotation("YX", theta(1), 0, 1)])
    found = measured("block", circuit, [0.1, 0.2], oracle, shots=10)
    assert found.circuits == 1
    assert len(oracle.jobs[0].measured.groups()) == 1


# -------------------------------------------------------------------------------------------------------------- shots


def test_by_shots_it_converges_to_the_exact_one(backend):
    circuit = encoders.angle(3, "rx") + WITH_RZ
    data = np.random.default_rng(2).normal(size=(2, 3))
    params = np.random.default_rng(3).uniform(-3, 3, circuit.n_params)
    exact = measured("block", circuit, params, backend, data).matrix
    errors = [
        np.abs(measured("block", circuit, params, backend, data, shots=shots, seed=shots).matrix - exact).max()
        for shots in (100, 10_000, 1_000_000)
    ]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 5e-3


@pytest.mark.parametrize("seed", range(4))
def test_it_has_no_bias_on_random_circuits_of_every_gate(seed, random_circuit, backend):
    """Shared, scaled and data-dependent angles, controls, several qubits: measured is what the exact one says."""
    circuit = random_circuit(seed)
    params, data = np.array([0.4, -0.7, 1.1]), np.array([[0.3, -0.8], [1.2, 0.5]])
    for kind in ("block", "diagonal"):
        exact = measured(kind, circuit, params, backend, data).matrix
        found = np.array([measured(kind, circuit, params, backend, data, shots=20, seed=s).matrix for s in range(200)])
        errors = found.std(axis=0) / np.sqrt(len(found)) + 1e-9
        assert (np.abs(found.mean(axis=0) - exact) < 5 * errors).all()
        assert exact.any()


def test_few_shots_have_no_bias(backend):
    params = np.random.default_rng(4).uniform(-3, 3, WITH_RZ.n_params)
    exact = measured("block", WITH_RZ, params, backend).matrix
    found = np.array([measured("block", WITH_RZ, params, backend, shots=4, seed=s).matrix for s in range(600)])
    errors = found.std(axis=0) / np.sqrt(len(found)) + 1e-9
    assert (np.abs(found.mean(axis=0) - exact) < 5 * errors).all()
    assert (np.linalg.eigvalsh(found[0]) > -1e-12).all()


# -------------------------------------------------------------------------------------------------- natural gradients


def energy(circuit, hamiltonian, params, shots=None, seed=0):
    return Problem(circuit, Observables.of(hamiltonian), np.asarray(params, float), None, np.ones_like, shots, seed)


def test_one_qubit_is_solved_in_the_angles_of_the_sphere(backend):
    # |psi> = RZ(b) RY(a) |0>, <X> = sin a cos b; F = diag(1, sin^2 a)
    circuit = Circuit.build(1, [ry(theta(0), 0), rz(theta(1), 0)])
    a, b = 0.7, 0.4
    given = energy(circuit, PauliSum.of((1.0, "X", (0,))), [a, b])
    for kind in ("full", "block", "diagonal"):
        found = drive(NaturalGradient(Adjoint(), Metric(kind), 0.0).estimate(given), backend)
        np.testing.assert_allclose(found.gradient, [np.cos(a) * np.cos(b), -np.sin(b) / np.sin(a)], atol=1e-12)
    lifted = drive(NaturalGradient(Adjoint(), Metric("full"), 0.5).estimate(given), backend)
    expected = [np.cos(a) * np.cos(b) / 1.5, -np.sin(a) * np.sin(b) / (np.sin(a) ** 2 + 0.5)]
    np.testing.assert_allclose(lifted.gradient, expected, atol=1e-12)


def test_it_does_not_depend_on_how_the_parameters_are_named(backend):
    """Angles 2 u and v + w: the full metric makes the same step in the angles."""
    plain = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1), rz(theta(1), 1), ry(theta(2), 1)])
    scaled = Circuit.build(2, [ry(theta(0) * 4, 0), cnot(0, 1), rz(theta(1) + theta(2), 1), ry(theta(2), 1)])
    hamiltonian = PauliSum.of((1.0, "XX", (0, 1)), (0.5, "Z", (1,)))
    natural = NaturalGradient(Adjoint(), Metric("full"), 0.0)
    step = drive(natural.estimate(energy(plain, hamiltonian, [0.8, 0.5, 0.3])), backend).gradient
    other = drive(natural.estimate(energy(scaled, hamiltonian, [0.2, 0.2, 0.3])), backend).gradient
    np.testing.assert_allclose([4 * other[0], other[1] + other[2], other[2]], step, atol=1e-9)


def test_the_cost_is_that_of_both(backend):
    circuit = encoders.angle(3, "rx") + WITH_RZ
    data = np.random.default_rng(0).normal(size=(6, 3))
    given = problem(circuit, np.full(circuit.n_params, 0.3), data, shots=20)
    alone = drive(ParameterShift().estimate(given), backend)
    both = drive(NaturalGradient(ParameterShift(), Metric("block", 3)).estimate(given), backend)
    assert both.circuits == alone.circuits + 3 * 6
    assert both.shots == alone.shots + 20 * 3 * 6
    np.testing.assert_array_equal(both.values, alone.values)


def test_the_variance_goes_through_the_solution(backend):
    hamiltonian = PauliSum.of((1.0, "ZZ", (0, 1)), (0.5, "X", (1,)))
    params = np.random.default_rng(5).uniform(-2, 2, WITH_RZ.n_params)
    natural = NaturalGradient(ParameterShift(), Metric("full"), 0.1)
    metric = measured("full", WITH_RZ, params, backend).matrix
    natural._cache.clear()

    class Given:
        """A metric without noise beside a gradient with it."""

        def used(self, asked):
            return asked

        def measure(self, asked):
            return (yield from Metric("full").measure(problem(asked.circuit, asked.params)))

    natural.metric = Given()
    found = [drive(natural.estimate(energy(WITH_RZ, hamiltonian, params, 100, seed)), backend) for seed in range(300)]
    spread = np.var([each.gradient for each in found], axis=0)
    np.testing.assert_allclose(np.mean([each.variance for each in found], axis=0), spread, rtol=0.35)
    inverse = np.linalg.inv(metric + 0.1 * np.eye(len(metric)))
    plain = drive(ParameterShift().estimate(energy(WITH_RZ, hamiltonian, params, 100, 0)), backend)
    np.testing.assert_allclose(found[0].variance, inverse**2 @ plain.variance, rtol=1e-6)


def test_a_metric_is_kept_for_the_same_circuit_parameters_data_and_shots(backend):
    circuit = encoders.angle(2, "rx") + templates.hardware_efficient(2, 1)
    data = np.random.default_rng(0).normal(size=(2, 2))
    natural = NaturalGradient(SPSA(), Metric("block"), cache_size=2)
    params = np.full(circuit.n_params, 0.3)

    def cost(*args, **options):
        return drive(natural.estimate(problem(*args, **options)), backend).circuits - 4

    assert cost(circuit, params, data) == 4
    assert cost(circuit, params, data, seed=7) == 0
    assert (natural.hits, natural.misses) == (1, 1)
    assert cost(circuit, params + 1e-12, data) == 4  # each of these is another metric
    assert cost(circuit, params, data + 1e-12) == 4
    assert cost(circuit, params, data, shots=10) == 4
    assert cost(encoders.angle(2, "rz") + templates.hardware_efficient(2, 1), params, data) == 4
    assert cost(circuit, params, data) == 4  # the least recently used is gone
    assert cost(circuit, params, data) == 0
    assert (natural.hits, natural.misses) == (2, 6)
    natural.restore({})
    assert (natural.hits, natural.misses) == (0, 0)
    assert cost(circuit, params, data) == 4


def test_an_estimate_says_whether_its_metric_was_kept(backend):
    circuit = templates.hardware_efficient(2, 1)
    natural, told = NaturalGradient(Adjoint(), Metric("full")), []
    for params in (1, 1, 2, 1):
        found = drive(natural.estimate(problem(circuit, np.full(circuit.n_params, params))), backend)
        told.append((found.metric_cached, found.circuits))
    assert told == [(False, 2), (True, 1), (False, 2), (True, 1)]
    assert drive(Adjoint().estimate(problem(circuit, np.ones(circuit.n_params))), backend).metric_cached is None


def test_a_cache_of_size_zero_keeps_nothing(backend):
    circuit = templates.hardware_efficient(2, 1)
    natural = NaturalGradient(Adjoint(), Metric("full"), cache_size=0)
    for _ in range(2):
        found = drive(natural.estimate(problem(circuit, np.ones(circuit.n_params))), backend)
        assert found.metric_cached is None
    assert (natural.hits, natural.misses) == (0, 2)


def test_measured_again_it_is_the_same(backend):
    """So a run that is resumed, with an empty cache, goes on as if it had not been broken."""
    params = np.full(WITH_RZ.n_params, 0.3)
    first, again = (
        drive(NaturalGradient(SPSA(), Metric("block")).estimate(problem(WITH_RZ, params, None, 50)), backend).gradient
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


# --------------------------------------------------------------------------------------------------- what cannot be


def test_a_singular_metric_says_what_to_raise(backend):
    circuit = Circuit.build(1, [ry(theta(0), 0), rz(theta(1), 0)])
    with pytest.raises(ConfigError, match="raise the regularization above 0"):  # on |0> RZ is a phase
        drive(NaturalGradient(Adjoint(), Metric("full"), 0.0).estimate(problem(circuit, [0.0, 0.3])), backend)


def test_the_full_metric_has_no_shots(backend):
    with pytest.raises(ConfigError, match="'block' and 'diagonal' are measured with shots"):
        measured("full", WITH_RZ, np.zeros(WITH_RZ.n_params), backend, shots=5)


def test_a_single_shot_has_no_covariance(backend):
    with pytest.raises(ConfigError, match="2 shots or more"):
        measured("block", WITH_RZ, np.zeros(WITH_RZ.n_params), backend, shots=1)


def test_a_backend_without_the_metric_is_told_which_has_one():
    class Poor:
        def run(self, job):
            assert job.output is Output.METRIC
            return Outcome(rows=1, source="poor")

    with pytest.raises(CapabilityError, match=r"'poor'.* LocalBackend .*'block' and 'diagonal'"):
        measured("full", WITH_RZ, np.zeros(WITH_RZ.n_params), Poor())


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Metric("blok"), "did you mean 'block'"),
        (lambda: Metric(rows=0), "1 row or more"),
        (lambda: NaturalGradient(Adjoint(), regularization=-1), "0 or more"),
        (lambda: NaturalGradient(Adjoint(), cache_size=-1), "0 or more"),
    ],
)
def test_options_out_of_range(build, match):
    with pytest.raises(ConfigError, match=match):
        build()
