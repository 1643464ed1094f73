"""Exact outputs of the local backend against the oracle, on every path that the engine can take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, observables, rows

from q_store.backends.answers import true_gradient, true_jacobian, true_metric, true_values
from q_store.backends.local import LocalBackend, derivatives, exact, programs, reference, unitary
from q_store.circuits import (
    Circuit,
    Marginal,
    Observables,
    PauliSum,
    cnot,
    op,
    prepare,
    rotation,
    rx,
    ry,
    rz,
    theta,
    x,
    z,
)
from q_store.circuits.shifts import shift_rules
from q_store.errors import CapabilityError, CircuitError, ConfigError, InputError, ShapeError
from q_store.jobs import Job, Output

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
BACKENDS = {precision: LocalBackend(threads=1, precision=precision) for precision in TOLERANCE}
both = pytest.mark.parametrize("precision", TOLERANCE)


def assert_close(found, expected, precision, scale=1.0):
    """Relative to the largest entry where that exceeds 1."""
    assert found.shape == expected.shape
    bound = TOLERANCE[precision] * max(scale, float(np.abs(expected).max(initial=1)))
    assert np.abs(found - expected).max(initial=0) <= bound


def run(job, precision, output, backend=None):
    """The outcome of the same rows for another output."""
    measured = output not in {Output.STATE, Output.PROBABILITIES, Output.METRIC}
    pullback = np.cos if output is Output.VJP else None
    job = replace(job, output=output, observables=job.observables if measured else (), pullback=pullback)
    return (backend or BACKENDS[precision]).run(job)


def reach(job):
    """How far the angles move with a parameter, times the size of the observables: the natural unit of a gradient."""
    table = job.circuit.angle_table
    data = np.zeros((1, job.circuit.n_features)) if job.data is None else job.data
    return max(1.0, float(np.abs(table.jacobian(np.asarray(data, float))).sum(axis=1).max(initial=0)))


@st.composite
def jobs(draw):
    circuit = draw(circuits(prepared=True))
    n_data, n_params = draw(st.sampled_from([(1, 1), (3, 1), (2, 2), (9, 2), (17, 1)]))
    data, params = draw(rows(circuit, n_data, n_params))
    number = (1 if data is None else n_data) * n_params
    measured = draw(observables(circuit.n_qubits, diagonal=draw(st.booleans())))
    job = Job(circuit, data, params, measured)
    if draw(st.booleans()):
        chosen = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=6))
        job = replace(job, pairs=job.row_pairs()[chosen])
    return job


@both
@settings(max_examples=40)
@given(job=jobs())
def test_values_probabilities_and_states_of_random_circuits(precision, job):
    states = reference.states(job)
    assert_close(run(job, precision, Output.STATE).values, states, precision)
    assert_close(run(job, precision, Output.PROBABILITIES).values, np.abs(states) ** 2, precision)
    values = run(job, precision, Output.EXPECTATION).values
    assert_close(values, true_values(job), precision, sum_of_coefficients(job))
    assert values.dtype == precision


def sum_of_coefficients(job):
    return 1 + sum(abs(c) for item in job.measured.items if isinstance(item, PauliSum) for c, _ in item.terms)


@both
@settings(max_examples=30)
@given(job=jobs())
def test_derivatives_of_random_circuits(precision, job):
    values, jacobian = true_values(job), true_jacobian(job)
    scale = reach(job) * sum_of_coefficients(job)
    found = run(job, precision, Output.JACOBIAN)
    assert_close(found.values, values, precision, scale)
    assert_close(found.jacobian, jacobian, precision, scale)
    pulled = run(job, precision, Output.VJP)
    assert_close(pulled.values, values, precision, scale)
    gradient = np.zeros(job.params.shape)
    np.add.at(gradient, job.row_pairs()[:, 1], np.einsum("rm,rmp->rp", np.cos(values), jacobian))
    assert_close(pulled.gradient, gradient, precision, scale * job.rows)


@both
@settings(max_examples=25)
@given(job=jobs())
def test_fisher_information_of_random_circuits(precision, job):
    assert_close(run(job, precision, Output.METRIC).values, true_metric(job), precision, reach(job) ** 2)


@settings(max_examples=15)
@given(job=jobs(), seed=st.integers(0, 99))
def test_gradients_are_finite_differences_of_values(job, seed):
    """An independent check of the adjoint sweep: it asks the engine for values only."""
    direction, step = np.random.default_rng(seed).normal(size=job.params.shape), 1e-5 / reach(job)
    weights = np.random.default_rng(seed + 1).normal(size=(job.rows, job.measured.size))
    outcome = BACKENDS["float64"].run(replace(job, output=Output.VJP, pullback=lambda _: weights))
    sides = [
        (weights * BACKENDS["float64"].run(replace(job, params=job.params + s * step * direction)).values).sum()
        for s in (1, -1)
    ]
    slope, scale = (sides[0] - sides[1]) / (2 * step), reach(job) * sum_of_coefficients(job) * job.rows
    assert abs((outcome.gradient * direction).sum() - slope) < 1e-6 * scale


@both
@settings(max_examples=10)
@given(job=jobs())
def test_shifted_values_of_random_circuits(precision, job):
    rules = shift_rules(job.circuit)
    if not rules.size:
        return
    found = run(job, precision, Output.SHIFTED).values
    pairs = job.row_pairs()
    places = np.stack([pairs[:, :1].repeat(rules.size, 1), pairs[:, 1:] * rules.size + np.arange(rules.size)], axis=2)
    moved = Job(rules.circuit, job.data, rules.rows(job.params), job.measured, pairs=places.reshape(-1, 2))
    expected = true_values(moved).reshape(job.rows, rules.size, -1)
    assert_close(found, expected, precision, sum_of_coefficients(job))


# ------------------------------------------------------------------------------------------------ the engine's paths


def layered(n, *, prepared=False, data=False, real=False):
    """Two layers with entanglement, from amplitudes or with data in the angles."""
    ops = [prepare(n)] if prepared else [op("h", q) for q in range(n)]
    first, p = (2**n if prepared else 0), 0
    for layer in range(2):
        for q in range(n):
            ops.append(ry(theta(p) * x(first) + theta(p + 1) if data else theta(p), q))
            ops += [] if real else [rz(theta(p + 1) * 0.5, q)]
            p += 2
        ops += [cnot(q, (q + 1 + layer) % n) for q in range(n) if n > 1 + layer]
    ops += [] if real else [rx(theta(0), 0), rotation("ZZ", theta(1), 0, 1) if n > 1 else rz(theta(1), 0)]
    return Circuit(n, p, first + data, tuple(ops))


def rows_of(circuit, n_rows, n_params=1, different=5):
    """Rows picked from a few different ones, so that the oracle has little to do: data, params, and which ones."""
    rng = np.random.default_rng(n_rows)
    few = rng.normal(size=(different, circuit.n_features))
    if circuit.prepare:
        amplitudes = slice(0, 2**circuit.n_qubits)
        few[:, amplitudes] /= np.linalg.norm(few[:, amplitudes], axis=1, keepdims=True)
    which = rng.integers(different, size=n_rows)
    return few, which, rng.normal(size=(n_params, circuit.n_params))


DIAGONAL = Observables.of(z(0), Marginal((0, 1)), PauliSum.of((0.5, "ZZ", (0, 1)), (0.3, "I", (0,))))
GENERAL = Observables.of(PauliSum.of((0.5, "XY", (0, 1)), (0.4, "ZI", (0, 1)), (0.3, "I", (0,))), Marginal((1,)))


def check(circuit, measured, precision, n_rows, n_params=1, *, backend=None):
    """Values and gradient of many rows against the oracle's answers for the few different ones."""
    few, which, params = rows_of(circuit, n_rows, n_params)
    small = Job(circuit, few, params, measured)
    index = (which[:, None] * n_params + np.arange(n_params)).ravel()
    job = Job(circuit, few[which], params, measured)
    backend = backend or BACKENDS[precision]
    values = true_values(small)[index]
    assert_close(backend.run(job).values, values, precision)
    weights = np.random.default_rng(1).normal(size=values.shape)
    outcome = backend.run(replace(job, output=Output.VJP, pullback=lambda _: weights))
    assert_close(outcome.values, values, precision)
    gathered = np.zeros((len(few) * n_params, values.shape[1]))
    np.add.at(gathered, index, weights)
    assert_close(outcome.gradient, true_gradient(small, gathered), precision, np.sqrt(len(values)))


