"""Qiskit programs on executors: against Qiskit's own sampler, bit orders, arrays of parameters, jobs, refusals."""

from __future__ import annotations

import asyncio
import runpy
import sys
import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest

pytest.importorskip("qiskit")
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter, ParameterVector
from qiskit.primitives import BaseSamplerV2, StatevectorSampler
from qiskit.providers import JobStatus
from qiskit.transpiler import generate_preset_pass_manager

from q_store import qiskit_sampler
from q_store.backends.local import LocalBackend
from q_store.backends.local.service import LocalService
from q_store.errors import CapabilityError, GateError, IncompleteError, InputError
from q_store.jobs import Capabilities, Outcome, Output, Status
from q_store.qiskit_sampler import PoolSampler

SHOTS = 4000
ENGINE = LocalBackend(precision="float64")
A, B = Parameter("a"), Parameter("b")


class Recorder:
    """An asynchronous executor that keeps the jobs."""

    def __init__(self, answer=None):
        self.inner, self.jobs, self.answer = LocalService(ENGINE, workers=0), [], answer
        self.capabilities = self.inner.capabilities

    async def run_async(self, jobs):
        self.jobs += jobs
        return await (self.answer or self.inner.run_async)(jobs)


def two_registers():
    """Five qubits, no two alike, measured crosswise into two registers; one bit is never written."""
    q, first, second = QuantumRegister(5, "q"), ClassicalRegister(3, "first"), ClassicalRegister(2, "second")
    circuit = QuantumCircuit(q, first, second)
    for k in range(5):
        circuit.ry(A * (0.3 + 0.2 * k), k)
    circuit.cx(0, 3)
    circuit.rx(B, 4)
    circuit.measure(q[3], first[0])
    circuit.measure(q[0], first[2])
    circuit.barrier()
    circuit.measure(q[4], second[0])
    circuit.measure(q[2], second[1])
    return circuit


def measured(circuit):
    circuit.measure_all()
    return circuit


def frequencies(bits):
    """[..., 2^bits] of a BitArray, from its shots."""
    flat = bits.reshape(bits.size)
    out = np.zeros((bits.size, 2**bits.num_bits))
    for row, each in zip(out, (flat[k] for k in range(bits.size)), strict=True):
        for state, count in each.get_int_counts().items():
            row[state] = count / bits.num_shots
    return out


def assert_alike(ours, theirs):
    """Two samples of the same distributions, within six standard errors of their difference."""
    assert ours.num_bits == theirs.num_bits
    assert ours.shape == theirs.shape
    one, two = frequencies(ours), frequencies(theirs)
    error = np.sqrt((one + two + 2 / SHOTS) / SHOTS)
    assert (np.abs(one - two) <= 6 * error).all()


def test_it_samples_what_qiskit_samples():
    values = np.random.default_rng(1).uniform(0, 3, (2, 3, 2))
    linear = QuantumCircuit(2)
    linear.ry(A + B * 0.5, 0)
    linear.crx(2 * B, 0, 1)
    bent = QuantumCircuit(2)
    bent.ry(A * A, 0)
    bent.rz(B.sin(), 0)
    bent.rx(A, 0)
    bent.cx(0, 1)
    pubs = [(two_registers(), values), (measured(linear), values[0], 2000), (measured(bent), values[1])]
    theirs = StatevectorSampler(seed=2).run(pubs, shots=SHOTS).result()
    for executor in (ENGINE, Recorder()):
        ours = PoolSampler(executor, seed=1).run(pubs, shots=SHOTS).result()
        assert len(ours) == len(theirs)
        for mine, right in zip(ours, theirs, strict=True):
            assert mine.data.shape == right.data.shape
            assert set(mine.data) == set(right.data)
            assert mine.metadata["shots"] == right.metadata["shots"]
            for name in right.data:
                assert_alike(mine.data[name], right.data[name])


def test_a_pub_is_one_job_however_many_values_it_has():
    recorder = Recorder()
    PoolSampler(recorder).run([(two_registers(), np.ones((4, 5, 2)))], shots=7).result()
    (job,) = recorder.jobs
    assert (job.rows, job.shots, job.reuse, job.output) == (20, 7, False, Output.COUNTS)
    PoolSampler(recorder, reuse=True).run([(two_registers(), [1.0, 2.0])]).result()
    assert recorder.jobs[-1].reuse
    assert recorder.jobs[-1].shots == 1024


