"""Any Qiskit sampler as a backend: the contracts, one PUB a slice, other bases of gates, cancelation."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

pytest.importorskip("qiskit")
from qiskit.primitives import StatevectorSampler
from qiskit.transpiler import generate_preset_pass_manager

from q_store.backends.base import TicketState
from q_store.backends.contract import SHOTS, BackendContract, assert_frequencies
from q_store.backends.remote_contract import RemoteContract
from q_store.backends.sampler import SamplerBackend
from q_store.circuits import Circuit, op, rx, ry, rz, theta
from q_store.jobs import Job, Output

TURN = Circuit.build(2, [ry(theta(0), 0), rx(theta(1), 1)])
PARAMS = np.array([[0.3, 1.2], [2.0, 0.4], [0.3, 1.2]])


class Keeping:
    """A sampler that keeps what it was asked, and may refuse it."""

    def __init__(self, refuse=lambda _: False):
        self.inner, self.pubs, self.refuse = StatevectorSampler(seed=1), [], refuse

    def run(self, pubs):
        self.pubs += pubs
        if self.refuse(pubs):
            raise RuntimeError("out of order")
        return self.inner.run(pubs)


def backend(sampler=None, **options):
    return SamplerBackend(sampler or StatevectorSampler(seed=7), "vector", noise_id="ideal", **options)


class TestContract(RemoteContract):
    def backend(self):
        return backend()

    def failing(self):
        return backend(Keeping(refuse=lambda _: True))


class TestWholeJobs(BackendContract):
    def backend(self):
        return backend()

    def test_a_seed_repeats_and_another_does_not(self):
        """The sampler has a seed of its own, so that of a job means nothing."""
        for each, case in self.claimed(Output.COUNTS):
            runs = [each.run(case.job(Output.COUNTS, shots=20, seed=seed)).counts for seed in (1, 2)]
            np.testing.assert_array_equal(*runs)


class TestTranslated(RemoteContract):
    """Circuits in the gates and on the qubits of a device."""

    def backend(self):
        manager = generate_preset_pass_manager(
            optimization_level=2,
            basis_gates=["rz", "sx", "x", "cx"],
            coupling_map=[[0, 1], [1, 2]],
            initial_layout=None,
            seed_transpiler=3,
        )
        return backend(translate=manager.run)


def test_a_slice_is_one_pub():
    sampler = Keeping()
    job = Job(TURN, params=PARAMS, output=Output.COUNTS, shots=np.array([5, 6, 5]))
    outcome = backend(sampler).run(job)
    assert outcome.counts.sum(axis=1).tolist() == [5, 6, 5]
    assert [(pub[1].shape, pub[2]) for pub in sampler.pubs] == [((2,), 5), ((1,), 6)]
    sampler.pubs.clear()
    backend(sampler, most=2).run(job)
    assert [pub[1].shape for pub in sampler.pubs] == [(2,), (1,)]


def test_a_circuit_is_translated_once_and_may_lose_an_angle():
    made = []

    def translate(circuit):
        made.append(circuit.assign_parameters({circuit.parameters[2]: 0.1}))
        return made[-1]

    mine = backend(translate=translate)
    circuit = Circuit.build(2, [ry(theta(0), 0), rx(theta(1), 1), rz(theta(2), 1)])
    for _ in range(2):
        job = Job(circuit, params=np.array([[0.5, 1.5, 2.5], [1.0, 2.0, 3.0]]), output=Output.COUNTS, shots=SHOTS)
        outcome = mine.run(job)
    (only,) = made
    assert len(only.parameters) == 2
    one, two = np.sin(np.array([[0.5, 1.5], [1.0, 2.0]]) / 2).T ** 2
    right = np.stack([(1 - one) * (1 - two), one * (1 - two), (1 - one) * two, one * two], axis=1)
    assert_frequencies(outcome.counts / SHOTS, right)


def test_circuits_without_angles_make_an_array_too():
    outcome = backend().run(Job(Circuit.build(9, [op("x", 8)]), np.zeros((3, 0)), output=Output.COUNTS, shots=4))
    assert outcome.counts[:, 256].tolist() == [4, 4, 4]


def test_the_noise_domain_is_its_own_unless_it_is_said():
    assert backend().capabilities.noise_id == "ideal"
    assert SamplerBackend(Keeping(), "device").capabilities.noise_id == "sampler:device"


def test_canceling_reaches_the_job_of_the_sampler():
    running, canceled = threading.Event(), threading.Event()

    class SlowJob:
        def cancel(self):
            canceled.set()

        def result(self):
            running.set()
            assert canceled.wait(30)
            raise RuntimeError("the job was canceled")

    class Slow:
        def run(self, _):
            return SlowJob()

    async def go():
        mine = backend(Slow())
        (part,) = mine.plan(Job(TURN, params=PARAMS, output=Output.COUNTS, shots=5))
        ticket = await mine.submit(part)
        await asyncio.to_thread(running.wait, 30)
        (ticket,) = await mine.cancel([ticket])
        assert ticket.state is TicketState.CANCELED
        answer = await mine.result(part, ticket)
        await mine.aclose()
        return answer

    assert len(asyncio.run(go()).missing) == 3
