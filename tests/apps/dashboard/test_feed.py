"""What a reader of the feed is told, from the files of a run."""

import asyncio
import fcntl
import json

import pytest
from dashboard_runs import OPENING, folder_of_run, step, write

from q_store.apps.dashboard import facts
from q_store.apps.dashboard.feed import Feed, Reader
from q_store.apps.run_folder import RunFolder
from q_store.errors import RunError
from q_store.events import EpochDone, RunFinished, RunStarted, StageStarted


def told(feed, reader):
    asyncio.run(_look(feed))
    text = reader.news(feed.view, feed._sections)
    return json.loads(text) if text else {}


async def _look(feed):
    while await feed.look():
        pass


def rows(message, curve="steps"):
    return message["curves"][curve]["rows"]


def test_first_message_has_everything(run):
    first = told(Feed(run), Reader())
    assert first["whole"]
    assert [(row[0], row[1]) for row in rows(first)] == [(k, 2 / k) for k in range(1, 6)]
    assert first["curves"]["epochs"]["rows"] == [[5, 0.9, 0.8, 0.7, 0.75, None]]
    assert first["progress"]["step"] == 5
    assert first["progress"]["steps"] == 10
    assert first["progress"]["parameters"] == 36
    assert first["run"]["name"] == "compact-mine"


def test_then_only_what_is_new(run):
    feed, reader = Feed(run), Reader()
    told(feed, reader)
    assert told(feed, reader) == {}
    write(run, step(6))
    second = told(feed, reader)
    assert not second["whole"]
    assert second["curves"]["steps"]["at"] == 4
    assert [row[0] for row in rows(second)] == [5, 6]
    assert "run" not in second
    late = told(feed, Reader())
    assert [row[0] for row in rows(late)] == [1, 2, 3, 4, 5, 6]


def test_no_path_and_no_store_is_told(run):
    text = json.dumps(told(Feed(run), Reader()))
    assert "somewhere" not in text
    assert "0a1b2c3d" not in text
    assert "mine.csv" in text


def test_resumed_run_replaces_what_it_does_again(run):
    feed, reader = Feed(run), Reader()
    told(feed, reader)
    write(run, RunStarted(30, 6, 100, 20, 2, 10, first_step=3), StageStarted("epochs"), step(4, loss=7.0))
    message = told(feed, reader)
    assert message["curves"]["steps"]["at"] == 0
    assert [(row[0], row[1]) for row in rows(message)] == [(1, 2.0), (2, 1.0), (3, 2 / 3), (4, 7.0)]
    assert rows(message, "epochs") == []


def test_evaluations_of_the_finish_come_behind_the_steps(run):
    write(run, StageStarted("finish"), step(1, loss=0.5), step(2, loss=0.4))
    message = told(Feed(run), Reader())
    assert [(row[0], row[1]) for row in rows(message)][-2:] == [(6, 0.5), (7, 0.4)]
    assert message["progress"]["stage"] == "finish"
    assert message["progress"]["step"] == 2


def test_run_without_events_shows_what_the_folder_says(tmp_path):
    message = told(Feed(folder_of_run(tmp_path / "old")), Reader())
    assert message["run"]["model"] == "compact"
    assert message["curves"]["steps"]["rows"] == []
    assert message["trouble"] == {"text": "", "damaged": 0}


def test_damaged_events_are_counted(run):
    with (run / "events.jsonl").open("a") as file:
        file.write("{broken\n")
    write(run, step(6))
    message = told(Feed(run), Reader())
    assert message["trouble"]["damaged"] == 1
    assert rows(message)[-1][0] == 6


def test_events_of_another_version_are_named_without_a_path(run):
    (run / "events.jsonl").write_text('{"format": 99}\n')
    message = told(Feed(run), Reader())
    assert "expected events of format 1, got format 99" in message["trouble"]["text"]
    assert str(run.parent) not in message["trouble"]["text"]


def test_100_000_events_make_a_message_of_bounded_size(tmp_path):
    folder = folder_of_run(tmp_path / "long")
    write(folder, *OPENING, *map(step, range(1, 60_000)))
    write(folder, *map(step, range(60_000, 100_001)), RunFinished(2, "completed", 1, 1, 9.0))
    feed, reader = Feed(folder), Reader()
    first = told(feed, reader)
    assert len(json.dumps(first)) < 150_000
    assert rows(first)[-1][0] == 100_000
    write(folder, EpochDone(2, "epochs", 0.9, 0.8, 0.75, 0.1, 50, 5000, 0.5), step(100_001))
    assert len(json.dumps(told(feed, reader))) < 3_000  # however much came before


def test_decisions_are_told_in_words(run):
    from q_store.events import Decided, PoolPaused

    write(
        run,
        Decided("moved", "aria", 1.0, "its breaker is open", "forte", 12),
        Decided("breaker opened", "aria", 1.0, "3 failures, see /root/logs/aria.log"),
        PoolPaused("nobody answers", 60.0),
    )
    texts = [each["text"] for each in told(Feed(run), Reader())["decisions"]["last"]]
    assert "12 circuits moved from aria to forte: its breaker is open" in texts
    assert "aria: breaker opened: 3 failures, see aria.log" in texts
    assert any("nobody answers" in text for text in texts)


@pytest.mark.parametrize(("wanted", "alive"), [("run", False), ("pause", False)])
def test_state_of_the_run_is_told(run, wanted, alive):
    from q_store.apps.control import ask

    ask(run, wanted)
    message = told(Feed(run), Reader())
    assert message["run"]["wanted"] == wanted
    assert message["run"]["alive"] in {alive, None}


@pytest.mark.parametrize("system", ["Linux", "another"])
def test_run_that_trains_is_alive(run, monkeypatch, system):
    if system == "another":
        monkeypatch.setattr(facts, "LOCKS", run / "nothing")
    elif not facts.LOCKS.exists():
        pytest.skip("the system keeps no list of locks")
    folder, feed, reader = RunFolder.find(run), Feed(run), Reader()
    folder.lock()
    assert told(feed, reader)["run"]["alive"] is True
    folder.close()
    assert told(feed, reader)["run"]["alive"] is False


def test_a_training_begins_while_somebody_looks(run, monkeypatch):
    looks = []
    flock = fcntl.flock

    def seen(descriptor, kind):
        if kind == fcntl.LOCK_EX | fcntl.LOCK_NB and not looks:
            looks.append(1)
            raise BlockingIOError
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", seen)
    folder = RunFolder.find(run)
    folder.lock()
    assert looks
    with pytest.raises(RunError, match="another q-store process"):
        RunFolder.find(run).lock()
    folder.close()
