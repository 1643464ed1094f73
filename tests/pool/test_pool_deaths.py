"""Members that die while somebody looks: what is told of it, when, and who gets their circuits. In virtual time."""

import asyncio

import httpx
import numpy as np
import pytest
from tests.pool.pools import Site, epoch, opened, sweep
from tests.pool.test_pool_lives import Watched

from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.errors import PausedError, ThrottledError, UnreachableError
from q_store.events import moment
from q_store.jobs import Status
from q_store.pool.contact import FAILING, SILENCE, SLOW, Contact
from q_store.pool.pool import Pool
from q_store.pool.settings import PoolSettings

AT = 8.0
"""When something happens."""
LONG = {"circuit_seconds": 2.0, "member": {"max_slice": 4}}
"""Jobs that are on their way at any time."""


def told(sites, happens, *, rows=60, shots=None, patience=900.0, **more):
    """What is told of a job while something happens at `AT`; the events by seconds since then, and the outcome."""
    heard, started = Watched(), []
    epoch()

    async def go():
        asyncio.get_running_loop().call_later(AT, lambda: (started.append(moment()), happens()))
        members = [site.member for site in sites]
        async with Pool(members, opened(), sinks=[heard], patience=patience, **more) as pool:
            try:
                (outcome,) = await pool.run_async([sweep(rows, shots=shots)])
            except PausedError as error:
                outcome = error
            return outcome, asyncio.get_running_loop().time()

    outcome, _ = run_virtual(go())
    events = [(entry.time - started[0], entry.kind, entry.values) for entry in heard]
    return events, outcome


def three(**more):
    return [Site(name, rtt=0.05, **{**LONG, **more}) for name in ("a", "b", "c")]


def moved_soon(events):
    """Whether circuits that moved were answered long before a member that is dead would be given up."""
    return max(at for at, kind, _ in events if kind == "CircuitsDone") < 120


def healths(events, member):
    """(seconds, health, reason) where it changed."""
    out = []
    for at, kind, values in events:
        own = kind == "MemberChanged" and at >= 0 and values["member"] == member
        if own and (not out or out[-1][1] != values["health"]):
            out.append((at, values["health"], values["reason"]))
    return out


def decisions(events, what):
    return [(at, values) for at, kind, values in events if kind == "Decided" and at >= 0 and values["what"] == what]


def on_their_way(events, member):
    """Circuits that it had at second 0."""
    built = {values["slice"]: values for at, kind, values in events if kind == "JobBuilt" and at < 0}
    for ended in [values["slice"] for at, kind, values in events if kind == "JobEnded" and at < 0]:
        del built[ended]
    return sum(values["circuits"] for values in built.values() if values["member"] == member)


def cut(site):
    """Nobody listens any more."""
    return lambda: setattr(site.line, "dead", True)


def answered_by(outcome):
    return set(outcome.source if isinstance(outcome.source, tuple) else (outcome.source,))


@pytest.mark.parametrize("hedge", [True, False])
def test_a_death_is_told_at_the_next_try_and_free_circuits_move_within_a_second(hedge):
    sites = three()
    events, outcome = told(sites, cut(sites[1]), settings=PoolSettings(hedge=hedge))
    (at, first, reason), (then, second, _) = [each for each in healths(events, "b") if each[1] != "working"][:2]
    assert (first, second) == ("failing", "paused")
    assert at < 1.1  # a look a second, at least
    assert "connection refused" in reason
    assert FAILING - 0.1 < then - at < FAILING + 0.5  # an answer may be on its way
    assert decisions(events, "breaker opened")[0][0] == pytest.approx(then)
    moved = decisions(events, "moved")
    assert moved[0][0] < 10  # with the first free place of others, whatever waits
    assert {values["member"] for _, values in moved} == {"b"}
    assert {values["to"] for _, values in moved} <= {"a", "c"}
    assert sum(values["circuits"] for _, values in moved) == on_their_way(events, "b") > 4
    assert all("connection refused" in values["reason"] for _, values in moved)
    assert moved_soon(events)
    assert outcome.complete


def test_old_jobs_are_looked_at_every_second():
    """Else nobody would hear for five seconds that the service is gone."""
    sites = three(circuit_seconds=100.0)
    events, _ = told(sites, lambda: asyncio.get_running_loop().call_later(80, cut(sites[1])), rows=9)
    assert next(at for at, health, _ in healths(events, "b") if health == "failing") < 81.1


