"""qiskit-ionq, cirq-ionq, ionq-core and pennylane-ionq, unmodified, run every kind of job against the emulator."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from tests.conformance.conftest import KEY, Refused
from tests.conformance.programs import (
    INVERSES,
    Program,
    assert_exact,
    asymmetric,
    dense,
    depolarised,
    reversal,
    standard_errors,
)

pytestmark = [pytest.mark.socket, pytest.mark.slow]

SHOTS = 2000
SIGMAS = 6
THREE = [asymmetric(seed, n_qubits) for seed, n_qubits in ((1, 3), (2, 4), (3, 5))]
SAME_SIZE = [asymmetric(seed, 4) for seed in (4, 5, 6)]  # pennylane's batches are of one size
# One- and two-qubit rates as IonQ documents them for its noise models; the processors have those of their names.
RATES = {"aria-1": (0.0005, 0.0133), "forte-1": (0.00026667, 0.00494933)}


def check(answer, programs, expected=None):
    """Counts within their errors of the oracle, and not of the reversed order; probabilities, where given, exactly."""
    expected = [program.probabilities for program in programs] if expected is None else expected
    assert len(answer["counts"]) == len(programs)
    for k, (counts, program) in enumerate(zip(answer["counts"], programs, strict=True)):
        found = dense(counts, program.n_qubits)
        assert found.sum() == pytest.approx(SHOTS)
        assert standard_errors(found, expected[k]) < SIGMAS
        assert standard_errors(found, expected[k][reversal(program.n_qubits)]) > SIGMAS
        if answer["probabilities"]:
            assert_exact(answer["probabilities"][k], expected[k])


def job_of(emulator, name):
    """A job as the service shows it."""
    return httpx.get(f"{emulator.url}/jobs/{name}", headers={"Authorization": f"apiKey {KEY}"}).json()


@pytest.mark.parametrize("program", THREE, ids=["3 qubits", "4 qubits", "5 qubits"])
def test_a_single_job_gives_the_exact_distribution(client, emulator, program):
    check(client.run(emulator.url, backend="simulator", circuits=[program.plain], shots=SHOTS, seed=7), [program])


def test_each_qubit_is_where_it_belongs(client, emulator):
    for qubit in range(3):
        program = Program(3, (("x", (qubit,), (), ()),))
        (counts,) = client.run(emulator.url, backend="simulator", circuits=[program.plain], shots=10)["counts"]
        assert counts == {str(1 << qubit): 10}


def test_a_batch_keeps_the_order_of_its_circuits(client, emulator):
    plain = [program.plain for program in SAME_SIZE]
    check(client.run(emulator.url, backend="simulator", circuits=plain, shots=SHOTS, batch=True), SAME_SIZE)


@pytest.mark.parametrize("name", ["qiskit_ionq", "cirq_ionq", "ionq_core"])
def test_circuits_of_a_batch_may_differ_in_size(clients, emulator, name):
    plain = [program.plain for program in THREE]
    check(clients(name).run(emulator.url, backend="simulator", circuits=plain, shots=SHOTS, batch=True), THREE)


@pytest.mark.parametrize("name", ["qiskit_ionq", "cirq_ionq", "ionq_core"])
def test_inverses(clients, emulator, name):
    program = asymmetric(21, 4, length=30, names=("h", "rx", "ry", *INVERSES))
    check(clients(name).run(emulator.url, backend="simulator", circuits=[program.plain], shots=SHOTS), [program])


@pytest.mark.parametrize("model", list(RATES))
def test_a_processor_samples_with_its_noise(client, emulator, model):
    program = THREE[1]
    answer = client.run(emulator.url, backend=f"qpu.{model}", circuits=[program.plain], shots=SHOTS)
    assert answer["probabilities"] is None
    check(answer, [program], [depolarised(program, *RATES[model])])


def test_a_batch_on_a_processor(client, emulator):
    plain = [program.plain for program in SAME_SIZE]
    answer = client.run(emulator.url, backend="qpu.aria-1", circuits=plain, shots=SHOTS, batch=True)
    check(answer, SAME_SIZE, [depolarised(program, *RATES["aria-1"]) for program in SAME_SIZE])


@pytest.mark.parametrize("family", ["aria", "forte"])
@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
def test_native_gates_of_cirqs_compiler_are_exact(cirq, emulator, family, batch):
    programs = SAME_SIZE[: 2 if batch else 1]
    plain = [program.plain for program in programs]
    check(
        cirq.run(emulator.url, backend="simulator", circuits=plain, shots=SHOTS, batch=batch, native=family), programs
    )


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
def test_native_gates_of_qiskits_compiler_are_exact(qiskit, emulator, batch):
    programs = SAME_SIZE[: 2 if batch else 1]
    plain = [program.plain for program in programs]
    check(
        qiskit.run(emulator.url, backend="simulator", circuits=plain, shots=SHOTS, batch=batch, native="aria"), programs
    )


@pytest.mark.parametrize("family", ["aria", "forte"])
@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("name", ["qiskit_ionq", "cirq_ionq"])
def test_native_gates_of_the_clients_compilers_on_processors(clients, emulator, name, family, batch):
    programs = SAME_SIZE[: 2 if batch else 1]
    plain = [program.plain for program in programs]
    backend = f"qpu.{family}-1"
    answer = clients(name).run(emulator.url, backend=backend, circuits=plain, shots=SHOTS, batch=batch, native=family)
    job = job_of(emulator, answer["job"])
    children = [job_of(emulator, child) for child in job["child_job_ids"]] if batch else [job]
    for counts, program, child in zip(answer["counts"], programs, children, strict=True):
        # which gates were sent, only the client knows; a channel of rate r leaves the state alone with 1 - r at least
        gates = child["stats"]["gate_counts"]
        one, two = RATES[f"{family}-1"]
        kept = (1 - one) ** gates["1q"] * (1 - two) ** gates["2q"]
        found = dense(counts, 4) / SHOTS
        margin = SIGMAS * np.sqrt(0.25 / SHOTS)
        assert (found > kept * program.probabilities - margin).all()
        distance = np.abs(found - program.probabilities).sum() / 2
        assert distance < 1 - kept + margin
        assert distance < np.abs(found - program.probabilities[reversal(4)]).sum() / 2
        assert gates["2q"]


@pytest.mark.parametrize("name", ["ionq_core", "pennylane_ionq"])
def test_native_gates_by_hand(clients, emulator, name):
    turns = [("gpi2", (k,), (0.1 * k + 0.05,), ()) for k in range(3)]
    pairs = [("ms", (0, 1), (0.1, 0.35, 0.2), ()), ("gpi", (1,), (-0.2,), ()), ("ms", (2, 1), (0.7, -0.15, 0.11), ())]
    program = Program(3, (*turns, *pairs, ("gpi2", (0,), (0.4,), ()), ("gpi2", (1,), (0.62,), ())))
    answer = clients(name).run(emulator.url, backend="qpu.aria-1", circuits=[program.plain], shots=SHOTS, native="aria")
    check(answer, [program], [depolarised(program, *RATES["aria-1"])])


@pytest.mark.parametrize("model", list(RATES))
def test_a_noise_model_depolarises_as_documented(client, emulator, model):
    pulses = tuple(("ry", (k,), (0.4 - 0.1 * k,), ()) for k in range(3)) * 2
    ladder = tuple(step for k in range(30) for step in (("x", ((k + 1) % 3,), (), (k % 3,)), *pulses))
    program = Program(3, ladder)
    shots = 20_000
    answer = client.run(
        emulator.url, backend="simulator", circuits=[program.plain], shots=shots, noise=model, seed=1234
    )
    found = dense(answer["counts"][0], 3)
    assert standard_errors(found, depolarised(program, *RATES[model])) < SIGMAS
    assert standard_errors(found, program.probabilities) > SIGMAS


@pytest.mark.parametrize("name", ["qiskit_ionq", "cirq_ionq", "ionq_core"])  # pennylane-ionq samples once more itself
def test_a_seed_repeats_a_noisy_job(clients, emulator, name):
    ask = dict(backend="simulator", circuits=[THREE[0].plain], shots=500, noise="aria-1")
    first, again, other = (clients(name).run(emulator.url, seed=seed, **ask)["counts"] for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", ["qiskit_ionq", "cirq_ionq", "ionq_core"])
def test_a_job_is_cancelled_before_it_runs(clients, emulated, name):
    slow = emulated(circuit_seconds=60)
    answer = clients(name).cancel(slow.url, backend="qpu.aria-1", circuits=[THREE[0].plain], shots=100)
    assert answer["status"].lower() in ("canceled", "cancelled")
    (job,) = slow.ledger(jobs=True)["jobs"]
    assert (job["id"], job["status"]) == (answer["job"], "canceled")
    words = {"qiskit_ionq": "Cannot retrieve result for canceled job", "cirq_ionq": "canceled", "ionq_core": "canceled"}
    assert words[name] in answer["text"]


def test_a_failed_job_tells_why(client, emulated):
    failing = emulated(faults="failed-job:1")
    with pytest.raises(Refused) as caught:
        client.run(failing.url, backend="simulator", circuits=[THREE[0].plain], shots=100)
    if client.name == "pennylane_ionq":  # it never asks
        assert caught.value.text == "Job failed"
    else:
        assert "the quantum computer failed" in caught.value.text


def test_a_wrong_key_is_refused(client, emulator):
    jobs = emulator.ledger()["accepted_jobs"]
    with pytest.raises(Refused) as caught:
        client.run(emulator.url, key="not-the-key", backend="simulator", circuits=[THREE[0].plain], shots=100)
    assert "key" in caught.value.text
    assert "not-the-key" not in caught.value.text
    assert emulator.ledger()["accepted_jobs"] == jobs


def test_an_unknown_backend_is_named(client, emulator):
    with pytest.raises(Refused, match=r"qpu\.nowhere-9"):
        client.run(emulator.url, backend="qpu.nowhere-9", circuits=[THREE[0].plain], shots=100)


@pytest.mark.parametrize("name", ["qiskit_ionq", "ionq_core"])
def test_shots_out_of_range_are_refused(clients, emulator, name):
    with pytest.raises(Refused, match="shots"):
        clients(name).run(emulator.url, backend="qpu.aria-1", circuits=[THREE[0].plain], shots=1_000_001)


@pytest.mark.parametrize("name", ["qiskit_ionq", "cirq_ionq", "ionq_core"])
def test_a_circuit_too_wide_fails_with_the_reason(clients, emulator, name):
    wide = Program(30, (("x", (29,), (), ()),))
    with pytest.raises(Refused, match=r"29"):
        clients(name).run(emulator.url, backend="simulator", circuits=[wide.plain], shots=100)
