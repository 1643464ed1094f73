"""Files that somebody else's program wrote, or that a person has edited: understood alike everywhere, or refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from q_store.apps.inputs import read_rows
from q_store.apps.request import LARGEST_EPOCHS
from q_store.errors import DataError, QStoreError, ShapeError
from q_store.models import readers

HEADER = b"\x93NUMPY\x01\x00\x76\x00"


@pytest.mark.parametrize("head", ["a,b,label", "a,b,target", "label,a,b", "y,a,b", None])
def test_training_and_prediction_agree_on_the_column_of_labels(tmp_path, head):
    rng = np.random.default_rng(1)
    table = np.column_stack([np.arange(40) % 2, 2 + rng.integers(0, 2, (40, 2))])
    if head and head.startswith("a"):
        table = table[:, [1, 2, 0]] - (2 if head == "a,b,target" else 0) * np.array([1, 0, 0])
    text = "\n".join(",".join(map(str, row)) for row in table)
    path = tmp_path / "table.csv"
    path.write_text(f"{head}\n{text}\n" if head else f"{text}\n", encoding="utf-8")
    data = readers.load(path)
    trained = np.sort(np.concatenate([part.x for part in data.parts.values()]), axis=0)
    assert np.array_equal(np.sort(read_rows(path, 2, pixels=False), axis=0), trained)


@pytest.mark.parametrize(
    "fields", ["((((", "{'descr': '<f8', 'fortran_order': False, 'shape': (2,", "{'descr': '<q77'"]
)
def test_a_damaged_header_of_an_array_is_refused(tmp_path, fields):
    path = tmp_path / "rows.npy"
    path.write_bytes(HEADER + fields.encode().ljust(117) + b"\n")
    with pytest.raises(DataError, match=r"rows.npy: expected a readable file"):
        read_rows(path, 8, pixels=False)


@pytest.mark.parametrize("shape", [(), (8, 1), (2, 4), (4, 2), (7,)])
def test_rows_of_another_width_are_not_strung_together(tmp_path, shape):
    path = tmp_path / "rows.npy"
    np.save(path, np.ones(shape))
    with pytest.raises(ShapeError, match="expected rows of 8 features"):
        read_rows(path, 8, pixels=False)


@pytest.mark.parametrize(("shape", "rows"), [((8,), 1), ((1, 8), 1), ((3, 8), 3), ((3, 2, 4), 3)])
def test_one_row_and_rows_of_images_are_taken(tmp_path, shape, rows):
    path = tmp_path / "rows.npy"
    np.save(path, np.ones(shape))
    assert read_rows(path, 8, pixels=False).shape == (rows, 8)


def test_one_image_is_taken_by_a_model_of_images(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, np.full((2, 4), 7))
    assert read_rows(path, 8, pixels=True).tolist() == [[7] * 8]


def test_a_long_field_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('"' + "1" * 200_000 + '",2\n', encoding="utf-8")
    with pytest.raises(QStoreError):
        read_rows(path, 8, pixels=False)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 1, "resolved": [], "request": {"model": "ring", "data": "x.npz", "epochs": 1, "seed": 0}}',
        '{"format": 1, "resolved": null, "request": {"model": "ring", "data": "x.npz", "epochs": 1, "seed": 0}}',
        '{"format": 1, "request": {"model": "ring", "data": "x.npz", "epochs": true, "seed": 0}}',
    ],
)
def test_an_edited_config_is_refused(q_store, trained, tmp_path, text):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "config.json").write_text(text, encoding="utf-8")
    answer = q_store("evaluate", run)
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer
    assert "config.json" in answer.err


def test_a_run_goes_on_without_its_metrics_and_its_checkpoints(q_store, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").write_text('{"epoch": "one"}\n' + "[" * 100_000 + "\n", encoding="utf-8")
    answer = q_store("train", "--resume", run, "--no-control", "--json")
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err
    assert "failed on" not in answer.err
    before = json.loads((trained / "result.json").read_text(encoding="utf-8"))
    assert answer.json["parameters_sha256"] == before["parameters_sha256"]
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len((trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("words", "part"),
    [(("--epochs", LARGEST_EPOCHS + 1), "--epochs of 1,000,000 or less"), (("--data", ""), "or the path of a .npz")],
)
def test_slips_are_not_taken_for_wishes(q_store, tmp_path, words, part):
    answer = q_store("train", "ring", *words, "--out", tmp_path / "run")
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer
    assert part in answer.err
    assert not (tmp_path / "run").exists()
