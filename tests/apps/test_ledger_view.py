"""`q-store show RUN --ledger`: a run on this machine, and one on an emulator; what is not there is said."""

from __future__ import annotations

import math

import pytest

from q_store.apps.history import EVENTS, History
from q_store.apps.ledger_view import short
from q_store.ledger import HERE, SHARES, ledger


def test_a_training_here_is_shared_out(q_store, trained):
    answer = q_store("show", trained, "--ledger", "--json")
    assert (answer.code, answer.err.count("rest:")) == (0, 1)
    found = answer.json
    assert found["execution"] > 0
    assert found["network"] == found["queue"] == found["poll"] == 0
    assert set(found["backends"]) == {"local", HERE}
    for parts in (found["backends"].values(), found["steps"]):
        assert math.fsum(part["seconds"] for part in parts) == pytest.approx(found["seconds"], abs=1e-3)
    assert sum(found[share] for share in SHARES) == pytest.approx(found["seconds"], abs=1e-3)
    events = History(trained).read()
    assert found["seconds"] == pytest.approx(events[-1].time - events[0].time, abs=1e-3)
    last = max(entry.values["step"] for entry in events if entry.kind == "StepDone")
    assert sum(step["steps"] for step in found["steps"]) >= last


def test_tables_name_every_share_and_the_remainder(q_store, trained):
    out = q_store("show", trained, "--ledger").out
    for word in (*SHARES, "backend", HERE, "run", "those that took longest", "rest: circuits wait"):
        assert word in out


def test_the_short_form_sums_it_up_in_a_line(trained):
    (line,) = short(ledger(History(trained).read()))
    assert line.startswith("time ")
    assert "client" in line
    assert "execution" in line


def test_a_run_without_events_and_no_run_are_said(q_store, trained, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for path in trained.iterdir():
        if path.is_file() and path.name != EVENTS:
            (folder / path.name).write_bytes(path.read_bytes())
    for name, said in ((folder, f"expected {EVENTS} in {folder}"), (tmp_path / "none", "expected a run folder at")):
        answer = q_store("show", name, "--ledger")
        assert answer.code == 2
        assert said in answer.err
        assert answer.err.count("\n") == 1