@both
@pytest.mark.parametrize("n_rows", [1, 15, 16, 17, 40])
@pytest.mark.parametrize("measured", [DIAGONAL, GENERAL], ids=["diagonal", "general"])
def test_few_rows_with_shared_angles(precision, n_rows, measured):
    check(layered(3, prepared=True), measured, precision, n_rows)


@both
@pytest.mark.parametrize("real", [False, True], ids=["complex", "real"])
@pytest.mark.parametrize(("n", "n_rows"), [(2, 60), (3, 700), (4, 1100)])
def test_many_rows_go_through_the_unitary_first(precision, n, n_rows, real, monkeypatch):
    taken = []
    monkeypatch.setattr(exact, "pays", lambda *a: taken.append(unitary.pays(*a)) or taken[-1])
    check(layered(n, prepared=True, real=real), DIAGONAL, precision, n_rows)
    assert taken == [True, True]


@both
def test_states_too_large_to_keep_are_computed_twice(precision, monkeypatch):
    monkeypatch.setattr(unitary, "KEEP_BYTES", 0)
    check(layered(3, prepared=True), DIAGONAL, precision, 700)


@both
@pytest.mark.parametrize("measured", [DIAGONAL, GENERAL], ids=["diagonal", "general"])
@pytest.mark.parametrize(("n_rows", "n_params"), [(1, 1), (33, 1), (300, 1), (5, 3)])
def test_rows_with_angles_of_their_own(precision, measured, n_rows, n_params):
    check(layered(3, data=True), measured, precision, n_rows, n_params)


