"""Slices: every circuit once, within the limits, with the right shots and seeds, prepared once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backends.ionq.scripted import KEY, job

from q_store.backends import binding
from q_store.backends.ionq.client.plan import Planner
from q_store.backends.ionq.client.send import content
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.local import LocalBackend
from q_store.circuits import Circuit, Marginal, Observables, PauliSum, cnot, op, prepare, rx, ry, rz, theta, z
from q_store.circuits.native import Family
from q_store.errors import CapabilityError, CircuitError, InputError
from q_store.jobs import Job, Output

PREPARED = Circuit.build(2, [prepare(2), ry(theta(0), 0), cnot(0, 1), rz(theta(1), 1)])
MEASURED = Observables.of(z(0), PauliSum.of((0.5, "XX", (0, 1))), Marginal((1, 0)))
RNG = np.random.default_rng(0)
ENGINE = LocalBackend(precision="float64")


def planner(**options):
    return Planner(IonQSettings(key=KEY, **options), "a service")


def prepared(rows=4, **more):
    data = RNG.normal(size=(rows, 4))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    return Job(PREPARED, data, RNG.normal(size=(2, 2)), MEASURED, **more)


@given(st.integers(1, 90), st.integers(1, 30), st.integers(1, 40), st.booleans())
@settings(max_examples=40)
def test_every_circuit_is_in_one_slice(rows, parallel, smallest, paid):
    options = {"backend": "qpu.forte-1"} if paid else {}
    planned = planner(parallel=parallel, smallest=smallest, **options).plan(job(rows, shots=10 if paid else None))
    numbers = np.concatenate([part.numbers for part in planned.slices])
    assert sorted(numbers.tolist()) == list(range(planned.expansion.size))
    assert len(planned.slices) == (1 if paid else max(1, min(parallel, rows // smallest)))
    assert max(part.size for part in planned.slices) - min(part.size for part in planned.slices) <= 1
    assert len({part.fingerprint for part in planned.slices}) == len(planned.slices)
    for part in planned.slices:
        np.testing.assert_allclose(part.angles[:, 0], 0.1 * part.numbers)


def test_paid_jobs_are_as_full_as_the_limits_allow():
    long = Circuit.build(1, [ry(theta(0), 0)] * 100)
    wide = Job(long, params=np.zeros((3500, 1)), observables=Observables.local_z(1), shots=10)
    slices = planner(backend="qpu.forte-1").plan(wide).slices
    assert [part.size for part in slices] == [1500, 1500, 500]
    assert max(len(content(part, IonQSettings(key=KEY, backend="qpu.forte-1"))) for part in slices) < 10_000_000


@pytest.mark.parametrize("gateset", ["qis", "native"])
@pytest.mark.parametrize("output", [Output.EXPECTATION, Output.SHIFTED])
def test_slices_have_the_distributions_of_the_circuits(gateset, output):
    asked = prepared(output=output)
    planned = planner(gateset=gateset, smallest=3).plan(asked)
    groups = len(planned.expansion.plan.settings)
    assert groups == 2
    inner = planned.expansion.inner
    for part in planned.slices:
        angles = Circuit(2, part.angles.shape[1], 0, tuple(_freed(part.circuit)))
        found = ENGINE.run(Job(angles, params=part.angles, output=Output.PROBABILITIES)).values
        if part.flips is not None:
            states = np.arange(4)[None] ^ part.flips[:, None]
            found = np.take_along_axis(found, states, axis=1)
        for k, number in enumerate(part.numbers.tolist()):
            g, row = divmod(number, inner.rows)
            pair = inner.row_pairs()[[row]]
            right = Job(
                planned.expansion.plan.settings[g].circuit,
                inner.data,
                inner.params,
                output=Output.PROBABILITIES,
                pairs=pair,
            )
            np.testing.assert_allclose(found[k], ENGINE.run(right).values[0], atol=1e-9)


def _freed(circuit):
    """The operations with angle i as parameter i."""
    i = 0
    for each in circuit.ops:
        yield op(
            each.gate, *each.qubits, angles=[theta(i + k) for k in range(len(each.angles))], controls=each.controls
        )
        i += len(each.angles)


def test_a_data_set_is_prepared_once(monkeypatch):
    calls = []
    lower = binding.encoders.lower
    monkeypatch.setattr(binding.encoders, "lower", lambda *args: calls.append(1) or lower(*args))
    mine, asked = planner(), prepared()
    mine.plan(asked)
    mine.plan(Job(PREPARED, asked.data.copy(), np.zeros((1, 2)), MEASURED))
    assert len(calls) == 2  # one for each measured setting
    mine.plan(Job(PREPARED, asked.data[::-1].copy(), np.zeros((1, 2)), MEASURED))
    assert len(calls) == 4


def test_shots_split_a_job():
    shots = np.array([100, 500, 100, 500, 100])
    slices = planner(noise="aria-1").plan(job(5, shots=shots)).slices
    assert {part.shots: part.numbers.tolist() for part in slices} == {100: [0, 2, 4], 500: [1, 3]}


def test_equal_circuits_get_seeds_of_their_own_and_others_do_not():
    repeated = Job(
        Circuit.build(1, [ry(theta(0), 0)]),
        params=np.array([[1.0], [2.0], [1.0]]),
        shots=10,
        seed=4,
        observables=Observables.local_z(1),
    )
    slices = planner(noise="aria-1").plan(repeated).slices
    assert [part.numbers.tolist() for part in slices] == [[0, 1], [2]]
    assert slices[0].seed != slices[1].seed
    again = planner(noise="aria-1").plan(repeated).slices
    assert [part.seed for part in again] == [part.seed for part in slices]
    other = planner(noise="aria-1").plan(
        Job(repeated.circuit, None, repeated.params, repeated.observables, shots=10, seed=5)
    )
    assert other.slices[0].seed != slices[0].seed
    assert all(1 <= part.seed < 2**31 for part in slices)
    assert len(planner(backend="qpu.forte-1").plan(repeated).slices) == 1


def sent(asked, **options):
    mine = IonQSettings(key=KEY, **options)
    (part,) = Planner(mine, "a service").plan(asked).slices
    return json.loads(content(part, mine))


def test_what_is_sent_says_everything():
    body = sent(job(2, shots=700), backend="qpu.forte-1", debiasing=True, gateset="native", session="s-1")
    assert body["backend"] == "qpu.forte-1"
    assert body["shots"] == 700
    assert body["settings"]["error_mitigation"]["debiasing"] is True
    assert body["input"]["gateset"] == "native"
    assert body["session_id"] == "s-1"
    assert "noise" not in body
    noisy = sent(job(2, shots=700, seed=9), noise="forte-1")
    assert noisy["noise"]["model"] == "forte-1"
    assert 1 <= noisy["noise"]["seed"] < 2**31
    assert noisy["settings"]["error_mitigation"]["debiasing"] is False
    assert KEY not in json.dumps([body, noisy])


@pytest.mark.parametrize(
    ("options", "family"),
    [
        ({}, Family.MS),
        ({"noise": "aria-1"}, Family.MS),
        ({"noise": "forte-1"}, Family.ZZ),
        ({"backend": "qpu.aria-1"}, Family.MS),
        ({"backend": "qpu.forte-enterprise-1"}, Family.ZZ),
    ],
)
def test_the_entangler_is_that_of_the_target(options, family):
    mine = planner(gateset="native", **options)
    (part,) = mine.plan(
        Job(Circuit.build(2, [rx(0.3, 0), cnot(0, 1)]), observables=Observables.local_z(2), shots=9)
    ).slices
    names = {each.gate for each in part.circuit.ops}
    assert ("ms" in names) == (family is Family.MS)
    assert ("nzz" in names) == (family is Family.ZZ)


def test_what_measurement_cannot_see_is_not_sent_empty():
    (part,) = (
        planner(gateset="native").plan(Job(Circuit.build(1, [rz(0.3, 0)]), observables=Observables.local_z(1))).slices
    )
    assert [each.gate for each in part.circuit.ops] == ["gpi", "gpi"]


NAN = np.array([[0.1], [np.nan]])


@pytest.mark.parametrize(
    ("options", "asked", "error", "said"),
    [
        ({}, Job(Circuit.build(30, [rx(0.1, 0)]), observables=Observables.local_z(1)), CapabilityError, "29 qubits"),
        ({"noise": "aria-1"}, job(1), CapabilityError, "shots"),
        ({"backend": "qpu.forte-1"}, job(1, shots=1_000_001), InputError, "1000000"),
        ({"backend": "qpu.forte-1", "debiasing": True}, job(1, shots=499), InputError, "500"),
        ({}, Job(Circuit.build(1, []), observables=Observables.local_z(1)), CircuitError, "empty"),
        ({}, Job(job().circuit, params=NAN, observables=Observables.local_z(1)), InputError, "finite params"),
        ({}, Job(PREPARED, np.ones((1, 4)), np.zeros((1, 2)), Observables.local_z(2)), InputError, "unit norm"),
        ({}, job(1, output=Output.STATE), CapabilityError, "local backend"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_sent(options, asked, error, said):
    with pytest.raises(error, match=said):
        planner(**options).plan(asked)


OPTIONS = [{"smallest": 3}, {"noise": "aria-1"}, {"backend": "qpu.forte-1", "gateset": "native"}]


@pytest.mark.parametrize("options", OPTIONS)
@given(st.data())
@settings(max_examples=15)
def test_some_circuits_are_planned_as_they_are_among_all(options, data):
    mine, asked = planner(**options), prepared(shots=600, seed=8)
    every = by_number(mine.plan(asked).slices)
    size = len(every)
    numbers = np.array(data.draw(st.lists(st.integers(0, size - 1), unique=True)), dtype=int)
    shots = np.array(
        data.draw(st.lists(st.sampled_from([200, 300]), min_size=len(numbers), max_size=len(numbers))), int
    )
    slices = mine.plan(asked, numbers, shots).slices
    found = by_number(slices)
    assert sorted(found) == sorted(numbers.tolist())
    for number, each in zip(numbers.tolist(), shots.tolist(), strict=True):
        part, angles, flips = found[number]
        assert part.shots == (None if mine.settings.is_exact else each)
        assert part.circuit.digest == every[number][0].circuit.digest
        assert (part.seed, flips) == (every[number][0].seed, every[number][2])
        np.testing.assert_allclose(angles, every[number][1], atol=1e-12)


def by_number(slices):
    """(slice, angles, flips) of each circuit."""
    return {
        number: (part, part.angles[k], None if part.flips is None else int(part.flips[k]))
        for part in slices
        for k, number in enumerate(part.numbers.tolist())
    }


def test_a_repetition_keeps_its_seed_when_it_is_planned_alone():
    repeated = Job(
        Circuit.build(1, [ry(theta(0), 0)]), params=np.ones((3, 1)), shots=10, observables=Observables.local_z(1)
    )
    mine = planner(noise="aria-1")
    alone = [mine.plan(repeated, np.array([k])).slices[0].seed for k in range(3)]
    assert alone == [part.seed for part in mine.plan(repeated).slices]
    assert len(set(alone)) == 3


def test_shots_in_place_of_the_jobs_keep_to_the_limits_of_the_service():
    mine = planner(backend="qpu.forte-1", debiasing=True)
    asked = job(3, shots=1_000)
    for shots, said in [(499, "500 shots"), (1_000_001, "1000000")]:
        with pytest.raises(InputError, match=said):
            mine.plan(asked, np.array([1]), np.array([shots]))