def test_a_lost_packet_bars_nobody():
    """One try fails, the next one is answered: nothing moves, and the member goes on working."""
    sites = three()
    carry = sites[1].line.handle_async_request
    lost = []

    async def loses(request):
        if not lost and len(went):
            lost.append(moment())
            raise httpx.ReadError("lost", request=request)
        return await carry(request)

    went = []
    sites[1].line.handle_async_request = loses
    events, outcome = told(sites, lambda: went.append(1))
    assert [health for _, health, _ in healths(events, "b")][:2] == ["failing", "working"]
    assert not decisions(events, "breaker opened")
    assert not decisions(events, "moved")
    assert outcome.complete
    assert "b" in answered_by(outcome)


def test_a_member_whose_calls_fail_now_and_then_is_told_of_once_a_second():
    """Every third try fails, for good: it works on, and is no flood of events."""
    sites = three()
    carry, tries = sites[1].line.handle_async_request, []

    async def loses(request):
        tries.append(1)
        if len(tries) % 3 == 0 and request.method == "GET":
            raise httpx.ReadError("lost", request=request)
        return await carry(request)

    sites[1].line.handle_async_request = loses
    events, outcome = told(sites, lambda: None, rows=90)
    changes = [at for at, _, _ in healths(events, "b")]
    assert len(changes) > 10
    assert len(changes) <= 2 + 2 * changes[-1]
    assert not decisions(events, "breaker opened")
    assert outcome.complete
    assert "b" in answered_by(outcome)


def test_a_member_that_hangs_is_slow_after_three_seconds_and_lost_after_ten():
    sites = three()

    async def never(_request):
        await asyncio.sleep(1e6)

    events, outcome = told(sites, lambda: setattr(sites[1].line, "handle_async_request", never))
    found = {health: (at, reason) for at, health, reason in reversed(healths(events, "b"))}
    assert SLOW - 0.1 < found["failing"][0] < SLOW + 1.2  # a look a second, at least
    assert "slow to answer" in found["failing"][1]
    assert SILENCE - 0.1 < found["paused"][0] < SILENCE + 1.2
    assert decisions(events, "moved")
    assert outcome.complete


def test_throttling_is_no_failure():
    sites = three()
    events, outcome = told(sites, lambda: setattr(sites[1].line, "status", 429), rows=40)
    assert "failing" not in [health for _, health, _ in healths(events, "b")]
    assert outcome.complete


@pytest.mark.parametrize("lost", ["wait", "buy"])
def test_a_paid_member_that_dies_is_failing_at_once_and_keeps_what_it_has(lost):
    sites = three(backend="qpu.aria-1", circuit_seconds=2.0)
    settings = PoolSettings(lost=lost, lost_after=30.0)
    events, outcome = told(sites, cut(sites[1]), shots=100, settings=settings)
    found = {health: at for at, health, _ in reversed(healths(events, "b"))}
    assert found["failing"] < 1.5
    assert 5 < found["paused"] <= 12
    moved = [at for at, values in decisions(events, "moved") if values["member"] == "b"]
    assert len(moved) == 0 if lost == "wait" else min(moved) >= 30
    assert (Status.UNCERTAIN in outcome.status.values()) == (lost == "wait")
    charged = sum(site.ledger["charged_circuits"] for site in sites[::2])
    assert charged == 60 - len(outcome.status) - sum(source == "b" for source in outcome.source)


@pytest.mark.parametrize("stage", ["POST", "GET /jobs", "results"])
def test_killed_at_any_stage_of_a_job(stage):
    """While it sends, while it polls, while it downloads: told at once, and all circuits are answered once."""
    sites = three()
    carry, line = sites[1].line.handle_async_request, sites[1].line

    async def dies(request):
        name = f"{request.method} {request.url.path}"
        if ready and (stage in name if stage != "GET /jobs" else request.method == "GET" and "results" not in name):
            line.dead = True
        return await carry(request)

    ready = []
    line.handle_async_request = dies
    events, outcome = told(sites, lambda: ready.append(1))
    found = {health: at for at, health, _ in reversed(healths(events, "b"))}
    assert FAILING - 0.1 < found["paused"] - found["failing"] < FAILING + 0.5  # an answer may be on its way
    assert decisions(events, "moved")
    assert outcome.complete
    np.testing.assert_array_equal(np.isfinite(outcome.values), True)
    assert moved_soon(events)


