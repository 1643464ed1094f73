"""Qiskit programs on a pool: a `BaseSamplerV2` in front of any executor. Needs the extra `qiskit`.

from q_store.qiskit_sampler import PoolSampler

result = PoolSampler(pool).run([(circuit, values)], shots=1000).result()
result[0].data.meas.get_counts()
"""

from __future__ import annotations

import asyncio
import math
import uuid
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.circuit import Circuit
from q_store.circuits.interop import from_qiskit
from q_store.circuits.interop.imported import require
from q_store.errors import CircuitError, GateError, InputError
from q_store.jobs import AnyExecutor, Job, Outcome, Output, Steps, drive, drive_async
from q_store.waiting import launch

require("qiskit", "qiskit")
from qiskit.primitives import (  # noqa: E402  # after the check that says what to install
    BasePrimitiveJob,
    BaseSamplerV2,
    BitArray,
    DataBin,
    PrimitiveResult,
    SamplerPubResult,
)
from qiskit.primitives.containers.sampler_pub import SamplerPub  # noqa: E402
from qiskit.providers import JobStatus  # noqa: E402

Ints = npt.NDArray[np.int64]
DEFAULT_SHOTS = 1024


class PoolSampler(BaseSamplerV2):  # type: ignore[misc]  # Qiskit is optional, so its classes are Any
    """Samples circuits on an executor: a pool, a backend, the local engine.

    A PUB is one job, however many parameter values it has; where an angle is not linear in its parameters, one for
    each value. Counts have no order, so that of the shots is drawn.

    Args:
        executor: what runs jobs.
        default_shots: where neither the PUB nor the call says how many.
        seed: of samples that are drawn here and of the order of shots; None: another one each time. Calls of one
            sampler are independent of each other.
        reuse: whether samples that the executor has stored may answer.

    Raises:
        InputError: for less than one shot.
    """

    def __init__(
        self, executor: AnyExecutor, *, default_shots: int = DEFAULT_SHOTS, seed: int | None = None, reuse: bool = False
    ) -> None:
        if default_shots < 1:
            raise InputError(f"expected default_shots of 1 or more, got {default_shots}")
        self._executor, self._default_shots, self._reuse = executor, default_shots, reuse
        self._seeds = np.random.SeedSequence(seed)

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> PoolJob:
        """Start the PUBs; what cannot run is said at once.

        Raises:
            GateError: for a measurement before the end, a reset, or classical control.
            CircuitError: for a circuit that cannot be expressed.
        """
        given = [SamplerPub.coerce(pub, self._default_shots if shots is None else shots) for pub in pubs]
        seeds = self._seeds.spawn(len(given))
        asked = [_Asked.of(pub, seed, reuse=self._reuse) for pub, seed in zip(given, seeds, strict=True)]
        return PoolJob(launch(_carry_out(_steps(asked), self._executor)))


class PoolJob(BasePrimitiveJob):  # type: ignore[misc]  # as above
    """A running call of `PoolSampler.run`; made there."""

    def __init__(self, future: Future[Any]) -> None:
        super().__init__(str(uuid.uuid4()))
        self._future = future

    def result(self) -> Any:
        """The `PrimitiveResult`, waiting for it.

        Raises:
            IncompleteError: for a circuit without an answer. CancelledError: after `cancel`. And what the executor
                raises.
        """
        return self._future.result()

    def status(self) -> JobStatus:
        """How it stands."""
        if self._future.cancelled():
            return JobStatus.CANCELLED
        if not self._future.done():
            return JobStatus.RUNNING
        return JobStatus.ERROR if self._future.exception() else JobStatus.DONE

    def done(self) -> bool:
        """Whether there is a result."""
        return bool(self.status() == JobStatus.DONE)

    def running(self) -> bool:
        """Whether it is on its way."""
        return bool(self.status() == JobStatus.RUNNING)

    def cancelled(self) -> bool:
        """Whether it was canceled."""
        return bool(self.status() == JobStatus.CANCELLED)

    def in_final_state(self) -> bool:
        """Whether it is not on its way any more."""
        return self._future.done()

    def cancel(self) -> bool:
        """Cancel it, and its remote jobs; False where it had ended."""
        return self._future.cancel()


