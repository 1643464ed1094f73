"""The page of a recipe in a real browser, while it runs and afterwards; and what it is told."""

import asyncio
import json
from itertools import count

import pytest
from dashboard_browser import LONG, MARKS, says, training, until
from dashboard_runs import folder_of_run, step, write

from q_store.apps.dashboard.feed import Feed, Reader
from q_store.emulator import Emulator
from q_store.events import (
    CircuitsDone,
    CircuitsKnown,
    EpochDone,
    JobEnded,
    Looked,
    ProcessEnded,
    ProcessStarted,
    RecipeChosen,
    RecipeStarted,
    RunFinished,
    RunStarted,
    StageStarted,
)

CHOSEN = RecipeChosen("refine", "auto", "there is nothing better", 0.77, 20, 12.5, "USD")
PLAN = RecipeStarted("refine", 30, 6, 100, 20, 40, 30, 30, 4, 1000, 0.8)
LOCAL = (StageStarted("local training"), RunStarted(30, 6, 100, 20, 1, 2), StageStarted("epochs"), step(1), step(2),
         EpochDone(1, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5), StageStarted("finish"), step(1, loss=0.4),
         EpochDone(1, "finish", 0.4, 0.3, 0.85, 0.1, 50, 5000, 0.5))  # fmt: skip


def looked(circuits, accuracy, on="held_out", rows=20, sure=None):
    return Looked(circuits, 1000 * circuits, 0.5, accuracy, rows, on, accuracy if sure is None else sure)


OWN = (StageStarted("buying"), StageStarted("fitting"), looked(20, 0.7, "bought", sure=0.55), StageStarted("refining"),
       step(1, circuits=30, loss=0.39), step(2, circuits=40, loss=0.38), StageStarted("looking"),
       looked(40, 0.8))  # fmt: skip


async def _look(feed):
    while await feed.look():
        pass


def told(folder):
    feed = Feed(folder)
    asyncio.run(_look(feed))
    return json.loads(Reader().news(feed.view, feed._sections))


def points(message, curve, k=1):
    return [(row[0], row[k]) for row in message["curves"][curve]["rows"]]


@pytest.fixture
def folder(tmp_path):
    return folder_of_run(tmp_path / "ring-refine", recipe="refine")


def test_a_recipe_has_its_plan_its_stage_and_its_looks(folder):
    write(folder, ProcessStarted("0.1.0"), CHOSEN, PLAN, *LOCAL, *OWN)
    message = told(folder)
    recipe, progress = message["recipe"], message["progress"]
    assert (recipe["name"], recipe["asked"], recipe["stage"]) == ("refine", "auto", "looking")
    assert (recipe["training"], recipe["validation"], recipe["test"], recipe["steps"]) == (40, 30, 30, 4)
    assert (recipe["expected"], recipe["expected_with"], recipe["price"], recipe["accuracy"]) == (0.77, 20, 12.5, 0.8)
    assert recipe["look"] == {"accuracy": 0.8, "rows": 20, "on": "held_out", "sure": 0.8}
    assert recipe["bought"] == progress["circuits"] == 40  # not what was simulated on this machine
    assert progress["shots"] == 40_000
    assert (progress["step"], progress["parameters"]) == (2, 36)
    assert points(message, "steps") == [(1, 2.0), (2, 1.0), (3, 0.4), (4, 0.39), (5, 0.38)]
    assert points(message, "looks", 1) == [(20, None), (40, 0.8)]
    assert points(message, "looks", 2) == [(20, 0.7), (40, None)]
    assert points(message, "looks", 3) == [(20, 0.55), (40, None)]
    said = [each["text"] for each in message["decisions"]["last"]]
    why, plan = said[1:3]
    assert why == (
        "auto chose refine: there is nothing better; 77.0 % expected, reached in the benchmark with 20 circuits; "
        "at most about 12.50 USD"
    )
    assert plan == (
        "refine begins: at most 100 circuits, 40 for training, 30 for validation, 30 for the test, fewer where 80 % "
        "are seen twice"
    )


def test_circuits_count_while_they_are_bought(folder):
    write(folder, ProcessStarted("0.1.0"), PLAN, StageStarted("buying"), CircuitsKnown(0, 40, 30, 5.0))
    assert told(folder)["recipe"]["bought"] == 10  # an earlier process had them
    answered = JobEnded("s", 0, "one", 20, 1000, "done", "", {"sent": 1.0}, {}, answered=20)
    write(folder, answered)
    assert told(folder)["recipe"]["bought"] == 30
    write(folder, answered)  # a second member had them too
    assert told(folder)["recipe"]["bought"] == 40
    write(folder, CircuitsDone(0, 9.0), looked(40, 0.7))
    assert told(folder)["recipe"]["bought"] == 40


