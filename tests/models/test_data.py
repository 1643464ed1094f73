"""Data sets: what every source must give, the stratified split, and every way that data can be bad."""

from __future__ import annotations

import contextlib
import gzip
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from q_store.errors import DataError, ShapeError
from q_store.models import checks, readers
from q_store.models.data import Split, dataset, stratified


def rows(count=60, width=4, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, width)), np.arange(count) % classes


def built(x, y, **options):
    return dataset({"train": (x, y)}, source="here", **options)


@given(st.integers(0, 1000), st.lists(st.integers(2, 40), min_size=2, max_size=6), st.floats(0.05, 0.6))
def test_the_split_is_stratified_complete_and_disjoint(seed, counts, share):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.arange(len(y), dtype=float)[:, None]
    kept, taken = stratified(Split(x, y), share, seed, "here")
    np.testing.assert_array_equal(np.sort(np.concatenate([kept.x, taken.x])[:, 0]), x[:, 0])
    np.testing.assert_array_equal(y[taken.x[:, 0].astype(int)], taken.y)
    for label, count in enumerate(counts):
        got = np.count_nonzero(taken.y == label)
        assert 1 <= got < count
        assert abs(got - share * count) <= 1


def test_missing_parts_are_cut_and_a_seed_cuts_them_the_same_way():
    x, y = rows(600)
    data = built(x, y, seed=3)
    assert [len(part) for part in data.parts.values()] == [408, 72, 120]
    assert data.digest == built(x, y, seed=3).digest
    assert data.digest != built(x, y, seed=4).digest
    assert data.n_classes == 3
    assert data.n_features == 4
    assert data.class_names == ("0", "1", "2")


def test_given_parts_stay_as_they_are():
    x, y = rows()
    data = dataset({"train": (x, y), "validation": rows(9), "test": rows(12, seed=1)}, source="here")
    np.testing.assert_array_equal(data.train.x, x)
    assert [len(part) for part in data.parts.values()] == [60, 9, 12]


def test_the_digest_sees_one_changed_value():
    x, y = rows()
    before = built(x, y).digest
    x[17, 2] += 1e-9
    assert built(x, y).digest != before


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ((60, 4), None),
        ((60, 4, 5), (4, 5)),
        ((60, 1, 4, 5), (4, 5)),
        ((60, 4, 5, 1), (4, 5)),
        ((60, 3, 4, 5), (3, 4, 5)),
    ],
)
def test_images_are_flattened_and_their_shape_kept(shape, kept):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = built(x, rows()[1])
    assert data.image_shape == kept
    assert data.n_features == np.prod(shape[1:])
    assert data.train.x.dtype == np.uint8


@pytest.mark.parametrize(("given_type", "kept"), [("f4", "f4"), ("f8", "f8"), ("f2", "f4"), ("i8", "f8"), ("?", "f8")])
def test_types_are_narrowed_to_three(given_type, kept):
    assert built(np.ones((60, 4), dtype=given_type), rows()[1]).train.x.dtype == np.dtype(kept)


def test_rows_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        built(*rows()).train.x[0, 0] = 1


X, Y = rows()


def changed(array, index, value):
    copy = np.array(array, dtype=float)
    copy[index] = value
    return copy


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (X[0], Y, ShapeError, r"x of shape \[rows, features\].*got \[4\]"),
        (X[:50], Y, ShapeError, "one label for each row, got 50 rows and 60 labels"),
        (X, np.eye(3)[Y], ShapeError, r"argmax\(axis=1\)"),
        ([[1, 2], [3]], [0, 1], ShapeError, "rows of equal shape"),
        (X[:0], Y[:0], DataError, "at least one row"),
        (X[:, :0], Y, DataError, "at least one row and one feature"),
        (changed(X, (7, 2), np.nan), Y, DataError, "got nan in row 7, column 2"),
        (changed(X, (0, 0), -np.inf), Y, DataError, "got -inf in row 0"),
        (X.astype(str), Y, DataError, "expected numbers in x"),
        (X.astype(object), Y, DataError, "got Python objects"),
        (X, Y + 0.5, DataError, "whole numbers as labels, got 0.5 in row 0"),
        (X, changed(Y, 5, np.nan), DataError, "got nan in row 5"),
        (X, changed(Y, 5, 1e300), DataError, "in row 5"),
        (X, Y.astype(str), DataError, "whole numbers as labels"),
        (X, Y - 1, DataError, "labels from 0 to 1, got -1 in row 0"),
        (X, Y * 2, DataError, "got none of 1, 3"),
        (X, Y * 10**6, DataError, "is this a regression target"),
        (X, Y * 0, DataError, "at least 2 classes"),
        (X[:3], Y[:3], DataError, "at least 2 rows of class 0"),
    ],
)
def test_unusable_rows_are_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        built(x, y)


