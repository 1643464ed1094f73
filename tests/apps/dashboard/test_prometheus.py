"""`GET /metrics`, read by the parser of Prometheus' own client."""

from __future__ import annotations

import asyncio
import json
import math
import re
from pathlib import Path

import httpx
import pytest
from dashboard_runs import OPENING, folder_of_run, step, write

from q_store.apps.dashboard import security
from q_store.apps.dashboard.app import application
from q_store.apps.dashboard.feed import Feed
from q_store.apps.dashboard.prometheus import exposition, families
from q_store.apps.dashboard.view import View
from q_store.apps.history import EVENTS, History
from q_store.errors import ConfigError
from q_store.events import BudgetSet, Decided, EpochDone, JobEnded, Looked, MemberChanged, ProcessEnded, RecipeStarted
from q_store.ledger import ledger

parser = pytest.importorskip("prometheus_client.parser")

DOCS = Path(__file__).resolve().parents[3] / "docs"
TOKEN = "t" * 32
LEAVE = {"authorization": f"Bearer {TOKEN}"}
MEMBER = MemberChanged("forte", 1.0, "working", "", 12.5, 0.5, 3, 8, 0.0, 40, 2)
PAUSED = MemberChanged('odd "name"\\', 1.0, "paused", "it is away", None, None, 0, 8, 5.0, 0, 7)
TIMES = {"begun": 1.0, "built": 1.0, "written": 2.0, "sent": 2.0, "accepted": 4.0, "asked": 9.0, "seen": 10.0,
         "fetched": 10.0, "merged": 10.0, "ended": 10.0}  # fmt: skip
JOB = JobEnded("s", 1, "forte", 10, 100, "done", "", TIMES, {}, 10, 1000, 0.25, "USD", account="ionq")


def scrape(folder, headers=LEAVE):
    async def call():
        feed = Feed(folder)
        while await feed.look():
            pass
        transport = httpx.ASGITransport(application(feed, TOKEN, "127.0.0.1", 8080))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            return await client.get("/metrics", headers=headers)

    return asyncio.run(call())


def read(folder):
    """Families by name, and values by name and labels."""
    answer = scrape(folder)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(parser.text_string_to_metric_families(answer.text))
    values = {(sample.name, *sorted(sample.labels.items())): sample.value for f in families for sample in f.samples}
    return {family.name: family for family in families}, values


@pytest.fixture
def paid(tmp_path):
    folder = folder_of_run(tmp_path / "mine", backend="ionq")
    epoch = EpochDone(1, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5, train_accuracy=0.625)
    budget = BudgetSet(None, 5.0, "USD", None, 1000, None)
    moved = Decided("moved", "forte", 1.0, "slow", "local", 3)
    write(folder, *OPENING, budget, MEMBER, PAUSED, *map(step, range(1, 6)), JOB, epoch, moved)
    (folder / "result.json").write_text(
        json.dumps({"accuracy": {"test": 0.5}, "classical_control": {"test_accuracy": 0.75}})
    )
    return folder


def test_a_token_is_required(run):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        answer = scrape(run, headers)
        assert answer.status_code == 401
        assert "q_store_" not in answer.text
    assert scrape(run).status_code == 200


def test_the_figures_are_those_of_the_events(paid):
    _, values = read(paid)
    assert values["q_store_step",] == 5
    assert values["q_store_steps_planned",] == 10
    assert values["q_store_loss",] == pytest.approx(0.4)
    assert values["q_store_gradient_norm",] == 1
    assert values["q_store_learning_rate",] == 0.1
    assert values["q_store_circuits_total",] == 50
    assert values["q_store_shots_total",] == 5000
    assert values["q_store_train_loss",] == 0.9
    assert values["q_store_validation_accuracy_ratio",] == 0.75
    assert values["q_store_train_accuracy_ratio",] == 0.625
    assert values["q_store_test_accuracy_ratio",] == 0.5
    assert values["q_store_control_accuracy_ratio",] == 0.75
    assert values["q_store_decisions_total",] == 2
    assert values["q_store_events_damaged_total",] == 0
    assert values["q_store_run_status", ("status", "running")] == 1
    assert sum(value for (name, *_), value in values.items() if name == "q_store_run_status") == 1


def test_cost_and_budget_are_there_by_currency_and_account(paid):
    _, values = read(paid)
    assert values["q_store_cost_total", ("currency", "USD")] == 0.25
    assert values["q_store_circuits_charged_total",] == 10
    assert values["q_store_shots_charged_total",] == 1000
    assert values["q_store_budget_limit", ("account", "all"), ("unit", "USD")] == 5
    assert values["q_store_budget_spent", ("account", "all"), ("unit", "USD")] == 0.25
    assert values["q_store_budget_limit", ("account", "all"), ("unit", "circuits")] == 1000


