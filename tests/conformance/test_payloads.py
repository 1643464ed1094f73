"""What we send, held against ionq-core's models: parsed, typed and written again, nothing is lost or left over."""

from __future__ import annotations

import itertools

import pytest
from tests.conformance.programs import CONTROLLED, EVERYWHERE, INVERSES, Program, asymmetric

from q_store.backends.ionq.wire.gates import expressible
from q_store.backends.ionq.wire.payload import JobSettings, body
from q_store.backends.ionq.wire.template import Template

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9/v0.4"
QIS = [
    asymmetric(seed, length=30, names=(*EVERYWHERE, *INVERSES), controlled=CONTROLLED, max_controls=2)
    for seed in (61, 62)
]
NATIVE = Program(
    2,
    (
        ("gpi", (0,), (0.125,), ()),
        ("gpi2", (1,), (-0.3,), ()),
        ("ms", (0, 1), (0.1, 0.7, 0.2), ()),
        ("nzz", (1, 0), (0.11,), ()),
    ),
)
SETTINGS = [
    JobSettings("simulator"),
    JobSettings("simulator", shots=100, noise="aria-1", noise_seed=12),
    JobSettings("qpu.forte-1", shots=500, debiasing=True, session="a-session"),
    JobSettings("qpu.forte-1", shots=1, dry_run=True),
]


def written(program, *, native=False):
    circuit = program.circuit if native else expressible(program.circuit)
    return Template.of(circuit, native=native).write(circuit.bind(None, []))


@pytest.mark.parametrize("settings", SETTINGS, ids=["ideal", "noisy", "qpu", "dry run"])
def test_our_payloads_fit_the_models(core, settings):
    metadata = {"fingerprint": "0123abcd", "of": "q-store"}
    each = [written(program) for program in QIS]
    lists = [each[0], list(itertools.chain(*each))]
    bodies = [body(circuits, 4, settings, "a name", metadata).decode() for circuits in lists]
    bodies.append(body(lists[1], 4, settings, "a name", metadata, names=["first", "second"]).decode())
    assert core.payloads(NOWHERE, bodies=bodies) == [[]] * 3


def test_our_native_payloads_fit_the_models(core):
    settings = JobSettings("qpu.forte-1", gateset="native", shots=100)
    gates = written(NATIVE, native=True)
    bodies = [body(gates * number, 2, settings, "a name", {}).decode() for number in (1, 2)]
    assert core.payloads(NOWHERE, bodies=bodies) == [[]] * 2


def test_the_models_see_what_is_wrong(core):
    """That the comparison can fail: a key, a type and a gate that the description does not have."""
    (gates,) = written(QIS[0])
    good = body([gates], 4, JobSettings("simulator", shots=100), "a name", {}).decode()
    bad = [good.replace('"shots":100', '"shots":"100"'), good.replace('"shots"', '"shoots"')]
    assert all(core.payloads(NOWHERE, bodies=bad))
