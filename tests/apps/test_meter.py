"""The metered backend: it changes nothing, and what it counts adds up."""

from __future__ import annotations

import time

import numpy as np
import pytest

from q_store.apps.meter import Meter
from q_store.circuits.angle import theta
from q_store.circuits.circuit import Circuit, cnot, ry
from q_store.circuits.observables import Observables
from q_store.jobs import Capabilities, Job, Outcome, Output

CIRCUIT = Circuit(2, 2, 0, (ry(theta(0), 0), ry(theta(1), 1), cnot(0, 1)))


class Slow:
    """Takes 5 ms a job, and a pullback takes what it takes in the middle."""

    capabilities = Capabilities("slow", frozenset(Output), 2)

    def run(self, job):
        start = time.perf_counter()
        time.sleep(0.005)
        values = np.zeros((job.rows, job.measured.size))
        gradient = job.pullback(values) if job.pullback else None
        return Outcome(values=values, gradient=gradient, rows=job.rows, seconds=time.perf_counter() - start)


def job(pullback=None):
    output = Output.VJP if pullback else Output.EXPECTATION
    return Job(CIRCUIT, params=np.zeros((3, 2)), observables=Observables.local_z(2), output=output, pullback=pullback)


def test_pullbacks_do_not_count_as_kernels_and_their_rows_as_samples():
    def pullback(values):
        time.sleep(0.03)
        return values + 7

    meter = Meter(Slow())
    assert np.all(meter.run(job(pullback)).gradient == 7)
    assert meter.samples == 3
    assert 0.004 < meter.kernel_seconds < 0.02
    meter.run(job())
    assert meter.samples == 3
    assert 0.009 < meter.kernel_seconds < 0.03
    assert meter.capabilities.name == "slow"


def test_the_gradient_is_that_of_the_backend():
    from q_store.backends.local import LocalBackend

    backend = LocalBackend(threads=1)
    asked = job(np.ones_like)
    expected = backend.run(asked)
    found = Meter(backend).run(asked)
    assert np.array_equal(found.gradient, expected.gradient)
    assert found.values == pytest.approx(expected.values)
