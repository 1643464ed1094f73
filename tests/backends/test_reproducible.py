"""The same bits for any number of threads, in any batch; across a fork and from several threads.

The samples of a row depend on the seed, on the NUMBER of the row in its job, on its circuit, angles and amplitudes, and
on its shots. They do not depend on the rows beside it. The same pair (b, k) at another place of a job draws anew.
"""

from __future__ import annotations

import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from q_store.backends.local import LocalBackend, engine, exact, sampling, unitary
from q_store.backends.local import backend as backend_module
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, cnot, op, prepare, rx, ry, rz, theta, x, z
from q_store.jobs import Job, Output

ROWS, N = 600, 4
both = pytest.mark.parametrize("precision", ["float32", "float64"])
# coefficients without a short binary form, so that every order of summation shows
MEASURED = Observables.of(
    PauliSum.of((0.1, "ZZ", (0, 1)), (0.3, "XY", (1, 2)), (1 / 7, "ZI", (2, 3)), (0.7, "I", (0,))),
    Marginal((3, 0)),
    PauliSum.of((np.pi, "YZ", (0, 3)), (-1 / 3, "Z", (1,))),
)
DIAGONAL = Observables.of(PauliSum.of((0.1, "ZZ", (0, 1)), (1 / 7, "ZI", (2, 3))), Marginal((3, 0)), z(2))


def ansatz(*head):
    ops, p = list(head), 0
    for _ in range(2):
        for q in range(N):
            ops += [ry(theta(p), q), rz(theta(p + 1), q)]
            p += 2
        ops += [cnot(q, (q + 1) % N) for q in range(N)]
    return [*ops, *(rx(theta(q) * 0.3, q) for q in range(N))]


OWN = Circuit.build(N, ansatz(*(ry(x(q) * theta(q), q) for q in range(N))))
SHARED = Circuit.build(N, ansatz(prepare(N)))


def amplitudes(rows):
    data = np.random.default_rng(rows).normal(size=(rows, 2**N))
    return data / np.linalg.norm(data, axis=1, keepdims=True)


def job_of(circuit, output, measured=MEASURED, rows=ROWS, **more):
    data = amplitudes(rows) if circuit.prepare else np.random.default_rng(rows).normal(size=(rows, N))
    params = np.random.default_rng(1).normal(size=circuit.n_params)
    return Job(circuit, data, params, measured, output, **more)


@pytest.fixture
def _threads_from_the_first_row(monkeypatch):
    monkeypatch.setattr(engine, "THREAD_WORK", 0)
    monkeypatch.setattr(unitary, "THREAD_WORK", 0)
    monkeypatch.setattr(sampling, "_WORK_PER_THREAD", 0)


def bits(outcome):
    """Everything that a job returned, as bytes."""
    fields = (outcome.values, outcome.variances, outcome.counts, outcome.gradient, outcome.jacobian)
    return tuple(None if field is None else np.ascontiguousarray(field).tobytes() for field in fields)


SAMPLED = [
    (Output.COUNTS, ()),
    (Output.PROBABILITIES, ()),
    (Output.EXPECTATION, MEASURED),
    (Output.EXPECTATION, DIAGONAL),
    (Output.SHIFTED, DIAGONAL),
    (Output.SHIFTED, ()),
]


@both
@pytest.mark.usefixtures("_threads_from_the_first_row")
@pytest.mark.parametrize("circuit", [OWN, SHARED], ids=["own", "shared"])
@pytest.mark.parametrize(("output", "measured"), SAMPLED)
def test_samples_do_not_depend_on_threads(precision, circuit, output, measured):
    rows = 40 if output is Output.SHIFTED else ROWS
    job = job_of(circuit, output, measured, rows, shots=37, seed=5)
    found = {bits(LocalBackend(threads=t, precision=precision).run(job)) for t in (1, 2, 3)}
    assert len(found) == 1


@both
@pytest.mark.usefixtures("_threads_from_the_first_row")
@pytest.mark.parametrize("measured", [DIAGONAL, MEASURED], ids=["diagonal", "strings"])
@pytest.mark.parametrize(
    ("circuit", "rows"),
    [(OWN, ROWS), (SHARED, ROWS), (SHARED, 1700)],
    ids=["own", "direct", "unitary-first"],
)
def test_exact_values_and_gradients_do_not_depend_on_threads(precision, circuit, rows, measured, monkeypatch):
    taken, first = [], rows > ROWS and measured is DIAGONAL
    monkeypatch.setattr(exact, "pays", lambda *_: taken.append(first) or first)
    found = set()
    for t in (1, 2, 3):
        backend = LocalBackend(threads=t, precision=precision)
        job = job_of(circuit, Output.VJP, measured, rows, pullback=np.cos)
        found.add(bits(backend.run(job)))
        found.add(bits(backend.run(job)))
    assert len(found) == 1
    assert bool(taken) == (circuit is SHARED)


@both
@pytest.mark.usefixtures("_threads_from_the_first_row")
@pytest.mark.parametrize("output", [Output.STATE, Output.METRIC, Output.JACOBIAN, Output.EXPECTATION])
def test_other_exact_outputs_do_not_depend_on_threads(precision, output):
    job = job_of(OWN, output, MEASURED if output in {Output.JACOBIAN, Output.EXPECTATION} else (), 300)
    assert len({bits(LocalBackend(threads=t, precision=precision).run(job)) for t in (1, 2, 3)}) == 1


