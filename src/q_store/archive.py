"""Arrays and a JSON header in one .npz without pickle, held together by a hash: the form of checkpoints and models.

The header lies in the member `header` and carries `sha256`, over every array (name, type, shape, bytes) and the rest
of the header.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]

HEADER = "header"
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    RecursionError,
)
"""What reading damaged bytes may raise, in NumPy, zipfile and json."""


@dataclass(frozen=True, eq=False)
class Archive:
    """What was unpacked.

    Attributes:
        arrays: by name. header: without its hash. intact: whether the hash fits.
    """

    arrays: Arrays
    header: dict[str, Any]
    intact: bool


def pack(arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> bytes:
    """The bytes of a file; the same for the same contents. The header must be JSON without NaN.

    Raises:
        TypeError: for an array of Python objects, which only a pickle could hold.
        KeyboardInterrupt: as it came.
    """
    # not by allow_pickle: before NumPy 2.1 `savez` takes that for one more array
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        msg = f"expected arrays of numbers or text, got Python objects in {objects}; convert them first"
        raise TypeError(msg)
    plain = json.loads(json.dumps(dict(header), allow_nan=False))
    text = json.dumps({**plain, "sha256": _sha256(arrays, plain)}).encode()
    members: dict[str, Any] = {HEADER: np.frombuffer(text, dtype=np.uint8), **arrays}
    out = io.BytesIO()
    file = zipfile.ZipFile(out, "w")
    try:  # as numpy.savez does it
        for name, array in members.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        file.close()
    except BaseException:
        file.fp = None  # an interrupt may leave a member open, and zipfile would complain of that in its place
        raise
    return out.getvalue()


def unpack(content: bytes) -> Archive:
    """The contents of a file's bytes.

    Raises:
        ValueError: when they are no such archive, or damaged so that they cannot be read; says why.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            bad = members.testzip()
        if bad is None:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            header = dict(json.loads(arrays.pop(HEADER).tobytes()))
            claimed = header.pop("sha256")
    except KeyError as error:
        msg = f"it lacks {error}"
        raise ValueError(msg) from None
    except DAMAGE as error:
        raise ValueError(str(error) or "it is damaged") from None
    if bad is not None:
        msg = f"{bad} fails its checksum"
        raise ValueError(msg)
    return Archive(arrays, header, claimed == _sha256(arrays, header))


def _sha256(arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