@both
@pytest.mark.parametrize(("n_rows", "n_params"), [(3, 4), (20, 3), (100, 2)])
def test_several_parameter_rows(precision, n_rows, n_params):
    """Few data rows: every row its own angles; more: a set of rows for each parameter row."""
    check(layered(2, prepared=True), DIAGONAL, precision, n_rows, n_params)
    check(layered(2, prepared=True), GENERAL, precision, n_rows, n_params)


@both
@pytest.mark.parametrize("circuit", [layered(3, prepared=True), layered(3, data=True)], ids=["shared", "own"])
def test_jobs_beyond_the_memory_are_cut_into_slices(precision, circuit, monkeypatch):
    monkeypatch.setattr(programs, "_SLICE_BYTES", 1)
    monkeypatch.setattr(exact, "pays", lambda *_: False)
    backend = LocalBackend(threads=1, precision=precision)
    few, which, params = rows_of(circuit, 600)
    job = Job(circuit, few[which], params, GENERAL)
    cut = programs.slices(backend._programs.values(circuit, GENERAL), 600, lanes=True)
    assert [piece.start for piece in cut] == [0, 256, 512]
    check(circuit, GENERAL, precision, 600, backend=backend)
    states = reference.states(Job(circuit, few, params, output=Output.STATE))[which]
    assert_close(run(job, precision, Output.STATE, backend).values, states, precision)


@both
def test_derivatives_beyond_the_memory_come_in_portions(precision, monkeypatch):
    job = Job(layered(2, data=True), np.array([[0.3], [-0.2], [0.9]]), np.ones(8), GENERAL)
    whole = [run(job, precision, output) for output in (Output.JACOBIAN, Output.METRIC)]
    monkeypatch.setattr(derivatives, "_BYTES", 1)
    parts = [run(job, precision, output) for output in (Output.JACOBIAN, Output.METRIC)]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-12)
    np.testing.assert_allclose(whole[0].jacobian, parts[0].jacobian, atol=1e-12)


