"""Whatever a tracker does, the training does not notice."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.trackers.stories import STORY, step

from q_store.circuits import encoders, templates
from q_store.models import Model
from q_store.models.features import Scaled
from q_store.trackers import Calls, Tracker
from q_store.trackers.tracker import hidden


def told(function, events, **more):
    said = []
    with Calls(function, tell=said.append, **more) as tracker:
        for event in events:
            tracker(event)
    return tracker, said


def test_a_callable_gets_every_event_in_order_in_another_thread():
    got, threads = [], set()

    def hear(event):
        got.append(event)
        threads.add(threading.current_thread())

    _, said = told(hear, STORY)
    assert got == STORY
    assert said == []
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, MemoryError])
def test_one_that_raises_is_told_once_with_its_name_and_left_out(error):
    calls = []

    def breaks(event):
        calls.append(event)
        raise error("no good")

    tracker, said = told(breaks, STORY * 5)
    assert len(calls) == 1
    assert len(said) == 1
    assert "breaks failed on ProcessStarted" in said[0]
    assert "no good" in said[0]
    assert tracker.failure


def test_one_that_hangs_is_left_behind_with_a_word():
    let_go = threading.Event()
    tracker, said = told(lambda _: let_go.wait(60), STORY, patience=0.01)
    assert "did not take everything within 0.01 s" in said[0]
    assert tracker.lost == len(STORY) - 1
    let_go.set()


def test_one_that_is_too_slow_loses_what_does_not_fit_and_says_so():
    began, let_go, got = threading.Event(), threading.Event(), []

    def slow(event):
        began.set()
        assert let_go.wait(60)
        got.append(event)

    said = []
    tracker = Calls(slow, tell=said.append, limit=2)
    tracker(step(0, 1.0))
    assert began.wait(60)
    for number in range(1, 6):
        tracker(step(number, 1.0))
    let_go.set()
    tracker.close()
    assert [event.step for event in got] == [0, 1, 2]
    assert said == [f"{tracker.name} is too slow: 3 events are lost"]


def test_what_comes_after_the_end_is_dropped():
    got = []
    tracker, _ = told(got.append, STORY)
    tracker(step(1, 1.0))
    tracker.close()
    assert got == STORY


def test_a_failure_is_a_warning_where_nobody_says_how_to_tell():
    tracker = Calls(lambda _: 1 / 0, "mine")
    tracker(step(1, 1.0))
    with pytest.warns(RuntimeWarning, match="mine failed on StepDone: ZeroDivisionError"):
        tracker.close()


def test_a_failure_at_the_end_is_told_too():
    class Ends(Tracker):
        def write(self, told):
            pass

        def end(self):
            raise OSError("no room")

    said = []
    with Ends("mine", tell=said.append) as tracker:
        tracker(step(1, 1.0))
    assert "mine failed on the end: OSError: no room" in said[0]


def trained(sinks):
    x = np.random.default_rng(0).normal(size=(20, 2))
    circuit = encoders.angle(2) + templates.hardware_efficient(2, 1)
    return Model(Scaled(), circuit).fit(x, (x[:, 0] > 0).astype(int), epochs=2, sinks=sinks)


def test_a_training_ends_with_the_same_bits_whatever_its_trackers_do():
    said, let_go = [], threading.Event()
    trackers = [
        Calls(lambda _: 1 / 0, tell=said.append),
        Calls(lambda _: let_go.wait(60), patience=0.0, tell=said.append),
    ]
    watched = trained(trackers)
    for each in trackers:
        each.close()
    let_go.set()
    assert len(said) == 2
    assert (watched.result.parameters == trained([]).result.parameters).all()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@host:5000/x", "http://***@host:5000/x"),
        ("postgresql://u:p@ss/w@rd@host/db failed", "postgresql://***@host/db failed"),
        ("a 'https://u:p@h' and https://v:q@i\nend", "a 'https://***@h' and https://***@i end"),
        ("http://host/x", "http://host/x"),
    ],
)
def test_no_message_shows_a_password(text, shown):
    assert hidden(text) == shown


def test_a_replay_says_how_far_it_is():
    got = []
    with Calls(got.append) as tracker:
        assert list(tracker.replay([(1.0, event) for event in STORY])) == list(range(1, len(STORY) + 1))
    assert got == STORY


def test_events_of_many_threads_all_arrive_and_the_end_comes_once():
    class Counts(Tracker):
        got, ends = 0, 0

        def write(self, told):
            self.got += len(told)

        def end(self):
            self.ends += 1

    counts, together = Counts("mine", between=0.0), threading.Barrier(8)

    def tell():
        together.wait(60)
        for number in range(500):
            counts(step(number, 1.0))

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.close()
    assert (counts.got, counts.ends, counts.lost) == (4000, 1, 0)
