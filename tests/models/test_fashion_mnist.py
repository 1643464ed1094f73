"""Fashion-MNIST: the bundled subset, the search for the full one, and every way that its files can be bad."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest

from q_store.errors import ConfigError, DataError, ShapeError, StorageError
from q_store.models import download, fashion_mnist, readers
from q_store.models.idx import parse_idx, read_idx

NAMES = tuple(fashion_mnist.CHECKSUMS)


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def small_set(monkeypatch, tmp_path):
    """Four small IDX files in a directory that the environment names; returns (directory, checksums, arrays)."""
    generator = np.random.default_rng(0)
    arrays = {
        NAMES[0]: generator.integers(0, 256, (120, 28, 28), dtype=np.uint8),
        NAMES[1]: np.arange(120, dtype=np.uint8) % 10,
        NAMES[2]: generator.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        NAMES[3]: np.arange(20, dtype=np.uint8) % 10,
    }
    checksums = {}
    for number, (name, array) in enumerate(arrays.items()):
        content = idx_bytes(array)
        checksums[name] = hashlib.sha256(content).hexdigest()
        packed = number % 2 == 0
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    monkeypatch.setenv(fashion_mnist.VARIABLE, str(tmp_path))
    return tmp_path, checksums, arrays


def test_the_bundled_subset_is_balanced_complete_and_unchanged():
    data = fashion_mnist.load("bundled")
    assert [part.x.shape for part in data.parts.values()] == [(5000, 784), (1000, 784), (1000, 784)]
    for part in data.parts.values():
        assert np.ptp(np.bincount(part.y, minlength=10)) == 0
        assert part.x.dtype == np.uint8
        assert not part.x.flags.writeable
    assert data.image_shape == (28, 28)
    assert data.class_names[9] == "Ankle boot"
    assert data.digest == "9610d9927ac83a608ffe20efd0bb95233126b0b1043b03f8ce3bfa29959e938a"


def test_the_bundled_parts_share_no_image():
    data = fashion_mnist.load_bundled()
    rows = {name: {row.tobytes() for row in part.x} for name, part in data.parts.items()}
    assert not rows["train"] & rows["test"]
    assert not rows["train"] & rows["validation"]
    assert not rows["validation"] & rows["test"]


def test_the_licence_lies_beside_the_subset():
    folder = Path(fashion_mnist.__file__).parent / "assets"
    assert "MIT License" in (folder / "fashion_mnist_LICENCE.txt").read_text(encoding="utf-8")
    assert (folder / fashion_mnist.BUNDLED).stat().st_size < 4_000_000


def test_the_full_set_keeps_the_last_sixth_for_validation(small_set):
    _, checksums, arrays = small_set
    data = fashion_mnist.load_full(checksums)
    assert [len(part) for part in data.parts.values()] == [100, 20, 20]
    np.testing.assert_array_equal(data.train.x, arrays[NAMES[0]][:100].reshape(100, 784))
    np.testing.assert_array_equal(data.validation.y, arrays[NAMES[1]][100:])
    np.testing.assert_array_equal(data.test.x[3], arrays[NAMES[2]][3].ravel())
    assert data.source == "full"


@pytest.mark.usefixtures("small_set")
def test_files_of_another_set_under_the_same_names_are_refused():
    with pytest.raises(DataError, match=r"sha256 c59f468a2f67.*delete it and fetch it again"):
        fashion_mnist.load_full()


def test_a_damaged_gzip_file_is_named(small_set):
    directory, checksums, _ = small_set
    path = directory / f"{NAMES[0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz.*damaged or truncated"):
        fashion_mnist.load_full(checksums)


def test_the_search_looks_at_debian_then_at_the_cache(monkeypatch, tmp_path):
    monkeypatch.delenv(fashion_mnist.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_DIRECTORY", tmp_path / "debian")
    assert fashion_mnist.find() is None
    cache = tmp_path / "cache" / "q-store" / "fashion-mnist"
    for directory in (cache, tmp_path / "debian"):
        directory.mkdir(parents=True)
        for name in NAMES:
            (directory / f"{name}.gz").touch()
        assert fashion_mnist.find() == directory
    (tmp_path / "debian" / f"{NAMES[3]}.gz").unlink()
    assert fashion_mnist.find() == cache


class Reply(io.BytesIO):
    """What a server sends."""

    @property
    def headers(self):
        return {"Content-Length": str(len(self.getvalue()))}


def test_what_is_missing_is_downloaded_checked_and_kept(small_set, monkeypatch):
    directory, checksums, arrays = small_set
    (directory / NAMES[3]).unlink()
    packed = gzip.compress(idx_bytes(arrays[NAMES[3]]))
    asked = []

    def serve(address, timeout):
        asked.append(address)
        assert timeout > 0
        return Reply(packed if address.startswith(fashion_mnist.ADDRESSES[1]) else gzip.compress(b"an advert"))

    monkeypatch.setattr(download, "urlopen", serve)
    told = []
    fashion_mnist.download(checksums, lambda *said: told.append(said))
    assert told[-1] == (len(packed), len(packed))
    data = fashion_mnist.load_full(checksums)
    assert asked == [f"{address}{NAMES[3]}.gz" for address in fashion_mnist.ADDRESSES]
    assert (directory / f"{NAMES[3]}.gz").read_bytes() == packed
    np.testing.assert_array_equal(data.test.y, arrays[NAMES[3]])
    fashion_mnist.load_full(checksums)
    assert len(asked) == 2


@pytest.mark.parametrize("failure", [TimeoutError("timed out"), b"no gzip", b"\x1f\x8b\x08 cut"])
def test_a_failed_download_says_what_to_do_and_leaves_nothing(small_set, monkeypatch, failure):
    directory, checksums, _ = small_set
    (directory / NAMES[3]).unlink()
    before = sorted(directory.iterdir())

    def serve(*_, **__):
        if isinstance(failure, Exception):
            raise failure
        return Reply(failure)

    monkeypatch.setattr(download, "urlopen", serve)
    with pytest.raises(DataError, match=r"apt-get install dataset-fashion-mnist.*Q_STORE_FASHION_MNIST.*bundled"):
        fashion_mnist.load_full(checksums)
    assert sorted(directory.iterdir()) == before


def test_an_endless_reply_is_cut_off(monkeypatch, tmp_path):
    class Endless(Reply):
        def read(self, size=-1):
            return b"x" * size

    monkeypatch.setattr(download, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(download, "urlopen", lambda *_, **__: Endless())
    with pytest.raises(DataError, match="no end after"):
        download.fetch(["https://example.org/a.gz"], tmp_path / "a.gz", "0" * 64)


def test_a_disk_that_refuses_leaves_nothing_half_written(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        download.write_atomically(tmp_path / "a.gz", b"content")
    assert list(tmp_path.iterdir()) == []


def test_another_name_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'bundled'"):
        fashion_mnist.load("bundle")


def test_the_reader_knows_the_names():
    assert readers.load("bundled").source == "bundled"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first bytes 00 00"),
        (b"\x89PNG\r\n", "first bytes 00 00"),
        (b"\0\0\x0d\x01" + struct.pack(">I", 1) + b"\0\0\0\0", "type 0x0d"),
        (b"\0\0\x08\x07", "7 axes"),
        (b"\0\0\x08\x03\0\0", "header of 16 bytes, got 6"),
        (b"\0\0\x08\x01" + struct.pack(">I", 5) + b"abc", "13 bytes for shape .5., got 11; the file is truncated"),
        (b"\0\0\x08\x01" + struct.pack(">I", 1) + b"abc", "too long"),
    ],
)
def test_malformed_idx_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        parse_idx(content, "here")


def test_idx_round_trip_and_missing_file(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "b")
    with pytest.raises(DataError, match="readable IDX file"):
        read_idx(tmp_path)


def test_images_and_labels_must_fit_together(small_set):
    _, _, arrays = small_set
    with pytest.raises(ShapeError, match=r"\[B, 28, 28\]"):
        fashion_mnist.parts(arrays | {NAMES[1]: arrays[NAMES[1]][:-1]})