async def _carry_out(steps: Steps[Any], executor: AnyExecutor) -> Any:
    if hasattr(executor, "run"):  # computation, which would hold up what else waits in this loop
        return await asyncio.to_thread(drive, steps, executor)
    return await drive_async(steps, executor)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A PUB as jobs.

    Attributes:
        pub: as asked. jobs: its circuits; empty where nothing is measured.
        registers: the qubit of the jobs that each bit of a classical register shows; None: none.
        seed: of the order of shots.
    """

    pub: Any
    jobs: tuple[Job, ...]
    registers: dict[str, list[int | None]]
    seed: np.random.SeedSequence

    @staticmethod
    def of(pub: Any, seed: np.random.SeedSequence, *, reuse: bool) -> _Asked:
        program = _Program.of(pub.circuit)
        if not program.registers:
            warnings.warn(
                "a circuit has no classical register, so that its result is empty; add measure_all()", stacklevel=4
            )
        samples, order = seed.spawn(2)
        measured = any(qubit is not None for bits in program.registers.values() for qubit in bits)
        jobs = _jobs(program, pub, samples, reuse=reuse) if measured and math.prod(pub.shape) else ()
        return _Asked(pub, tuple(jobs), program.registers, order)

    def result(self, outcomes: Sequence[Outcome]) -> Any:
        """The result of the PUB from the outcomes of its jobs."""
        shape, shots = self.pub.shape, self.pub.shots
        states = np.zeros((math.prod(shape), shots), dtype=np.int64)
        rows = (row for outcome in outcomes for row in _counts(outcome))
        for own, (state, count), seed in zip(states, rows, self.seed.spawn(len(states)), strict=False):
            own[:] = np.random.default_rng(seed).permutation(np.repeat(state, count))
        arrays = {name: _bits(states, bits).reshape(*shape, shots, len(bits)) for name, bits in self.registers.items()}
        data = {name: BitArray.from_bool_array(array, order="little") for name, array in arrays.items()}
        sources = {name: None for outcome in outcomes for name in _names(outcome)}
        about = {"shots": shots, "circuit_metadata": self.pub.circuit.metadata, "sources": list(sources)}
        return SamplerPubResult(DataBin(**data, shape=shape), metadata=about)


def _steps(asked: Sequence[_Asked]) -> Steps[Any]:
    outcomes = iter((yield [job for each in asked for job in each.jobs]))
    results = [each.result(list(islice(outcomes, len(each.jobs)))) for each in asked]
    return PrimitiveResult(results, metadata={"version": 2})


@dataclass(frozen=True, eq=False)
class _Program:
    """A circuit of Qiskit, taken apart.

    Attributes:
        circuit: without the measurements at its end.
        registers: place in `kept` of the qubit that each bit of a register shows; None: none.
        kept: qubits that do anything: others, of a circuit that was laid out for a device, would only cost memory.
    """

    circuit: Any
    registers: dict[str, list[int | None]]
    kept: list[int]

    @staticmethod
    def of(circuit: Any) -> _Program:
        used: set[int] = set()
        shown: dict[Any, int] = {}
        rest = []
        for item in reversed(circuit.data):
            qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
            if item.operation.name == "measure" and qubits[0] not in used:
                shown.setdefault(item.clbits[0], qubits[0])  # the last one counts
                continue
            if item.operation.name not in {"barrier", "delay"}:
                used.update(qubits)
            rest.append(item)
        out = circuit.copy_empty_like()
        out.data = rest[::-1]
        kept = sorted(used | set(shown.values()))
        bits = {bit: kept.index(qubit) for bit, qubit in shown.items()}
        return _Program(out, {each.name: [bits.get(bit) for bit in each] for each in circuit.cregs}, kept)

    def compact(self, circuit: Circuit) -> Circuit:
        """What was read from `circuit`, on the kept qubits alone."""
        place = {qubit: k for k, qubit in enumerate(self.kept)}
        ops = (
            replace(op, qubits=tuple(place[q] for q in op.qubits), controls=tuple(place[q] for q in op.controls))
            for op in circuit.ops
        )
        return Circuit(len(place), circuit.n_params, circuit.n_features, tuple(ops))


def _jobs(program: _Program, pub: Any, seed: np.random.SeedSequence, *, reuse: bool) -> list[Job]:
    circuit = program.circuit
    values = pub.parameter_values.as_array(circuit.parameters).reshape(math.prod(pub.shape), -1)
    try:
        imported = from_qiskit(circuit)
    except GateError:
        raise
    except CircuitError:  # an angle that is not linear: each value has a circuit of its own
        if not circuit.parameters:
            raise
        bound = [from_qiskit(circuit.assign_parameters(row)).circuit for row in values]
        rows = np.zeros((len(values), 1, 0))
    else:
        columns = {each.name: values[:, k] for k, each in enumerate(circuit.parameters)}
        unused = np.zeros(len(values))  # elements of a vector
        theta = [columns.get(name, unused) for name in imported.parameters]
        bound, rows = [imported.circuit], np.stack([*theta, unused], axis=1)[None, :, :-1]
    seeds = [int(each) for each in seed.generate_state(len(bound), np.uint64)]
    return [
        Job(program.compact(each), None, params, output=Output.COUNTS, shots=pub.shots, seed=own, reuse=reuse)
        for each, params, own in zip(bound, rows, seeds, strict=True)
    ]


def _counts(outcome: Outcome) -> Iterable[tuple[Ints, Ints]]:
    """States and how often each was measured, row by row."""
    for row in outcome.counts if outcome.counts is not None else ():
        if isinstance(row, dict):
            yield np.array(list(row), dtype=np.int64), np.array(list(row.values()), dtype=np.int64)
        else:
            state = np.flatnonzero(row)
            yield state, row[state].astype(np.int64)


def _bits(states: Ints, qubits: Sequence[int | None]) -> npt.NDArray[np.bool_]:
    """[K, shots, bits]: bit j shows qubits[j], or 0."""
    zero = np.zeros_like(states)
    shown = [zero if qubit is None else states >> qubit & 1 for qubit in qubits]
    return np.stack(shown, axis=-1).astype(bool)


def _names(outcome: Outcome) -> Sequence[str]:
    return [outcome.source] if isinstance(outcome.source, str) else outcome.source