def test_parameters_may_come_by_name_in_any_shape():
    circuit = QuantumCircuit(1)
    circuit.ry(A, 0)
    circuit.ry(B, 0)
    circuit.measure_all()
    a, b = np.broadcast_arrays(np.array([[0.0], [np.pi]]), np.array([0.0, np.pi, 2 * np.pi]))
    pub = circuit, {"b": b, "a": a}
    data = PoolSampler(ENGINE).run([pub], shots=5).result()[0].data.meas
    assert data.shape == (2, 3)
    ones = [[data[i, j].get_int_counts().get(1, 0) for j in range(3)] for i in range(2)]
    assert ones == [[0, 5, 0], [5, 0, 5]]


@pytest.mark.parametrize("n_qubits", [3, 14])
def test_bits_and_registers_have_qiskits_order(n_qubits):
    circuit = QuantumCircuit(QuantumRegister(n_qubits, "q"), ClassicalRegister(2, "low"), ClassicalRegister(9, "high"))
    circuit.x(1)
    circuit.rz(0.1, range(n_qubits))
    circuit.measure(0, 0)
    circuit.measure(1, 1)
    circuit.measure(2, 10)
    data = PoolSampler(ENGINE).run([circuit], shots=3).result()[0].data
    assert data.low.get_counts() == {"10": 3}
    assert data.high.get_counts() == {"000000000": 3}
    circuit = QuantumCircuit(n_qubits, 9)
    circuit.x(2)
    circuit.measure([0, 1, 2], [3, 4, 8])
    assert PoolSampler(ENGINE).run([circuit], shots=3).result()[0].data.c.get_counts() == {"100000000": 3}


def test_the_last_measurement_into_a_bit_counts():
    circuit = QuantumCircuit(2, 1)
    circuit.x(1)
    circuit.measure([0, 1], [0, 0])
    assert StatevectorSampler().run([circuit], shots=3).result()[0].data.c.get_counts() == {"1": 3}
    assert PoolSampler(ENGINE).run([circuit], shots=3).result()[0].data.c.get_counts() == {"1": 3}


def test_qubits_that_do_nothing_are_left_out():
    circuit = two_registers()
    laid_out = generate_preset_pass_manager(
        1,
        basis_gates=["rz", "sx", "cx"],
        coupling_map=[[k, k + 1] for k in range(39)],
        initial_layout=[30, 7, 9, 31, 2],
    ).run(circuit)
    assert laid_out.num_qubits == 40
    recorder = Recorder()
    pubs = [(each, [0.9, 1.4]) for each in (laid_out, circuit)]
    one, other = PoolSampler(recorder, seed=1).run(pubs, shots=SHOTS).result()
    assert recorder.jobs[0].circuit.n_qubits <= 6
    for name in ("first", "second"):
        assert_alike(one.data[name], other.data[name])


def test_elements_of_a_vector_that_are_not_used_do_not_matter():
    vector = ParameterVector("v", 12)
    circuit = QuantumCircuit(2)
    circuit.ry(vector[10], 0)
    circuit.ry(vector[2], 1)
    circuit.measure_all()
    # Qiskit's order of the values is that of the indices
    data = PoolSampler(ENGINE).run([(circuit, [np.pi, 0.0])], shots=4).result()[0].data.meas
    assert data.get_counts() == {"10": 4}


def test_seeds_repeat_a_program_and_calls_are_independent():
    circuit = measured(two_registers())

    def program(seed):
        sampler = PoolSampler(ENGINE, seed=seed)
        pubs = [(circuit, [1.0, 2.0]), (circuit, [1.0, 2.0])]
        return [each.data.meas.array for _ in range(2) for each in sampler.run(pubs, shots=60).result()]

    first, again, other = program(5), program(5), program(6)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert len({each.tobytes() for each in first + other}) == 8


def test_shots_come_in_a_drawn_order():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    bits = PoolSampler(ENGINE, seed=3).run([measured(circuit)], shots=1000).result()[0].data.meas.array.ravel()
    changes = np.count_nonzero(np.diff(bits))
    assert abs(changes - 500) < 6 * np.sqrt(250)


def test_registers_of_one_shot_belong_together():
    circuit = QuantumCircuit(QuantumRegister(2, "q"), ClassicalRegister(1, "a"), ClassicalRegister(1, "b"))
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    data = PoolSampler(ENGINE).run([circuit], shots=200).result()[0].data
    np.testing.assert_array_equal(data.a.array, data.b.array)
    assert 0 < data.a.array.sum() < 200


