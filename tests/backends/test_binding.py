"""Which circuits of a job are planned, with what shots, and the angles that they get."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import circuits, rows

from q_store.backends.binding import Binder, check, freed, wanted
from q_store.backends.expansion import expand
from q_store.backends.local import reference
from q_store.circuits import Circuit, Observables, PauliSum, ry, theta, z
from q_store.errors import CapabilityError, InputError
from q_store.jobs import Job, Output

TWO_BASES = Observables.of(z(0), PauliSum.of((0.5, "X", (1,))))
TURNS = Circuit.build(2, [ry(theta(0), 0), ry(theta(1), 1)])


def expansion(shots=None, rows=3, **more):
    return expand(
        Job(TURNS, params=np.arange(2.0 * rows).reshape(-1, 2), observables=TWO_BASES, shots=shots, **more), "x"
    )


def test_all_circuits_are_wanted_with_the_shots_of_their_rows():
    chosen = wanted(expansion(np.array([5, 6, 7])))
    assert chosen.numbers.tolist() == [0, 1, 2, 3, 4, 5]
    assert chosen.shots.tolist() == [5, 6, 7, 5, 6, 7]
    assert wanted(expansion()).shots is None


def test_some_circuits_have_the_shots_of_the_job_or_their_own():
    asked = expansion(np.array([5, 6, 7]))
    assert wanted(asked, [4, 0]).shots.tolist() == [6, 5]
    assert wanted(asked, [4, 0], [1, 2]).shots.tolist() == [1, 2]
    assert wanted(asked, []).numbers.tolist() == []


@pytest.mark.parametrize("numbers", [[6], [-1], [1, 1], [[0]], [0.5], [True, False]])
def test_circuits_that_there_are_not_are_refused(numbers):
    with pytest.raises(InputError, match="circuits of 0 to 5"):
        wanted(expansion(), numbers)


@pytest.mark.parametrize("shots", [[0, 1], [1], [[1, 1]], [2**31, 1], [1.0, 1.0]])
def test_shots_that_do_not_fit_are_refused(shots):
    with pytest.raises(InputError, match="each of 2 circuits"):
        wanted(expansion(10), [0, 1], shots)
    with pytest.raises(InputError, match="exact values"):
        wanted(expansion(), [0, 1], [1, 1])


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), max_size=12))
def test_groups_share_shots_and_kind_and_hold_every_place_once(items):
    shots, kinds = np.array(items, dtype=np.int64).reshape(-1, 2).T
    chosen = wanted(expansion(9, rows=6), np.arange(len(items)), shots if len(items) else None)
    groups = list(chosen.groups(kinds))
    assert sorted(np.concatenate([np.zeros(0), *(places for places, _, _ in groups)]).tolist()) == list(
        range(len(items))
    )
    for places, each, kind in groups:
        assert (shots[places] == each).all()
        assert (kinds[places] == kind).all()
    assert len({(each, kind) for _, each, kind in groups}) == len(groups)


@given(st.data())
@settings(max_examples=30)
def test_bound_circuits_measure_what_the_job_does(data):
    circuit = data.draw(circuits(max_qubits=3, prepared=True))
    values, params = data.draw(rows(circuit))
    asked = expand(Job(circuit, values, params, output=Output.PROBABILITIES), "x")
    numbers = np.array(data.draw(st.lists(st.integers(0, asked.size - 1), unique=True, min_size=1)))
    (part,) = Binder().settings(asked, wanted(asked, numbers))
    assert part.circuit.prepare is None
    bound = Job(freed(part.circuit), params=part.angles(part.circuit, part.rows), output=Output.PROBABILITIES)
    right = np.abs(reference.states(asked.job)[numbers]) ** 2
    np.testing.assert_allclose(np.abs(reference.states(bound)) ** 2, right, atol=1e-9)


def test_settings_without_a_wanted_circuit_are_left_out():
    asked = expansion()
    assert len(asked.plan.settings) == 2
    (part,) = Binder().settings(asked, wanted(asked, [5, 3]))
    assert part.setting == 1
    assert part.rows.tolist() == [2, 0]
    np.testing.assert_array_equal(part.angles(part.circuit, part.rows)[:, :2], [[4.0, 5.0], [0.0, 1.0]])
    assert list(Binder().settings(asked, wanted(asked, []))) == []


def test_what_does_not_fit_the_backend_is_refused():
    job = expansion().job
    check(job, "mine", 2, exact=True)
    with pytest.raises(CapabilityError, match="at most 1 qubits for mine, got 2"):
        check(job, "mine", 1, exact=True)
    with pytest.raises(CapabilityError, match="shots for mine"):
        check(job, "mine", 2, exact=False)
    with pytest.raises(InputError, match="finite params"):
        check(Job(TURNS, params=np.array([[1.0, np.inf]]), observables=TWO_BASES), "mine", 2, exact=True)
