from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.ionq.wire.results import aggregate, distribution, result_paths
from q_store.errors import BackendError

JOB = "617a1f8b-59d4-435d-aa33-695433d7155e"
PATH = f"/jobs/{JOB}/results/probabilities"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"0": 0.5, "3": 0.5}, {0: 0.5, 3: 0.5}),
        ({"1": 1}, {1: 1.0}),
        ({"0": 0, "2": 1, "3": 0.0}, {2: 1.0}),
        ({"probabilities": {"registers": {"output_all": {"01": 0.25, "10": 0.75}}}}, {1: 0.25, 2: 0.75}),
        ({"probabilities": {"registers": {"meas": {"110": 1}}}}, {6: 1.0}),
        ({"probabilities": {"registers": {"a": {"0": 1}, "output_all": {"011": 1}}}}, {3: 1.0}),
        ({"1000000000000000000": 1}, {10**18: 1.0}),
    ],
)
def test_both_generations_are_read(body, expected):
    assert distribution(body) == expected


def test_sums_off_by_a_millionth_are_made_one():
    read = distribution({"0": 0.5, "1": 0.499999})
    assert math.fsum(read.values()) == pytest.approx(1, abs=1e-15)
    assert read[0] / read[1] == pytest.approx(0.5 / 0.499999)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "0",
        {},
        {"0": 0.5},
        {"0": 0.5, "1": 0.51},
        {"0": "1"},
        {"0": True},
        {"0": None},
        {"0": math.nan},
        {"0": math.inf},
        {"0": -0.5, "1": 1.5},
        {"-1": 1},
        {"00": 1},
        {"0x1": 1},
        {"١": 1},
        {"9" * 30: 1},
        {"0": 10**400},
        {"00": 0.5, "11": 0.5},
        {"probabilities": {}},
        {"probabilities": {"registers": []}},
        {"probabilities": {"registers": {"a": {"0": 1}, "b": {"0": 1}}}},
        {"probabilities": {"registers": {"output_all": [1]}}},
        {"probabilities": {"registers": {"output_all": {"2": 1}}}},
        {"probabilities": {"registers": {"output_all": {"0": 0.5, "00": 0.5}}}},
        {"probabilities": {"url": "/v0.4/jobs/x"}},
    ],
)
def test_anything_else_is_an_error_that_shows_it(body):
    with pytest.raises(BackendError, match="expected probabilities of measured states"):
        distribution(body)


def test_a_state_of_more_qubits_than_the_circuit_has_is_an_error():
    assert distribution({"3": 1}, 2) == {3: 1.0}
    with pytest.raises(BackendError, match="2 qubits"):
        distribution({"4": 1}, 2)


keys = st.one_of(st.text("01239", max_size=3), st.sampled_from(["probabilities", "registers"]))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text("0123.-eab", max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text("01239", max_size=3), st.sampled_from(["probabilities", "registers"])), inner
        ),
    ),
)


@given(json_values)
def test_garbage_is_refused_with_one_kind_of_error(body):
    for read in (distribution, lambda b: aggregate(b, None), lambda b: aggregate(b, ["0", "1"])):
        try:
            found = read(body)
        except BackendError:
            continue
        for each in [found] if isinstance(found, dict) else found:
            assert each is None or math.fsum(each.values()) == pytest.approx(1)


@given(json_values)
def test_paths_of_garbage_end_with_the_fixed_one(results):
    assert result_paths({"id": JOB, "type": "ionq.circuit.v1", "results": results})[-1] == PATH


@given(st.permutations(range(6)))
def test_an_aggregate_is_read_in_the_order_of_the_children(order):
    children = [f"child-{k}" for k in range(6)]
    body = {children[k]: {str(k): 1} for k in order}
    assert aggregate(json.loads(json.dumps(body)), children) == [{k: 1.0} for k in range(6)]


def test_without_child_ids_the_order_of_the_keys_counts():
    assert aggregate({"b": {"1": 1}, "a": {"0": 1}}, None) == [{1: 1.0}, {0: 1.0}]


@pytest.mark.parametrize("gap", ["absent", None, {}])
def test_a_child_without_a_result_is_missing_and_the_others_are_read(gap):
    body = {"a": {"0": 1}, "b": gap, "c": {"probabilities": {"registers": {"output_all": {"1": 1}}}}}
    if gap == "absent":
        del body["b"]
    assert aggregate(body, ["a", "b", "c"]) == [{0: 1.0}, None, {1: 1.0}]


def test_a_result_that_is_no_child_is_an_error():
    with pytest.raises(BackendError, match="2 circuits of this job, got one of 'z'"):
        aggregate({"a": {"0": 1}, "z": {"0": 1}}, ["a", "b"])


def test_a_damaged_child_is_an_error():
    with pytest.raises(BackendError, match="expected probabilities"):
        aggregate({"a": {"0": 1}, "b": {"0": 0.3}}, ["a", "b"])


def test_many_states_are_read():
    weights = np.random.default_rng(0).dirichlet(np.ones(1 << 12))
    read = distribution({str(k): w for k, w in enumerate(weights.tolist())}, 12)
    np.testing.assert_allclose([read[k] for k in range(1 << 12)], weights, atol=1e-15)


URL = {"probabilities": {"url": f"/v0.4{PATH}"}}
ARTIFACT = {"ionq.result.probabilities.json.v1": {"id": "probabilities", "format": "x", "media_type": "y"}}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (None, [PATH]),
        ({}, [PATH]),
        (URL, [PATH]),
        (ARTIFACT, [f"/jobs/{JOB}/artifacts/probabilities", PATH]),
        (URL | ARTIFACT, [PATH, f"/jobs/{JOB}/artifacts/probabilities"]),
        ({"probabilities": {"url": f"{PATH}?sharpen=false"}}, [f"{PATH}?sharpen=false", PATH]),
        ({"probabilities": {"url": f"https://api.example.org/v0.4/jobs/{JOB}/other"}}, [f"/jobs/{JOB}/other", PATH]),
        ({"probabilities": {"url": "https://example.org/steal"}}, [PATH]),
        ({"probabilities": {"url": "/v0.4/jobs/../whoami"}}, [PATH]),
        ({"probabilities": {"url": "http://[broken"}}, [PATH]),
        ({"ionq.result.probabilities.json.v2": {"id": "a/b?c"}}, [f"/jobs/{JOB}/artifacts/a%2Fb%3Fc", PATH]),
    ],
)
def test_where_results_of_one_circuit_are(results, expected):
    assert result_paths({"id": JOB, "type": "ionq.circuit.v1", "results": results, "child_job_ids": None}) == expected


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (None, [f"{PATH}/aggregated"]),
        ({"probabilities": {"url": f"/v0.4{PATH}/aggregated"}}, [f"{PATH}/aggregated"]),
        (
            {"ionq.result.probabilities-aggregate.json.v1": {"id": "probabilities-aggregate"}},
            [f"/jobs/{JOB}/artifacts/probabilities-aggregate", f"{PATH}/aggregated"],
        ),
    ],
)
def test_where_results_of_many_circuits_are(results, expected):
    multi = {"id": JOB, "type": "ionq.multi-circuit.v1", "results": results}
    assert result_paths(multi) == expected
    assert result_paths(multi | {"type": "unknown", "child_job_ids": ["a"]}) == expected