def test_a_resumed_recipe_shows_nothing_twice(folder):
    again = (*LOCAL[:1], RunStarted(30, 6, 100, 20, 1, 2, 2))  # its checkpoint has all of it
    write(folder, ProcessStarted("0.1.0"), PLAN, *LOCAL, *OWN, ProcessStarted("0.1.0"), PLAN, *again)
    message = told(folder)
    assert points(message, "steps") == [(1, 2.0), (2, 1.0), (3, 0.4)]
    assert points(message, "epochs") == [(2, 0.9), (3, 0.4)]
    assert points(message, "looks") == []
    assert message["recipe"]["bought"] == 0
    write(folder, *OWN, StageStarted("refining"), step(3, circuits=50, loss=0.37))
    message = told(folder)
    assert points(message, "steps") == [(1, 2.0), (2, 1.0), (3, 0.4), (4, 0.39), (5, 0.38), (6, 0.37)]
    assert [x for x, _ in points(message, "looks")] == [20, 40]


def test_the_time_is_that_of_all_processes(folder):
    first = (ProcessStarted("0.1.0"), PLAN, StageStarted("buying"), looked(20, 0.7, "bought"))
    write(folder, *first)  # events are a second apart
    assert told(folder)["recipe"]["seconds"] == 2
    later = count(1_790_009_000)
    write(folder, *first, StageStarted("looking"), RunFinished(0, "completed", 100, 0, 3.0), ProcessEnded("completed"),
          clock=lambda: float(next(later)))  # fmt: skip
    assert told(folder)["recipe"]["seconds"] == 2 + 4


def test_a_finish_that_is_done_again_is_shown_once(folder):
    write(folder, ProcessStarted("0.1.0"), PLAN, *LOCAL)
    write(folder, PLAN, *LOCAL[:1], RunStarted(30, 6, 100, 20, 1, 2, 2), StageStarted("finish"), step(1, loss=0.3))
    assert points(told(folder), "steps") == [(1, 2.0), (2, 1.0), (3, 0.3)]


def test_the_end_of_a_recipe(folder):
    write(folder, ProcessStarted("0.1.0"), PLAN, *LOCAL, *OWN, RunFinished(1, "completed", 100, 100_000, 9.0))
    message = told(folder)
    assert [message["recipe"][name] for name in ("bought", "stage", "ended")] == [100, "", "completed"]
    assert (message["progress"]["status"], message["progress"]["seconds"]) == ("measuring", 9.0)


def test_a_run_without_a_recipe_has_none(run):
    message = told(run)
    assert message["recipe"] == {}
    assert points(message, "looks") == []


class TestPage:
    pytestmark = MARKS

    def test_a_live_regression(self, opened, dashboard, tmp_path):
        """What it does, circuits bought of those planned, looks, cost, and why; then the end."""
        with Emulator(circuit_seconds=0.02, rtt=0.02) as emulator:
            out = tmp_path / "regress"
            options = ["ring", "--backend", "ionq", "--url", emulator.url, "--noise", "aria-1", "--shots", "200"]
            options += ["--recipe", "regress", "--accuracy", "0.99", "--circuits", "120", "--rows", "60"]
            with training(out, *options, "--store", tmp_path / "s.db", IONQ_API_KEY="x") as process:
                page = opened(dashboard(out)[1])
                figure = "dt:text-is('{}') + dd"
                says(page, "#figures", "Circuits bought")
                until(
                    page, "() => /Doing.*(buying|looking|fitting)/.test(document.querySelector('#figures').textContent)"
                )
                says(page, "#figures", "of at most")
                page.wait_for_selector(".card[data-id=looks] canvas")
                label = "() => document.querySelector('.card[data-id=looks] .plot').ariaLabel"
                until(page, f"{label}.startsWith('Accuracy by circuits at ')")
                says(page, "#figures", "bought rows")
                says(page, "#decisions", "recipe regress: asked for")
                assert process.wait(LONG / 1000) == 0
                says(page, "#status", "completed")
                result = json.loads((out / "result.json").read_text())["recipe"]
                bought = sum(result["circuits"].values())
                until(page, f"() => document.querySelector('#figures').textContent.includes('bought{bought}')")
                assert (
                    page.locator(figure.format("Accuracy seen"))
                    .inner_text()
                    .startswith(f"{100 * result['validation_accuracy']:.1f} %")
                )
                measured = page.locator(figure.format("Test accuracy, measured")).inner_text()
                assert measured.startswith(f"{100 * result['test_accuracy']:.1f} %")
                assert "not seen twice in turn" in page.locator(figure.format("Accuracy asked for")).inner_text()
                page.reload()
                says(page, "#figures", f"{bought}")
                until(page, f"{label}.startsWith('Accuracy by circuits at {result['circuits']['training']} circuits')")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1280, 360])
    def test_accessible_and_within_the_window(self, opened, dashboard, folder, scheme, width):
        from axe_playwright_python.sync_playwright import Axe

        write(folder, ProcessStarted("0.1.0"), CHOSEN, PLAN, *LOCAL, *OWN)
        page = opened(
            dashboard(folder)[1], color_scheme=scheme, viewport={"width": width, "height": 740}, bypass_csp=True
        )
        page.wait_for_selector(".card[data-id=looks] canvas")
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["impact"]) for each in found if each["impact"] in {"serious", "critical"}] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        plot = page.locator(".card[data-id=looks] .plot")
        plot.focus()
        page.keyboard.press("Home")
        until(page, "() => document.querySelector('.card[data-id=looks] .plot').ariaLabel.includes('at 20 circuits')")
