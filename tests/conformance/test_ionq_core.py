"""ionq-core: every kind of reply, in every state, as its strict models want it, and the rest of its interface."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conformance.conftest import Refused
from tests.conformance.programs import asymmetric, dense, depolarised, standard_errors

pytestmark = [pytest.mark.socket, pytest.mark.slow]

PROGRAM = asymmetric(2, 4)
ONE, TWO = [PROGRAM.plain], [PROGRAM.plain, asymmetric(3, 3).plain]


def test_jobs_in_every_state_fit_the_models(core, emulated):
    # one slot and a minute a circuit: the first job runs, the second waits, the third is taken back
    slow = emulated(circuit_seconds=60, results="artifact")
    jobs = [core.send(slow.url, backend="qpu.forte-1", circuits=ONE, shots=200) for _ in range(3)]
    batch = core.send(slow.url, backend="qpu.forte-1", circuits=TWO, shots=200)
    core.cancel_many(slow.url, jobs=jobs[2:])
    found = core.inspect(slow.url, jobs=[*jobs, batch])
    assert [each["problems"] for each in found] == [[]] * 4
    assert [each["status"] for each in found] == ["started", "ready", "canceled", "ready"]
    assert [each["model"] for each in found] == [*["SingleCircuitJob"] * 3, "MultiCircuitJob"]
    children = core.inspect(slow.url, jobs=found[3]["children"])
    assert [each["problems"] for each in children] == [[]] * 2
    assert {each["parent"] for each in children} == {batch}


@pytest.mark.parametrize("generation", ["artifact", "both"])
def test_finished_jobs_fit_the_models(core, emulated, generation):
    quick = emulated(results=generation)
    more = {"name": "a name", "metadata": None, "dry_run": False}
    jobs = [
        core.send(quick.url, backend="simulator", circuits=ONE),
        core.send(quick.url, backend="qpu.forte-1", circuits=TWO, name=more["name"]),
    ]
    assert [core.wait(quick.url, job=job) for job in jobs] == ["completed"] * 2
    found = core.inspect(quick.url, jobs=jobs)
    found += core.inspect(quick.url, jobs=found[1]["children"])
    # beside the descriptors the older generation sends addresses, which the models have no place for
    allowed = {"artifact": 0, "both": 1}[generation]
    assert [len(each["problems"]) for each in found] == [allowed] * 4
    assert all(".results" in problem for each in found for problem in each["problems"])
    assert all(each["results"] and None not in each["times"] for each in found)
    assert found[1]["name"] == "a name"
    gates = [len(plain["gates"]) for plain in TWO]
    assert sum(found[1]["stats"]["gate_counts"].values()) == sum(gates)
    assert [sum(each["stats"]["gate_counts"].values()) for each in found[2:]] == gates


def test_failed_jobs_fit_the_models(core, emulated):
    failing = emulated(faults="failed-job:1")
    job = core.send(failing.url, backend="qpu.forte-1", circuits=ONE)
    assert core.wait(failing.url, job=job) == "failed"
    (found,) = core.inspect(failing.url, jobs=[job])
    assert found["problems"] == []
    assert found["failure"]["code"] == "QuantumComputerError"
    assert not found["results"]


def test_a_dry_run_fits_the_models(core, emulator):
    job = core.send(emulator.url, backend="qpu.forte-1", circuits=ONE, dry_run=True)
    assert core.wait(emulator.url, job=job) == "completed"
    (found,) = core.inspect(emulator.url, jobs=[job])
    assert (found["problems"], found["results"]) == ([], False)


def test_every_other_reply_fits_the_models(core, emulator):
    jobs = [
        core.send(emulator.url, backend="simulator", circuits=ONE),
        core.send(emulator.url, backend="qpu.forte-1", circuits=TWO),
    ]
    for job in jobs:
        core.wait(emulator.url, job=job)
    found = core.services(emulator.url, qpu="qpu.forte-1", jobs=jobs)
    characterised = [found["problems"].pop(name) for name in ("characterization", "characterizations")]
    assert {name: problems for name, problems in found["problems"].items() if problems} == {}
    # seconds and standard errors are no integers, whatever the models say
    assert all(".timing" in problem or ".stderr" in problem for problems in characterised for problem in problems)
    assert found["backends"]["qpu.forte-1"]["supported_native_gates"] == ["gpi", "gpi2", "zz"]
    assert found["backends"]["qpu.aria-1"]["supported_native_gates"] == ["gpi", "gpi2", "ms"]
    assert found["backends"]["simulator"]["qubits"] == 29
    assert found["estimate"]["estimated_total_cost"] > 0
    free, paid = found["costs"]
    assert free.get("cost", {"value": 0})["value"] == 0
    assert paid["cost"]["value"] > 0


def test_pages_show_every_job_once(core, emulated):
    quiet = emulated()
    sent = [core.send(quiet.url, backend="simulator", circuits=ONE) for _ in range(7)]
    assert core.pages(quiet.url, limit=3) == sent[::-1]
    assert set(core.listed(quiet.url, jobs=sent[1:3])) == set(sent[1:3])
    for job in sent:
        core.wait(quiet.url, job=job)
    assert core.pages(quiet.url, limit=3, status="completed") == sent[::-1]
    assert core.pages(quiet.url, limit=3, status="failed") == []
    assert core.pages(quiet.url, limit=3, target="qpu.aria-1") == []


def test_jobs_are_cancelled_and_deleted_in_bulk(core, emulated):
    slow = emulated(circuit_seconds=60)
    jobs = [core.send(slow.url, backend="qpu.aria-1", circuits=ONE) for _ in range(3)]
    assert core.cancel_many(slow.url, jobs=jobs) == {"reply": jobs, "status": ["canceled"] * 3}
    assert core.delete_many(slow.url, jobs=jobs) == {
        "reply": jobs,
        "status": ["deleted"] * 2,
        "left": ["NotFoundError"] * 3,
    }


def test_a_clone_runs_again_with_other_shots(core, emulator):
    first = core.run(emulator.url, backend="qpu.aria-1", circuits=ONE, shots=300)
    copy = core.clone(emulator.url, job=first["job"], name="again", shots=2000)
    assert copy["id"] != first["job"]
    assert (copy["name"], copy["shots"]) == ("again", 2000)
    assert standard_errors(dense(copy["counts"][0], 4), depolarised(PROGRAM, 0.0005, 0.0133)) < 6


def test_a_session_admits_lists_and_ends(core, emulator):
    found = core.session(emulator.url, backend="qpu.forte-1", circuits=ONE)
    assert found["problems"] == []
    assert (found["active"], found["status"]) == ([True, False], ["created", "ended"])
    assert found["limit"] == 3
    assert found["jobs"] == [found["sent"]]
    assert found["id"] in found["all"]


def test_counts_are_whole_numbers_of_shots(core, emulator):
    (counts,) = core.run(emulator.url, backend="qpu.aria-1", circuits=ONE, shots=777)["counts"]
    np.testing.assert_allclose(list(counts.values()), np.rint(list(counts.values())), atol=1e-6)


def test_errors_become_its_own_types(core, emulator):
    with pytest.raises(Refused) as caught:
        core.inspect(emulator.url, jobs=["no-such-job"])
    assert (caught.value.kind, "no-such-job" in caught.value.text) == ("NotFoundError", True)
    with pytest.raises(Refused) as caught:
        core.run(emulator.url, backend="simulator", circuits=[{"qubits": 1, "gates": []}], shots=10)
    assert caught.value.kind == "BadRequestError"
    assert "input.circuit: expected a list of one or more" in caught.value.text


def test_calls_that_are_turned_away_are_repeated(core, emulated):
    busy = emulated(faults="429-retry-after:0.05:0", seed=5)  # it gives up after a few in turn
    found = core.run(busy.url, backend="simulator", circuits=ONE, shots=1000)
    assert standard_errors(dense(found["counts"][0], 4), PROGRAM.probabilities) < 6
