"""Bodies of jobs for the emulator, and a bare client of it in process."""

from __future__ import annotations

import json

import httpx

KEY = {"Authorization": "apiKey secret"}
URL = "http://emulator/v0.4"


def gates(angle):
    """Qubit 1 certain, qubit 0 by the angle: asymmetric, so that a wrong bit order shows."""
    return [{"gate": "x", "target": 1}, {"gate": "ry", "target": 0, "rotation": angle}]


def single(angle=0.5, **more):
    """One circuit."""
    return {
        "type": "ionq.circuit.v1",
        "backend": "simulator",
        "input": {"gateset": "qis", "qubits": 2, "circuit": gates(angle)},
        **more,
    }


def multi(angles=(0.1, 0.2, 0.3), **more):
    """Several."""
    circuits = [{"name": f"c{i}", "circuit": gates(angle)} for i, angle in enumerate(angles)]
    given = {"gateset": "qis", "qubits": 2, "circuits": circuits}
    return {"type": "ionq.multi-circuit.v1", "backend": "simulator", "input": given, **more}


class User:
    """Calls the emulator; every reply must be JSON."""

    def __init__(self, emulator, **options):
        self.http = httpx.AsyncClient(base_url=URL, transport=emulator.transport(), headers=KEY, **options)

    async def call(self, method, path, body=None, expected=200, **options):
        content = None if body is None else json.dumps(body)
        reply = await self.http.request(method, path, content=content, **options)
        assert reply.status_code == expected, reply.text
        return reply.json()

    async def get(self, path, expected=200, **params):
        return await self.call("GET", path, expected=expected, params=params)

    async def submit(self, body):
        return (await self.call("POST", "/jobs", body, 201))["id"]

    async def status(self, job):
        return (await self.get(f"/jobs/{job}"))["status"]