@pytest.mark.parametrize("n_rows", [40, 1100])
def test_unitary_first_and_direct_agree(n_rows, monkeypatch):
    circuit = layered(4, prepared=True)
    few, which, params = rows_of(circuit, n_rows, different=n_rows)
    job = Job(circuit, few[which], params, DIAGONAL, Output.VJP, pullback=np.cos)
    outcomes = []
    for path in (True, False):
        monkeypatch.setattr(exact, "pays", lambda *_, path=path: path)
        outcomes.append(LocalBackend(threads=1).run(job))
    one, other = outcomes
    assert (one.values != other.values).any(), "expected two paths, got one"
    np.testing.assert_allclose(one.values, other.values, atol=1e-6)
    np.testing.assert_allclose(one.gradient, other.gradient, atol=1e-6 * n_rows)


@both
def test_parameters_that_nothing_uses_have_no_gradient(precision):
    circuit = Circuit(2, 3, 0, (ry(theta(0), 0), ry(theta(1), 1)))
    job = Job(circuit, None, np.array([0.3, 0.4, 0.5]), Observables.local_z(2))
    jacobian = [[[-np.sin(0.3), 0, 0], [0, -np.sin(0.4), 0]]]
    assert_close(run(job, precision, Output.JACOBIAN).jacobian, np.array(jacobian), precision)
    assert_close(run(job, precision, Output.METRIC).values, np.diag([1.0, 1.0, 0.0])[None], precision)
    expected = np.cos(np.cos([[0.3, 0.4]])) * -np.sin([[0.3, 0.4]])
    assert_close(run(job, precision, Output.VJP).gradient, np.append(expected, [[0.0]], axis=1), precision)


@both
def test_a_circuit_without_operations(precision):
    job = Job(Circuit(2, 2, 0, ()), None, np.zeros(2), Observables.local_z(2))
    assert run(job, precision, Output.EXPECTATION).values.tolist() == [[1, 1]]
    assert run(job, precision, Output.STATE).values.tolist() == [[1, 0, 0, 0]]
    assert run(job, precision, Output.VJP).gradient.tolist() == [[0, 0]]
    assert run(job, precision, Output.JACOBIAN).jacobian.tolist() == [[[0, 0], [0, 0]]]
    assert run(job, precision, Output.METRIC).values.tolist() == [[[0, 0], [0, 0]]]


@both
def test_arrays_of_any_layout(precision):
    circuit = layered(2, data=True)
    data, params = np.random.default_rng(1).normal(size=(6, 1)).astype(np.float32), np.ones((2, circuit.n_params))
    plain = BACKENDS[precision].run(Job(circuit, data, params, GENERAL)).values
    wide = np.repeat(data, 2, axis=1)[:, ::2]
    fixed = np.broadcast_to(np.ones(circuit.n_params), params.shape)
    for other, same in ((wide, np.asfortranarray(params)), (data.astype(">f8"), fixed)):
        assert (BACKENDS[precision].run(Job(circuit, other, same, GENERAL)).values == plain).all()


# -------------------------------------------------------------------------------------------------- sizes and errors


def test_fourteen_qubits_train():
    circuit = layered(14)
    params = np.random.default_rng(3).normal(size=circuit.n_params)
    job = Job(circuit, None, params, Observables.local_z(14), Output.VJP, pullback=np.ones_like)
    gradient = BACKENDS["float64"].run(job).gradient[0]
    single = BACKENDS["float32"].run(job).gradient[0]
    for i in (0, 7, 30, 55):
        sides = params + 1e-5 * np.array([[1], [-1]]) * np.eye(len(params))[i]
        values = BACKENDS["float64"].run(Job(circuit, None, sides, job.observables)).values.sum(axis=1)
        assert abs(gradient[i] - (values[0] - values[1]) / 2e-5) < 1e-8
    np.testing.assert_allclose(single, gradient, atol=1e-5)
    assert np.abs(gradient).max() > 0.1


