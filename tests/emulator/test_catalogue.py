"""What the emulated backends say of themselves, and what they charge."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from q_store.backends.ionq.noise import MODELS
from q_store.circuits.gates import GATES
from q_store.emulator.catalogue import (
    MACHINES,
    NOISE_QUBITS,
    Estimate,
    characterization,
    compute_seconds,
    describe,
    estimate,
    prices,
)

NOW = "2026-03-04T05:06:07.000Z"
QPUS = [name for name in MACHINES if name.startswith("qpu.")]


def counts(*numbers):
    return np.array(numbers, dtype=np.int64)


def test_the_backends_are_the_documented_ones():
    assert list(MACHINES) == ["simulator", "qpu.aria-1", "qpu.aria-2", "qpu.forte-1", "qpu.forte-enterprise-1"]
    assert {name: machine.qubits for name, machine in MACHINES.items()} == {
        "simulator": 29,
        "qpu.aria-1": 25,
        "qpu.aria-2": 25,
        "qpu.forte-1": 36,
        "qpu.forte-enterprise-1": 36,
    }


@pytest.mark.parametrize("name", MACHINES)
def test_a_description_has_every_key(name):
    shown = describe(MACHINES[name], NOW, 1_500)
    assert {"backend", "status", "qubits", "average_queue_time", "last_updated"} <= set(shown)
    assert (shown["backend"], shown["status"], shown["last_updated"]) == (name, "available", NOW)
    assert shown["average_queue_time"] == 1_500
    assert shown["location"] == "emulated"
    known = {*GATES, "zz", "not", "cnot", "pauliexp"}
    assert set(shown["supported_gates"]) <= known
    assert set(shown["supported_native_gates"]) <= known


def test_each_family_takes_its_own_entangling_gate():
    native = {name: set(machine.native) & {"ms", "zz"} for name, machine in MACHINES.items()}
    assert native["qpu.aria-1"] == native["qpu.aria-2"] == {"ms"}
    assert native["qpu.forte-1"] == native["qpu.forte-enterprise-1"] == {"zz"}
    assert native["simulator"] == {"ms", "zz"}


@pytest.mark.parametrize("name", QPUS)
def test_a_characterization_has_every_key_and_the_rates_of_the_noise(name):
    machine = MACHINES[name]
    shown, rates = characterization(machine), MODELS[name.removeprefix("qpu.")]
    assert set(shown) == {"id", "backend", "date", "qubits", "connectivity", "fidelity", "timing"}
    assert str(uuid.UUID(shown["id"])) == shown["id"] == describe(machine, NOW)["characterization_id"]
    assert set(shown["timing"]) == {"readout", "reset", "1q", "2q", "t1", "t2"}
    assert len(shown["connectivity"]) == machine.qubits * (machine.qubits - 1) / 2
    # 1 - F = (d - 1)/d r of a depolarising channel
    assert 1 - shown["fidelity"]["1q"]["median"] == pytest.approx(rates.one / 2)
    assert 1 - shown["fidelity"]["2q"]["median"] == pytest.approx(0.75 * rates.two)
    assert shown["fidelity"]["spam"]["median"] == 1


def test_characterizations_have_ids_of_their_own_and_a_simulator_has_none():
    assert len({characterization(MACHINES[name])["id"] for name in QPUS}) == len(QPUS)
    assert characterization(MACHINES["simulator"]) is None
    assert "characterization_id" not in describe(MACHINES["simulator"], NOW)


def test_a_gate_and_a_shot_cost_what_is_public():
    found = prices("qpu.aria-1", counts(100, 30), counts(10, 0), 1_000)
    np.testing.assert_allclose(found, [100 * 0.22 + 10 * 0.98, 30 * 0.22])


def test_the_minimum_is_charged_once_a_job():
    assert prices("qpu.forte-1", counts(1), counts(0), 1).tolist() == [1.0]
    many = prices("qpu.forte-1", counts(*[1] * 50), counts(*[1] * 50), 10)
    assert many.sum() == pytest.approx(1.0)
    dear = prices("qpu.forte-1", counts(1, 1), counts(0, 0), 5_000)
    np.testing.assert_allclose(dear, [1.1, 1.1])


def test_simulators_are_free():
    assert prices("simulator", counts(1_000, 1), counts(1_000, 1), 1_000_000).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", MACHINES)
def test_an_estimate_has_every_key_and_agrees_with_the_price(name):
    asked = Estimate(name, qubits=4, shots=200, one=50, two=12, error_mitigation=True)
    shown = estimate(asked, NOW, 1_234.4, 55.6)
    assert shown["estimate_context"] == {
        "backend": name,
        "type": "ionq.circuit.v1",
        "qubits": 4,
        "shots": 200,
        "1q_gates": 50,
        "2q_gates": 12,
        "error_mitigation": True,
        "organization": None,
        "project": None,
    }
    assert (shown["estimated_at"], shown["estimated_unit"]) == (NOW, "usd")
    assert (shown["estimated_execution_time"], shown["current_predicted_queue_time"]) == (1234, 56)
    (rate,) = shown["rate_card"]["rates"]
    assert rate["unit"] == "gates"
    by_hand = 200 * (50 * rate["cost_1q_gate"] + 12 * rate["cost_2q_gate"])
    assert shown["estimated_total_cost"] == pytest.approx(max(by_hand, rate["job_cost_minimum"]))
    assert shown["estimated_total_cost"] == pytest.approx(prices(name, counts(50), counts(12), 200).sum())
    seconds = compute_seconds(MACHINES[name], 50, 12, 200)
    assert shown["estimated_quantum_compute_time_us"] == round(1e6 * seconds)
    assert (seconds > 0) == (name != "simulator")


def test_an_estimate_asked_without_details_takes_the_documented_ones():
    asked = Estimate("simulator")
    assert (asked.type, asked.qubits, asked.shots) == ("ionq.circuit.v1", 25, 1_000)
    assert (asked.one, asked.two, asked.error_mitigation) == (0, 0, False)


def test_noise_limits_the_simulator():
    assert set(NOISE_QUBITS) == set(MODELS)
    limits = {NOISE_QUBITS[model] for model in ("ideal", "forte-1", "forte-enterprise-1")}
    assert (limits, NOISE_QUBITS["aria-1"], NOISE_QUBITS["harmony"]) == ({29}, 25, 11)
