"""A user's own backend, with `name` and `execute_batch`, behind the interface that a pool needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from q_store.apps.legacy.dicts import dicts_of
from q_store.apps.legacy.results import ExecutionResult
from q_store.backends.base import Answer, Found, Missing, Slice, Ticket, TicketState, fingerprint, nothing
from q_store.backends.binding import Binder, check, wanted
from q_store.backends.distributions import Distributions
from q_store.backends.expansion import expand
from q_store.backends.ionq.wire.gates import expressible
from q_store.errors import BackendError
from q_store.jobs import EXACT_ONLY, Capabilities, Job, Output, Status

Ints = npt.NDArray[np.int64]
MAX_QUBITS, MOST = 24, 1_000
UNKNOWN = "unknown"
"""Noise domain of a backend that does not say its own."""


@runtime_checkable
class QuantumBackend(Protocol):
    """What a backend must have to be used like those of v3.5.

    It may have `noise_id`, the noise domain of its answers ('ideal' without noise), and `max_qubits`.
    """

    name: str

    async def execute_batch(self, circuits: list[dict[str, Any]], shots: int) -> Sequence[ExecutionResult]:
        """A result for every circuit, in their order; circuits as in `legacy.dicts`."""


class ForeignBackend:
    """See the module. Any exception of `execute_batch` is the failure of its circuits, which go elsewhere then.

    Args:
        own: the user's backend.
    """

    def __init__(self, own: QuantumBackend) -> None:
        self.own = own
        most = int(getattr(own, "max_qubits", MAX_QUBITS))
        noise_id = str(getattr(own, "noise_id", UNKNOWN))
        outputs = frozenset(Output) - EXACT_ONLY
        self.capabilities = Capabilities(own.name, outputs, most, exact=False, noise_id=noise_id)
        self._binder = Binder()
        self._tasks: dict[str, asyncio.Task[Answer]] = {}

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """See `backends.base.Backend`."""
        return list(self._slices(job, numbers, shots))

    def _slices(self, job: Job, numbers: Ints | None, shots: Ints | None) -> Iterator[Slice]:
        expansion = expand(job, self.capabilities.name)
        check(job, self.capabilities.name, self.capabilities.max_qubits, exact=False)
        for setting in self._binder.settings(expansion, wanted(expansion, numbers, shots)):
            circuit = expressible(setting.circuit)
            angles, own, seed = setting.angles(circuit, setting.rows), setting.wanted, expansion.seed(setting.setting)
            for places, each, _ in own.groups():
                for part in np.array_split(places, -(-len(places) // MOST)):
                    yield Slice(circuit, angles[part], own.numbers[part], each, seed, fingerprint())

    async def submit(self, part: Slice) -> Ticket:
        """See `backends.base.Backend`."""
        if part.fingerprint not in self._tasks:
            self._tasks[part.fingerprint] = asyncio.create_task(self._run(part), name=f"q-store: {self.own.name}")
        return self._ticket(part.fingerprint)

    async def poll(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """See `backends.base.Backend`."""
        return [self._ticket(ticket.fingerprint) for ticket in tickets]

    async def wait(self, ticket: Ticket) -> Ticket:
        """The ticket when it is final."""
        task = self._tasks.get(ticket.fingerprint)
        if task is not None:
            await asyncio.wait({task})
        return self._ticket(ticket.fingerprint)

    async def result(self, part: Slice, ticket: Ticket) -> Answer:
        """See `backends.base.Backend`."""
        task = self._tasks.pop(ticket.fingerprint, None)
        if task is None:
            return nothing(part, Missing(Status.FAILED, "it is not known here", retry=True))
        await asyncio.wait({task})
        return nothing(part, Missing(Status.FAILED, "canceled", retry=True)) if task.cancelled() else task.result()

    async def find(self, fingerprint: str, since: float | None = None) -> Ticket | Found:  # noqa: ARG002
        """The ticket of a slice of this process; there are no others."""
        return self._ticket(fingerprint) if fingerprint in self._tasks else Found.ABSENT

    async def cancel(self, tickets: Sequence[Ticket]) -> list[Ticket]:
        """See `backends.base.Backend`."""
        tasks = [task for ticket in tickets if (task := self._tasks.get(ticket.fingerprint)) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        return await self.poll(tickets)

    async def aclose(self) -> None:
        """Stop what nobody waits for any more."""
        for task in self._tasks.values():
            task.cancel()

    async def _run(self, part: Slice) -> Answer:
        shots = int(part.shots or 0)
        try:
            rows = _rows(part, await self.own.execute_batch(dicts_of(part.circuit, part.angles), shots))
        except Exception as error:  # noqa: BLE001  # whatever a user's code raises
            return nothing(part, Missing(Status.FAILED, f"{self.own.name}: {error}", retry=True))
        return Answer(Distributions.of(rows, part.circuit.n_qubits), sampled=True, shots_paid=shots * part.size)

    def _ticket(self, mark: str) -> Ticket:
        now = {"seen": time.time()}
        task = self._tasks.get(mark)
        if task is None or task.cancelled():
            return Ticket(mark, mark, TicketState.CANCELED, "canceled", retry=True, times=now)
        if not task.done():
            return Ticket(mark, mark, times=now)
        missing = task.result().missing
        if missing:
            return Ticket(mark, mark, TicketState.FAILED, missing[0].reason, retry=True, times=now)
        return Ticket(mark, mark, TicketState.FINISHED, times=now)


def _rows(part: Slice, results: Sequence[Any]) -> list[dict[int, float]]:
    """{state: weight} of every circuit. Raises BackendError for another number of results, or one without."""
    found = list(results)
    if len(found) != part.size:
        raise BackendError(f"expected {part.size} results, one a circuit, got {len(found)}")
    return [_weights(each, part.circuit.n_qubits) for each in found]


def _weights(result: Any, n_qubits: int) -> dict[int, float]:
    """{state: weight} of a result, by `counts`, else `probabilities`; keys are bits, or numbers of states."""
    for name in ("counts", "probabilities"):
        found = result.get(name) if isinstance(result, Mapping) else getattr(result, name, None)
        if found:
            rows = {int(key, 2) if isinstance(key, str) else int(key): float(each) for key, each in found.items()}
            if max(rows) >> n_qubits or min(rows) < 0:
                raise BackendError(f"expected states of {n_qubits} qubits, got {max(found, key=str)!r}")
            return rows
    raise BackendError("expected counts or probabilities in a result, got none")