def test_too_many_qubits_name_another_simulator():
    circuit = Circuit.build(17, [rx(theta(0), 0)])
    with pytest.raises(CapabilityError, match=r"at most 16 qubits, got 17.*Aer.*Lightning.*max_qubits"):
        LocalBackend().run(Job(circuit, None, np.zeros(1), Observables.local_z(1)))
    small = Job(Circuit.build(3, [rx(theta(0), 0)]), None, np.zeros(1), Observables.local_z(1))
    with pytest.raises(CapabilityError, match="at most 2 qubits, got 3"):
        LocalBackend(max_qubits=2).run(small)


ROTATED = Circuit.build(2, [ry(theta(0) + x(0), 0), rx(theta(1), 1), cnot(0, 1)])
AMPLITUDES = layered(2, prepared=True)


def rotated(output=Output.EXPECTATION, data=0.1, param=0.2, **more):
    return Job(ROTATED, np.array([[0.3], [data]]), np.array([0.1, param]), Observables.local_z(2), output, **more)


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["data", "param"])
@pytest.mark.parametrize("shots", [None, 10])
def test_angles_that_are_not_finite(precision, bad, where, shots):
    for output in Output:
        exact_only = output in {Output.STATE, Output.VJP, Output.JACOBIAN, Output.METRIC}
        if (shots and exact_only) or (output is Output.COUNTS and not shots):
            continue
        job = rotated(output, shots=shots, pullback=np.cos if output is Output.VJP else None, **{where: bad})
        with pytest.raises(InputError, match="expected finite"):
            BACKENDS[precision].run(job)


@both
@pytest.mark.parametrize("huge", [1e19, 1e300])
def test_angles_without_a_meaning(precision, huge):
    """A float64 of 1e19 is a multiple of 2048: no engine can turn by it."""
    with pytest.raises(InputError, match="expected"):
        BACKENDS[precision].run(rotated(param=huge))


