"""The calls beside jobs, against the emulator."""

from __future__ import annotations

import pytest
from tests.backends.ionq.scripted import KEY, URL, job

from q_store.backends.ionq.client import IonQBackend
from q_store.backends.ionq.settings import IonQSettings
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.errors import AuthenticationError, ConfigError


def ask(use, keys=None, **options):
    """What `use(backend)` comes to."""
    far = IonQBackend(IonQSettings(key=KEY, url=URL, **options), Emulator(keys=keys).transport())

    async def go():
        try:
            return await use(far)
        finally:
            await far.aclose()

    return run_virtual(go())


def test_backends_are_listed_and_described():
    async def use(far):
        every = await far.service.backends()
        return every, await far.service.backend("qpu.forte-1"), await far.service.characterisation("qpu.forte-1")

    every, forte, characterisation = ask(use)
    assert {"simulator", "qpu.forte-1"} <= {each["backend"] for each in every}
    assert "zz" in forte["supported_native_gates"]
    assert characterisation["qubits"] == forte["qubits"]


def test_an_unknown_backend_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"did you mean 'qpu\.forte-1'"):
        ask(lambda far: far.service.backend("qpu.fort-1"))


def test_a_wrong_key_is_said():
    with pytest.raises(AuthenticationError, match="IONQ_API_KEY"):
        ask(lambda far: far.service.whoami(), keys=["another"])
    with pytest.raises(AuthenticationError, match="IONQ_API_KEY"):
        ask(lambda far: far.run_async([job(3)]), keys=["another"])


def test_prices_and_times_are_estimated():
    gates = {"qubits": 4, "one_qubit": 20, "two_qubit": 10, "shots": 1000}
    paid = ask(lambda far: far.service.estimate("qpu.forte-1", **gates))
    free = ask(lambda far: far.service.estimate("simulator", **gates))
    assert paid.cost > 0
    assert paid.unit
    assert paid.execution >= 0
    assert free.cost == 0


def test_jobs_and_costs_can_be_looked_at():
    async def use(far):
        await far.run_async([job(3, shots=100)])
        jobs = await far.service.jobs(limit=50)
        (parent,) = [known for known in jobs if known.parent is None]
        return jobs, await far.service.job(parent.id), await far.service.cost(parent.id), await far.service.whoami()

    jobs, parent, cost, me = ask(use, backend="qpu.forte-1")
    assert len(jobs) == 4
    assert len(parent.children) == 3
    assert parent.fingerprint
    assert cost.value > 0
    assert me["key_id"]


def test_sessions_begin_hold_jobs_and_end():
    async def use(far):
        session = await far.service.create_session("qpu.forte-1", {"job_count_limit": 5})
        settings = far.settings.model_copy(update={"session": session["id"]})
        inside = IonQBackend(settings, far._transport)
        (outcome,) = await inside.run_async([job(2, shots=100)])
        jobs = await far.service.jobs()
        ended = await far.service.end_session(session["id"])
        await inside.aclose()
        return session, outcome, jobs, ended, await far.service.sessions(), await far.service.session(session["id"])

    session, outcome, jobs, ended, active, again = ask(use, backend="qpu.forte-1")
    assert outcome.complete
    assert jobs[0].body["session_id"] == session["id"]
    assert ended["id"] == again["id"] == session["id"]
    assert not any(each["id"] == session["id"] for each in active)
