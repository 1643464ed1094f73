"""Fashion-MNIST: a bundled stratified subset, and the full set from Debian, a cache directory or the network.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747 (MIT licence, beside the bundled subset).
Split of the full set: the first 50,000 training images train, the last 10,000 validate, the 10,000 test images test.
The bundled subset is cut the same way and from the same parts: 5,000, 1,000 and 1,000 images, equally many a class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from q_store.errors import ConfigError, DataError, ShapeError, suggestion
from q_store.models.data import PARTS, Dataset, dataset
from q_store.models.download import fetch
from q_store.models.idx import read_idx
from q_store.models.readers import read_arrays

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SIDE = 28
BUNDLED = "fashion_mnist_7000.npz"
DEBIAN_DIRECTORY = Path("/usr/share/datasets/fashion-mnist")
ADDRESSES = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
"""Where the authors publish the files (README of the data set); the checksum decides, not the transport."""
VARIABLE = "Q_STORE_FASHION_MNIST"
CHECKSUMS: Mapping[str, str] = MappingProxyType(
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
)
"""sha256 of the unpacked files (Debian and the authors compress them differently)."""


def load(which: str = "bundled") -> Dataset:
    """The `bundled` subset or the `full` set; images are rows of 784 uint8 pixels.

    Raises ConfigError for another name, DataError when files are missing or damaged and cannot be fetched.
    """
    if which == "bundled":
        return load_bundled()
    if which == "full":
        return load_full()
    raise ConfigError(
        f"expected 'bundled' or 'full' Fashion-MNIST, got {which!r}{suggestion(which, ['bundled', 'full'])}"
    )


def load_bundled() -> Dataset:
    """5,000 training, 1,000 validation and 1,000 test images from the package itself."""
    with resources.as_file(resources.files("q_store.models") / "assets" / BUNDLED) as path:
        arrays = read_arrays(path)
    return _images({part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in PARTS}, "bundled")


def load_full(checksums: Mapping[str, str] = CHECKSUMS) -> Dataset:
    """The full set: from the directory in `Q_STORE_FASHION_MNIST`, else Debian's, else the cache, else downloaded.

    `checksums` gives the file names and the sha256 of their unpacked contents.
    """
    directory = find(checksums) or download(checksums)
    arrays = {name: read_idx(_file(directory, name), digest) for name, digest in checksums.items()}
    return _images(parts(arrays), "full")


def parts(arrays: Mapping[str, NDArray[np.uint8]]) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Train, validation and test part of the four IDX arrays; the last sixth of the training images validates."""
    images, labels = arrays["train-images-idx3-ubyte"], arrays["train-labels-idx1-ubyte"]
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ShapeError(
            f"Fashion-MNIST: expected images [B, {SIDE}, {SIDE}] and labels [B], got {list(images.shape)} and "
            f"{list(labels.shape)}; fetch the four files again"
        )
    kept = len(images) - len(images) // 6
    return {
        "train": (images[:kept], labels[:kept]),
        "validation": (images[kept:], labels[kept:]),
        "test": (arrays["t10k-images-idx3-ubyte"], arrays["t10k-labels-idx1-ubyte"]),
    }


def directories() -> tuple[Path, ...]:
    """Where the full set is looked for, in order; the last one is where a download goes."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return (Path(chosen).expanduser(),)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (DEBIAN_DIRECTORY, Path(cache).expanduser() / "q-store" / "fashion-mnist")


def find(checksums: Mapping[str, str] = CHECKSUMS) -> Path | None:
    """The first directory that holds all the files, gzip-compressed or not; None when there is none."""
    for directory in directories():
        if all(_file(directory, name).is_file() for name in checksums):
            return directory
    return None


def download(checksums: Mapping[str, str] = CHECKSUMS, tell: Callable[[int, int | None], None] | None = None) -> Path:
    """Fetch the missing files into the cache directory and return it; DataError says what to do when that fails.

    `tell` hears the bytes of each file as they come, and how many there are where the server says so.
    """
    directory = directories()[-1]
    for name, digest in checksums.items():
        if not _file(directory, name).is_file():
            target = directory / f"{name}.gz"
            try:
                fetch([f"{address}{name}.gz" for address in ADDRESSES], target, digest, tell)
            except DataError as error:
                raise DataError(f"expected the full Fashion-MNIST, got {error}; {_remedy(directory)}") from error
    return directory


def _remedy(directory: Path) -> str:
    return (
        "install it with 'apt-get install dataset-fashion-mnist', or put the four .gz files of "
        f"https://github.com/zalandoresearch/fashion-mnist into {directory}, or name their directory in {VARIABLE}, "
        "or train on the bundled subset ('bundled')"
    )


def _file(directory: Path, name: str) -> Path:
    packed = directory / f"{name}.gz"
    return packed if packed.is_file() else directory / name


def _images(given: dict[str, tuple[Any, Any]], source: str) -> Dataset:
    return dataset(given, source=source, class_names=CLASS_NAMES)
