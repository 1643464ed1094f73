"""Checkpoints: whole or refused, and a resumed run ends bit by bit like an unbroken one."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store import events
from q_store.errors import RunError, StorageError
from q_store.training import CheckpointFile
from q_store.training.checkpoint import RunIdentity, write_atomically
from q_store.training.state import TrainingState

IDENTITY = RunIdentity({"epochs": 3, "objective": "a" * 64, "learning_rate": 0.1})


def some_state() -> TrainingState:
    record = events.EpochDone(1, "epochs", 0.5, None, 0.25, 1e-3, 10, 0, 0.1)
    arrays = {"m": np.array([0.1, -0.0]), "t": np.array(7)}
    return TrainingState(
        np.array([1.5, np.pi]), arrays, epoch=1, step=4, loss_sum=0.3, best_value=0.1 + 0.2, history=[record]
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.ckpt"
    CheckpointFile(path).save(some_state(), IDENTITY)
    return path


def test_a_state_comes_back_as_it_was(whole):
    state = CheckpointFile(whole).open(IDENTITY, resume=True)
    expected = some_state()
    assert state.numbers() == expected.numbers()
    assert state.arrays().keys() == expected.arrays().keys()
    for name, array in expected.arrays().items():
        assert state.arrays()[name].tobytes() == array.tobytes()
        assert state.arrays()[name].dtype == array.dtype


def test_there_is_no_pickle_inside(whole):
    with np.load(whole, allow_pickle=False) as stored:
        header = json.loads(stored["header"].tobytes())
        assert {stored[name].dtype.kind for name in stored.files} <= set("fui")
    assert (header["format"], header["version"]) == ("q-store checkpoint", 1)


def test_a_state_of_an_earlier_version_knows_nothing_of_right_rows():
    numbers = some_state().numbers()
    del numbers["judged"], numbers["right"]
    del numbers["history"][0]["train_accuracy"]
    state = TrainingState.of(some_state().arrays(), numbers)
    assert (state.judged, state.right, state.history[0].train_accuracy) == (0, 0, None)


@given(st.data())
def test_truncated_anywhere_it_is_refused(whole, tmp_path_factory, data):
    content = whole.read_bytes()
    path = tmp_path_factory.mktemp("cut") / "run.ckpt"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(RunError, match="delete it and start the run anew"):
        CheckpointFile(path).load()


@given(st.data())
def test_with_a_bit_flipped_it_is_refused_or_unchanged(whole, tmp_path_factory, data):
    # the archive's own time stamps and the like do not matter; whatever is read must be what was written
    content = bytearray(whole.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("flip") / "run.ckpt"
    path.write_bytes(content)
    try:
        state, parts = CheckpointFile(path).load()
    except RunError as error:
        assert "run anew" in str(error)  # noqa: PT017  # either outcome is right
    else:
        assert state.numbers() == some_state().numbers()
        assert {k: v.tobytes() for k, v in state.arrays().items()} == {
            k: v.tobytes() for k, v in some_state().arrays().items()
        }
        assert parts == IDENTITY.parts


def test_a_damaged_shape_is_refused_before_memory_is_asked_for(whole, tmp_path):
    content = whole.read_bytes()
    plain, huge = b"(2,), }" + b" " * 14, b"(2" + b"0" * 14 + b",), }"
    assert plain in content
    (tmp_path / "run.ckpt").write_bytes(content.replace(plain, huge))
    with pytest.raises(RunError, match=r"\.npy fails its checksum"):
        CheckpointFile(tmp_path / "run.ckpt").load()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "run.ckpt").write_bytes(content)
    with pytest.raises(RunError, match=r"expected a whole checkpoint at .*run\.ckpt"):
        CheckpointFile(tmp_path / "run.ckpt").load()


def test_foreign_archives_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", vector=np.ones(3))
    with pytest.raises(RunError, match="header"):
        CheckpointFile(tmp_path / "other.npz").load()
    np.savez(tmp_path / "pickled.npz", header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RunError, match="whole checkpoint"):
        CheckpointFile(tmp_path / "pickled.npz").load()


def test_a_changed_number_in_a_sound_archive_is_refused(whole, tmp_path):
    with np.load(whole) as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "same.npz", **arrays)
    CheckpointFile(tmp_path / "same.npz").load()
    arrays["vector"] = np.nextafter(arrays["vector"], 9)
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(RunError, match="do not match their hash"):
        CheckpointFile(tmp_path / "changed.npz").load()


def test_other_versions_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("q_store.training.checkpoint.VERSION", 2)
    CheckpointFile(tmp_path / "run.ckpt").save(some_state(), IDENTITY)
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"version 1 .* got q-store checkpoint version 2"):
        CheckpointFile(tmp_path / "run.ckpt").load()


def test_absent_files(tmp_path):
    assert CheckpointFile(tmp_path / "run.ckpt").open(IDENTITY, resume=True) is None
    with pytest.raises(RunError, match="found none"):
        CheckpointFile(tmp_path / "run.ckpt").load()


def test_existing_files_need_resume(whole):
    with pytest.raises(RunError, match="resume it, or choose another place"):
        CheckpointFile(whole).open(IDENTITY, resume=False)


def test_what_differs_is_named(whole):
    other = RunIdentity({**IDENTITY.parts, "learning_rate": 0.2})
    with pytest.raises(RunError, match=r"learning_rate \(0\.1 in the checkpoint, 0\.2 now\)"):
        CheckpointFile(whole).open(other, resume=True)


def test_unreadable_files_are_a_storage_error(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="could not read"):
        CheckpointFile(tmp_path / "folder").load()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch, call):
    path = tmp_path / "run.ckpt"
    write_atomically(path, b"earlier")

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    if call == "replace":
        monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        write_atomically(path, b"later")
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["run.ckpt"]


def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    path, sizes = tmp_path / "run.ckpt", []

    def fsync(handle):
        found = os.fstat(handle)
        if not stat.S_ISDIR(found.st_mode):  # the folder follows, after the renaming
            sizes.append(found.st_size)
            assert not path.exists()

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"content")
    assert sizes == [7]
    assert path.read_bytes() == b"content"


def test_a_folder_that_is_missing_is_a_storage_error(tmp_path, small):
    with pytest.raises(StorageError, match="the folder is not there; make it"):
        small.fit(checkpoints=CheckpointFile(tmp_path / "missing" / "run.ckpt"))


# ------------------------------------------------------------------------------------------------------------- resume

OPTIONS = {"epochs": 3, "finish_iterations": 4, "keep_best": True, "early_stopping": 3, "learning_rate": 0.3}


def interrupted_fit(small, path, stop_at, interrupted, **options):
    """Train until the event number `stop_at`, then break off; the number of events before that."""
    seen = []

    def sink(event):
        seen.append(event)
        if len(seen) == stop_at:
            raise interrupted

    try:
        small.fit(sinks=[sink], checkpoints=CheckpointFile(path), resume=True, **{**OPTIONS, **options})
    except interrupted:
        return False
    return True


@pytest.mark.parametrize("steps", [None, 2])
def test_a_run_broken_at_any_event_ends_like_an_unbroken_one(small, tmp_path, interrupted, steps):
    whole = small.fit(**OPTIONS)
    seen = []
    small.fit(sinks=[seen.append], checkpoints=CheckpointFile(tmp_path / "count"), checkpoint_steps=steps, **OPTIONS)
    assert sum(isinstance(e, events.CheckpointSaved) for e in seen) == {None: 5, 2: 8}[steps]
    for stop_at in range(1, len(seen) + 1):
        path = tmp_path / f"run{stop_at}"
        assert not interrupted_fit(small, path, stop_at, interrupted, checkpoint_steps=steps)
        resumed = small.fit(checkpoints=CheckpointFile(path), resume=True, checkpoint_steps=steps, **OPTIONS)
        assert resumed.parameters.tobytes() == whole.parameters.tobytes()
        assert [(e.stage, e.train_loss, e.train_accuracy, e.validation_loss) for e in resumed.history] == [
            (e.stage, e.train_loss, e.train_accuracy, e.validation_loss) for e in whole.history
        ]
        assert (resumed.circuits, resumed.best_epoch) == (whole.circuits, whole.best_epoch)


def test_a_run_broken_again_and_again(small, tmp_path, interrupted):
    whole = small.fit(**OPTIONS)
    path, attempts = tmp_path / "run", 0
    while not interrupted_fit(small, path, 4, interrupted, checkpoint_steps=1):
        attempts += 1
        if attempts > 20:  # the finish starts over each time and needs more events than that
            break
    resumed = small.fit(checkpoints=CheckpointFile(path), resume=True, **OPTIONS)
    assert attempts > 3
    assert resumed.parameters.tobytes() == whole.parameters.tobytes()


def test_samples_are_the_same_after_a_resume(small, tmp_path, interrupted):
    options = {"gradient": "parameter_shift", "shots": 20, "finish_iterations": 0}
    whole = small.fit(**{**OPTIONS, **options})
    for stop_at in (4, 8):
        path = tmp_path / f"run{stop_at}"
        interrupted_fit(small, path, stop_at, interrupted, **options)
        resumed = small.fit(checkpoints=CheckpointFile(path), resume=True, **{**OPTIONS, **options})
        assert resumed.parameters.tobytes() == whole.parameters.tobytes()


def test_a_finished_run_returns_its_result_without_a_job(small, tmp_path):
    checkpoints = CheckpointFile(tmp_path / "run")
    whole = small.fit(checkpoints=checkpoints, **OPTIONS)

    class Idle:
        capabilities = small.backend.capabilities

        def run(self, job):
            pytest.fail(f"expected no job, got {job.output}")

    small.backend = Idle()
    again = small.fit(checkpoints=checkpoints, resume=True, **OPTIONS)
    assert again.parameters.tobytes() == whole.parameters.tobytes()
    assert again.history == whole.history


def test_epochs_between_checkpoints(small, tmp_path):
    seen = []
    small.fit(sinks=[seen.append], checkpoints=CheckpointFile(tmp_path / "run"), epochs=5, checkpoint_epochs=2)
    assert [e.epoch for e in seen if isinstance(e, events.CheckpointSaved)] == [2, 4, 5]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"epochs": 4}, r"epochs \(3 in the checkpoint, 4 now\)"),
        ({"seed": 5}, "initial parameters"),
        ({"start": np.ones(8)}, "initial parameters"),
        ({"validation": False}, "validation data"),
    ],
)
def test_another_run_is_refused(small, tmp_path, change, match):
    checkpoints = CheckpointFile(tmp_path / "run")
    small.fit(checkpoints=checkpoints)
    with pytest.raises(RunError, match=match):
        small.fit(checkpoints=checkpoints, resume=True, **change)


def test_other_data_are_refused(small, tmp_path):
    checkpoints = CheckpointFile(tmp_path / "run")
    small.fit(checkpoints=checkpoints)
    small.train = (small.train[0] + 1e-12, small.train[1])
    with pytest.raises(RunError, match="training data"):
        small.fit(checkpoints=checkpoints, resume=True)


def test_how_often_to_save_may_change(small, tmp_path):
    checkpoints = CheckpointFile(tmp_path / "run")
    small.fit(checkpoints=checkpoints)
    small.fit(checkpoints=checkpoints, resume=True, checkpoint_epochs=2, checkpoint_steps=7)


SCRIPT = """
    import os, signal, sys
    import numpy as np
    from q_store.backends.local import LocalBackend
    from q_store.circuits import Circuit, Marginal, cnot, ry, theta, x
    from q_store.training import CheckpointFile, CrossEntropy, LinearReadout, Objective, Trainer, TrainingSettings

    path, stop_at = sys.argv[1], int(sys.argv[2])
    circuit = Circuit.build(2, [ry(x(0) * theta(0), 0), ry(x(1) + theta(1), 1), cnot(0, 1), ry(theta(2), 1)])
    objective = Objective(circuit, [Marginal((0, 1))], LinearReadout(4, 2), CrossEntropy())
    data = np.random.default_rng(0).normal(size=(30, 2))
    seen = []

    def sink(event):
        seen.append(event)
        if len(seen) == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = TrainingSettings(epochs=3, batch_size=10, finish_iterations=5, checkpoint_steps=1)
    trainer = Trainer(objective, settings, LocalBackend(threads=1), sinks=[sink], checkpoints=CheckpointFile(path))
    print(trainer.fit((data, (data.sum(axis=1) > 0).astype(int)), resume=True).parameters.tobytes().hex())
"""


@pytest.mark.kill
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_resumes_bit_by_bit(tmp_path, monkeypatch, capsys):
    def run(path, stop_at):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(path), str(stop_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for stop_at in (6, 20):
        assert run(tmp_path / "killed", stop_at).returncode == -signal.SIGKILL
    resumed = run(tmp_path / "killed", 0)
    assert resumed.returncode == 0, resumed.stderr
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "whole"), "0"])
    exec(textwrap.dedent(SCRIPT), {})  # noqa: S102  # the same run in this process, unbroken
    assert resumed.stdout == capsys.readouterr().out
