"""The lives of jobs, members and decisions as a pool tells them, and the ledger of them, in virtual time."""

import asyncio
import math

import numpy as np
import pytest
from tests.pool.pools import CIRCUIT, Site, epoch, opened, run, sweep

from q_store.apps.history import Entry
from q_store.circuits import Observables
from q_store.emulator.clock import run_virtual
from q_store.events import KINDS, ProcessStarted, RunStarted, StepDone, moment
from q_store.jobs import Job
from q_store.ledger import HERE, SHARES, ledger
from q_store.pool.lives import of_ticket
from q_store.pool.pool import Pool

STEPS = 6


class Watched(list):
    """Events with the virtual time they were told at."""

    def __call__(self, event):
        values = {name: getattr(event, name) for name in type(event).__dataclass_fields__}
        self.append(Entry(len(self) + 1, moment(), type(event).__name__, values))

    def of(self, kind):
        return [KINDS[kind](**entry.values) for entry in self if entry.kind == kind]


def step(number):
    return StepDone(number, 1, 0.5, 0.1, 0.01, 0, 0, 0.0)


async def nothing(_number):
    pass


def trained(sites, store=None, *, rows=40, steps=STEPS, think=2.0, before=nothing, shots=None, **more):
    """What a pool tells while steps are run on it; each of them thinks for a while behind its job."""
    heard = Watched()
    epoch()

    async def go():
        async with Pool([site.member for site in sites], store, sinks=[heard], **more) as pool:
            heard(ProcessStarted("0"))
            heard(RunStarted(4, 0, rows, 0, 1, steps))
            for number in range(steps):
                params = np.random.default_rng([rows, number]).uniform(-3, 3, (rows, 4))
                await before(number)
                await pool.run_async([Job(CIRCUIT, params=params, observables=Observables.local_z(3), shots=shots)])
                await asyncio.sleep(think)
                heard(step(number + 1))
        return heard

    return run_virtual(go())


def logged(site):
    """All calls over the line of a site: (method, left, answered), by the same clock as events."""
    calls, carry = [], site.line.handle_async_request

    async def handle(request):
        left = moment()
        response = await carry(request)
        calls.append((request.method, left, moment()))
        return response

    site.line.handle_async_request = handle
    return calls


def about(expected):
    """Within 5 %, and the millisecond of the service's time stamps."""
    return pytest.approx(expected, rel=0.05, abs=1e-3 * STEPS)


def sums(parts):
    return {share: math.fsum(part.seconds[share] for part in parts) for share in SHARES}


@pytest.mark.parametrize("ahead", [0.0, -3600.0, 7200.0])
def test_shares_are_those_of_the_known_delays(ahead):
    """Alone, behind a job of somebody else that takes 5 s, on a service whose clock may be hours wrong."""
    rtt, each, rows, think, others = 0.6, 0.25, 40, 3.0, 20
    site = Site("only", rtt=rtt, circuit_seconds=each, member={"max_slice": rows, "max_in_flight": 1})
    site.emulator._service.epoch += ahead
    calls = logged(site)
    other = Site("other", key="somebody-else")
    other.line.inner = site.line.inner

    async def before(_number):
        backend = other.member.backend
        await backend.submit(backend.plan(sweep(others))[0])
        await backend.aclose()

    found = ledger(trained([site], rows=rows, think=think, before=before))
    posts = [left for method, left, _ in calls if method == "POST"]
    assert len(posts) == STEPS
    poll = back = 0
    for post, following in zip(posts, [*posts[1:], math.inf], strict=True):
        finished = post + rtt / 2 + (others * each - rtt) + rows * each
        own = [call for call in calls if call[0] == "GET" and finished < call[1] + rtt / 2 < following]
        poll += max(0.0, own[0][1] - finished)
        last = finished
        for _, left, answered in own:  # some at the same time
            back, last = back + max(0.0, answered - max(left, last)), max(last, answered)
    only, here = found.backends
    assert (only.name, here.name) == ("only", HERE)
    assert only.seconds["queue"] == about(STEPS * (others * each - rtt - rtt / 2 + rtt / 2))
    assert only.seconds["execution"] == about(STEPS * rows * each)
    assert only.seconds["network"] == about(STEPS * rtt / 2 + back)
    assert only.seconds["poll"] == about(poll)
    assert only.seconds["client"] + only.seconds["rest"] == pytest.approx(0, abs=1e-6)
    assert here.seconds["client"] == about(STEPS * (think + rtt))  # the other one's call is no job of ours
    assert found.run.wall == pytest.approx(sum(here.seconds.values()) + sum(only.seconds.values()))
    whole = STEPS * (think + rtt + rtt / 2 + others * each - rtt + rows * each) + back + poll
    assert found.run.wall == pytest.approx(whole, rel=1e-6)


