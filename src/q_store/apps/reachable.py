"""`q-store backends`: this machine, and the targets of an IonQ-compatible service as it describes them."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from q_store.apps import remote
from q_store.apps.place import IONQ, LOCAL, Place, check_place
from q_store.apps.progress import clock_time, plain
from q_store.apps.underway import underway
from q_store.backends.ionq.client import IonQBackend
from q_store.backends.ionq.settings import KEY_VARIABLE, IonQSettings
from q_store.circuits.gates import GATES
from q_store.errors import QStoreError
from q_store.waiting import wait

SECONDS = 15.0
"""How long the service may take to answer."""
LOCAL_QUBITS = 16
NO_KEY = "none"
MILLISECOND = 1e-3
"""Unit of the queue: not documented, but that of the API's other times."""


class Anonymous(httpx.AsyncBaseTransport):
    """Takes the key out of requests: the list of backends needs none, and there may be none."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on without the key."""
        request.headers.pop("Authorization", None)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what it wraps."""
        await self._inner.aclose()


def show(url: str | None, *, as_json: bool) -> None:
    """Run the command. Raises BackendError for a service that was asked for by its `url` and gives no list."""
    place = Place(IONQ, url=url)
    check_place(place)
    address = str(place.written_out().url)
    found, error = [_here()], None
    try:
        with underway(f"asking {address}"):
            found += [_row(each) for each in wait(_listed(address))]
    except QStoreError as problem:
        if url is not None:
            raise
        error = str(problem)
    console = Console(stderr=as_json)
    console.print(_table(found))
    plain(console, f"{LOCAL}: this machine. {IONQ}: {address}" + (", which cannot be reached:" if error else "."))
    if error:
        plain(console, error)
    if as_json:
        print(json.dumps({"url": address, "error": error, "backends": found}), flush=True)  # noqa: T201


async def _listed(url: str) -> list[dict[str, Any]]:
    """What GET /backends says. Raises BackendError."""
    key = os.environ.get(KEY_VARIABLE) or NO_KEY
    settings = IonQSettings(key=key, url=url, timeout=SECONDS, call_deadline=SECONDS, contact_tries=2)
    backend = IonQBackend(settings, Anonymous(remote.transport() or httpx.AsyncHTTPTransport()))
    try:
        return await backend.service.backends()
    finally:
        await backend.aclose()


def _here() -> dict[str, Any]:
    return {
        "backend": LOCAL,
        "target": "exact simulation",
        "status": "available",
        "qubits": LOCAL_QUBITS,
        "queue_seconds": 0.0,
        "gates": sorted(name for name, gate in GATES.items() if not gate.native),
        "native_gates": sorted(name for name, gate in GATES.items() if gate.native),
    }


def _row(said: dict[str, Any]) -> dict[str, Any]:
    queue, qubits = said.get("average_queue_time"), said.get("qubits")
    status = str(said.get("status", "not said"))
    return {
        "backend": IONQ,
        "target": said["backend"],
        "status": f"{status}, degraded" if said.get("degraded") else status,
        "qubits": qubits if isinstance(qubits, int) else None,
        "queue_seconds": MILLISECOND * queue if isinstance(queue, int | float) else None,
        "gates": said.get("supported_gates") or [],
        "native_gates": said.get("supported_native_gates") or [],
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("backend", "target", "status", "qubits", "queue", "native gates"):
        table.add_column(title, justify="right" if title in {"qubits", "queue"} else "left")
    for row in rows:
        queue = "not said" if row["queue_seconds"] is None else clock_time(row["queue_seconds"])
        qubits = "not said" if row["qubits"] is None else str(row["qubits"])
        table.add_row(row["backend"], row["target"], row["status"], qubits, queue, " ".join(row["native_gates"]))
    return table
