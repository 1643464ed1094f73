"""What only cirq-ionq does: facts out of echoed metadata, listing, deleting, samplers, its own QIS compiler."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conformance.conftest import Refused
from tests.conformance.programs import CONTROLLED, assert_exact, asymmetric, dense, standard_errors

from q_store.backends.local.reference import apply, matrix, state
from q_store.circuits import pauliexp

pytestmark = [pytest.mark.socket, pytest.mark.slow]

PROGRAM = asymmetric(2, 4)


def test_facts_of_a_finished_job(cirq, emulator):
    assert cirq.facts(emulator.url, circuit=PROGRAM.plain) == {
        "status": "completed",
        "name": "my name",
        "target": "simulator",
        "qubits": 4,
        "repetitions": 321,
        "measurements": {"three words here": [0, 1, 2, 3]},
    }


def test_controlled_gates_through_its_compiler(cirq, emulator):
    names = tuple(name for name in CONTROLLED if name not in ("v", "p"))
    program = asymmetric(51, 3, length=14, names=("h", "rx", "ry", "rz"), controlled=names, max_controls=1)
    (found,) = cirq.compiled(emulator.url, circuit=program.plain)["probabilities"]
    assert_exact(found, program.probabilities)


def test_an_evolution_under_a_pauli_string(cirq, emulator):
    before = asymmetric(52, 3, length=9)
    (found,) = cirq.evolution(emulator.url, letters="XYZ", angle=0.6, before=before.plain)["probabilities"]
    gate = pauliexp([("XYZ", 1.0)], 0.6, 0, 1, 2)
    psi = apply(state(before.circuit, None, []), matrix(gate, [0.6]), gate.wires, 3)
    assert_exact(found, np.abs(psi) ** 2)


def test_the_list_begins_with_the_newest(cirq, emulated):
    quiet = emulated()
    sent = [cirq.run(quiet.url, backend="simulator", circuits=[PROGRAM.plain], shots=10)["job"] for _ in range(3)]
    assert cirq.listing(quiet.url, limit=3) == sent[::-1]
    assert cirq.listing(quiet.url, limit=1, status="completed") == sent[-1:]


def test_a_deleted_job_is_gone(cirq, emulator):
    found = cirq.delete(emulator.url, circuit=PROGRAM.plain)
    assert found["status"] == "deleted"
    assert found["text"].startswith("not found")


@pytest.mark.parametrize("backend", ["simulator", "qpu.aria-1"])
def test_its_sampler(cirq, emulator, backend):
    (counts,) = cirq.sample(emulator.url, backend=backend, circuit=PROGRAM.plain, repetitions=1500)["counts"]
    assert standard_errors(dense(counts, 4), PROGRAM.probabilities) < 6


def test_a_refusal_shows_the_reply(cirq, emulator):
    with pytest.raises(Refused, match=r"'statusCode': 400.*qpu\.nowhere"):
        cirq.run(emulator.url, backend="qpu.nowhere", circuits=[PROGRAM.plain], shots=10)


def test_calls_that_are_turned_away_are_repeated(cirq, emulated):
    busy = emulated(faults="429:0.1,503:0.1,520:0.1", seed=3)
    found = cirq.run(busy.url, backend="simulator", circuits=[PROGRAM.plain], shots=1000)
    assert standard_errors(dense(found["counts"][0], 4), PROGRAM.probabilities) < 6
    assert busy.ledger()["accepted_jobs"] == 1