@both
@pytest.mark.parametrize("circuit", [OWN, SHARED], ids=["own", "shared"])
@pytest.mark.parametrize(("output", "measured"), SAMPLED)
@pytest.mark.parametrize("number", [1, 3, 16, 17, 30])
def test_samples_of_a_row_do_not_depend_on_the_rows_behind_it(precision, circuit, output, measured, number):
    """A batch cut short gives the first rows of the long one, bit by bit; so does another order behind them."""
    backend = LocalBackend(threads=1, precision=precision)
    job = job_of(circuit, output, measured, 40, shots=101, seed=8)
    whole, pairs = backend.run(job), job.row_pairs()
    for chosen in (pairs[:number], np.concatenate([pairs[:number], pairs[::-1]])):
        part = backend.run(replace(job, pairs=chosen))
        for name in ("values", "variances", "counts"):
            field = getattr(whole, name)
            if field is not None:
                assert getattr(part, name)[:number].tobytes() == field[:number].tobytes()


@both
@pytest.mark.parametrize("circuit", [OWN, SHARED], ids=["own", "shared"])
def test_the_sampled_probabilities_of_a_row_are_the_same_bits_in_every_batch(precision, circuit, monkeypatch):
    """A difference in the last bit would show in one shot of millions: compare what is sampled, not the samples."""
    seen = []
    monkeypatch.setattr(backend_module, "sample", lambda p, *rest: seen.append(p.copy()) or sampling.sample(p, *rest))
    backend = LocalBackend(threads=1, precision=precision)
    job = job_of(circuit, Output.COUNTS, (), ROWS, shots=1)
    backend.run(job)
    order = np.random.default_rng(2).permutation(ROWS)
    backend.run(replace(job, pairs=job.row_pairs()[order]))
    for row in (0, 17, 599):
        backend.run(replace(job, data=job.data[row : row + 1]))
        assert seen.pop().tobytes() == seen[0][row].tobytes()
    assert seen[1].tobytes() == seen[0][order].tobytes()


def test_samples_of_a_row_depend_on_its_number():
    """The same pair at two places of a job gives two independent samples."""
    job = job_of(OWN, Output.COUNTS, (), 5, shots=1000, pairs=np.array([[2, 0], [2, 0], [0, 0], [2, 0]]))
    counts = LocalBackend(threads=1).run(job).counts
    assert len(np.unique(counts, axis=0)) == 4
    alone = LocalBackend(threads=1).run(replace(job, pairs=np.array([[2, 0]]))).counts
    assert (alone[0] == counts[0]).all()
    assert (alone[0] != counts[1]).any()


@both
def test_samples_do_not_depend_on_what_ran_before(precision):
    job = job_of(SHARED, Output.EXPECTATION, MEASURED, 50, shots=100, seed=3)
    backend = LocalBackend(threads=1, precision=precision)
    first = bits(backend.run(job))
    backend.run(job_of(SHARED, Output.VJP, DIAGONAL, 700, pullback=np.cos))
    backend.run(job_of(OWN, Output.COUNTS, (), 70, shots=10))
    assert bits(backend.run(job)) == first
    assert bits(LocalBackend(threads=2, precision=precision).run(job)) == first


def test_the_same_counts_in_both_layouts_of_parameters():
    """(b, k) pairs written out, and all pairs by default, are the same rows."""
    job = replace(job_of(SHARED, Output.COUNTS, (), 20, shots=64), params=np.zeros((3, SHARED.n_params)) + 0.3)
    backend = LocalBackend(threads=1)
    assert bits(backend.run(job)) == bits(backend.run(replace(job, pairs=job.row_pairs())))


# ------------------------------------------------------------------------------------------------- forks and threads


def in_a_child(function):
    """What a function returns in a forked child; the child ends without cleaning up after its parent."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        signal.alarm(60)  # a child that waits for threads of its parent would wait for ever
        try:
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(function(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "expected the child to answer within a minute"
    return pickle.loads(answer)  # noqa: S301  # our own child wrote it


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("_threads_from_the_first_row")
def test_a_forked_child_runs_jobs_with_threads():
    """A DataLoader worker forks a process whose kernel threads are not there any more."""
    backend = LocalBackend(threads=2)
    jobs = [
        job_of(SHARED, Output.VJP, DIAGONAL, 1700, pullback=np.cos),
        job_of(OWN, Output.EXPECTATION, MEASURED, shots=20),
    ]
    here = [bits(backend.run(job)) for job in jobs]
    assert in_a_child(lambda: [bits(backend.run(job)) for job in jobs]) == here
    assert [bits(backend.run(job)) for job in jobs] == here


@pytest.mark.usefixtures("_threads_from_the_first_row")
def test_several_threads_may_share_a_backend():
    backend = LocalBackend(threads=2)
    jobs = [job_of(SHARED, Output.VJP, DIAGONAL, rows, pullback=np.cos) for rows in (50, 300, 700)]
    alone = [bits(backend.run(job)) for job in jobs]
    with ThreadPoolExecutor(3) as callers:
        together = list(callers.map(lambda k: bits(backend.run(jobs[k % 3])), range(30)))
    assert together == [alone[k % 3] for k in range(30)]


def test_measured_strings_come_from_a_circuit_with_a_clifford_end():
    """The lanes path and the table path round differently, yet samples never mix them."""
    circuit = Circuit.build(3, [ry(theta(0), 0), cnot(0, 1), op("h", 2), rz(theta(1), 1)])
    job = Job(circuit, None, np.array([[0.4, 0.2]]), output=Output.COUNTS, shots=5000, seed=2)
    many = replace(job, params=np.repeat(job.params, 50, axis=0))
    assert (LocalBackend().run(many).counts[0] == LocalBackend().run(job).counts[0]).all()
