"""What a run shows while it trains: lines in a file, a display on a terminal, metrics in the folder."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from q_store.apps.progress import MetricsWriter, Progress, busy, clock_time, display, form, sparkline
from q_store.apps.run_folder import RunFolder
from q_store.errors import StorageError
from q_store.events import CircuitChosen, EpochDone, RunFinished, RunStarted, StageStarted, StepDone


def epoch(number, stage="epochs", accuracy=0.5):
    return EpochDone(number, stage, 1 / number, None, accuracy, 0.1, 0, 0, 0.1, train_accuracy=0.7)


def story(epochs=3, steps=4, first=0):
    yield RunStarted(104, 144, 5000, 1000, epochs, epochs * steps, first * steps)
    yield StageStarted("epochs")
    for number in range(first + 1, epochs + 1):
        for step in range(steps):
            yield StepDone((number - 1) * steps + step + 1, number, 0.7, 0.1, 0.1, 0, 0, 0.1)
        yield epoch(number, accuracy=0.5 + number / 10)
    yield StageStarted("finish")
    yield StepDone(1, epochs, 0.2, 0.1, 0.0, 0, 0, 0.1)
    yield epoch(epochs, "finish", 0.9)
    yield RunFinished(epochs, "completed", 0, 0, 1.0)


def shown(terminal, events=None):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    with display(console, "compact") as sinks:
        for event in events or story():
            for sink in sinks:
                sink(event)
    return stream.getvalue()


def test_elsewhere_than_on_a_terminal_each_epoch_is_one_plain_line():
    lines = shown(terminal=False).splitlines()
    assert [line.split("  ")[:2] for line in lines[:2]] == [["epoch 1/3", "loss 1.0000"], ["epoch 2/3", "loss 0.5000"]]
    assert lines[3].startswith("polished")
    assert lines[3].endswith("training 70.0 %  validation 90.0 %")
    assert len(lines) == 4
    assert "\x1b" not in "".join(lines)


def test_what_schedules_choose_is_said():
    before, after = {"gates": 54, "two_qubit": 24, "depth": 20}, {"gates": 30, "two_qubit": 12, "depth": 10}
    whole = EpochDone(1, "epochs", 1.0, 0.9, 0.3, 0.1, 0, 0, 0.1, 2, 0.5, 0.7)
    events = [
        RunStarted(30, 220, 2000, 1000, 1, 1),
        CircuitChosen(1, 2, before, after, 0.99, 0.9934),
        StepDone(1, 1, 0.7, 0.1, 0.1, 0, 0, 0.1, 2, 1500),
        whole,
    ]
    first, second = shown(terminal=False, events=events).splitlines()
    assert first == (
        "from epoch 1: 2 layers, 30 of 54 gates, 12 of 24 two-qubit gates, 10 of 20 levels, "
        "fidelity 0.9934 (at least 0.99)"
    )
    assert "validation 30.0 % (70.0 % as trained)" in second
    assert second.endswith("2 layers, 1,500 shots")
    frame = shown(terminal=True, events=events).rpartition("\x1b[2K")[2]
    assert "validation 70.0 %" in frame
    assert "2 layers, 1,500 shots" in frame
    assert form(StepDone(1, 1, 0.7, 0.1, 0.1, 0, 0, 0.1, 1)) == "1 layer"
    plain = CircuitChosen(3, None, before, after)
    assert shown(terminal=False, events=[plain]).startswith("from epoch 3: 30 of 54 gates")


def test_on_a_terminal_the_last_frame_tells_the_end():
    frame = shown(terminal=True).rpartition("\x1b[2K")[2]
    assert "trained" in frame
    assert "validation 90.0 %" in frame
    assert "rows/s" in frame


def test_the_display_says_how_far_the_run_is():
    progress = Progress("compact")
    events = list(story())
    for event in events[:7]:  # four steps and the end of the first epoch
        progress(event)
    text = rendered(progress)
    assert "epoch 1/3" in text
    assert "left" in text
    for event in events[7:-2]:
        progress(event)
    assert "polishing, evaluation 1" in rendered(progress)


def rendered(progress):
    console = Console(file=io.StringIO(), width=100)
    console.print(progress.render())
    return console.file.getvalue()


def test_a_resumed_display_starts_where_the_run_stopped():
    progress = Progress("compact")
    progress(next(story(first=2)))
    assert (progress.done, progress.seconds_left) == (8, None)


@pytest.mark.parametrize(("values", "expected"), [([0.1, 0.2, 0.3], "▁▄█"), ([0.5], "▁"), ([0.5, 0.5], "▁▁")])
def test_sparkline(values, expected):
    assert sparkline(values).replace("▅", "▄") == expected


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (67, "1:07"), (7384, "2:03:04")])
def test_clock_time(seconds, text):
    assert clock_time(seconds) == text


def test_busy_shows_on_a_terminal_how_long_it_takes_and_nothing_stays():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    with busy(console, "reading [/data]"):
        pass
    assert "reading [/data] 0:00:00" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")


def test_busy_says_what_takes_a_moment():
    console = Console(file=io.StringIO())
    with busy(console, "reading [data]"):
        pass
    assert console.file.getvalue() == "reading [data] ...\n"


@pytest.fixture
def folder(tmp_path):
    made = RunFolder.create(tmp_path / "run", {})
    yield made
    made.close()


def test_every_epoch_is_written_as_it_happens(folder):
    writer = MetricsWriter(folder)
    seen = []
    for event in story():
        writer(event)
        seen.append(len(folder.metrics()))
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]
    assert folder.metrics()[0] == {
        "epoch": 1, "stage": "epochs", "train_loss": 1.0, "validation_loss": None, "validation_accuracy": 0.6,
        "learning_rate": 0.1, "circuits": 0, "shots": 0, "seconds": 0.1, "depth": None, "trained_loss": None,
        "trained_accuracy": None, "train_accuracy": 0.7,
    }  # fmt: skip


def test_a_resumed_run_repeats_no_line(folder):
    for event in story():  # killed after its second epoch was written, before that was in a checkpoint
        if isinstance(event, EpochDone) and event.epoch == 3:
            break
        MetricsWriter(folder)(event)
    writer = MetricsWriter(folder)
    for event in story(first=1):
        writer(event)
    assert [(row["epoch"], row["stage"]) for row in folder.metrics()] == [
        (1, "epochs"), (2, "epochs"), (3, "epochs"), (3, "finish"),
    ]  # fmt: skip


def test_the_file_agrees_with_the_history_in_the_end(folder):
    writer = MetricsWriter(folder)
    history = [event for event in story() if isinstance(event, EpochDone)]
    for event in story():
        writer(event)
    whole = folder.metrics()
    folder.keep_metrics(whole[:1])
    writer.complete(history)
    assert folder.metrics() == whole


def test_a_disk_that_refuses_the_metrics_does_not_stop_the_run(folder, monkeypatch):
    def full(*_):
        raise StorageError("full")

    writer = MetricsWriter(folder)
    events = list(story())
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", full)
        for event in events:
            writer(event)
    assert folder.metrics() == []
    writer.complete(event for event in events if isinstance(event, EpochDone))
    assert len(folder.metrics()) == 4
