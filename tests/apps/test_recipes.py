"""`q-store train --recipe`, here and against emulators in this process."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from recipe_tasks import here, task

from q_store.apps import remote
from q_store.apps.control import Control
from q_store.apps.history import History, current
from q_store.apps.recipe_display import RecipeProgress
from q_store.apps.run_folder import RunFolder
from q_store.apps.tally import Tally
from q_store.apps.watching import watch
from q_store.emulator import Emulator
from q_store.events import Announcer, StepDone
from q_store.models.model import Model
from q_store.training.recipes import Calibrate, drive_sites
from q_store.training.recipes.expected import MEASURED

KEY = "a-key-that-nobody-may-see"

pytestmark = pytest.mark.usefixtures("ends")


class Net(httpx.AsyncBaseTransport):
    """The way to an emulator."""

    def __init__(self, emulator):
        self.emulator = emulator

    async def handle_async_request(self, request):
        return await self.emulator.transport().handle_async_request(request)


@pytest.fixture
def net(monkeypatch, tmp_path):
    found = Net(Emulator(keys=[KEY], seed=1))
    settings = remote.settings
    monkeypatch.setattr(remote, "transport", lambda: found)
    quick = {"min_interval": 0.01, "contact_tries": 1, "settle": 0.0}
    monkeypatch.setattr(remote, "settings", lambda *given, **named: settings(*given, **named).model_copy(update=quick))
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.setenv("IONQ_API_URL", "http://one.test/v0.4")
    monkeypatch.delenv("IONQ_API_KEY_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def train(q_store, data_file, net):
    del net

    def run(*words):
        return q_store("train", "ring", "--data", data_file, "--no-control", *words)

    return run


def charged(net):
    return net.emulator.ledger()["accepted_circuits"]


def refused(answer, *parts):
    assert answer.code == 2, answer
    assert len([line for line in answer.err.splitlines() if line.startswith("q-store: error: ")]) == 1
    for part in parts:
        assert part in answer.err, answer.err


@pytest.mark.parametrize(
    ("words", "training"),
    [
        (("regress", "--circuits", 30), 30),
        (("calibrate", "--circuits", 8, "--epochs", 2, "--finish", 0), 8),
        (("spsa", "--circuits", 25), 20),
        (("v34", "--circuits", 20), 20),
        (("exact", "--epochs", 2, "--finish", 0), 0),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_a_recipe_buys_what_it_says(train, net, words, training):
    answer = train("--backend", "ionq", "--recipe", *words, "--out", "run", "--json")
    assert answer.code == 0, answer.err
    found = answer.json["recipe"]
    assert found["circuits"]["training"] == training
    assert sum(found["circuits"].values()) == charged(net) == answer.json["remote"]["circuits"]
    assert f"at most {charged(net):,} circuits" in answer.err
    assert "expected accuracy" in answer.err
    assert Model.load(Path("run") / "model.npz").trained.vector.size == sum(answer.json["parameters"].values())
    assert answer.json["remote"]["test_accuracy"] == found["test_accuracy"]
    assert f"; its {charged(net):,} circuits by simulator at" in flat(answer.err)
    assert "not quantum hardware" in answer.err
    assert json.loads(Path("run/result.json").read_text())["recipe"] == found


def broken_off(train, words, jobs, monkeypatch):
    """A run that ends as by Ctrl-C after so many calls of the pool."""
    original, left = Tally.run_all, [jobs]

    def run_all(self, jobs):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(self, jobs)

    with monkeypatch.context() as patch:
        patch.setattr(Tally, "run_all", run_all)
        assert train(*words, "--out", "run").code == 130


def test_a_run_that_was_broken_off_buys_nothing_twice(train, net, q_store, monkeypatch):
    words = ("--backend", "ionq", "--noise", "aria-1", "--shots", 30, "--recipe", "spsa", "--circuits", 60)
    whole = train(*words, "--out", "whole", "--json", "--store", "other.db").json
    first = charged(net)
    broken_off(train, words, 3, monkeypatch)
    assert first < charged(net) < 2 * first
    answer = q_store("train", "--resume", "run", "--no-control", "--json")
    assert answer.code == 0, answer.err
    assert charged(net) == 2 * first
    assert answer.json["parameters_sha256"] == whole["parameters_sha256"]
    assert answer.json["recipe"] == whole["recipe"]


def test_auto_says_why(train):
    answer = train("--backend", "ionq", "--recipe", "auto", "--epochs", 1, "--finish", 0)
    assert answer.code == 0, answer.err
    assert "recipe exact: " in answer.out
    noisy = train("--backend", "ionq", "--noise", "aria-1", "--shots", 20, "--recipe", "auto", "--circuits", 4,
                  "--epochs", 1, "--finish", 0)  # fmt: skip
    assert noisy.code == 0, noisy.err
    assert "recipe calibrate: the circuit can be simulated here" in noisy.out
    assert "trained locally, calibrated and validated remotely" in " ".join(noisy.out.split())


def test_without_a_service_a_recipe_is_simulated_and_says_so(train):
    answer = train("--recipe", "regress", "--circuits", 30)
    assert answer.code == 0, answer.err
    assert "nothing ran on quantum hardware" in answer.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--recipe", "regres"), ("regres", "did you mean 'regress'")),
        (("--circuits", 5), ("--circuits", "--recipe")),
        (("--accuracy", 0.7), ("--accuracy", "--recipe")),
        (("--recipe", "regress", "--accuracy", 70), ("--accuracy", "0.7")),
        (("--recipe", "regress", "--circuits", 3), ("at least 20 circuits",)),
        (("--recipe", "spsa", "--epochs", 3), ("--epochs", "spsa")),
        (("--recipe", "exact", "--circuits", 3), ("--circuits", "exact")),
    ],
)
def test_what_makes_no_sense_is_refused(train, words, parts):
    refused(train(*words), *parts)


def test_a_budget_too_small_says_the_least_that_would_do(train, net):
    answer = train("--backend", "ionq", "--recipe", "regress", "--budget", "25circuits")
    refused(answer, "expected a budget of", "the least that would do is", "--circuits 20")
    assert charged(net) == 0
    least = int(answer.err.split("the least that would do is ")[1].split()[0].replace(",", ""))
    assert train("--backend", "ionq", "--recipe", "regress", "--circuits", 20, "--budget", f"{least}circuits").code == 0
    assert charged(net) == least


def test_the_least_budget_in_shots_is_what_refining_takes(train, net):
    few = ("--backend", "ionq", "--noise", "aria-1", "--recipe", "refine", "--epochs", 1, "--finish", 0)
    answer = train(*few, "--budget", "1000shots")
    refused(answer, "expected a budget of", "shots", "--circuits 40")
    least = int(answer.err.split("the least that would do is ")[1].split()[0].replace(",", ""))
    found = train(*few, "--circuits", 40, "--budget", f"{least}shots", "--json")
    assert found.code == 0, found.err
    assert found.json["recipe"]["shots_total"] == least < 1000 * charged(net)


def test_a_test_alone_has_no_circuits_to_choose(train):
    answer = train("--backend", "ionq", "--recipe", "exact", "--budget", "3circuits")
    refused(answer, "the least that would do is", "circuits, for the test alone")
    assert "--circuits" not in answer.err


def test_an_accuracy_that_is_seen_twice_ends_a_recipe(train):
    found = train("--recipe", "calibrate", "--accuracy", 0.05, "--epochs", 1, "--finish", 0, "--json").json["recipe"]
    assert found["circuits"]["training"] == found["reached_after"] == 20


# ------------------------------------------------------------------------------------------------- what is seen of them


def seen(run):
    """Kinds and values of what counts in the history of a run."""
    return [(entry.kind, entry.values) for entry in current(History(Path(run)).read())]


def of(events, kind):
    return [values for own, values in events if own == kind]


def test_what_a_recipe_does_is_in_the_folder(train, net):
    answer = train("--backend", "ionq", "--noise", "aria-1", "--shots", 30, "--recipe", "auto", "--circuits", 8,
                   "--epochs", 2, "--finish", 3, "--out", "run", "--json")  # fmt: skip
    assert answer.code == 0, answer.err
    events = seen("run")
    (chosen,), (plan,) = of(events, "RecipeChosen"), of(events, "RecipeStarted")
    assert (chosen["asked"], chosen["recipe"]) == ("auto", "calibrate")
    assert chosen["reason"] == answer.json["recipe"]["reason"]
    assert plan["training"] + plan["validation"] + plan["test"] == charged(net)
    assert plan["training"] == 8
    looks = of(events, "Looked")
    assert [(look["circuits"], look["rows"], look["on"]) for look in looks] == [
        (8, 8, "bought"), (8, plan["validation"], "held_out"),
    ]  # fmt: skip
    assert looks[-1]["accuracy"] == answer.json["recipe"]["validation_accuracy"]
    rows = RunFolder(Path("run")).metrics()
    assert [row for row in rows if "look" in row] == [{"look": n, **look} for n, look in enumerate(looks, 1)]
    assert [(row["stage"], row["epoch"]) for row in rows if "look" not in row] == [
        ("epochs", 1), ("epochs", 2), ("finish", 2),
    ]  # fmt: skip
    said = answer.err.splitlines()
    assert [line for line in said if line.endswith("...")][1:6] == [
        "training on this machine ...", "buying circuits ...", "fitting the readout ...",
        "measuring held-out training rows ...", "measuring the test rows ...",
    ]  # fmt: skip
    assert any(line.startswith("epoch 2/2") for line in said)
    assert f"8 circuits  {100 * looks[0]['accuracy']:.1f} % of 8 bought training rows" in said


def test_the_ledger_of_a_recipe_has_its_stages_and_steps(train, q_store):
    assert train("--backend", "ionq", "--recipe", "spsa", "--circuits", 60, "--out", "run").code == 0
    answer = q_store("show", "run", "--ledger", "--json")
    assert answer.code == 0, answer.err
    stages, steps = answer.json["stages"], answer.json["steps"]
    assert list(stages) == ["training", "looking", "measuring"]
    assert stages["training"]["steps"] == 3
    assert [each["step"] for each in steps if each["steps"]] == ["1", "2", "3"]
    assert sum(each["seconds"] for each in steps) == pytest.approx(answer.json["seconds"], abs=1e-3)
    assert "looking" in answer.err


def test_a_run_that_was_broken_off_has_one_clean_curve(train, q_store, monkeypatch):
    words = ("--backend", "ionq", "--noise", "aria-1", "--shots", 30, "--recipe", "spsa", "--circuits", 100)
    assert train(*words, "--out", "whole", "--store", "other.db").code == 0
    original, left = Tally.run_all, [4]

    def run_all(self, jobs):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(self, jobs)

    monkeypatch.setattr(Tally, "run_all", run_all)
    assert train(*words, "--out", "run").code == 130
    before = of(seen("run"), "StepDone")
    assert before
    assert of(seen("run"), "Looked")
    monkeypatch.setattr(Tally, "run_all", original)
    assert q_store("train", "--resume", "run", "--no-control").code == 0
    told = [of([(e.kind, e.values) for e in History(Path("run")).read()], kind) for kind in ("StepDone", "Looked")]
    for kind, every in zip(("StepDone", "Looked"), told, strict=True):
        broken, whole = (
            [{name: value for name, value in each.items() if name != "seconds"} for each in of(seen(run), kind)]
            for run in ("run", "whole")
        )
        assert broken == whole
        assert len(every) > len(broken)
    rows, whole = (RunFolder(Path(run)).metrics() for run in ("run", "whole"))
    assert rows == whole
    assert [row["look"] for row in rows] == list(range(1, len(rows) + 1))


def test_a_pause_and_a_stop_are_heeded_between_two_steps(train, monkeypatch):
    original = Control.__call__

    def stops(self, event):
        if isinstance(event, StepDone) and event.step == 2:
            self._wanted = "stop"
        original(self, event)

    monkeypatch.setattr(Control, "__call__", stops)
    answer = train("--backend", "ionq", "--recipe", "spsa", "--circuits", 100, "--out", "run")
    assert answer.code == 130
    events = seen("run")
    assert [each["step"] for each in of(events, "StepDone")] == [1, 2]
    assert of(events, "ProcessEnded")[-1]["status"] == "stopped"


def test_what_was_measured_on_other_data_is_not_expected(train, q_store):
    """The benchmark's figure is told as what it is, of its own data and model."""
    few = ("--recipe", "calibrate", "--circuits", 20, "--epochs", 1, "--finish", 0)
    figure = f"{100 * MEASURED['calibrate'][20]:.1f} % with 20 circuits"
    mine = train(*few, "--out", "mine")
    assert f"expected accuracy: not known for these data and this model; ring reached {figure}" in flat(mine.out)
    other = q_store("train", "compact", "--data", "bundled", *few, "--no-control", "--out", "other")
    assert "expected accuracy: not known for these data and this model; ring reached" in flat(other.out)
    few = ("ring", "--data", "bundled", *few, "--no-control")
    same = q_store("train", *few, "--out", "same")
    assert f"expected accuracy: {figure}" in flat(same.out)
    fewer = q_store("train", *few, "--shots", 100, "--out", "fewer")
    assert f"expected accuracy: not known for 100 shots; ring reached {figure}" in flat(fewer.out)
    told = {run: chosen(Path(run) / "events.jsonl") for run in ("mine", "other", "same")}
    assert [told[run]["expected"] for run in ("mine", "other", "same")] == [None, None, MEASURED["calibrate"][20]]
    exact = train("--recipe", "exact", "--epochs", 1, "--finish", 0)
    assert "expected accuracy: not measured for exact, see" in flat(exact.out)


