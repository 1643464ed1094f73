"""What the benchmarks of trainings are told: which images, which seeds, and where the figures go.

--data    `bundled` (the default of most), `full`, or a file as `q-store train --data` takes it: .npz, .csv
--seeds   0 1 2 by default
--out     beside the committed figures by default; of other data a file in this folder, named after them
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import Any

from q_store.errors import QStoreError
from q_store.models import readers
from q_store.models.components import checked_rows, spanned
from q_store.models.data import Dataset

BUNDLED = "bundled"
QUBITS = 6


def parser(
    document: str, results: Path, seeds: tuple[int, ...] = (0, 1, 2), data: str = BUNDLED
) -> argparse.ArgumentParser:
    """The three options; `results` holds the committed figures, which are of `data`."""
    found = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--data", default=data, help=f"bundled, full, or a .npz or .csv file; {data} by default")
    found.add_argument("--seeds", type=_seed, nargs="+", default=list(seeds))
    found.add_argument("--out", type=Path, help=f"default: {results.name} among the committed figures")
    found.set_defaults(results=results)
    return found


def given(options: argparse.ArgumentParser, words: list[str] | None = None) -> argparse.Namespace:
    """The options as they were given; what cannot be used ends the process with one line, code 2."""
    found = options.parse_args(words)
    if len(set(found.seeds)) < len(found.seeds):
        options.error(f"expected seeds that differ, got {' '.join(map(str, found.seeds))}; leave one out")
    try:
        images(found.data)
    except QStoreError as error:
        options.error(str(error))
    if found.out is None:
        stem = found.results.stem
        found.out = (
            found.results if found.data == options.get_default("data") else Path(f"{stem}-{Path(found.data).stem}.json")
        )
    if not found.out.parent.is_dir():
        options.error(f"expected --out in a folder, got none at {found.out.parent}; make it first")
    return found


@cache
def images(name: str = BUNDLED) -> Dataset:
    """The data set; parts that a file lacks are cut from it in the same way every time."""
    return readers.load(name, seed=0)


@cache
def directions(name: str, rows: int = 2000) -> int:
    """How many the first training rows span, at most 2^QUBITS, centred or not: no more components can be had."""
    x = checked_rows(images(name).train.x[:rows], "training features", 1.0)
    most = min(2**QUBITS, x.shape[1])
    return min(spanned(x, 1.0, most, centred=centred) for centred in (True, False))


def part(name: str, which: str, rows: int | None) -> tuple[Any, Any]:
    """The first rows of a part, all with None, and their labels."""
    found = getattr(images(name), which)
    return found.x[:rows], found.y[:rows]


def _seed(word: str) -> int:
    found = int(word)
    if found < 0:
        raise argparse.ArgumentTypeError(f"expected a seed of 0 or more, got {word}")
    return found
