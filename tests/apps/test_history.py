"""The events of a run on the disk: whole, in order, whatever happens to writer, disk and file."""

from __future__ import annotations

import dataclasses
import json
import threading

import numpy as np
import pytest

from q_store.apps import history
from q_store.apps.history import EVENTS, History, HistoryWriter, current
from q_store.errors import RunError
from q_store.events import (
    KINDS,
    EpochDone,
    JobEnded,
    Looked,
    RecipeStarted,
    RunFinished,
    RunHeld,
    RunReleased,
    RunStarted,
    StageStarted,
    StepDone,
)

SAMPLES = {
    "int": 3,
    "float": 0.25,
    "str": "text",
    "bool": True,
    "bool | None": True,
    "int | None": None,
    "float | None": 0.5,
}
SAMPLES |= {"str | None": "text", "Mapping[str, float]": {"sent": 1.5}, "dict[str, int]": {"gates": 4}}
SAMPLES |= {"tuple[str, ...]": ("one", "two"), "Mapping[str, str]": {"seed": "0"}}


def sample(kind):
    """An event of a kind, with some value in every field."""
    return kind(**{each.name: SAMPLES[str(each.type)] for each in dataclasses.fields(kind)})


def step(number, epoch=1):
    return StepDone(number, epoch, 0.5, 0.1, 0.01, 10 * number, 0, 0.1 * number)


def written(folder, events, **more):
    with HistoryWriter(folder, **{"between": 0.0, **more}) as writer:
        for event in events:
            writer(event)
    return writer


@pytest.mark.parametrize("name", KINDS)
def test_every_event_comes_back(tmp_path, name):
    event = sample(KINDS[name])
    written(tmp_path, [event], clock=lambda: 1234.5)
    (entry,) = History(tmp_path).read()
    assert (entry.number, entry.time, entry.kind) == (1, 1234.5, name)
    assert entry.values == json.loads(json.dumps(dataclasses.asdict(event)))


def test_a_file_begins_with_what_wrote_it(tmp_path):
    written(tmp_path, [RunHeld()])
    header = History(tmp_path).header
    assert (header["format"], header["run"]) == (1, tmp_path.name)
    assert header["q_store"]


def test_events_are_there_while_the_run_goes_on(tmp_path):
    writer, reader = HistoryWriter(tmp_path, every=3600.0, between=0.0), History(tmp_path)
    assert reader.read() == []
    assert reader.header == {}
    writer(step(1))
    writer.flush()
    writer(step(2))
    assert [entry.number for entry in reader.read()] == [1]
    writer.close()
    assert [entry.values["step"] for entry in reader.read(1)] == [2]
    assert reader.read(2) == []


def test_of_quick_steps_some_are_written_and_the_last_before_anything_else(tmp_path):
    now = [0.0]

    def tick(number):
        now[0] += 0.001
        return step(number)

    events = [tick(number) for number in range(1, 4)]
    with HistoryWriter(tmp_path, clock=lambda: now[0], between=0.02) as writer:
        for event in (RunHeld(), *events, RunHeld()):
            writer(event)
        for number in range(4, 101):
            writer(tick(number))
    entries = History(tmp_path).read()
    steps = [entry.values.get("step") for entry in entries]
    assert steps[:4] == [None, 1, 3, None]
    assert steps[-1] == 100
    assert 4 <= len(steps[4:-1]) <= 5
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)


def test_the_thread_writes_by_itself(tmp_path, monkeypatch):
    seen = threading.Event()
    original = HistoryWriter._write
    monkeypatch.setattr(HistoryWriter, "_write", lambda self, lines: (original(self, lines), seen.set()))
    writer = HistoryWriter(tmp_path, every=0.001)
    writer(step(1))
    assert seen.wait(10)
    assert len(History(tmp_path).read()) == 1
    writer.close()


def test_a_resumed_run_goes_on_with_the_numbers(tmp_path):
    written(tmp_path, [step(1), step(2)])
    written(tmp_path, [step(3)])
    entries = History(tmp_path).read()
    assert [(entry.number, entry.values["step"]) for entry in entries] == [(1, 1), (2, 2), (3, 3)]
    assert len((tmp_path / EVENTS).read_text().splitlines()) == 4


