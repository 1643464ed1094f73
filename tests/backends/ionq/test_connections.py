"""Connections to the service: as many as allowed, spread over clients that have few each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from q_store.backends.ionq.client.connections import Connections
from q_store.backends.ionq.settings import IonQSettings

pytestmark = pytest.mark.socket
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Counter:
    """A server that answers once `needed` requests wait at the same time, or none more comes; counts connections."""

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self.made = self.waiting = self.most = 0
        self.keys: set[bytes] = set()
        self.full = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        while head := await self._head(reader):
            self.keys |= {line for line in head.splitlines() if line.lower().startswith(b"authorization")}
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            if self.waiting >= self.needed:
                self.full.set()
            await self.full.wait()
            self.waiting -= 1
            writer.write(REPLY)
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""


@asynccontextmanager
async def counted(needed: int, connections: int) -> AsyncIterator[tuple[Counter, Connections, str]]:
    counter = Counter(needed)
    server = await asyncio.start_server(counter.serve, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    made = Connections(IonQSettings(key="k", url=url, connections=connections))
    try:
        yield counter, made, url
    finally:
        await made.aclose()
        server.close()


@pytest.mark.parametrize("connections", [1, 3, 4, 10])
def test_so_many_requests_are_under_way_and_no_more_connections_made(connections):
    async def scenario() -> tuple[Counter, list[int]]:
        async with counted(connections, connections) as (counter, made, url):
            replies = await asyncio.gather(*(made.request("GET", f"{url}/{k}") for k in range(3 * connections)))
            return counter, [reply.status_code for reply in replies]

    counter, replies = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert replies == [200] * (3 * connections)
    assert counter.most == counter.made == connections
    assert counter.keys == {b"Authorization: apiKey k"}


def test_one_call_after_another_uses_one_connection():
    async def scenario() -> int:
        async with counted(1, 10) as (counter, made, url):
            for k in range(5):
                await made.request("GET", f"{url}/{k}")
            return counter.made

    assert asyncio.run(asyncio.wait_for(scenario(), 20)) == 1