def test_parts_that_do_not_fit_together_are_refused():
    with pytest.raises(ShapeError, match="same number of features"):
        dataset({"train": rows(), "test": rows(width=5)}, source="here")
    with pytest.raises(DataError, match="test part: expected labels from 0 to 2, got 3 in row 3"):
        dataset({"train": rows(), "test": rows(classes=4)}, source="here")
    with pytest.raises(DataError, match="expected a training part"):
        dataset({"test": rows()}, source="here")
    with pytest.raises(DataError, match="labels from 0 to 1, got 2"):
        built(*rows(), class_names=("a", "b"))


@pytest.mark.parametrize(
    "keys", [("x", "y"), ("X", "y"), ("data", "target"), ("images", "labels"), ("X_train", "y_train")]
)
def test_npz_keys_for_one_part(tmp_path, keys):
    np.savez(tmp_path / "a.npz", **dict(zip(keys, rows(), strict=True)))
    data = readers.load(tmp_path / "a.npz", seed=5)
    assert data.digest == built(*rows(), seed=5).digest
    assert data.source == str(tmp_path / "a.npz")


def test_npz_keys_for_three_parts_and_names(tmp_path):
    train, val, test = rows(), rows(6, seed=1), rows(9, seed=2)
    np.savez(
        tmp_path / "a.npz", train_images=train[0], train_labels=train[1][:, None], val_images=val[0], val_labels=val[1],
        test_images=test[0], test_labels=test[1], class_names=np.array(["a", "b", "c"]),
    )  # fmt: skip
    data = readers.npz(tmp_path / "a.npz")
    assert data.class_names == ("a", "b", "c")
    for part, (x, y) in zip(data.parts.values(), (train, val, test), strict=True):
        np.testing.assert_array_equal(part.x, x)
        np.testing.assert_array_equal(part.y, y)


