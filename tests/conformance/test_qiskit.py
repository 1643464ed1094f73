"""What only qiskit-ionq does: retrieval, memory, measurement maps, sessions, phases under controls."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conformance.conftest import Refused
from tests.conformance.programs import CONTROLLED, assert_exact, asymmetric, dense, standard_errors

from q_store.backends.local.reference import apply, matrix, state
from q_store.circuits import pauliexp

pytestmark = [pytest.mark.socket, pytest.mark.slow]

SHOTS = 1000
PROGRAM = asymmetric(2, 4)
EACH = [asymmetric(51 + k, 3, length=24, names=("h", "rx", "ry"), controlled=(c,)) for k, c in enumerate(CONTROLLED)]
MANY = [asymmetric(42, 5, length=30, names=("h", "rx", "ry"), controlled=("x",), max_controls=4)]


@pytest.mark.parametrize("programs", [EACH, MANY], ids=["every controlled gate", "up to four controls"])
def test_controls_keep_their_phases(qiskit, emulator, programs):
    plain = [program.plain for program in programs]
    found = qiskit.run(emulator.url, backend="simulator", circuits=plain, shots=SHOTS, batch=True)["probabilities"]
    for each, program in zip(found, programs, strict=True):
        assert_exact(each, program.probabilities)


def test_measured_qubits_land_in_their_classical_bits(qiskit, emulator):
    order = [2, 0]  # qubit 2 into bit 0, qubit 0 into bit 1
    (found,) = qiskit.measured(emulator.url, backend="simulator", circuit=PROGRAM.plain, order=order, shots=SHOTS)[
        "probabilities"
    ]
    expected = np.zeros(4)
    for index, p in enumerate(PROGRAM.probabilities):
        expected[(index >> 2 & 1) | (index & 1) << 1] += p
    assert_exact(found, expected)


def test_an_evolution_under_a_pauli_sum(qiskit, emulator):
    before = asymmetric(43, 3, length=9)
    terms, time = [["XXI", 0.7], ["ZZI", -0.4], ["IIZ", 0.9]], 0.6
    (found,) = qiskit.evolution(emulator.url, terms=terms, time=time, before=before.plain)["probabilities"]
    gate = pauliexp([tuple(term) for term in terms], time, 0, 1, 2)
    psi = apply(state(before.circuit, None, []), matrix(gate, [time]), gate.wires, 3)
    assert_exact(found, np.abs(psi) ** 2)


def test_another_process_retrieves_a_job(qiskit, emulator):
    sent = qiskit.run(emulator.url, backend="qpu.aria-1", circuits=[PROGRAM.plain], shots=SHOTS)
    found = qiskit.retrieve(emulator.url, backend="qpu.aria-1", job=sent["job"], number=1)
    assert (found["status"], found["counts"]) == ("DONE", sent["counts"])


def test_memory_lists_the_shots_that_the_counts_count(qiskit, emulator):
    programs = [PROGRAM, asymmetric(44, 4)]
    for chosen in (programs[:1], programs):
        found = qiskit.memory(emulator.url, backend="qpu.forte-1", circuits=[p.plain for p in chosen], shots=SHOTS)
        for memory, counts, program in zip(found["memory"], found["counts"], chosen, strict=True):
            listed = np.bincount(memory, minlength=16)
            np.testing.assert_array_equal(listed, dense(counts, 4))
            assert standard_errors(listed, program.probabilities) < 6
            assert memory != sorted(memory), "shots come in an order of their own"


def test_the_detailed_status_counts_children(qiskit, emulator):
    found = qiskit.children(emulator.url, backend="qpu.aria-1", circuits=[PROGRAM.plain] * 3, shots=10)
    assert found == {"total": 3, "completed": 3, "failed": 0, "percentage_complete": 1.0, "statuses": ["DONE"] * 3}


def test_a_failed_child_is_seen(qiskit, emulated):
    failing = emulated(faults="failed-child:1")
    with pytest.raises(Refused, match="InternalError"):
        qiskit.children(failing.url, backend="qpu.aria-1", circuits=[PROGRAM.plain] * 2, shots=10)


def test_a_dry_run_is_done_without_results(qiskit, emulator):
    before = emulator.ledger()["charges_usd"]
    found = qiskit.dry_run(emulator.url, backend="qpu.aria-1", circuit=PROGRAM.plain)
    assert found["status"] == "DONE"
    assert "dry_run=True" in found["text"]
    assert emulator.ledger()["charges_usd"] == before


def test_a_session_holds_its_jobs_and_ends(qiskit, emulator):
    found = qiskit.session(emulator.url, backend="qpu.aria-1", circuit=PROGRAM.plain)
    assert (found["inside"]["active"], found["after"]["active"]) == (True, False)
    assert found["inside"]["settings"]["job_count_limit"] == 5
    assert sum(found["counts"][0].values()) == 100


def test_estimate_and_calibration(qiskit, emulated):
    slow = emulated(circuit_seconds=2)
    found = qiskit.services(slow.url, backend="qpu.forte-1")
    assert found["qubits"] == 36
    assert found["available"]
    assert (found["execution"], found["queue"]) == (2000, 0)  # milliseconds
    assert found["estimate"]["estimated_total_cost"] == pytest.approx(500 * (10 * 0.00022 + 5 * 0.00098))
    assert 0.9 < found["spam"] <= 1
    assert found["pairs"] == 36 * 35 / 2
    assert found["calibrated"]


def test_calls_that_are_turned_away_are_repeated(qiskit, emulated):
    busy = emulated(faults="429:0.1,503:0.1,520:0.1", seed=3)
    found = qiskit.run(busy.url, backend="simulator", circuits=[PROGRAM.plain], shots=SHOTS)
    assert standard_errors(dense(found["counts"][0], 4), PROGRAM.probabilities) < 6
    assert busy.ledger()["accepted_jobs"] == 1
