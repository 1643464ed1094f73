"""Runs, their events and checkpoints, and that no secret gets in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from tests.store.parts import begun, intent, part

from q_store.errors import InputError, RunError
from q_store.store import Store
from q_store.store.plain import to_text

KEY = "sk-0123456789-do-not-keep"


def test_a_run_is_kept_as_it_was_started(store, clock):
    run = store.runs.start("compact", {"epochs": 3, "rate": 0.1, "shots": None}, seed=2**62, versions={"numpy": "2"})
    assert store.runs.get(run.id) == run
    assert (run.config, run.seed, run.status) == ({"epochs": 3, "rate": 0.1, "shots": None}, 2**62, "running")
    clock.now += 5
    store.runs.set_status(run.id, "completed")
    store.runs.spend_seconds(run.id, 4.0)
    ended = store.runs.get(run.id)
    assert (ended.status, ended.finished, ended.seconds) == ("completed", clock.now, 4.0)
    store.runs.set_status(run.id, "running")
    assert store.runs.get(run.id).finished is None
    assert [each.name for each in store.runs.all()] == ["test", "compact"]


def test_a_run_of_another_store_is_refused_with_what_is_there(store):
    with pytest.raises(RunError, match="got 'rum'; did you mean 'run'"):
        store.runs.get("rum")
    with pytest.raises(RunError, match="'zzz'; known: run"):
        store.runs.notes("zzz")
    with Store(None) as empty, pytest.raises(RunError, match="none yet"):
        empty.runs.get("run")


def test_mistakes_are_refused(store):
    with pytest.raises(RunError, match="taken"):
        store.runs.start("again", {}, run="run")
    with pytest.raises(InputError, match="64 bits"):
        store.runs.start("x", {}, seed=2**63)
    with pytest.raises(InputError, match="did you mean 'failed'"):
        store.runs.set_status("run", "faild")
    for seconds in (-1.0, float("nan")):
        with pytest.raises(InputError, match="0 or more"):
            store.runs.spend_seconds("run", seconds)


def test_events_count_from_one_and_can_be_followed(store, clock):
    store.runs.note("run", [("epoch", {"loss": 0.5}), ("epoch", {"loss": float("nan")})])
    clock.now += 1
    store.runs.note("run", [("stop", {})])
    notes = store.runs.notes("run")
    assert [(note.seq, note.kind) for note in notes] == [(1, "epoch"), (2, "epoch"), (3, "stop")]
    assert [note.body for note in notes] == [{"loss": 0.5}, {"loss": None}, {}]
    assert store.runs.notes("run", after=1, limit=1) == [notes[1]]
    assert notes[2].time == clock.now


def test_checkpoints_are_listed_by_step(store):
    for step, digest in ((20, "b"), (10, "a"), (20, "c")):
        store.runs.add_checkpoint("run", step, f"checkpoints/{step}.npz", digest)
    assert [(each.step, each.sha256) for each in store.runs.checkpoints("run")] == [(10, "a"), (20, "c")]


def test_no_secret_gets_in(tmp_path):
    """Whatever it is called, and however deep it lies."""
    config = {
        "api_key": KEY, "quantum_api_key": KEY, "API Key": KEY, "token": KEY, "api_keys": [KEY],
        "auth": {"password": KEY, "x": 1},
        "backends": [{"provider": "ionq", "api_key": KEY, "key": SecretStr(KEY)}], "headers": {"Authorization": KEY},
        "settings": SecretStr(KEY), "keys": 3, "model": "compact",
    }  # fmt: skip
    with begun(Store(tmp_path / "s.db")) as store:
        run = store.runs.start("x", config)
        store.runs.note(run.id, [("started", config)])
        store.tickets.intend(intent(part("a")))
        kept = store.runs.get(run.id).config
        files = [path.read_bytes() for path in tmp_path.iterdir()]
        assert len(files) > 1
    files += [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(KEY.encode() in content for content in files)
    assert (kept["keys"], kept["model"], kept["auth"]["x"], kept["api_key"]) == (3, "compact", 1, "***")


def test_plain_values_are_standard_json():
    value = {"a": np.float64(0.5), "b": np.int64(3), "c": [Path("x"), {1}], "d": float("inf"), 4: True, "é": "ü"}
    assert json.loads(to_text(value)) == {"a": 0.5, "b": 3, "c": ["x", [1]], "d": None, "4": True, "é": "ü"}
    with pytest.raises(InputError, match="ndarray"):
        to_text({"a": np.zeros(2)})
    with pytest.raises(InputError, match="bytes"):
        to_text([b"x"])
