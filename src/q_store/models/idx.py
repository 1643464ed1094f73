"""The IDX format of MNIST and its kin: bytes 0, 0, type, rank, then big-endian sizes and the values.

Source: the format's description on the MNIST page (Y. LeCun); only the type 0x08, unsigned bytes, is in use.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from q_store.errors import DataError

UNSIGNED_BYTE = 0x08
MAX_BYTES = 1 << 30
"""No known IDX set is larger; a file that unpacks to more is damaged or hostile."""


def read_idx(path: Path, sha256: str | None = None) -> NDArray[np.uint8]:
    """The uint8 array in an IDX file, gzip-compressed or not; with `sha256`, the unpacked bytes must have that digest.

    The digest is of the unpacked bytes because packagers compress anew. Raises DataError when the file is missing,
    damaged, truncated, too long, of another type, or has another digest.
    """
    content = _content(path)
    if sha256 is not None and (got := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(
            f"{path}: expected contents with sha256 {sha256}, got {got}; the file is damaged or another data "
            "set of the same name: delete it and fetch it again"
        )
    return parse_idx(content, str(path))


def parse_idx(content: bytes, where: str) -> NDArray[np.uint8]:
    """The uint8 array in unpacked IDX bytes (a read-only view, not a copy); DataError when they are malformed."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{where}: expected an IDX file (first bytes 00 00), got {content[:4]!r}; fetch the file again")
    kind, rank = content[2], content[3]
    if kind != UNSIGNED_BYTE or not 1 <= rank <= 4:
        raise DataError(
            f"{where}: expected an IDX file of unsigned bytes (type 0x08) with 1 to 4 axes, got type {kind:#04x} "
            f"and {rank} axes; convert it to uint8 or save it as .npz"
        )
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{where}: expected a header of {start} bytes, got {len(content)}; the file is truncated")
    shape = struct.unpack(f">{rank}I", content[4:start])
    expected = start + math.prod(shape)
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise DataError(
            f"{where}: expected {expected} bytes for shape {list(shape)}, got {len(content)}; the file is {state}: "
            "fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected an IDX file, got no such file; check the path") from error
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path}: expected a readable IDX file, got: {error}; the file is damaged or truncated: "
            "delete it and fetch it again"
        ) from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES} bytes after unpacking, got more; this is no IDX set")
    return content
