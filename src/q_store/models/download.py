"""Fetch one file over the network: with a time limit, a checksum, and nothing half-written under the final name."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from q_store.errors import DataError, StorageError

STALL_SECONDS = 20.0
LIMIT_SECONDS = 600.0
MAX_BYTES = 1 << 28
CHUNK = 1 << 16


def fetch(addresses: Sequence[str], target: Path, sha256: str) -> None:
    """Write to `target` the gzip file from the first address that gives contents with this digest (unpacked bytes).

    Raises DataError naming every address and what went wrong with it, StorageError when the disk refuses.
    """
    failures = []
    for address in addresses:
        try:
            packed = _download(address)
            got = hashlib.sha256(gzip.decompress(packed)).hexdigest()
        except (URLError, OSError, http.client.HTTPException, EOFError, zlib.error) as error:
            failures.append(f"{address}: {error!r}")
            continue
        if got == sha256:
            write_atomically(target, packed)
            return
        failures.append(f"{address}: expected contents with sha256 {sha256}, got {got}")
    raise DataError(f"no download ({'; '.join(failures)})")


def write_atomically(target: Path, content: bytes) -> None:
    """Write `content` to `target`, whole or not at all; StorageError when the disk refuses."""
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{target}: expected to write {len(content)} bytes, got: {error}; free space, or choose another directory"
        ) from error


def _download(address: str) -> bytes:
    """The bytes at `address`; a server that stalls or drips ends in TimeoutError."""
    deadline = time.monotonic() + LIMIT_SECONDS
    content = bytearray()
    with urlopen(address, timeout=STALL_SECONDS) as reply:  # noqa: S310 - the addresses are constants
        while chunk := reply.read(CHUNK):
            content += chunk
            if time.monotonic() > deadline or len(content) > MAX_BYTES:
                raise TimeoutError(f"no end after {len(content)} bytes")
    return bytes(content)
