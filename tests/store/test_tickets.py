"""Tickets: from the intent to the result, claims, leases, adoption, and who may change what."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace

import numpy as np
import pytest
from tests.store.parts import CIRCUIT, DOMAIN, answer, as_counts, intent, part

from q_store.backends.base import Answer, Missing
from q_store.backends.distributions import Distributions
from q_store.circuits import Circuit
from q_store.errors import InputError, RunError, StoreError
from q_store.jobs import Status
from q_store.store import EXACT, Amounts, Intent, State, keys_of
from q_store.store.tickets import Tickets

ROWS = [{0: 60, 3: 40}, {1: 100}, {2: 99, 5: 1}]


def another(store, owner="other"):
    """The tickets as another process sees them."""
    own = copy.copy(store.tickets)
    own.owner = owner
    assert isinstance(own, Tickets)
    return own


def sent(store, name="a", **more):
    own = part(name)
    assert store.tickets.intend(intent(own, **more)) == []
    store.tickets.sent(name, f"remote-{name}", {"accepted": 5.0})
    return own


def test_a_result_is_kept_everywhere_at_once(store):
    own = sent(store)
    kept = store.tickets.settle("a", State.DONE, answer(ROWS, cost=0.8), times={"finished": 9.0})
    assert as_counts(kept) == ROWS
    assert as_counts(store.samples.lookup(keys_of(own, DOMAIN), 3)) == ROWS
    assert as_counts(store.journal.read("run", 0).measured) == ROWS
    assert store.journal.read("run", 0).sources[0].noise_id == DOMAIN.noise_id
    assert store.budget.totals()["USD"] == (Amounts(0.8, 300, 3), Amounts())
    ticket = store.tickets.get("a")
    assert (ticket.state, ticket.remote_id, dict(ticket.times)) == (
        State.DONE,
        "remote-a",
        {"accepted": 5.0, "finished": 9.0},
    )
    assert (ticket.numbers, ticket.keys, ticket.flips) == (None, None, None)
    assert store.tickets.open() == []
    assert [each.fingerprint for each in store.tickets.of_run("run")] == ["a"]
    store.check()


def test_an_open_ticket_tells_all_that_fetching_needs(store):
    own = part("a", [4, 9, 2], flips=[0, 5, 7])
    store.tickets.intend(intent(own, money=2.5))
    (ticket,) = store.tickets.open()
    again = store.tickets.part(ticket)
    assert (again.circuit, again.shots, again.seed, again.fingerprint) == (own.circuit, own.shots, own.seed, "a")
    assert again.numbers.tolist() == [4, 9, 2]
    assert again.flips.tolist() == [0, 5, 7]
    assert again.angles.shape == own.angles.shape
    assert np.isnan(again.angles).all()
    assert list(ticket.keys) == keys_of(own, DOMAIN)
    assert (ticket.state, ticket.run, ticket.job, ticket.provider, ticket.backend) == (
        State.INTENT,
        "run",
        0,
        "ionq",
        "aria",
    )
    assert (ticket.domain, ticket.reserved, ticket.currency) == (DOMAIN, Amounts(2.5, 300, 3), "USD")


def test_circuits_without_an_answer_are_left_out(store):
    own = sent(store)
    gaps = {1: Missing(Status.FAILED, "child failed", retry=True)}
    kept = store.tickets.settle("a", State.DONE, answer([ROWS[0], {}, ROWS[2]], gaps))
    assert as_counts(kept) == [ROWS[0], {}, ROWS[2]]
    assert store.journal.read("run", 0).numbers.tolist() == [0, 2]
    assert store.samples.lookup(keys_of(own, DOMAIN), 3).shots.tolist() == [100, 0, 100]
    assert store.budget.totals()["USD"][0].circuits == 2


def test_a_row_that_is_said_to_be_missing_is_not_kept(store):
    sent(store)
    kept = store.tickets.settle("a", State.DONE, answer(ROWS, {0: Missing(Status.UNCERTAIN, "damaged")}))
    assert kept.shots.tolist() == [0, 100, 100]


def test_probabilities_are_exact(store):
    own = part("a", shots=None)
    store.tickets.intend(intent(own))
    store.tickets.sent("a", "1")
    dense = np.random.default_rng(0).dirichlet(np.ones(8), 3)
    exact = Answer(Distributions.from_dense(dense), sampled=False)
    kept = store.tickets.settle("a", State.DONE, exact)
    assert kept.shots.tolist() == [EXACT] * 3
    assert np.array_equal(store.samples.lookup(keys_of(own, DOMAIN), 3).distributions.dense(), dense)


def test_without_keys_only_the_journal_has_the_rows(store):
    sent(store, keyed=False)
    store.tickets.settle("a", State.DONE, answer(ROWS))
    assert len(store.samples) == 0
    assert store.journal.read("run", 0).numbers.tolist() == [0, 1, 2]


# -------------------------------------------------------------------------------------------------------------- claims


def test_nobody_buys_what_is_on_its_way(store, clock):
    store.tickets.intend(intent(part("a", [0, 1, 2])))
    wanted = intent(part("b", [2, 3, 1, 2]))
    (held,) = another(store).intend(wanted)
    assert (held.fingerprint, held.owner, held.places) == ("a", store.tickets.owner, (0, 2, 3))
    assert held.until == clock.now + 60
    assert [ticket.fingerprint for ticket in store.tickets.open()] == ["a"]
    assert another(store).intend(intent(part("c", [3, 4]))) == []


@pytest.mark.parametrize("end", [State.DONE, State.FAILED, State.CANCELLED])
def test_a_closed_ticket_claims_nothing(store, end):
    sent(store)
    store.tickets.settle("a", end, answer(ROWS) if end is State.DONE else None)
    assert store.tickets.claimed(keys_of(part("b"), DOMAIN)) == []
    assert another(store).intend(intent(part("b"))) == []


def test_a_ticket_whose_circuits_others_get_claims_nothing_and_stays_open(store):
    sent(store)
    store.tickets.unclaim("a")
    assert store.tickets.claimed(keys_of(part("b"), DOMAIN)) == []
    assert another(store).intend(intent(part("b"))) == []
    assert store.tickets.get("a").state is State.SENT


def test_a_claim_ends_with_its_lease(store, clock):
    store.tickets.intend(intent(part("a")))
    clock.now += 61
    other = another(store)
    assert other.intend(intent(part("b"))) == []
    assert {held.fingerprint for held in store.tickets.claimed(keys_of(part("c"), DOMAIN))} == {"b"}
    store.tickets.settle("a", State.FAILED)  # takes no claim of the other away
    assert {held.fingerprint for held in store.tickets.claimed(keys_of(part("c"), DOMAIN))} == {"b"}


def test_who_says_so_waits_for_what_is_on_its_way_after_its_lease(store, clock):
    store.tickets.intend(intent(part("a")))
    clock.now += 61
    keys, other = keys_of(part("b"), DOMAIN), another(store)
    for waits in (lambda _: True, lambda ticket: ticket.state is State.INTENT):
        (held,) = other.intend(intent(part("b")), waits)
        assert (held.fingerprint, held.until) == ("a", clock.now - 1)
        assert other.claimed(keys, waits) == [held]
    assert other.claimed(keys) == other.claimed(keys, lambda _: False) == []
    store.tickets.settle("a", State.FAILED)
    assert other.claimed(keys, lambda _: True) == []


def test_independent_repeats_do_not_wait_for_each_other(store):
    store.tickets.intend(intent(part("a")))
    assert store.tickets.intend(intent(part("b"), claim=False)) == []
    store.tickets.sent("b", "1")
    store.tickets.settle("b", State.DONE, answer(ROWS))
    assert store.tickets.claimed(keys_of(part("c"), DOMAIN))[0].fingerprint == "a"


# ------------------------------------------------------------------------------------------------- leases and adoption


def test_only_what_nobody_looks_after_is_adopted(store, clock):
    sent(store)
    other = another(store)
    assert other.adoptable() == other.adopt() == []
    clock.now += 59
    assert store.tickets.heartbeat() == {"a"}
    clock.now += 59
    assert other.adopt() == []
    clock.now += 2
    assert store.tickets.adoptable() == []  # its own
    (taken,) = other.adopt()
    assert (taken.owner, taken.lease, taken.state) == ("other", clock.now + 60, State.SENT)
    assert another(store, "third").adopt() == []
    assert store.tickets.heartbeat() == set()


def test_an_owner_that_lost_its_ticket_changes_nothing_more(store, clock):
    sent(store)
    clock.now += 61
    other = another(store)
    other.adopt()
    for late in (
        lambda: store.tickets.settle("a", State.DONE, answer(ROWS)),
        lambda: store.tickets.sent("a", "again"),
        lambda: store.tickets.uncertain("a", "?"),
    ):
        with pytest.raises(StoreError, match="other has adopted"):
            late()
    other.settle("a", State.DONE, answer(ROWS))
    assert store.journal.read("run", 0).measured.shots.tolist() == [100] * 3


def test_only_what_is_wanted_is_adopted(store, clock):
    for name, numbers in (("a", [0]), ("b", [1])):
        store.tickets.intend(intent(part(name, numbers)))
    clock.now += 61
    assert [t.fingerprint for t in another(store).adopt(lambda ticket: ticket.fingerprint == "b")] == ["b"]
    assert [t.fingerprint for t in another(store, "third").adoptable()] == ["a"]


def test_an_uncertain_ticket_can_be_found_again(store, clock):
    store.tickets.intend(intent(part("a")))
    store.tickets.uncertain("a", "the reply was lost")
    assert store.tickets.heartbeat() == set()
    clock.now += 61
    other = another(store)
    (taken,) = other.adopt()
    assert (taken.state, taken.reason) == (State.UNCERTAIN, "the reply was lost")
    other.sent("a", "found")
    other.settle("a", State.DONE, answer(ROWS))
    assert store.tickets.get("a").remote_id == "found"


def test_a_remote_id_that_is_known_stays_known(store):
    sent(store)
    store.tickets.uncertain("a", "the service does not answer")
    assert store.tickets.get("a").remote_id == "remote-a"


def test_leases_end_when_a_store_says_so(store):
    sent(store)
    store.tickets.release()
    assert [ticket.fingerprint for ticket in another(store).adoptable()] == ["a"]


# ------------------------------------------------------------------------------------------------------------ mistakes


def test_nothing_is_settled_twice(store):
    sent(store)
    store.tickets.settle("a", State.DONE, answer(ROWS, cost=1.0))
    for again in (
        lambda: store.tickets.settle("a", State.DONE, answer(ROWS, cost=1.0)),
        lambda: store.tickets.settle("a", State.FAILED),
        lambda: store.tickets.sent("a", "2"),
        lambda: store.tickets.uncertain("a", "?"),
    ):
        with pytest.raises(StoreError, match=r"got DONE a"):
            again()
    assert store.journal.read("run", 0).measured.shots.tolist() == [100] * 3
    assert store.budget.totals()["USD"][0] == Amounts(1.0, 300, 3)


def test_a_result_needs_a_remote_id_first(store):
    store.tickets.intend(intent(part("a")))
    with pytest.raises(StoreError, match="INTENT"):
        store.tickets.settle("a", State.DONE, answer(ROWS))


def test_mistakes_are_refused_and_leave_nothing(store):
    own = part("a")
    store.tickets.intend(intent(own))
    with pytest.raises(StoreError, match="fresh fingerprint"):
        store.tickets.intend(intent(own, claim=False))
    with pytest.raises(InputError, match="a key for each of 3"):
        store.tickets.intend(Intent(part("b"), "run", 0, "ionq", "aria", DOMAIN, keys=[b"x" * 16]))
    with pytest.raises(RunError, match="'ran'"):
        store.tickets.intend(intent(part("b", [9]), run="ran"))
    with pytest.raises(RunError, match="job 7"):
        store.tickets.intend(intent(part("b", [9]), job=7))
    with pytest.raises(InputError, match="3 qubits in this job, got 4"):
        store.tickets.intend(intent(replace(part("b", [9]), circuit=Circuit(4, 2, 0, CIRCUIT.ops))))
    with pytest.raises(StoreError, match="'nothing'"):
        store.tickets.sent("nothing", "1")
    with pytest.raises(InputError, match="DONE, FAILED or CANCELLED"):
        store.tickets.settle("a", State.SENT)
    store.tickets.sent("a", "1")
    with pytest.raises(InputError, match="3 rows, got 1"):
        store.tickets.settle("a", State.DONE, answer(ROWS[:1]))
    assert [ticket.state for ticket in store.tickets.of_run("run")] == [State.SENT]
    store.check()


def test_several_steps_can_be_one(store):
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        sent(store)
        raise ZeroDivisionError
    assert store.tickets.of_run("run") == []
    assert store.budget.totals() == {}


def test_the_structure_of_a_ticket_is_checked(store):
    sent(store)
    ticket = store.tickets.get("a")
    with pytest.raises(StoreError, match="its circuit"):
        ticket.part(CIRCUIT + CIRCUIT)
    store.tickets.settle("a", State.FAILED)
    with pytest.raises(StoreError, match="FAILED a"):
        store.tickets.part(store.tickets.get("a"))