def test_every_step_has_its_own_shares():
    each, rows = 0.25, 40
    slow = Site("slow", circuit_seconds=each, member={"max_slice": rows, "max_in_flight": 1})

    async def before(number):
        if number == 3:
            await asyncio.sleep(50)

    found = ledger(trained([slow], rows=rows, think=1.0, before=before))
    steps = {part.name: part for part in found.steps}
    assert list(steps) == [str(k + 1) for k in range(STEPS)]
    for name, part in steps.items():
        assert part.seconds["execution"] == about(rows * each)
        assert part.seconds["client"] == about(51.0 if name == "4" else 1.0)


def test_shares_of_jobs_side_by_side_sum_to_the_wall_time():
    sites = [
        Site("quick", circuit_seconds=0.1, rtt=0.05, member={"max_slice": 16}),
        Site("slow", circuit_seconds=0.4, rtt=0.2, member={"max_slice": 16}),
        Site("wide", circuit_seconds=0.4, slots=8, member={"max_slice": 16}),
    ]
    heard = trained(sites, rows=120, think=0.5)
    found = ledger(heard)
    wall = heard[-1].time - heard[0].time
    for parts in ([found.run], found.backends, found.steps):
        assert math.fsum(part.wall for part in parts) == pytest.approx(wall, rel=1e-9)
        assert sums(parts) == pytest.approx(found.run.seconds)
    assert {part.name for part in found.backends} == {"quick", "slow", "wide", HERE}
    assert found.run.seconds["client"] == about(STEPS * 0.5)
    for own in found.jobs:  # of jobs one by one the service knows: a slot takes a circuit after the other
        site = next(site for site in sites if site.name == own.member)
        assert own.circuits == site.ledger["charged_circuits"]
        assert own.jobs == len(site.ledger["jobs"])


def test_what_the_store_keeps_of_a_life_is_what_was_told():
    store = opened()
    store.runs.start("train", {}, run="r")
    site = Site("paid", backend="qpu.aria-1", circuit_seconds=0.5, rtt=0.3)
    heard = trained([site], store, run="r", shots=100)
    told = {event.slice: event for event in heard.of("JobEnded")}
    tickets = store.tickets.of_run("r")
    assert {ticket.fingerprint for ticket in tickets} == told.keys()
    for ticket in tickets:
        kept, event = of_ticket(ticket.backend, ticket.times), told[ticket.fingerprint]
        assert kept.provider == event.provider
        assert kept.times == {name: at for name, at in event.times.items() if name != "ended"}
        assert event.cost == store.tickets.charges("r")[ticket.fingerprint].money
        chain = ("begun", "built", "written", "sent", "accepted", "asked", "seen", "fetched", "merged", "ended")
        assert event.times.keys() == set(chain)
        assert [event.times[name] for name in chain] == sorted(event.times.values())


def test_a_death_is_told_as_it_is_decided():
    sites = [Site(name, circuit_seconds=0.5, member={"max_slice": 8}) for name in ("a", "b", "c")]

    async def before(number):
        if number == 2:
            asyncio.get_running_loop().call_later(3.0, setattr, sites[1].line, "dead", True)

    heard = trained(sites, rows=60, before=before)
    decided = [(event.what, event.member) for event in heard.of("Decided")]
    assert ("breaker opened", "b") in decided
    moved = [event for event in heard.of("Decided") if event.what in {"moved", "hedged"} and event.member == "b"]
    assert moved
    assert all(event.to in {"a", "c"} and event.circuits and event.reason for event in moved)
    assert [event.health for event in heard.of("MemberChanged") if event.member == "b"][-1] in {"paused", "probing"}
    assert heard.of("MemberChanged")[-1].rate
    died = next(entry.time for entry in heard if entry.kind == "Decided" and entry.values["what"] == "breaker opened")
    step = [entry.time for entry in heard if entry.kind == "StepDone"]
    assert step[1] + 3.0 <= died <= step[1] + 3.0 + 12.0  # its requests are tried again before it counts as dead
    lost = [event for event in heard.of("JobEnded") if event.member == "b" and event.state != "done"]
    assert lost
    assert math.fsum(part.wall for part in ledger(heard).backends) == pytest.approx(ledger(heard).run.wall)


def test_waiting_for_a_member_to_return_is_the_rest():
    site = Site("only", circuit_seconds=0.5)

    async def before(number):
        if number == 1:
            site.line.dead = True
            asyncio.get_running_loop().call_later(300, setattr, site.line, "dead", False)

    heard = trained([site], rows=10, before=before)
    rest = ledger(heard).run.seconds["rest"]
    assert 300 <= rest <= 400


def test_nothing_is_told_where_nobody_listens(monkeypatch):
    monkeypatch.setattr("q_store.pool.driver.Telling.tell", lambda *_: pytest.fail("told"))
    monkeypatch.setattr("q_store.pool.lives.JobEnded", lambda *_: pytest.fail("told"))
    (outcome,), _ = run([Site("only")], [sweep(4)])
    assert outcome.complete
