"""What TensorBoard itself reads of a run."""

from __future__ import annotations

import sys
from itertools import count

import numpy as np
import pytest
from tests.trackers.stories import STORY, epoch, step

from q_store.circuits import encoders, templates
from q_store.errors import ConfigError, StorageError
from q_store.events import RunStarted, StageStarted
from q_store.models import Model
from q_store.models.features import Scaled
from q_store.trackers import TensorBoard, tensorboard

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder):
    found = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return found.Reload()


def curve(found, tag):
    return [(each.step, each.value) for each in found.Scalars(tag)]


def text(found, tag):
    return [(each.step, each.tensor_proto.string_val[0].decode()) for each in found.Tensors(tag)]


def write(folder, story):
    with TensorBoard(folder) as board:
        list(board.replay(story))


def test_curves_texts_and_times_are_read_back(tmp_path, story):
    write(tmp_path / "run", story)
    found = read(tmp_path / "run")
    assert curve(found, "step/loss") == [(1, 2.0), (2, 1.5), (3, 1.25), (4, 1.0), (5, 0.75), (6, 0.5)]
    assert curve(found, "epoch/validation_accuracy") == [(1, 0.25), (2, 0.5), (3, 0.5)]
    assert curve(found, "total/cost_USD") == [(1, 0.25), (3, 0.75)]
    assert curve(found, "final/control_accuracy") == [(6, 0.5)]
    assert {each for each in found.Tags()["scalars"] if each.startswith("step/")} == {
        "step/loss", "step/gradient_norm", "step/gradient_error", "step/learning_rate", "step/depth", "step/shots_each",
    }  # fmt: skip
    assert (2, "7 circuits moved from a to b: it is slow") in text(found, "decisions")
    assert set(found.PluginTagToContent("text")) == {"run/parameters", "run/tags", "decisions"}
    assert "| model | compact |" in text(found, "run/parameters")[0][1]
    assert found.Scalars("step/loss")[0].wall_time == next(at for at, event in story if event is STORY[4])


@pytest.mark.parametrize("number", [0, 9, 99])
def test_a_run_that_goes_on_takes_the_place_of_what_it_does_again(tmp_path, story, number, monkeypatch):
    monkeypatch.setattr(tensorboard, "_numbers", count(number))
    write(tmp_path, story[:13])
    again = [RunStarted(3, 4, 20, 10, 2, 4, 3), StageStarted("epochs"), step(4, 0.25, 2), epoch(2)]
    write(tmp_path, [(2000.0 + k, event) for k, event in enumerate(again)])
    found = read(tmp_path)
    assert curve(found, "step/loss") == [(1, 2.0), (2, 1.5), (3, 1.25), (4, 0.25)]


def test_a_training_in_python_is_written_while_it_runs(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 2))
    circuit = encoders.angle(2) + templates.hardware_efficient(2, 1)
    with TensorBoard(tmp_path / "curves") as board:
        model = Model(Scaled(), circuit).fit(x, (x[:, 0] > 0).astype(int), (x, (x[:, 0] > 0).astype(int)), epochs=3,
                                             sinks=[board])  # fmt: skip
        board.flush()
        found = read(tmp_path / "curves")
    history = model.result.history
    losses = [value for _, value in curve(found, "epoch/validation_loss")]
    np.testing.assert_allclose(losses, [row.validation_loss for row in history], rtol=1e-6)
    assert len(curve(found, "step/loss")) > 1


def test_nothing_of_tensorflow_or_torch_is_loaded(tmp_path):
    import subprocess

    code = f"from q_store.trackers import TensorBoard\nimport sys\nTensorBoard({str(tmp_path)!r}).close()\n"
    code += "print([name for name in ('torch', 'tensorflow', 'grpc', 'mlflow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        TensorBoard(tmp_path / "file")


def test_a_package_that_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(ConfigError, match=r"pip install 'q-store\[tensorboard\]'"):
        TensorBoard(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_is_told_once(tmp_path):
    said = []
    board = TensorBoard(tmp_path, tell=said.append)
    board._file.close()
    for number in range(1, 100):
        board(step(number, 1.0))
    board.close()
    assert len(said) == 1
    assert "it gets no further events, the training goes on" in said[0]
