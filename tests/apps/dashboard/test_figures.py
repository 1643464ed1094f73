"""Every figure on the page of a run that paid, against the store, the ledger and the result."""

import json
import re
from collections import Counter

import pytest
from dashboard_browser import MARKS, says

from q_store.apps.cli import main
from q_store.emulator import Emulator
from q_store.store import Store

pytestmark = MARKS
MEMBER = (
    '[[member]]\nname = "{name}"\nprovider = "ionq"\naccount = "{account}"\nurl = "{url}"\nkey_env = "ANY"\n'
    'target = "qpu.forte-1"\nmax_slice = 20\nmax_in_flight = 3\n'
)


@pytest.fixture(scope="module")
def paid(data_file, tmp_path_factory):
    """A run on two machines that charge, one of which loses jobs: its folder and its store."""
    place = tmp_path_factory.mktemp("paid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANY", "x")
        with Emulator(seed=17, faults="failed-job:0.3") as one, Emulator(seed=2) as two:  # its first job fails
            members = (("forte", "team-a", one), ("harmony", "team-b", two))
            text = "".join(MEMBER.format(name=n, account=a, url=each.url) for n, a, each in members)
            caps = 'run = "90000USD,90000circuits,9000000shots,2hours"\nteam-b = "80000USD"\n'
            (place / "pool.toml").write_text(f"[budget]\n{caps}{text}")
            options = ["--rows", "4", "--epochs", "1", "--batch-size", "2", "--shots", "100", "--no-control", "--yes"]
            where = ["--data", str(data_file), "--store", str(place / "s.db"), "--out", str(place / "run")]
            assert main(["train", "ring", "--pool", str(place / "pool.toml"), *options, *where]) == 0
    return place / "run", place / "s.db"


@pytest.fixture
def page(opened, dashboard, paid):
    page = opened(dashboard(paid[0])[1])
    says(page, "#status", "completed")
    return page


def money(amount):
    return f"{amount:,.4f}".rstrip("0").rstrip(".")


def seconds(text):
    """Of `1 min 2 s` or `3.4 s`."""
    return sum(float(n) * {"h": 3600, "min": 60, "s": 1}[unit] for n, unit in re.findall(r"([\d.]+) (h|min|s)\b", text))


def test_money_circuits_shots_and_caps_are_those_of_the_store(page, paid):
    with Store(paid[1]) as store:
        (run,) = store.runs.all()
        of_run, of_b = (
            {each.provider: each for each in store.budget.standings(run.id, "team-b")}[p] for p in (None, "team-b")
        )
    spent = of_run.spent
    assert spent.money > 0
    charged = f"Charged: {money(spent.money)} USD for {spent.circuits:,} circuits, {spent.shots:,} shots."
    assert page.locator("#spent").inner_text() == charged
    said = dict(each.split(": ") for each in page.locator("#caps strong").all_inner_texts())
    time = said.pop("time")
    assert said == {
        "USD": f"{money(spent.money)} of 90,000",
        "circuits": f"{spent.circuits:,} of 90,000",
        "shots": f"{spent.shots:,} of 9,000,000",
        "team-b, USD": f"{money(of_b.spent.money)} of 80,000",
    }
    assert time.endswith(" of 2 h 0 min")
    assert seconds(time.partition(" of ")[0]) == pytest.approx(run.seconds, abs=0.6)


def test_the_table_of_backends_is_that_of_the_store(page, paid):
    with Store(paid[1]) as store:
        (run,) = store.runs.all()
        charges, found = store.tickets.charges(run.id), store.tickets.of_run(run.id)
    jobs, failed, circuits, cost = Counter(), Counter(), Counter(), Counter()
    for ticket in found:
        charge = charges.get(ticket.fingerprint)
        jobs[ticket.backend] += 1
        failed[ticket.backend] += charge is None or not charge.circuits
        circuits[ticket.backend] += charge.circuits if charge else 0
        cost[ticket.backend] += charge.money if charge else 0.0
    assert failed["forte"] > 0
    for name in ("forte", "harmony"):
        row = page.locator(f"#members tr:has(th:text-is('{name}')) td").all_inner_texts()
        assert row[4:7] == [f"{count[name]:,}" for count in (circuits, jobs, failed)]
        assert row[7] == f"{money(cost[name])} USD"


def test_the_time_is_that_of_the_ledger(page, paid, q_store):
    found = q_store("show", paid[0], "--ledger", "--json").json
    names = {"this program": "client", "network": "network", "queues": "queue", "execution": "execution",
             "waiting for a look": "poll", "the remainder": "rest"}  # fmt: skip
    backends = {name: own for name, own in found["backends"].items() if own["seconds"] >= 0.06}
    for box in page.locator("#split .share").all():
        title, whole = box.locator("strong").inner_text().split(": ")
        own = found if title == "the run" else backends.pop(title, None)
        if own is None:
            continue
        assert seconds(whole) == pytest.approx(own["seconds"], abs=0.06)
        for part in box.locator("small").inner_text().split(" · "):
            (share,) = (share for said, share in names.items() if part.startswith(said))
            assert seconds(part) == pytest.approx(own[share], abs=0.06)
    assert not backends


def test_accuracies_steps_and_circuits_are_those_of_result_and_metrics(page, paid):
    result = json.loads((paid[0] / "result.json").read_text())
    last = json.loads((paid[0] / "metrics.jsonl").read_text().splitlines()[-1])

    def figure(name):
        return page.locator(f"dt:text-is('{name}') + dd").inner_text().split("\n")

    share = "{:.1f} %".format
    low, high = result["test_interval"]
    interval = f"95 %: {share(100 * low)} to {share(100 * high)}"
    assert figure("Test accuracy, simulated") == [share(100 * result["accuracy"]["test"]), interval]
    remote = result["remote"]
    low, high = remote["test_interval"]
    interval = f"95 %: {share(100 * low)} to {share(100 * high)}, {remote['test_rows']} rows"
    assert figure("Test accuracy, measured") == [share(100 * remote["test_accuracy"]), interval]
    assert figure("Training accuracy")[0] == share(100 * result["accuracy"]["train"])
    assert figure("Validation accuracy")[0] == share(100 * last["validation_accuracy"])
    assert figure("Circuits") == [f"{last['circuits']:,}", f"{last['shots']:,} shots, of the training"]
    assert figure("Parameters")[0] == f"{sum(result['parameters'].values()):,}"
    label = page.locator(".card[data-id=accuracy] .plot").get_attribute("aria-label")
    assert f"training, as visited {share(100 * last['train_accuracy'])}" in label
    assert f"validation {share(100 * last['validation_accuracy'])}" in label