def test_nothing_measured_needs_no_circuit():
    recorder = Recorder()
    silent, empty = QuantumCircuit(1, 2), QuantumCircuit(1)
    empty.h(0)
    with pytest.warns(UserWarning, match="no classical register"):
        job = PoolSampler(recorder).run([silent, empty, (two_registers(), np.zeros((0, 2)))], shots=3)
    zeros, nothing, none = job.result()
    assert zeros.data.c.get_counts() == {"00": 3}
    assert list(nothing.data) == []
    assert none.data.first.shape == (0,)
    assert recorder.jobs == []


def test_results_say_where_they_come_from():
    circuit = measured(QuantumCircuit(1, metadata={"mine": 1}))
    result = PoolSampler(ENGINE).run([circuit], shots=3).result()
    assert result.metadata == {"version": 2}
    assert result[0].metadata == {"shots": 3, "circuit_metadata": {"mine": 1}, "sources": ["local"]}
    assert isinstance(PoolSampler(ENGINE), BaseSamplerV2)


# ------------------------------------------------------------------------------------------------------------ refusals


def middle():
    circuit = QuantumCircuit(1, 2)
    circuit.measure(0, 0)
    circuit.h(0)
    circuit.measure(0, 1)
    return circuit


def conditional():
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "error", "said"),
    [(middle(), GateError, "measure at the end only"), (conditional(), GateError, "classical bits")],
)
def test_what_cannot_run_is_said_before_anything_is_sent(circuit, error, said):
    recorder = Recorder()
    with pytest.raises(error, match=said):
        PoolSampler(recorder).run([measured(QuantumCircuit(1)), circuit])
    assert recorder.jobs == []


def test_odd_numbers_are_refused():
    with pytest.raises(InputError, match="default_shots"):
        PoolSampler(ENGINE, default_shots=0)
    with pytest.raises(ValueError, match="shots"):
        PoolSampler(ENGINE).run([measured(QuantumCircuit(1))], shots=0)


def test_what_the_executor_refuses_comes_with_the_result():
    job = PoolSampler(LocalBackend(max_qubits=2)).run([measured(QuantumCircuit(3))])
    with pytest.raises(CapabilityError, match="2 qubits"):
        job.result()
    assert job.status() == JobStatus.ERROR
    assert job.in_final_state()
    assert not job.done()


def test_a_circuit_without_an_answer_is_an_error():
    async def nobody(jobs):
        return [Outcome(rows=1, status={0: Status.UNCERTAIN}, error={0: "lost"}, source="far") for _ in jobs]

    with pytest.raises(IncompleteError, match="lost"):
        PoolSampler(Recorder(nobody)).run([measured(QuantumCircuit(1))]).result()


# ---------------------------------------------------------------------------------------------------------------- jobs


def test_a_job_runs_beside_its_caller_and_can_be_canceled():
    running, ended = threading.Event(), threading.Event()

    async def never(_):
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    job = PoolSampler(Recorder(never)).run([measured(QuantumCircuit(1))])
    assert running.wait(30)
    assert job.running()
    assert (job.done(), job.cancelled(), job.in_final_state()) == (False, False, False)
    assert job.cancel()
    assert ended.wait(30)
    assert job.cancelled()
    assert job.in_final_state()
    assert job.status() == JobStatus.CANCELLED
    with pytest.raises(CancelledError):
        job.result()


def test_a_job_that_has_ended_keeps_its_result():
    job = PoolSampler(ENGINE).run([measured(QuantumCircuit(1))], shots=2)
    assert job.result() is job.result()
    assert job.done()
    assert not job.cancel()
    assert job.job_id() != PoolSampler(ENGINE).run([measured(QuantumCircuit(1))]).job_id()


def test_executors_need_counts_alone():
    class Poor(Recorder):
        def __init__(self):
            super().__init__()
            self.capabilities = Capabilities("poor", frozenset({Output.COUNTS}), 3, exact=False)

    result = PoolSampler(Poor()).run([measured(QuantumCircuit(2))], shots=2).result()
    assert result[0].data.meas.get_counts() == {"00": 2}


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit", None)
    with pytest.raises(CapabilityError, match=r"pip install 'q-store\[qiskit\]'"):
        runpy.run_path(qiskit_sampler.__file__)