def test_backends_have_their_health_and_speed(paid):
    _, values = read(paid)
    forte, odd = ("backend", "forte"), ("backend", 'odd "name"\\')
    assert values["q_store_backend_health", forte, ("health", "working")] == 1
    assert values["q_store_backend_health", forte, ("health", "paused")] == 0
    assert values["q_store_backend_health", odd, ("health", "paused")] == 1
    assert values["q_store_backend_circuits_per_second", forte] == 12.5
    assert values["q_store_backend_latency_seconds", forte] == 0.5
    assert values["q_store_backend_jobs_in_flight", forte] == 3
    assert values["q_store_backend_circuits_answered_total", forte] == 10
    assert values["q_store_backend_circuits_failed_total", odd] == 7
    assert values["q_store_backend_cost_total", forte, ("currency", "USD")] == 0.25
    assert ("q_store_backend_latency_seconds", odd) not in values


def test_the_time_is_that_of_the_ledger(paid):
    _, values = read(paid)
    own = {key[1:]: value for key, value in values.items() if key[0] == "q_store_time_seconds"}
    expected = {
        (("backend", part.name), ("share", share)): pytest.approx(seconds, abs=1e-3)
        for part in ledger(History(paid).read()).backends
        for share, seconds in part.seconds.items()
    }
    assert own == expected
    assert sum(own.values()) > 0


def test_the_run_is_named_and_no_path_is(paid):
    families, _ = read(paid)
    (sample,) = families["q_store_run_info"].samples
    assert sample.labels == {
        "run": "mine", "model": "compact", "data": "mine.csv", "seed": "3", "backend": "ionq", "version": "0.1.0",
    }  # fmt: skip
    assert "/somewhere" not in scrape(paid).text


def test_names_and_units_are_as_prometheus_wants_them(paid):
    families, _ = read(paid)
    for name, family in families.items():
        assert name.startswith("q_store_")
        assert family.documentation
        assert (family.type == "counter") == all(sample.name.endswith("_total") for sample in family.samples)
        assert not name.endswith(("_ms", "_milliseconds", "_percent"))
        if "accuracy" in name:
            assert name.endswith("_ratio")


def test_every_metric_is_documented_and_no_other():
    state = View().sections() | {
        "run": {"alive": None},
        "result": {},
        "last": {},
        "events": {"number": 0, "damaged": 0},
    }
    documented = re.findall(r"`(q_store_\w+)`", (DOCS / "trackers.md").read_text(encoding="utf-8"))
    assert sorted(documented) == sorted(f"q_store_{name}" for name, *_ in families(state))


def test_a_run_that_has_not_begun_and_one_that_has_ended_are_told(tmp_path):
    folder = folder_of_run(tmp_path / "new")
    _, values = read(folder)
    assert ("q_store_loss",) not in values
    assert values["q_store_events_total",] == 0
    write(folder, *OPENING, step(1), ProcessEnded("failed", "no more money"))
    _, values = read(folder)
    assert values["q_store_run_status", ("status", "failed")] == 1


def test_damaged_events_are_counted(run):
    with (run / EVENTS).open("a") as file:
        file.write("nonsense\n")
    _, values = read(run)
    assert values["q_store_events_damaged_total",] == 1


def test_a_recipe_has_its_last_look(tmp_path):
    folder = folder_of_run(tmp_path / "recipe", recipe="regress")
    write(folder, RecipeStarted("regress", 3, 4, 20, 10, 50, 10, 10), Looked(40, 400, 0.0, 0.625, 10, "held_out", 0.5))
    _, values = read(folder)
    assert values["q_store_look_accuracy_ratio", ("on", "held_out")] == 0.625


def test_odd_numbers_are_written_as_prometheus_reads_them():
    odd = enumerate((math.nan, math.inf, -math.inf, True, 0.25, None))
    text = exposition(iter([("x", "gauge", "odd", [({"k": str(k)}, value) for k, value in odd])]))
    assert [line.split()[-1] for line in text.splitlines()[2:]] == ["NaN", "+Inf", "-Inf", "1", "0.25"]


def test_a_token_of_the_environment_stays_the_same(monkeypatch):
    monkeypatch.delenv(security.TOKEN, raising=False)
    assert security.secret() != security.secret()
    monkeypatch.setenv(security.TOKEN, "a" * 24)
    assert security.secret() == "a" * 24


@pytest.mark.parametrize("token", ["short", "a" * 201, "a" * 30 + "&b=c", "ä" * 30])
def test_a_token_that_is_short_or_odd_is_refused_and_not_shown(monkeypatch, token):
    monkeypatch.setenv(security.TOKEN, token)
    with pytest.raises(ConfigError, match="expected Q_STORE_DASHBOARD_TOKEN of 24 to 200") as caught:
        security.secret()
    assert token not in str(caught.value)