@pytest.mark.parametrize("keep", [0, 5, 30, -1, -20])
def test_a_torn_end_costs_no_more_than_its_line(tmp_path, keep):
    written(tmp_path, [step(1), step(2)])
    path = tmp_path / EVENTS
    path.write_bytes(path.read_bytes()[:keep])
    before = 2 if keep == -1 else len(History(tmp_path).read())  # a line that lacks its end alone is whole
    written(tmp_path, [step(7)])
    reader = History(tmp_path)
    entries = reader.read()
    assert [entry.values["step"] for entry in entries] == [*range(1, before + 1), 7]
    assert [entry.number for entry in entries] == list(range(1, before + 2))


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
        b"3",
        b"{}",
        b'{"n":2,"t":1,"kind":"FromTheFuture","values":{}}',
        b'{"n":2,"t":1,"kind":"StepDone","values":{"step":1}}',
        b'{"n":"2","t":1,"kind":"RunHeld","values":{}}',
        b'{"n":2,"t":1,"kind":"RunReleased","values":{"seconds":"many"}}',
        b'{"n":2,"t":1,"kind":["RunHeld"],"values":{}}',
        b'{"n":2,"t":null,"kind":"RunHeld","values":[]}',
    ],
)
def test_a_damaged_or_unknown_line_is_skipped_and_counted(tmp_path, line):
    written(tmp_path, [step(1)])
    with (tmp_path / EVENTS).open("ab") as file:
        file.write(line + b"\n")
    written(tmp_path, [step(2)])
    reader = History(tmp_path)
    for _ in range(2):
        assert [entry.values["step"] for entry in reader.read()] == [1, 2]
        assert reader.damaged == 1  # however often it is read


@pytest.mark.parametrize("first", [b'{"format": 2}', b"nonsense", b"[]"])
def test_another_format_is_said(tmp_path, first):
    (tmp_path / EVENTS).write_bytes(first + b"\n")
    for look in (lambda: History(tmp_path).read(), lambda: History(tmp_path).header):
        with pytest.raises(RunError, match="expected events of format 1"):
            look()
    with pytest.warns(RuntimeWarning, match="1 are lost.*format 1"):
        written(tmp_path, [step(1)])
    assert (tmp_path / EVENTS).read_bytes() == first + b"\n"


def test_reading_on_takes_no_longer_for_a_long_history(tmp_path, monkeypatch):
    written(tmp_path, [step(number) for number in range(1, 5001)])
    reader = History(tmp_path)
    assert len(reader.read()) == 5000
    parsed, original = [], history._entry
    monkeypatch.setattr(history, "_entry", lambda line: parsed.append(line) or original(line))
    for after in (4999, 4000, 2500, 1):
        parsed.clear()
        assert [entry.number for entry in reader.read(after, limit=3)] == [
            number for number in range(after + 1, after + 4) if number <= 5000
        ]
        assert len(parsed) <= 1024 + 4


def test_a_limit_is_kept_and_read_on_from(tmp_path):
    written(tmp_path, [step(number) for number in range(1, 11)])
    reader, found = History(tmp_path), []
    while more := reader.read(found[-1].number if found else 0, limit=4):
        found += more
    assert [entry.number for entry in found] == list(range(1, 11))


