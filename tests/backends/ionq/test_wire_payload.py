from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.backends.ionq.wire.limits import MAX_BYTES, MAX_CIRCUITS, MAX_GATES, Limits
from q_store.backends.ionq.wire.payload import HEAD_BYTES, WRAPPER_BYTES, JobSettings, body, pack
from q_store.backends.ionq.wire.template import Template
from q_store.circuits import Circuit, cnot, ry, theta
from q_store.errors import CapabilityError

LIMITS = Limits(circuits=7, gates=60, bytes=HEAD_BYTES + 2_000)


def fits(part, gates, lengths, limits):
    size = sum(lengths[k] + WRAPPER_BYTES for k in part)
    return len(part) <= limits.circuits and len(part) * gates <= limits.gates and size <= limits.bytes - HEAD_BYTES


@given(st.integers(0, 60), st.lists(st.integers(2, 1_900), max_size=40))
def test_packs_hold_every_circuit_once_in_order_within_the_limits(gates, lengths):
    parts = pack(gates, lengths, LIMITS)
    assert [k for part in parts for k in part] == list(range(len(lengths)))
    assert all(len(part) and fits(part, gates, lengths, LIMITS) for part in parts)
    for part, following in pairwise(parts):
        more = range(part.start, following.start + 1)
        assert not fits(more, gates, lengths, LIMITS), "one more circuit would have fitted"


def test_the_limits_of_the_service():
    assert [len(part) for part in pack(1, [10] * (MAX_CIRCUITS + 1))] == [MAX_CIRCUITS, 1]
    assert [len(part) for part in pack(179, [8_000] * 900)] == [MAX_GATES // 179, 900 - MAX_GATES // 179]
    assert len(pack(1, [4_900_000, 4_900_000])) == 1
    assert len(pack(1, [4_950_000, 4_950_000])) == 2


@pytest.mark.parametrize(("gates", "length"), [(MAX_GATES + 1, 10), (1, MAX_BYTES)])
def test_a_circuit_that_fits_into_no_job_is_refused(gates, length):
    with pytest.raises(CapabilityError, match="fewer layers or qubits"):
        pack(gates, [length])


def test_packed_circuits_with_names_and_metadata_stay_below_the_limit():
    circuit = b'[{"gate":"pauliexp","note":"%s"}]' % (b"x" * 100_000)
    [first, *_] = pack(1, [len(circuit)] * 200)
    names = [f"{k:040d}" for k in first]
    metadata = {"header": "m" * 60_000}
    assert len(body([circuit] * len(first), 2, JobSettings("simulator"), "n", metadata, names=names)) <= MAX_BYTES


CIRCUIT = Circuit.build(2, [ry(theta(0), 0), cnot(0, 1)])
TEXTS = Template.of(CIRCUIT).write([[0.25], [-1.5]])


def test_one_circuit_is_a_circuit_job():
    text = body(TEXTS[:1], 2, JobSettings("simulator"), "one", {"run": "7"})
    assert text == (
        b'{"type":"ionq.circuit.v1","backend":"simulator","name":"one","metadata":{"run":"7"},'
        b'"settings":{"error_mitigation":{"debiasing":false}},'
        b'"input":{"gateset":"qis","qubits":2,"circuit":[{"gate":"ry","targets":[0],"rotation":0.25},'
        b'{"gate":"cnot","control":0,"target":1}]}}'
    )


def test_more_circuits_are_a_multi_circuit_job():
    settings = JobSettings(
        "simulator", shots=500, noise="aria-1", noise_seed=3, debiasing=True, session="s", dry_run=True
    )
    assert json.loads(body(TEXTS, 2, settings, 'two "named"', {}, names=["a", "b"])) == {
        "type": "ionq.multi-circuit.v1",
        "backend": "simulator",
        "name": 'two "named"',
        "metadata": {},
        "shots": 500,
        "session_id": "s",
        "dry_run": True,
        "noise": {"model": "aria-1", "seed": 3},
        "settings": {"error_mitigation": {"debiasing": True}},
        "input": {
            "gateset": "qis",
            "qubits": 2,
            "circuits": [
                {"name": "a", "circuit": json.loads(TEXTS[0])},
                {"name": "b", "circuit": json.loads(TEXTS[1])},
            ],
        },
    }


def test_debiasing_is_always_said():
    for circuits in (TEXTS, TEXTS[:1]):
        for debiasing in (True, False):
            sent = json.loads(body(circuits, 2, JobSettings("qpu.forte-1", debiasing=debiasing), "n", {}))
            assert sent["settings"] == {"error_mitigation": {"debiasing": debiasing}}


def test_a_body_above_the_limit_is_refused():
    with pytest.raises(CapabilityError, match="at most 10000000 bytes"):
        body([b"[%s]" % (b" " * MAX_BYTES)], 1, JobSettings("simulator"), "n", {})