def test_the_benchmark_was_without_noise(train):
    noisy = train("--backend", "ionq", "--noise", "aria-1", "--recipe", "regress", "--circuits", 100, "--out", "noisy")
    assert "the noise of ionq:simulator:aria-1; ring reached" in flat(noisy.out)


def flat(text):
    return " ".join(text.split())


def chosen(path):
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return next(event["values"] for event in events if event.get("kind") == "RecipeChosen")


def test_the_display_hears_the_pool(train, monkeypatch):
    heard = []
    monkeypatch.setattr(RecipeProgress, "pool", lambda _, event: heard.append(type(event).__name__))
    assert train("--backend", "ionq", "--recipe", "regress", "--circuits", 30).code == 0
    assert {"CircuitsKnown", "JobEnded", "CircuitsDone"} <= set(heard)


def test_a_recipe_of_a_program_is_kept_and_counted(tmp_path):
    with watch(tmp_path / "mine") as watching:
        given = task(tell=Announcer(watching.sinks), circuits=8)
        drive_sites(Calibrate().plan(given), watching.heeding(here()))
    events = seen(tmp_path / "mine")
    assert [each["recipe"] for each in of(events, "RecipeStarted")] == ["calibrate"]
    assert of(events, "Looked")
    assert sum(each["rows"] for each in of(events, "JobsRun")) > 8
    assert of(events, "ProcessEnded")[0]["status"] == "completed"


def test_jobs_that_a_killed_process_did_not_write_down_are_told_by_the_next(train, net, q_store, monkeypatch):
    words = ("--backend", "ionq", "--noise", "aria-1", "--shots", 30, "--recipe", "spsa", "--circuits", 60)
    broken_off(train, words, 2, monkeypatch)
    path = Path("run/events.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    jobs = [k for k, line in enumerate(lines) if '"JobEnded"' in line]
    path.write_text("".join(lines[: jobs[1]]))  # as if it had been killed then: of two jobs or more one is written down
    assert len(jobs) >= 2
    assert q_store("train", "--resume", "run", "--no-control").code == 0
    ended = [entry.values for entry in History(Path("run")).read() if entry.kind == "JobEnded"]
    assert sum(each["answered"] for each in ended) == charged(net)
    assert len({each["slice"] for each in ended}) == len(ended)
    assert {each["account"] for each in ended} == {ended[0]["account"]}
    assert all(each["times"]["sent"] and each["provider"]["finished"] for each in ended)