def test_a_full_disk_stops_nothing_and_loses_nothing_if_there_is_room_again(tmp_path, monkeypatch):
    writer = HistoryWriter(tmp_path, every=3600.0, between=0.0)
    writer(step(1))
    writer.flush()
    size = (tmp_path / EVENTS).stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(history, "_line", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        writer(step(2))
        writer.flush()
        writer(step(3))
        writer.flush()
    assert (tmp_path / EVENTS).stat().st_size == size
    writer.close()
    assert [entry.values["step"] for entry in History(tmp_path).read()] == [1, 2, 3]


def test_what_is_lost_is_said_at_the_end(tmp_path, monkeypatch):
    (tmp_path / EVENTS).mkdir()
    with pytest.warns(RuntimeWarning, match="expected to write all events, 2 are lost"):
        writer = written(tmp_path, [step(1), step(2)])
    assert writer.lost == 2
    monkeypatch.setattr(history, "LIMIT", 2)
    folder = tmp_path / "other"
    folder.mkdir()
    writer = HistoryWriter(folder, every=3600.0, between=0.0)
    for number in (1, 2, 3):
        writer(step(number))
    with pytest.warns(RuntimeWarning, match="1 are lost: more than could be written"):
        writer.close()
    assert len(History(folder).read()) == 2


def test_numbers_that_json_does_not_know_are_written_all_the_same(tmp_path):
    odd = JobEnded("s", 1, "m", np.int64(4), None, "done", "", {"sent": np.float64(2.0), "seen": float("inf")}, {})
    written(tmp_path, [odd])
    (entry,) = History(tmp_path).read()
    assert entry.values["circuits"] == 4
    assert entry.values["times"] == {"sent": 2.0, "seen": None}


def test_what_a_resumed_run_does_again_counts_once(tmp_path):
    def epoch(number, stage="epochs"):
        return EpochDone(number, stage, 0.5, None, None, 0.1, 0, 0, 1.0)

    first = [RunStarted(1, 1, 4, 0, 4, 8), StageStarted("epochs"), step(1), step(2), epoch(1), step(3, 2), step(4, 2)]
    first += [epoch(2), step(5, 3)]  # the checkpoint was after step 3
    again = [RunStarted(1, 1, 4, 0, 4, 8, 3), StageStarted("epochs"), step(4, 2), epoch(2), StageStarted("finish")]
    again += [step(1, 4), step(2, 4)]
    last = [RunStarted(1, 1, 4, 0, 4, 8, 8), StageStarted("finish"), step(1, 4), epoch(4, "finish"), RunReleased(1.0)]
    for part in (first, again, [*last, RunFinished(4, "completed", 0, 0, 1.0)]):
        written(tmp_path, part)
    kept = [e for e in current(History(tmp_path).read()) if e.kind in {"StepDone", "EpochDone"}]
    steps = [(e.kind, e.values.get("step", e.values["epoch"])) for e in kept]
    assert steps == [
        ("StepDone", 1), ("StepDone", 2), ("EpochDone", 1), ("StepDone", 3), ("StepDone", 4), ("EpochDone", 2),
        ("StepDone", 1), ("EpochDone", 4),
    ]  # fmt: skip


def test_what_a_resumed_recipe_does_again_counts_once(tmp_path):
    plan = RecipeStarted("refine", 1, 1, 4, 4, 8, 8, 8, 4)

    def look(circuits, accuracy=0.5):
        return Looked(circuits, 0, 0.0, accuracy, 4, "held_out", accuracy)

    local = [StageStarted("local training"), RunStarted(1, 1, 4, 4, 1, 2), StageStarted("epochs"), step(1), step(2)]
    local += [EpochDone(1, "epochs", 0.5, None, None, 0.1, 0, 0, 1.0), StageStarted("finish"), step(1)]
    local += [EpochDone(1, "finish", 0.5, None, None, 0.1, 0, 0, 1.0)]
    own = [
        StageStarted("refining"),
        step(1),
        step(2),
        StageStarted("looking"),
        look(2),
        StageStarted("refining"),
        step(3),
    ]
    again = [StageStarted("local training"), RunStarted(1, 1, 4, 4, 1, 2, 2)]  # which its checkpoint has whole
    for part in ([plan, *local, *own], [plan, *again, *own, step(4), look(4, 0.75)]):
        written(tmp_path, part)
    kept = current(History(tmp_path).read())
    done = [e for e in kept if e.kind in {"StepDone", "EpochDone"}]
    assert [(e.kind, e.values.get("step", e.values.get("stage"))) for e in done] == [
        ("StepDone", 1), ("StepDone", 2), ("EpochDone", "epochs"), ("StepDone", 1), ("EpochDone", "finish"),
        ("StepDone", 1), ("StepDone", 2), ("StepDone", 3), ("StepDone", 4),
    ]  # fmt: skip
    assert [e.values["circuits"] for e in kept if e.kind == "Looked"] == [2, 4]