def test_a_member_that_comes_back_works_again():
    sites = three()

    def blinks():
        sites[1].line.dead = True
        asyncio.get_running_loop().call_later(3, setattr, sites[1].line, "dead", False)

    events, outcome = told(sites, blinks, rows=90)
    seen = [health for _, health, _ in healths(events, "b")]
    assert [health for health in seen if health != "probing"][-3:] == ["paused", "on trial", "working"]
    closed = decisions(events, "breaker closed")
    assert [values["member"] for _, values in closed] == ["b"]
    assert closed[0][0] < 30
    assert outcome.complete
    assert "b" in answered_by(outcome)


def test_what_was_being_sent_when_a_service_went_is_sent_again_when_it_is_back():
    """Whether it arrived is looked up for two minutes, for which its places would be taken."""
    sites = three()[:1]
    carry = sites[0].line.handle_async_request

    async def dies(request):
        if ready and request.method == "POST" and not sites[0].line.dead:
            ready.pop()
            sites[0].line.dead = True
            asyncio.get_running_loop().call_later(3, setattr, sites[0].line, "dead", False)
            raise httpx.ReadError("reset", request=request)
        return await carry(request)

    ready = []
    sites[0].line.handle_async_request = dies
    events, outcome = told(sites, lambda: ready.append(1), rows=30)
    assert outcome.complete
    assert max(at for at, kind, _ in events if kind == "CircuitsDone") < 100


def restarts(site, seconds):
    """Dead now, and back after so many seconds as a service that knows no job of before."""

    def begins():
        site.line.inner = Emulator(seed=2, rtt=0.05, circuit_seconds=2.0).transport()
        site.line.dead = False

    def dies():
        site.line.dead = True
        asyncio.get_running_loop().call_later(seconds, begins)

    return dies


@pytest.mark.parametrize("others", [0, 2])
def test_a_service_that_has_forgotten_its_jobs_gets_them_again_or_others_do(others):
    sites = three()[: 1 + others]
    events, outcome = told(sites, restarts(sites[0], 3.0), rows=30)
    assert outcome.complete
    assert max(at for at, kind, _ in events if kind == "CircuitsDone") < 90
    back = [at for at, values in decisions(events, "breaker closed") if values["member"] == "a"]
    assert len(back) == 1
    assert back[0] < 30
    assert len(decisions(events, "breaker opened")) == 1


def test_what_a_paid_service_has_forgotten_is_not_bought_again():
    sites = three(backend="qpu.aria-1", member={"max_slice": 4, "deadline": lambda _: 60.0})
    events, outcome = told(sites, restarts(sites[0], 3.0), rows=30, shots=100)
    assert not [values for _, values in decisions(events, "moved") if values["member"] == "a"]
    assert set(outcome.status.values()) == {Status.UNCERTAIN}
    assert len(outcome.status) == on_their_way(events, "a")


def test_two_of_three_die():
    sites = three()
    events, outcome = told(sites, lambda: [cut(site)() for site in sites[:2]])
    assert {values["member"] for _, values in decisions(events, "moved")} == {"a", "b"}
    assert {values["to"] for _, values in decisions(events, "moved")} == {"c"}
    assert outcome.complete


def test_all_die_the_run_pauses_says_why_and_goes_on():
    sites = three()

    def blinks():
        for site in sites:
            site.line.dead = True
            asyncio.get_running_loop().call_later(30, setattr, site.line, "dead", False)

    events, outcome = told(sites, blinks)
    paused = [(at, values) for at, kind, values in events if kind == "PoolPaused"]
    assert len(paused) == 1
    assert paused[0][0] < 1.5
    assert all(f"{name}: expected an answer" in paused[0][1]["reason"] for name in "abc")
    assert not decisions(events, "moved") or min(at for at, _ in decisions(events, "moved")) > 30
    assert any(kind == "PoolResumed" for _, kind, _ in events)
    assert outcome.complete


def test_a_member_that_comes_and_goes_is_a_bounded_number_of_events():
    """Dead for three seconds of every six, for minutes."""
    sites = three()[:2]

    def flaps():
        loop = asyncio.get_running_loop()
        for k in range(100):
            loop.call_later(6 * k, setattr, sites[1].line, "dead", True)
            loop.call_later(6 * k + 3, setattr, sites[1].line, "dead", False)

    events, outcome = told(sites, flaps, rows=100)
    assert outcome.complete
    turns = [at for at, _, _ in healths(events, "b")]
    assert turns[-1] > 100
    assert len(turns) < 60
    assert len(decisions(events, "breaker opened")) < 12


