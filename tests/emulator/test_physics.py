"""What jobs bring, from their body to distributions: exact, sampled, repeatable."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from q_store.backends.ionq.noise import MODELS
from q_store.backends.ionq.wire.parse import read_job
from q_store.emulator import density
from q_store.emulator.limits import ImpossibleJobError
from q_store.emulator.noise import unravel
from q_store.emulator.physics import Physics
from q_store.emulator.trajectories import unravelled

BELL = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]
ARIA = {"model": "aria-1", "seed": 5}


def ry(angle, qubit=0):
    return [{"gate": "ry", "target": qubit, "rotation": angle}, {"gate": "x", "target": 2}]


def wide(n_qubits, gates=4):
    """Enough qubits for trajectories."""
    layer = [{"gate": "ry", "target": q, "rotation": 0.3 * q + 0.2} for q in range(n_qubits)]
    chain = [{"gate": "cnot", "control": q, "target": q + 1} for q in range(n_qubits - 1)]
    return (layer + chain) * gates


def job(*circuits, gateset="qis", **more):
    given = {"gateset": gateset, "circuits": [{"circuit": circuit} for circuit in circuits]}
    return read_job(
        json.dumps({"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": given, **more}).encode()
    )


def run(*circuits, physics=None, backend="simulator", **more):
    return (physics or Physics()).distributions(job(*circuits, **more), backend)


def tilted(angle, bit=0):
    """Probabilities of `ry(angle)`."""
    return {4: math.cos(angle / 2) ** 2, 4 | 1 << bit: math.sin(angle / 2) ** 2}


def test_without_noise_probabilities_are_exact_and_in_order():
    found = run(BELL, ry(0.3), ry(0.5, 1), BELL, ry(0.7))
    expected = [{0: 0.5, 3: 0.5}, tilted(0.3), tilted(0.5, 1), {0: 0.5, 3: 0.5}, tilted(0.7)]
    assert [list(row) for row in found] == [list(row) for row in expected]  # nothing beside the states that can be seen
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-13)


def test_native_gates_are_exact():
    circuit = [
        {"gate": "gpi2", "target": 1, "phase": 0.25},
        {"gate": "ms", "targets": [0, 1], "phases": [0, 0], "angle": 0.1},
    ]
    (found,) = run(circuit, gateset="native")
    # MS = cos(pi a) - i sin(pi a) XX on |00> and |10>, each with probability 1/2
    c, s = math.cos(0.1 * math.pi) ** 2 / 2, math.sin(0.1 * math.pi) ** 2 / 2
    assert found == pytest.approx({0: c, 1: s, 2: c, 3: s}, abs=1e-13)


@pytest.mark.parametrize("model", ["ideal", None])
def test_shots_do_not_matter_without_noise(model):
    more = {"noise": {"model": model}} if model else {}
    assert run(BELL, shots=7, **more) == run(BELL, shots=9_999, **more)


@pytest.mark.parametrize("circuit", [BELL, wide(11, 1)], ids=["density", "trajectories"])
def test_noisy_answers_are_counts_of_the_shots(circuit):
    (found,) = run(circuit, noise=ARIA, shots=777)
    counts = np.array(list(found.values())) * 777
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    assert counts.min() > 0.5
    assert counts.sum() == pytest.approx(777)
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("backend", "noise", "model"),
    [
        ("simulator", "aria-2", "aria-2"),
        ("simulator", "harmony", "harmony"),
        ("qpu.aria-1", None, "aria-1"),
        ("qpu.forte-1", "ideal", "forte-1"),
        ("qpu.forte-enterprise-1", None, "forte-1"),
    ],
)
def test_samples_follow_the_model_of_the_machine(backend, noise, model):
    received = job(wide(3, 5), shots=100_000, **({"noise": {"model": noise}} if noise else {}))
    (found,) = Physics().distributions(received, backend)
    (group,) = received.groups
    noisy = unravel(group.circuit, MODELS[model])
    expected = density.distributions(noisy, unravelled(noisy, clifford=False).angles(group.angles))[0]
    seen = np.array([found.get(state, 0.0) for state in range(8)])
    assert (abs(seen - expected) / np.sqrt(expected * (1 - expected) / 100_000)).max() < 4


SETTINGS = {
    "the emulator's seed": ({"physics": Physics(seed=1)}, {}),
    "the noise's seed": ({}, {"noise": {"model": "aria-1", "seed": 6}}),
    "the metadata's seed": ({}, {"metadata": {"seed": "1"}}),
    "the shots": ({}, {"shots": 1_001}),
    "the model": ({}, {"noise": {"model": "aria-2", "seed": 5}}),
    "the machine": ({"backend": "qpu.aria-1"}, {}),
}


@pytest.mark.parametrize("circuit", [ry(1.0), wide(11, 1)], ids=["density", "trajectories"])
@pytest.mark.parametrize("what", SETTINGS)
def test_samples_depend_on(what, circuit):
    asked = {"noise": ARIA, "shots": 1_000, "metadata": {"other": "x"}}
    where, changed = SETTINGS[what]
    assert run(circuit, **asked) == run(circuit, **asked)
    assert run(circuit, **asked) != run(circuit, **where, **asked | changed)


def test_samples_depend_on_no_other_circuit_and_not_on_the_order():
    circuits = [ry(0.3), BELL, ry(0.9), ry(2.1, 1), wide(9, 1), wide(11, 1)]
    alone = [run(circuit, noise=ARIA)[0] for circuit in circuits]
    assert run(*circuits, noise=ARIA) == alone
    assert run(*reversed(circuits), noise=ARIA) == alone[::-1]
    assert run(*circuits, noise=ARIA, name="another", metadata={"k": "v"}) == alone


def test_the_same_circuit_again_brings_other_samples_of_the_same_kind():
    found = run(*[ry(1.2)] * 200, noise=ARIA, shots=500)
    assert found == run(*[ry(1.2)] * 200, noise=ARIA, shots=500)
    assert found[:3] == run(*[ry(1.2)] * 3, noise=ARIA, shots=500)
    ones = np.array([row.get(5, 0.0) for row in found])
    p = math.sin(0.6) ** 2
    spread = math.sqrt(p * (1 - p) / 500)
    assert ones.mean() == pytest.approx(p, abs=4 * spread / math.sqrt(200) + 0.001)
    assert ones.std() == pytest.approx(spread, rel=0.2)


def test_the_angle_zero_has_no_sign():
    assert run(ry(0.0) + BELL, noise=ARIA, shots=10_000) == run(ry(-0.0) + BELL, noise=ARIA, shots=10_000)


@pytest.mark.parametrize("backend", ["simulator", "qpu.aria-1"])
def test_depolarising_mixes_every_distribution(backend):
    (found,) = run(ry(0.8), physics=Physics(depolarising=0.4), backend=backend, shots=200_000)
    expected = {state: 0.4 / 8 + 0.6 * tilted(0.8).get(state, 0.0) for state in range(8)}
    assert found == pytest.approx(expected, abs=1e-12 if backend == "simulator" else 0.006)


def test_depolarising_reaches_trajectories():
    (found,) = run(wide(11, 1), physics=Physics(depolarising=1.0), noise=ARIA, shots=20_000)
    qubit = [sum(p for state, p in found.items() if state >> q & 1) for q in range(11)]
    assert qubit == pytest.approx([0.5] * 11, abs=0.02)


def offset(found):
    """Of the angle of `ry`."""
    return 2 * math.atan2(math.sqrt(found[5]), math.sqrt(found[4]))


def test_angles_are_off_by_their_place_and_the_seed():
    physics = Physics(seed=3, angle_error=0.05)
    first, second, other = run(ry(1.0), ry(1.4), [*ry(1.0), {"gate": "h", "target": 1}], physics=physics)
    off = offset(first) - 1.0
    assert abs(off) > 1e-4
    assert offset(second) - 1.4 == pytest.approx(off, abs=1e-12)  # of another circuit of this structure
    halves = {5: other[5] + other[7], 4: other[4] + other[6]}
    assert offset(halves) - 1.0 == pytest.approx(off, abs=1e-12)  # and of another structure
    (later,) = run([*ry(1.0)[::-1]], physics=physics)
    assert abs(offset(later) - 1.0 - off) > 1e-4  # another place
    (reseeded,) = run(ry(1.0), physics=Physics(seed=4, angle_error=0.05))
    assert abs(offset(reseeded) - 1.0 - off) > 1e-4
    assert run(ry(1.0), physics=Physics(seed=3)) == run(ry(1.0))


def test_angle_errors_are_as_large_as_asked():
    turns = [{"gate": "ry", "target": q, "rotation": 1.0} for q in range(10)]
    errors = []
    for seed in range(60):
        (found,) = run(turns, physics=Physics(seed=seed, angle_error=0.02))
        ones = [sum(p for state, p in found.items() if state >> q & 1) for q in range(10)]
        errors += [2 * math.asin(math.sqrt(p)) - 1.0 for p in ones]
    assert np.std(errors) == pytest.approx(0.02, rel=0.15)
    assert abs(np.mean(errors)) < 0.003


def test_native_angles_are_off_by_as_many_radians():
    physics = Physics(seed=3, angle_error=0.05)
    turn = {"gate": "ry", "target": 0, "rotation": 0.5}
    one, two = ([turn, turn, {"gate": "x", "target": 2}][k:] for k in (1, 0))
    first = offset(run(one, physics=physics)[0]) - 0.5
    second = offset(run(two, physics=physics)[0]) - 1.0 - first
    pulses = [{"gate": "gpi2", "target": 0, "phase": phase} for phase in (0.0, 0.2)]
    (found,) = run(pulses, physics=physics, gateset="native")
    # GPi2(b) GPi2(a) |0>: p(1) = cos^2 pi (b - a), phases in turns
    assert found[1] == pytest.approx(math.cos(math.pi * 0.2 + (second - first) / 2) ** 2, abs=1e-12)
    assert abs(found[1] - math.cos(math.pi * 0.2) ** 2) > 1e-4


def test_what_cannot_be_simulated_says_so():
    with pytest.raises(ImpossibleJobError, match="22 qubits") as caught:
        run(wide(24, 1))
    assert caught.value.code == "SimulationTimeout"
    with pytest.raises(ImpossibleJobError, match="s of simulation"):
        run(wide(14, 10), noise=ARIA, shots=1_000_000)


def test_few_states_among_many_qubits_are_no_obstacle():
    ghz = [{"gate": "h", "target": 0}, *({"gate": "cnot", "control": q, "target": q + 1} for q in range(28))]
    assert run(ghz)[0] == pytest.approx({0: 0.5, 2**29 - 1: 0.5})
    (noisy,) = run(ghz, noise={"model": "forte-1"}, shots=2_000)
    intact = noisy[0] + noisy[2**29 - 1]
    # an error of a gate is unseen where it is diagonal, or one that GHZ absorbs: above (1 - r)^28
    assert (1 - 0.005) ** 28 - 0.04 < intact < 0.99
