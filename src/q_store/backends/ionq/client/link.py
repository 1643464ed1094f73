"""The parts of the client that belong to one event loop."""

from __future__ import annotations

import asyncio

import httpx

from q_store.backends.ionq.client.api import Api
from q_store.backends.ionq.client.collect import Collector
from q_store.backends.ionq.client.failures import NotFoundError
from q_store.backends.ionq.client.looking import Absences, Acceptances, Reader
from q_store.backends.ionq.client.pace import back_off
from q_store.backends.ionq.client.records import Record
from q_store.backends.ionq.client.search import Search
from q_store.backends.ionq.client.send import Sender
from q_store.backends.ionq.client.watch import Watch
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.ionq.wire.texts import Texts
from q_store.backends.tries import Tries
from q_store.errors import QStoreError


class Link:
    """Connections, and what was learnt of the service through them. Made inside the event loop that uses it."""

    def __init__(
        self, settings: IonQSettings, transport: httpx.AsyncBaseTransport | None, texts: Texts, tries: Tries
    ) -> None:
        self.settings = settings
        self.api = Api(settings, transport, tries)
        acceptances = Acceptances()
        self.reader = Reader(self.api, acceptances)
        self.sender = Sender(self.api, acceptances, Search(self.api, acceptances), texts)
        self.watch = Watch(self.api, self.reader)
        self.absences = Absences()
        self.collector = Collector(self.api, self.reader)

    async def cancel(self, job: str) -> Record | None:
        """Cancel a job and read what became of it; not final where that could not be confirmed. Raises nothing."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.settings.cancel_patience
        known, attempt = None, 0
        while True:
            attempt += 1
            try:
                left = max(1.0, end - loop.time())
                await self.api.change("PUT", f"/jobs/{job}/status/cancel", patience=left)
            except NotFoundError:
                return known
            except QStoreError:  # perhaps it is final already: its state counts
                pass
            try:
                known = await self.reader.one(job)
            except QStoreError:
                known = None
            delay = back_off(attempt, 0.5 + 0.5 * self.api.jitter())
            if (known is not None and known.is_final) or loop.time() + delay > end:
                return known
            await asyncio.sleep(delay)

    async def aclose(self) -> None:
        """Stop looking and close the connections; nothing is canceled."""
        await self.watch.aclose()
        await self.api.aclose()
