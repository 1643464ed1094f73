"""A recipe on a terminal, and where there is none; how many circuits it has bought."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from q_store.apps.bought import Bought
from q_store.apps.progress import MetricsWriter
from q_store.apps.recipe_display import WORDS, RecipeProgress, shown
from q_store.apps.run_folder import RunFolder
from q_store.errors import StorageError
from q_store.events import (
    CircuitsDone,
    CircuitsKnown,
    EpochDone,
    JobEnded,
    Looked,
    RecipeStarted,
    RunFinished,
    RunStarted,
    StageStarted,
    StepDone,
)
from q_store.training.recipes import book

PLAN = RecipeStarted("refine", 30, 6, 100, 20, 60, 40, 30, 3)
LOCAL = [
    StageStarted("local training"),
    RunStarted(30, 6, 100, 20, 2, 2),
    StageStarted("epochs"),
    StepDone(1, 1, 0.9, 0.1, 0.1, 500, 0, 0.1),
    EpochDone(1, "epochs", 0.9, None, 0.75, 0.1, 500, 0, 0.1),
]
OWN = [
    StageStarted("buying"),
    Looked(20, 0, 0.0, 0.5, 20, "bought", 0.4),
    StageStarted("refining"),
    StepDone(1, 1, 0.8, 0.1, 0.1, 40, 0, 0.1),
    StageStarted("looking"),
    Looked(40, 0, 1.5, 0.625, 40, "held_out", 0.625),
    StageStarted("refining"),
    StepDone(2, 1, 0.7, 0.1, 0.1, 100, 0, 0.1),
]
END = [StageStarted("measuring"), RunFinished(2, "completed", 130, 0, 1.0)]


def answered(job, count):
    return JobEnded("s", job, "one", 20, None, "done", "", {}, {}, answered=count)


def rendered(progress):
    console = Console(file=io.StringIO(), width=120)
    console.print(progress.render())
    return console.file.getvalue()


def run(terminal, events, pool=()):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=120, color_system=None, legacy_windows=False)
    listeners = []
    with shown(console, "ring", listeners) as sinks:
        assert len(listeners) == 1
        for event in pool:
            listeners[0](event)
        for event in events:
            for sink in sinks:
                sink(event)
    assert listeners == []
    return stream.getvalue()


def test_each_stage_epoch_and_look_is_a_line():
    lines = run(terminal=False, events=[PLAN, *LOCAL, *OWN, *END]).splitlines()
    assert [line for line in lines if not line.startswith("epoch")] == [
        "training on this machine ...",
        "buying circuits ...",
        "20 circuits  50.0 % of 20 bought training rows",
        "refining on bought circuits ...",
        "measuring held-out training rows ...",
        "40 circuits  62.5 % of 40 held-out training rows",
        "measuring the test rows ...",
    ]
    assert [line.split("  ")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2"]


def test_every_stage_has_words():
    stages = {"LOCALLY", "STEPPING", "REFINING", "BUYING", "FITTING", "LOOKING", "MEASURING"}
    assert {getattr(book, name) for name in stages} == set(WORDS)


def test_on_a_terminal_the_circuits_are_those_that_were_bought():
    progress = RecipeProgress("ring")
    for event in [PLAN, *LOCAL]:
        progress(event)
    assert "epoch 1/2" in rendered(progress)
    assert "130 circuits" not in rendered(progress)
    progress(OWN[0])
    assert "0 of 130 circuits" in rendered(progress)  # not those that were simulated
    assert "buying circuits" in rendered(progress)
    progress.pool(CircuitsKnown(0, 40, 30, 1.0))
    progress.pool(answered(0, 20))
    assert "30 of 130 circuits" in rendered(progress)
    for event in OWN[1:]:
        progress(event)
    text = rendered(progress)
    assert "100 of 130 circuits" in text
    assert "step 2   loss 0.7000" in text
    assert "62.5 % of 40 held-out training rows  ▁  " in text  # of such rows alone
    assert "charged 1.50" in text
    assert "refining on bought circuits" in text


def test_the_last_frame_tells_the_end():
    frame = run(terminal=True, events=[PLAN, *OWN, *END], pool=[CircuitsDone(9, 1.0)]).rpartition("\x1b[2K")[2]
    assert "130 of 130 circuits" in frame
    assert "trained" in frame


def bought(*events):
    found = Bought()
    for kind, values in events:
        found.take(kind, values)
    return found.circuits


def known(job, circuits, lacking):
    return "CircuitsKnown", {"job": job, "circuits": circuits, "lacking": lacking}


@pytest.mark.parametrize(
    ("events", "circuits"),
    [
        ([known(0, 10, 10)], 0),
        ([known(0, 10, 4)], 6),
        ([known(0, 10, 10), ("JobEnded", {"job": 0, "answered": 3}), ("JobEnded", {"job": 0, "answered": 4})], 7),
        ([known(0, 10, 10), ("JobEnded", {"job": 0, "answered": 8}), ("JobEnded", {"job": 0, "answered": 8})], 10),
        ([known(0, 10, 4), ("CircuitsDone", {"job": 0}), known(1, 5, 5), ("JobEnded", {"job": 1, "answered": 2})], 8),
        ([("JobEnded", {"job": 7, "answered": 2}), ("CircuitsDone", {"job": 7})], 0),
        ([known(0, 10, 0), ("RecipeStarted", {}), known(0, 10, 7)], 3),
    ],
)
def test_circuits_are_counted_by_the_jobs_they_are_of(events, circuits):
    assert bought(*events) == circuits


def test_the_totals_of_a_recipe_count_where_no_pool_tells():
    found = Bought()
    found.told(30)
    found.told(20)
    assert found.circuits == 30


# ------------------------------------------------------------------------------------------------------------- metrics


@pytest.fixture
def folder(tmp_path):
    made = RunFolder.create(tmp_path / "run", {})
    yield made
    made.close()


def told(folder, events):
    writer = MetricsWriter(folder)
    for event in events:
        writer(event)
    return writer


def numbers(folder):
    return [row.get("look", row.get("stage")) for row in folder.metrics()]


def test_looks_and_epochs_are_lines_as_they_happen(folder):
    told(folder, [PLAN, *LOCAL, *OWN])
    assert numbers(folder) == ["epochs", 1, 2]
    look = {"circuits": 40, "shots": 0, "cost": 1.5, "accuracy": 0.625, "rows": 40, "on": "held_out", "sure": 0.625}
    assert folder.metrics()[2] == {"look": 2, **look}


def test_a_resumed_recipe_repeats_no_line(folder):
    finish = [StageStarted("finish"), EpochDone(2, "finish", 0.2, None, 0.9, 0.0, 600, 0, 1.0)]
    told(folder, [PLAN, *LOCAL, *finish, *OWN])
    whole = [
        PLAN,
        StageStarted("local training"),
        RunStarted(30, 6, 100, 20, 2, 2, 2),
        *OWN,
    ]  # its checkpoint has it all
    told(folder, whole)
    assert numbers(folder) == ["epochs", "finish", 1, 2]
    told(folder, [PLAN, StageStarted("local training"), RunStarted(30, 6, 100, 20, 2, 2, 2), *finish, *OWN[:2]])
    assert numbers(folder) == ["epochs", "finish", 1]


def test_looks_that_a_full_disk_refused_are_written_at_the_end(folder, monkeypatch):
    def refuse(*_):
        raise StorageError("full")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", refuse)
        writer = told(folder, [PLAN, *OWN])
    assert numbers(folder) == []
    writer.complete_looks()
    assert numbers(folder) == [1, 2]
