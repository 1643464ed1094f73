"""Make the bundled Fashion-MNIST subset from the full set: `python benchmarks/make_bundled_subset.py`.

For each part of the full set, the first 500, 100 and 100 images of every class in file order (the files are shuffled
by their authors), so that no bundled training image is in the full validation or test part and the other way round.
No random numbers and fixed dates in the archive: the same files come out on every machine with the same zlib.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from q_store.models import fashion_mnist
from q_store.models.data import Split

PER_CLASS = {"train": 500, "validation": 100, "test": 100}
TARGET = Path(__file__).parent.parent / "src" / "q_store" / "models" / "assets" / fashion_mnist.BUNDLED
EARLIEST_DATE = (1980, 1, 1, 0, 0, 0)


def first_of_each_class(part: Split, count: int) -> NDArray[np.int64]:
    """The rows of the first `count` images of every class, in file order (sorted by class they would mislead SGD)."""
    labels = range(len(fashion_mnist.CLASS_NAMES))
    return np.sort(np.concatenate([np.flatnonzero(part.y == label)[:count] for label in labels]))


def archive(arrays: dict[str, NDArray[np.uint8]]) -> bytes:
    """The bytes of an `.npz` file, compressed as far as deflate goes, without the time of day."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", EARLIEST_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, member.getvalue())
    return buffer.getvalue()


def main() -> None:
    """Write the subset and print its size."""
    arrays = {}
    for name, part in fashion_mnist.load_full().parts.items():
        rows = first_of_each_class(part, PER_CLASS[name])
        arrays[f"x_{name}"] = part.x[rows].reshape(-1, fashion_mnist.SIDE, fashion_mnist.SIDE)
        arrays[f"y_{name}"] = part.y[rows].astype(np.uint8)
    content = archive(arrays)
    TARGET.write_bytes(content)
    print(f"{TARGET.name}: {len(content)} bytes, {sum(PER_CLASS.values()) * 10} images")


if __name__ == "__main__":
    main()
