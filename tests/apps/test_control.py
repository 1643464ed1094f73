"""A run that is held, let go and stopped through a file in its folder."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

from q_store.apps import control, watching
from q_store.apps.control import CONTROL, Control, Heeding, ask, asked
from q_store.apps.history import EVENTS, History
from q_store.circuits import Circuit, Observables, ry, theta
from q_store.errors import ConfigError, RunError
from q_store.events import RunHeld, RunReleased, RunStopped, StepDone
from q_store.jobs import Job
from q_store.models.trained import default_backend

STEP = StepDone(1, 1, 0.5, 0.1, 0.01, 0, 0, 0.0)
QUICK = 0.002


def later(act):
    """Do something in another thread, once the main one waits."""
    thread = threading.Timer(0.05, act)
    thread.start()
    return thread


def until(holds):
    """Wait for what another thread does."""
    moment = threading.Event()
    for _ in range(5000):
        if holds():
            return
        moment.wait(QUICK)
    pytest.fail("it never happened")


@pytest.mark.parametrize("wanted", ["run", "pause", "stop"])
def test_what_is_asked_is_read(tmp_path, wanted):
    assert asked(tmp_path) == "run"
    ask(tmp_path, wanted)
    assert asked(tmp_path) == wanted
    assert [path.name for path in tmp_path.iterdir()] == [CONTROL]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"wanted": "explode"}', '{"wanted": ["stop"]}', "[" * 9999, "\xff"])
def test_what_cannot_be_read_asks_for_nothing(tmp_path, text):
    (tmp_path / CONTROL).write_text(text, encoding="latin-1")
    assert asked(tmp_path) == "run"


def test_wrong_wishes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"expected run, pause or stop, got 'halt'"):
        ask(tmp_path, "halt")
    with pytest.raises(RunError, match="expected the folder of a run"):
        ask(tmp_path / "nowhere", "stop")


def test_a_pause_waits_and_says_so(tmp_path):
    heard = []
    with Control(tmp_path, [heard.append], every=QUICK) as held:
        held(STEP)
        ask(tmp_path, "pause")
        until(lambda: held._wanted == "pause")
        timer = later(lambda: ask(tmp_path, "run"))
        held(STEP)  # returns when it may go on
        assert asked(tmp_path) == "run"
        held(STEP)
        timer.join()
    assert [type(event) for event in heard] == [RunHeld, RunReleased]
    assert 0 < heard[1].seconds < 60


@pytest.mark.parametrize("first", ["run", "pause"])
def test_a_stop_ends_as_ctrl_c_does(tmp_path, first):
    heard = []
    with Control(tmp_path, [heard.append], every=QUICK, grace=60.0) as held:
        ask(tmp_path, first)
        until(lambda: held._wanted == first)
        timer = later(lambda: ask(tmp_path, "stop"))

        def work():
            while True:
                held(STEP)

        with pytest.raises(KeyboardInterrupt):
            work()
        timer.join()
    kinds = [type(event) for event in heard]
    assert kinds == ([RunStopped] if first == "run" else [RunHeld, RunReleased, RunStopped])


def _stopped_in_a_long_step(folder):
    ask(folder, "stop")
    threading.Event().wait(60)
    pytest.fail("it was not interrupted")


@pytest.mark.parametrize("ignored", [None, signal.SIGINT])
def test_a_step_that_takes_long_is_interrupted(tmp_path, ignored):
    heard, before = [], {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, signal.SIG_IGN if number == ignored else signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt), Control(tmp_path, [heard.append], every=QUICK, grace=QUICK):
            _stopped_in_a_long_step(tmp_path)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert heard == [RunStopped()]


def test_what_an_earlier_process_was_asked_is_forgotten(tmp_path):
    ask(tmp_path, "stop")
    with Control(tmp_path, every=QUICK) as held:
        assert asked(tmp_path) == "run"
        held(STEP)
        held.heed()


def test_an_executor_heeds_before_every_call(tmp_path):
    job = Job(Circuit.build(1, [ry(theta(0), 0)]), params=np.zeros((1, 1)), observables=Observables.local_z(1))
    with Control(tmp_path, every=QUICK, grace=60.0) as held:
        executor = Heeding(default_backend(), held)
        assert executor.capabilities is default_backend().capabilities
        assert executor.run_all([job])[0].values == pytest.approx(1.0)
        ask(tmp_path, "stop")
        until(lambda: held._wanted == "stop")
        with pytest.raises(KeyboardInterrupt):
            executor.run_all([job])


def test_a_training_that_is_held_and_stopped_ends_with_the_same_bits(q_store, data_file, tmp_path, monkeypatch):
    """Paused and stopped from outside, then resumed: as if nobody had touched it."""
    monkeypatch.setattr(control.Control.__init__, "__kwdefaults__", {"every": QUICK, "grace": 60.0})
    words = ("train", "ring", "--data", data_file, "--no-control", "--json")
    plain = q_store(*words, "--epochs", "8", "--out", tmp_path / "plain").json
    folder = tmp_path / "held"
    original = watching.HistoryWriter.__call__

    def watcher(self, event):
        original(self, event)
        if isinstance(event, StepDone) and self.path.parent == folder and event.step in {10, 20}:
            ask(folder, "pause" if event.step == 10 else "stop")
            until(lambda: found[-1]._wanted != "run")
        if isinstance(event, RunHeld):
            later(lambda: ask(folder, "run"))

    found = []
    entered = Control.__enter__
    monkeypatch.setattr(Control, "__enter__", lambda self: found.append(self) or entered(self))
    monkeypatch.setattr(watching.HistoryWriter, "__call__", watcher)
    stopped = q_store(*words, "--epochs", "8", "--out", folder)
    assert stopped.code == 130
    assert f"go on with: q-store train --resume {folder}" in stopped.err
    monkeypatch.setattr(watching.HistoryWriter, "__call__", original)
    resumed = q_store("train", "--resume", folder, "--no-control", "--json").json
    assert resumed["parameters_sha256"] == plain["parameters_sha256"]
    kinds = [entry.kind for entry in History(folder).read()]
    for kind in ("RunHeld", "RunReleased", "RunStopped"):
        assert kinds.count(kind) == 1
    ends = [entry.values["status"] for entry in History(folder).read() if entry.kind == "ProcessEnded"]
    assert ends == ["stopped", "completed"]
    assert (folder / EVENTS).read_text().count('"format"') == 1