def test_a_pool_that_ends_does_not_wait_for_a_free_member_that_is_dead():
    sites, ends = three(), []
    epoch()

    async def go():
        loop = asyncio.get_running_loop()
        async with Pool([site.member for site in sites]) as pool:
            loop.call_later(AT, cut(sites[1]))
            await pool.run_async([sweep(60)])
            ends.append(loop.time())
        return loop.time()

    assert run_virtual(go()) - ends[0] < 1


# ------------------------------------------------------------------------------------------------------------- contact


class Deaf:
    """A backend whose tries the test tells of."""

    def __init__(self):
        from q_store.backends.tries import Tries

        self.tries = Tries()


def contact(script):
    """What a contact says of (seconds, error) of tries, and when."""

    async def go():
        loop, said, backend = asyncio.get_running_loop(), [], Deaf()
        own = Contact(
            backend,
            lambda reason, _: said.append((round(loop.time(), 2), "lost", reason)),
            lambda reason: said.append((round(loop.time(), 2), "doubt", reason)),
            FAILING,
        )
        for at, error in script:
            await asyncio.sleep(at - loop.time())
            backend.tries(error)
        await asyncio.sleep(20)
        own.close()
        backend.tries(UnreachableError("x"))
        return said

    return run_virtual(go())


def test_doubt_begins_with_a_failed_try_and_ends_with_an_answer():
    assert contact([(1.0, UnreachableError("gone")), (1.5, None)]) == [(1.0, "doubt", "gone"), (1.5, "doubt", "")]


def test_being_throttled_is_an_answer():
    assert contact([(1.0, UnreachableError("gone")), (1.5, ThrottledError("429"))])[-1] == (1.5, "doubt", "")


def test_tries_that_all_fail_are_a_loss():
    script = [(1.0, UnreachableError("gone")), (1.2, UnreachableError("still")), (1.7, UnreachableError("yet"))]
    assert contact(script) == [(1.0, "doubt", "gone"), (1.8, "lost", "yet")]


def test_every_try_of_a_client_is_told():
    """Refused, reset, 5xx, unreadable; a refusal and a good answer are answers; throttling is told as such."""
    answers = [
        httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.Response(503, json={}),
        httpx.Response(200, content=b"<html>"), httpx.Response(429, json={}), httpx.Response(200, json={"backend": ""}),
    ]  # fmt: skip

    class Scripted(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _request):
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    async def go():
        backend, heard = IonQBackend(IonQSettings(key="k", contact_tries=9), Scripted()), []
        backend.tries.listen(heard.append)
        await backend.service.backend("x")
        answers.append(httpx.Response(401, json={}))
        with pytest.raises(Exception, match="401"):
            await backend.service.backend("x")
        return [None if each is None else type(each) for each in heard]

    assert run_virtual(go()) == [*[UnreachableError] * 4, ThrottledError, None, None]


@pytest.mark.parametrize("others", [0, 2])
def test_a_resumed_run_does_not_wait_for_a_free_member_that_is_dead_where_others_can_run_its_circuits(others):
    """Where there are none, what it has is waited for, and fetched when it is back."""
    sites, store = three()[: 1 + others], opened()
    store.runs.start("train", {}, run="r")

    async def broken_off():
        loop = asyncio.get_running_loop()
        async with Pool([site.member for site in sites], store, "r") as pool:
            call = asyncio.ensure_future(pool.run_async([sweep(30)]))
            loop.call_later(AT, cut(sites[0]))
            loop.call_later(AT + 1.5, call.cancel)
            await asyncio.wait({call})

    async def resumed():
        loop = asyncio.get_running_loop()
        if not others:
            loop.call_later(30, setattr, sites[0].line, "dead", False)
        async with Pool([site.member for site in sites], store, "r") as pool:
            begun = loop.time()
            (outcome,) = await pool.run_async([sweep(30)])
            return outcome, loop.time() - begun

    epoch()
    run_virtual(broken_off())
    assert store.tickets.open()
    epoch()
    outcome, took = run_virtual(resumed())
    assert outcome.complete
    assert took < (60 if others else 120)
    assert not store.tickets.open()
    charged = sum(site.ledger["charged_circuits"] for site in sites)
    assert charged == 30 or others
