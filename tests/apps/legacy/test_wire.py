"""What the names for connections and time-outs do where it counts: on TCP connections, and to calls that fail."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.apps.legacy.conftest import batch

from q_store import QuantumModel, QuantumTrainer, TrainingConfig
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.emulator.server import Background
from q_store.errors import IncompleteError, PausedError

SMALL = {"quantum_sdk": "ionq", "n_qubits": 2, "circuit_depth": 1, "epochs": 1, "use_native_gates": False}


def train(rows, **names):
    trainer = QuantumTrainer(TrainingConfig(**{**SMALL, **names}))
    return trainer.train(QuantumModel(), batch(rows, 2, 2))


class Counted:
    """An application that counts the connections its requests come by, and the most that wait at the same time."""

    def __init__(self, app):
        self._app, self.connections, self._now, self.most = app, set(), 0, 0

    async def __call__(self, scope, receive, send):
        self.connections.add(tuple(scope["client"]))
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self._app(scope, receive, send)
        finally:
            self._now -= 1


@pytest.mark.socket
@pytest.mark.parametrize("most", [1, 3])
def test_no_more_connections_are_made_than_connection_pool_size(most):
    counted = Counted(Emulator(seed=1, rtt=0.02, slots=100).app)
    server = Background(counted, "127.0.0.1", 0)
    try:
        names = {"connection_pool_size": most, "max_concurrent_circuits": 12, "max_parallel_circuits": 12}
        given = {"backends": {"url": server.url}, "quantum_api_key": "k", "gradient_method": "parameter_shift"}
        asyncio.run(train(4, **names, **given))
    finally:
        server.stop()
    assert len(counted.connections) == counted.most == most


class Lost(httpx.AsyncBaseTransport):
    """A way on which one job arrives and no other; notes when which was tried, and when the tries were given up."""

    def __init__(self, wire, *, hangs):
        self._wire, self._hangs, self._first, self.tries = wire, hangs, None, {}

    async def handle_async_request(self, request):
        body = await request.aread()
        if request.method != "POST" or self._first in {None, body}:
            self._first = body if request.method == "POST" else self._first
            return await self._wire.handle_async_request(request)
        loop = asyncio.get_running_loop()
        times = self.tries.setdefault(body, [])
        times.append(loop.time())
        try:
            await asyncio.sleep(1e6 if self._hangs else 0)
        finally:
            times.append(loop.time())
        raise httpx.ConnectError("connection refused", request=request)


@pytest.mark.parametrize(
    ("seconds", "hangs", "least"), [(0.2, False, 0.05), (7.0, False, 0.5), (1.0, True, 1.0), (7.0, True, 7.0)]
)
def test_a_submission_is_tried_for_batch_submission_timeout(wire, monkeypatch, seconds, hangs, least):
    """A service that is gone for good is given up by the pool, at the latest then."""
    way = Lost(wire, hangs=hangs)
    monkeypatch.setattr("q_store.apps.remote.transport", lambda: way)
    given = {"gradient_method": "spsa", "max_queue_wait_time": 0.001, "max_concurrent_circuits": 1}
    with pytest.raises((IncompleteError, PausedError)):
        run_virtual(train(1, batch_submission_timeout=seconds, max_parallel_circuits=1, **given))
    first = next(iter(way.tries.values()))
    assert least - 1e-6 <= (first[1] if hangs else first[-1]) - first[0] <= seconds + 1e-6
