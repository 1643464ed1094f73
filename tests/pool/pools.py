"""Pools over emulators in this process, in virtual time."""

from __future__ import annotations

import asyncio

import httpx
import numpy as np

from q_store.backends.ionq import IonQBackend, IonQSettings
from q_store.circuits import Circuit, Observables, cnot, ry, theta
from q_store.emulator.clock import run_virtual
from q_store.emulator.emulator import Emulator
from q_store.jobs import Job
from q_store.pool.membership import Member, Price
from q_store.pool.pool import Pool
from q_store.store import Store

KEY, URL = "a-key-that-nobody-may-see", "https://service.test/v0.4"
CIRCUIT = Circuit.build(3, [*(ry(theta(q), q) for q in range(3)), cnot(0, 1), cnot(1, 2), ry(theta(3), 2)])
PAID = Price(one=0.00022, two=0.00098, minimum=1.0)


def epoch():
    """Seconds since 1970 in virtual time, for stores; what a process that begins anew goes on from."""
    try:
        epoch.last = max(epoch.last, asyncio.get_running_loop().time() + epoch.zero)
    except RuntimeError:
        epoch.zero = epoch.last
    return epoch.last


epoch.zero = epoch.last = 1.8e9


class Line(httpx.AsyncBaseTransport):
    """The way to an emulator, which can be cut: `dead` refuses every call, `broken` breaks it after its effect."""

    def __init__(self, emulator):
        self.inner = emulator.transport()
        self.dead = self.broken = False
        self.status = None
        self.calls = 0

    async def handle_async_request(self, request):
        self.calls += 1
        if self.dead:
            raise httpx.ConnectError("connection refused", request=request)
        if self.status is not None:
            return httpx.Response(self.status, json={"message": f"scripted {self.status}"}, request=request)
        response = await self.inner.handle_async_request(request)
        if self.broken:
            raise httpx.ReadError("connection reset", request=request)
        return response


class Site:
    """An emulator, the line to it, and a member of a pool that uses it."""

    def __init__(self, name, *, backend="simulator", noise="ideal", member=None, settings=None, key=None, **emulator):
        self.name = name
        self.key = f"{KEY}-{name}" if key is None else key
        self.emulator = Emulator(**{"seed": 1, **emulator})
        self.line = Line(self.emulator)
        self._client = {"backend": backend, "noise": noise, "jitter_seed": 1, "parallel": 1, **(settings or {})}
        self._more = {"price": PAID} if backend != "simulator" else {}
        self._more |= member or {}

    @property
    def member(self):
        """With a client of its own, as in a new process."""
        client = IonQBackend(IonQSettings(key=self.key, url=URL, **self._client), self.line)
        return Member(
            name=self.name,
            backend=client,
            probe=lambda: client.service.backend(client.settings.backend),
            **self._more,
        )

    @property
    def ledger(self):
        return self.emulator.ledger(jobs=True)


def sweep(rows, **more):
    """Rows of different circuits."""
    params = np.random.default_rng(rows).uniform(-3, 3, (rows, 4))
    return Job(CIRCUIT, **{"params": params, "observables": Observables.local_z(3), **more})


def opened(path=None, **more):
    """A store in virtual time."""
    return Store(path, clock=epoch, **more)


def run(sites, jobs, store=None, **more):
    """The outcomes of jobs on a pool of its own, and the virtual seconds they took."""

    epoch()

    async def go():
        async with Pool([site.member for site in sites], store, **more) as pool:
            start = asyncio.get_running_loop().time()
            outcomes = await pool.run_async(jobs)
            return outcomes, asyncio.get_running_loop().time() - start

    return run_virtual(go())
