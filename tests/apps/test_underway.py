"""Commands that take long say how far they are: on a terminal, elsewhere now and then, and never on stdout."""

from __future__ import annotations

import io
import json
import re
import threading
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from q_store.apps import assemble, underway
from q_store.apps.cli import main
from q_store.apps.underway import BYTES, Underway
from q_store.models import fashion_mnist
from q_store.models.model import Model
from q_store.store import Store


class Terminal(io.StringIO):
    """A fake terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Makes a terminal of stderr from here on: pytest gives each phase of a test another one."""

    def make():
        stream = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return make


def test_a_count_says_pace_and_time_left():
    clock = iter([0.0, 3.0, 10.0, 20.0, 30.0, 32.0])
    found = Underway("writing", "rows", clock=lambda: next(clock))
    assert found.said == "0:03"
    found(300)
    assert found.said == "300 rows, 30/s"
    found(1000, 3000)
    assert found.said == "1,000 of 3,000 rows, 50/s, 0:40 left"
    found(10)  # another file: its pace is its own
    assert found.said == "10 of 3,000 rows, 5/s, 9:58 left"


def test_bytes_are_said_as_such():
    clock = iter([0.0, 2.0])
    found = Underway("downloading", BYTES, 30_000_000, lambda: next(clock))
    found(10_000_000)
    assert found.said == "10.0 MB of 30.0 MB, 5.0 MB/s, 0:04 left"


def test_a_terminal_shows_a_bar_and_nothing_of_it_stays():
    stream = Terminal()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    with underway.underway("writing [/x].csv", "rows", 4, console) as tell:
        tell(4)
    text = stream.getvalue()
    assert re.search(r"writing \[/x\]\.csv .*━+ .*4 of 4 rows, [\d,]+/s", text)
    assert text.endswith("\x1b[2K")  # the line is erased


def test_elsewhere_there_is_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(underway, "EVERY", 0.01)
    told = threading.Event()

    class Stream(io.StringIO):
        def write(self, text):
            if "2 of 4 rows" in text:
                told.set()
            return super().write(text)

    stream = Stream()
    with underway.underway("writing", "rows", 4, Console(file=stream)) as tell:
        tell(2)
        assert told.wait(10)
    before = stream.getvalue()
    assert re.fullmatch(r"writing: 2 of 4 rows, [\d,]+/s, [\d:]+ left", before.splitlines()[-1])
    assert "\x1b" not in before


def test_what_is_quick_says_nothing_elsewhere_and_a_reader_that_went_away_is_no_harm(monkeypatch):
    stream = io.StringIO()
    with underway.underway("writing", console=Console(file=stream)):
        pass
    assert stream.getvalue() == ""
    monkeypatch.setattr(underway, "EVERY", 0.001)
    stream.close()
    with underway.underway("writing", console=Console(file=stream)):
        threading.Event().wait(0.05)


# ------------------------------------------------------------------------------------------------------------ commands


@pytest.fixture
def rows_file(tmp_path, trained):
    width = Model.load(trained / "model.npz").trained.feature_map.n_features
    path = tmp_path / "rows.npy"
    np.save(path, np.random.default_rng(0).random((9000, width)))
    return path


def test_predictions_are_counted_and_are_those_of_the_whole(terminal, rows_file, trained, capsys):
    screen = terminal()
    assert main(["predict", str(trained), str(rows_file), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = [each["probability"] for each in json.loads(line)["predictions"]]
    whole = Model.load(trained / "model.npz").predict_proba(np.load(rows_file)).max(axis=1)
    np.testing.assert_allclose(found, whole, atol=1e-6)
    assert "reading rows.npy" in screen.getvalue()
    assert "predicting" in screen.getvalue()


@pytest.fixture
def store_file(tmp_path):
    path = tmp_path / "q.db"
    with Store(path) as store:
        for k in range(30):
            run = store.runs.start(f"run {k}", {})
            store.runs.note(run.id, [("noted", {"k": n}) for n in range(100)])
    return path


def test_an_export_is_counted(terminal, store_file, tmp_path, capsys):
    screen = terminal()
    told = []
    with Store(store_file) as store:
        assert store.export("events", tmp_path / "a.csv", lambda *said: told.append(said)) == 3000
    assert told == [(1000, 3000), (2000, 3000), (3000, 3000)]
    assert main(["export", "events", str(tmp_path / "b.csv"), "--store", str(store_file)]) == 0
    assert "writing b.csv" in screen.getvalue()
    assert capsys.readouterr().out == f"3,000 rows of events in {tmp_path / 'b.csv'}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs"], "reading the store"),
        (["jobs"], "reading the store"),
        (["show", "RUN", "--ledger"], "reading run"),
        (["report", "RUN", "--out", "a.html"], "reporting on run"),
        (["compare", "RUN", "RUN"], "reading"),
        (["compile", "circuit.qasm", "--target", "ionq-forte"], "compiling circuit.qasm"),
    ],
)
def test_a_command_shows_that_it_is_at_work(  # noqa: PLR0917  # fixtures
    terminal, words, said, trained, store_file, tmp_path, monkeypatch, capsys
):
    screen = terminal()
    monkeypatch.chdir(tmp_path)
    Path("circuit.qasm").write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[0];\ncx q[0], q[1];\n')
    Path("runs").mkdir()
    store_file.rename("runs/q-store.db")
    json_too = [] if words[0] == "report" else ["--json"]
    assert main([str(trained) if word == "RUN" else word for word in words] + json_too) == 0
    assert said in screen.getvalue()
    for line in capsys.readouterr().out.splitlines()[: len(json_too)]:
        json.loads(line)


@pytest.mark.parametrize("command", ["predict", "export", "runs", "report", "compile"])
def test_an_interrupt_is_a_line_and_leaves_no_file(  # noqa: PLR0917  # fixtures
    terminal, command, rows_file, trained, store_file, tmp_path, monkeypatch
):
    """Ctrl-C at the third thing that is told, or at once where nothing is."""
    screen = terminal()
    told = count()

    def interrupted(*_):
        if next(told) >= 2 or command in {"report", "compile"}:
            raise KeyboardInterrupt

    plain = Underway.__call__

    def tell(self, done, total=None):
        plain(self, done, total)
        interrupted()

    monkeypatch.setattr(Underway, "__call__", tell)
    monkeypatch.setattr("q_store.apps.report.read", interrupted)
    monkeypatch.setattr("q_store.apps.compilation.read", interrupted)
    out = tmp_path / "out.csv"
    words = {
        "predict": [str(trained), str(rows_file)],
        "export": ["events", str(out), "--store", str(store_file)],
        "runs": ["--store", str(store_file)],
        "report": [str(trained), "--out", str(out)],
        "compile": ["x.qasm", "--target", "ionq-aria"],
    }[command]
    assert main([command, *words]) == 130
    assert screen.getvalue().splitlines()[-1].endswith("q-store: interrupted")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_the_full_set_is_downloaded_before_anything_and_once(terminal, monkeypatch):
    screen = terminal()
    asked = []

    def download(tell):
        asked.append(1)
        tell(5, 10)

    monkeypatch.setattr(fashion_mnist, "find", lambda: Path() if asked else None)
    monkeypatch.setattr(fashion_mnist, "download", download)
    for name in ("bundled", "full", "full"):
        assemble.fetched(name)
    assert asked == [1]
    assert "downloading Fashion-MNIST" in screen.getvalue()