class Evil:
    """Unpickling it would leave a trace."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "train part, got no y"),
        ({"a": X, "b": Y}, "expected the keys x and y"),
        ({"x": X, "y": Y, "x_test": X}, "test part, got no y"),
        ({"x": np.array([Evil()], dtype=object), "y": Y}, "pickled objects are never loaded"),
    ],
)
def test_unusable_npz_contents_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        readers.load(tmp_path / "a.npz")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_npz_is_refused(tmp_path, share):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a\.npz: expected a readable \.npz file.*damaged or truncated"):
        readers.load(path)


@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_flipped_byte_never_escapes_as_another_error(tmp_path_factory, position, value):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    np.savez_compressed(path, x=np.ones((40, 3)), y=np.arange(40) % 2)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        readers.load(path)


def test_a_single_array_or_a_foreign_archive_is_no_npz(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, X)
    with pytest.raises(DataError, match=r"no \.npz: copy it again"):
        readers.load(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
        archive.writestr("y", b"text")
    with pytest.raises(DataError, match=r"b\.npz"):
        readers.load(tmp_path / "b.npz")


def test_missing_files_and_unknown_kinds_are_refused(tmp_path):
    for name in ("a.npz", "a.csv"):
        with pytest.raises(DataError, match=f"{name}.*no such file"):
            readers.load(tmp_path / name)
    with pytest.raises(DataError, match=r"expected 'bundled', 'full' or the path"):
        readers.load("fulll")


TABLE = "a,b,label\n" + "".join(f"{i},{i * i},{'cat' if i % 2 else 'ant'}\n" for i in range(20))


def test_csv_with_names_and_text_labels(tmp_path):
    (tmp_path / "a.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    data, packed = readers.load(tmp_path / "a.csv"), readers.load(tmp_path / "b.csv.gz")
    assert data.class_names == ("ant", "cat")
    assert data.digest == packed.digest
    np.testing.assert_array_equal(data.train.x[:, 1], data.train.x[:, 0] ** 2)
    np.testing.assert_array_equal(data.train.y, data.train.x[:, 0] % 2)


def test_csv_without_names_has_the_label_first(tmp_path):
    (tmp_path / "a.csv").write_text("".join(f"{i % 3}, {i}.5 ,1e{i % 4}\n" for i in range(30)), encoding="utf-8-sig")
    data = readers.csv(tmp_path / "a.csv")
    assert data.n_classes == 3
    np.testing.assert_array_equal(data.train.y, (data.train.x[:, 0] - 0.5) % 3)


def test_csv_columns_named_pixel_become_bytes(tmp_path):
    header = "label," + ",".join(f"pixel{i}" for i in range(4)) + "\n"
    body = "".join(f"{i % 2},{i},0,255,7\n" for i in range(20))
    (tmp_path / "a.csv").write_text(header + body, encoding="utf-8")
    (tmp_path / "b.csv").write_text(header + body.replace(",7\n", ",7.5\n"), encoding="utf-8")
    assert readers.csv(tmp_path / "a.csv").train.x.dtype == np.uint8
    assert readers.csv(tmp_path / "b.csv").train.x.dtype == np.float64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"\n\n", "empty file"),
        (b"a,b,label\n", "only column names"),
        (b"1;2\n3;4\n", "separate the columns with commas"),
        (TABLE.encode()[:-9], "expected 3 columns in every line, got [12] in line 21"),
        (b"0,1,2\n1,2\n", "expected 3 columns in every line, got 2 in line 2"),
        (b"0,1,2\n1,2,3,4\n", "got 4 in line 2"),
        (b"0,1,2\n1,2,x\n", "number in line 2, column 3, got 'x'"),
        (b"0,1,2\n1,,3\n", "number in line 2, column 2, got ''"),
        (b"0,1,2\n1,nan,3\n", "got nan in row 1"),
        (b"0.5,1,2\n1,2,3\n", "whole numbers as labels, got 0.5"),
        (b"\xff\xfe0,1\n", "readable UTF-8"),
        (gzip.compress(TABLE.encode())[:-12], "damaged, truncated or no CSV"),
    ],
)
def test_unusable_csv_is_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        readers.load(tmp_path / "a.csv")


class Tensor:
    """What a torch tensor that requires a gradient demands: detach, then cpu, then an array."""

    def __init__(self, array, steps=()):
        self.array, self.steps = array, steps

    def detach(self):
        return Tensor(self.array, (*self.steps, "detach"))

    def cpu(self):
        return Tensor(self.array, (*self.steps, "cpu"))

    def __array__(self, dtype=None, copy=None):
        assert self.steps == ("detach", "cpu")
        return np.asarray(self.array, dtype=dtype)


def test_batches_are_joined_in_order():
    x, y = rows()
    loader = ((Tensor(x[i : i + 7].reshape(-1, 1, 2, 2)), Tensor(y[i : i + 7])) for i in range(0, 60, 7))
    data = readers.batches(loader, [rows(6)], [list(rows(9))])
    np.testing.assert_array_equal(data.train.x, x)
    np.testing.assert_array_equal(data.train.y, y)
    assert data.image_shape == (2, 2)
    assert data.source == "batches"


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ([], "at least one batch"),
        ([X], "got a ndarray of length 60 as batch 0"),
        ([(X, Y), (X, Y, Y)], "got a tuple of length 3 as batch 1"),
        ([7], "got a int as batch 0"),
        ([(X, Y[:5])], r"got \[60, 4\] and \[5\] in batch 0"),
        ([(X[0], 1)], r"got \[4\] and \[\] in batch 0"),
        ([(X, Y), (X[:, :2], Y)], "same row shape"),
    ],
)
def test_unusable_batches_are_refused(loader, message):
    with pytest.raises(DataError, match=message):
        readers.batches(loader)


def test_a_tensor_that_requires_a_gradient_is_taken_whole():
    rows, _ = checks.features(Tensor(np.ones((3, 2))), "rows")
    assert rows.shape == (3, 2)
