"""Fetch one file over the network: with a time limit, a checksum, and nothing half-written under the final name."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from q_store.errors import DataError
from q_store.files import refused, write_atomically

STALL_SECONDS = 20.0
LIMIT_SECONDS = 600.0
MAX_BYTES = 1 << 28
CHUNK = 1 << 16


def fetch(
    addresses: Sequence[str], target: Path, sha256: str, tell: Callable[[int, int | None], None] | None = None
) -> None:
    """Write to `target` the gzip file from the first address that gives contents with this digest (unpacked bytes).

    `tell` hears how many bytes have come, and how many there are where the server says so.

    Raises DataError naming every address and what went wrong with it, StorageError when the disk refuses.
    """
    failures = []
    for address in addresses:
        try:
            packed = _download(address, tell)
            got = hashlib.sha256(gzip.decompress(packed)).hexdigest()
        except (URLError, OSError, http.client.HTTPException, EOFError, zlib.error) as error:
            failures.append(f"{address}: {error!r}")
            continue
        if got == sha256:
            _keep(target, packed)
            return
        failures.append(f"{address}: expected contents with sha256 {sha256}, got {got}")
    raise DataError(f"no download ({'; '.join(failures)})")


def _keep(target: Path, packed: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(target, error) from error
    write_atomically(target, packed)


def _download(address: str, tell: Callable[[int, int | None], None] | None) -> bytes:
    """The bytes at `address`; a server that stalls or drips ends in TimeoutError."""
    deadline = time.monotonic() + LIMIT_SECONDS
    content = bytearray()
    with urlopen(address, timeout=STALL_SECONDS) as reply:  # noqa: S310 - the addresses are constants
        length = str(reply.headers.get("Content-Length", ""))
        while chunk := reply.read(CHUNK):
            content += chunk
            if tell is not None:
                tell(len(content), int(length) if length.isdecimal() else None)
            if time.monotonic() > deadline or len(content) > MAX_BYTES:
                raise TimeoutError(f"no end after {len(content)} bytes")
    return bytes(content)
