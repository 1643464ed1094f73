"""What is counted twice and what is not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from emulator_user import multi, single
from hypothesis import given
from hypothesis import strategies as st

from q_store.emulator.ledger import Repeats, distinguish, row_digests


@given(st.lists(st.lists(st.integers(0, 20), max_size=30), max_size=8))
def test_repeats_are_counted_as_a_counter_counts_them(batches):
    repeats, seen = Repeats(), Counter()
    for batch in batches:
        repeats.add(np.array(batch, dtype=np.uint64))
        seen.update(batch)
        assert repeats.count == sum(seen.values()) - len(seen)


def test_repeats_stay_small():
    repeats = Repeats()
    hashes = np.random.default_rng(0).integers(0, 2**63, 300_000).astype(np.uint64)
    for part in np.split(hashes, 100):
        repeats.add(part)
    repeats.add(hashes[:17])
    assert repeats.count == 17
    assert repeats._seen.nbytes == 8 * 300_000


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_copies_in_a_job_are_different_and_numbered_alike(contents):
    array = np.array(contents, dtype=np.uint64)
    found = distinguish(array)
    assert len(set(found.tolist())) == len(contents)
    assert sorted(found.tolist()) == sorted(distinguish(array[::-1]).tolist())


def test_digests_tell_rows_and_prefixes_apart():
    rows = np.array([[0.1, 0.2], [0.2, 0.1], [0.1, 0.2]])
    a, b = row_digests("a", rows), row_digests("b", rows)
    assert a[0] == a[2]
    assert len({*a.tolist(), *b.tolist()}) == 4


@pytest.mark.parametrize(
    ("bodies", "twice", "by_fingerprint"),
    [
        ([single(0.1, name="a"), single(0.1, name="a")], 1, 1),
        ([single(0.1, name="a"), single(0.1, name="b")], 1, 0),
        ([single(0.1, metadata={"q": "1"}), single(0.1, metadata={"q": "2"})], 1, 0),
        ([single(0.1, name="a"), single(0.2, name="a")], 0, 0),
        ([single(0.0), single(-0.0)], 1, 1),
        ([single(0.1, backend="qpu.aria-1", shots=10), single(0.1, backend="qpu.aria-1", shots=20)], 0, 0),
        ([single(0.1), single(0.1, backend="qpu.aria-1")], 0, 0),
        ([multi([0.1, 0.1, 0.1])], 0, 0),  # copies in a job are meant
        ([multi([0.1, 0.1, 0.2], name="a"), multi([0.1, 0.3, 0.2], name="b")], 2, 0),
        ([multi([0.1, 0.2], name="a"), multi([0.2, 0.1], name="a")], 2, 2),
        ([single(0.1, dry_run=True), single(0.1)], 0, 0),
    ],
)
def test_charged_twice(story, bodies, twice, by_fingerprint):
    async def tell(user):
        for body in bodies:
            await user.submit(body)

    ledger = story(tell)[1]
    assert ledger["circuits_charged_twice"] == twice
    assert ledger["circuits_charged_twice_by_fingerprint"] == by_fingerprint


def test_what_failed_or_was_canceled_may_be_sent_again(story):
    async def tell(user):
        for _ in range(3):
            name = await user.submit(multi([0.1, 0.2, 0.3]))
            await user.call("PUT", f"/jobs/{name}/status/cancel")

    ledger = story(tell, circuit_seconds=1)[1]
    assert ledger["accepted_circuits"] == 9
    assert ledger["charged_circuits"] == ledger["circuits_charged_twice"] == 0


def test_prices_are_those_of_the_estimate(story):
    async def tell(user):
        shots = 20_000
        job = await user.submit(single(backend="qpu.aria-1", shots=shots))
        estimate = await user.get("/jobs/estimate", backend="qpu.aria-1", shots=shots, **{"1q_gates": 2})
        cost = await user.get(f"/jobs/{job}/cost")
        assert cost["cost"] == cost["estimated_cost"]
        assert cost["cost"]["value"] == pytest.approx(estimate["estimated_total_cost"])
        return cost["cost"]["value"]

    paid, ledger = story(tell)
    assert paid == pytest.approx(2 * 20_000 * 0.00022)
    assert ledger["charges_usd"] == pytest.approx(paid)


def test_the_lines_of_the_jobs(story):
    async def tell(user):
        await user.submit(multi(name="a", backend="qpu.aria-1", shots=10))
        await user.submit(single(name="b"))
        return (await user.http.get("http://emulator/emulator/ledger", params={"jobs": "true"})).json()["jobs"]

    lines = story(tell)[0]
    assert [(line["name"], line["circuits"], line["charged_circuits"]) for line in lines] == [("a", 3, 3), ("b", 1, 1)]
    assert lines[0]["charges_usd"] == pytest.approx(1.0)
    assert lines[1]["charges_usd"] == 0
    assert {line["status"] for line in lines} == {"completed"}