@both
@pytest.mark.parametrize("n_rows", [3, 200], ids=["direct", "unitary-first"])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 0, 0, 1], "not a number"),
        ([np.inf, 0, 0, 0], "(not a number|off by inf)"),
        ([0, 0, 0, 0], "off by 1"),
        ([1, 1, 0, 0], "off by 1"),
        ([0.6, 0.7, 0, 0], "off by 0.15"),
    ],
)
@pytest.mark.parametrize("output", [Output.EXPECTATION, Output.VJP, Output.STATE, Output.JACOBIAN, Output.COUNTS])
def test_amplitudes_without_unit_norm(precision, n_rows, row, message, output):
    data = np.full((n_rows, 4), 0.5)
    data[n_rows // 2] = row
    pullback, shots = (np.cos if output is Output.VJP else None), (5 if output is Output.COUNTS else None)
    params = np.zeros(AMPLITUDES.n_params)
    job = Job(AMPLITUDES, data, params, Observables.local_z(2), output, shots=shots, pullback=pullback)
    with pytest.raises(InputError, match=rf"unit norm.*{message}.*norm 1"):
        BACKENDS[precision].run(job)
    data[n_rows // 2] = 0.5
    BACKENDS[precision].run(job)


@pytest.mark.parametrize("wrong", [lambda v: v[:1], lambda v: v[:, :1], lambda _: 1.0, lambda v: v.T])
@pytest.mark.parametrize("n_rows", [3, 200], ids=["direct", "unitary-first"])
def test_pullbacks_of_another_shape(wrong, n_rows):
    data = np.full((n_rows, 4), 0.5)
    params = np.zeros(AMPLITUDES.n_params)
    job = Job(AMPLITUDES, data, params, Observables.local_z(2), Output.VJP, pullback=wrong)
    with pytest.raises(ShapeError, match=rf"expected cotangents .*\[{n_rows}, 2\] from the pullback, got \["):
        BACKENDS["float32"].run(job)


def test_a_pullback_may_not_use_the_backend_that_waits_for_it():
    backend = LocalBackend(threads=1)
    nested = rotated(Output.VJP, pullback=lambda _: backend.run(rotated()).values)
    with pytest.raises(InputError, match="backend"):
        backend.run(nested)
    other = rotated(Output.VJP, pullback=lambda _: LocalBackend(threads=1).run(rotated()).values)
    assert np.isfinite(backend.run(other).gradient).all()


@pytest.mark.parametrize("output", [Output.STATE, Output.VJP, Output.JACOBIAN, Output.METRIC])
def test_exact_outputs_take_no_shots(output):
    with pytest.raises(InputError, match=r"expected shots=None .*got 10"):
        rotated(output, shots=10, pullback=np.cos if output is Output.VJP else None)


def test_counts_need_shots():
    with pytest.raises(InputError, match="expected shots for the output counts"):
        BACKENDS["float32"].run(rotated(Output.COUNTS))


def test_shifted_needs_parameters_and_something_to_measure():
    fixed = Circuit.build(1, [rx(0.3, 0)])
    with pytest.raises(InputError, match="circuit with parameters"):
        BACKENDS["float32"].run(Job(fixed, observables=Observables.local_z(1), output=Output.SHIFTED))
    with pytest.raises(InputError, match="observables or shots"):
        BACKENDS["float32"].run(Job(ROTATED, np.zeros((1, 1)), np.zeros(2), output=Output.SHIFTED))


def test_shifted_counts_are_dense_only():
    circuit = Circuit.build(13, [ry(theta(0), q) for q in range(13)])
    with pytest.raises(CapabilityError, match=r"at most 12 qubits for shifted counts, got 13.*observables"):
        BACKENDS["float32"].run(Job(circuit, None, np.zeros(1), output=Output.SHIFTED, shots=3))


@pytest.mark.parametrize("shots", [[10, 30], np.array([10, 30])])
def test_shifted_rows_take_the_shots_of_their_row(shots):
    outcome = BACKENDS["float32"].run(replace(rotated(Output.SHIFTED), shots=shots, observables=()))
    assert outcome.counts.shape == (2, 4, 4)
    assert (outcome.counts.sum(axis=2) == [[10] * 4, [30] * 4]).all()
    assert outcome.shots_paid == 160


@pytest.mark.parametrize("shots", [None, 20])
def test_observables_outside_the_circuit(shots):
    with pytest.raises(CircuitError, match=r"qubits in 0\.\.1"):
        BACKENDS["float32"].run(Job(ROTATED, np.zeros((1, 1)), np.zeros(2), [z(5)], shots=shots))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, r"float32 or float64, got 'float16'"),
        ({"precision": "double"}, "known: float32, float64"),
        ({"precision": 64}, "float32 or float64, got 64"),
        ({"threads": 0}, "1 thread or more, got 0"),
    ],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(ConfigError, match=message):
        LocalBackend(**options)


def test_warm_up_compiles_what_training_needs():
    for circuit in (layered(2, prepared=True), layered(2, data=True), layered(2)):
        assert LocalBackend(threads=1).warm_up(circuit, Observables.local_z(2)) > 0


def test_only_recent_programs_are_kept(monkeypatch):
    monkeypatch.setattr(programs, "KEPT", 3)
    backend = LocalBackend(threads=1)
    for k in range(5):
        backend.run(Job(Circuit.build(1, [rx(0.1 * k, 0)]), observables=[z(0)]))
    assert len(backend._programs._kept) == 3


def test_a_failed_job_leaves_nothing_behind():
    backend = LocalBackend(threads=1)
    good = backend.run(rotated()).values
    with pytest.raises(InputError):
        backend.run(rotated(data=np.nan))
    assert (backend.run(rotated()).values == good).all()


def test_more_shots_than_a_count_holds_are_refused():
    with pytest.raises(InputError, match="expected at most 2147483647 shots a row"):
        rotated(Output.COUNTS, shots=2**31)
