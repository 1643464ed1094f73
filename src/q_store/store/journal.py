"""What a run has received: a resumed run reads it instead of asking again, whatever `reuse` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.errors import RunError
from q_store.store import sql
from q_store.store.database import Database
from q_store.store.measured import EXACT, Ints, Measured, pooled
from q_store.store.packing import pack, unpack
from q_store.store.runs import Runs


@dataclass(frozen=True, slots=True)
class Source:
    """Who measured: the backend's name, and its noise domain."""

    backend: str
    noise_id: str


@dataclass(frozen=True, eq=False)
class Replay:
    """What a job has received.

    Attributes:
        numbers: [S], circuits of the job's expansion, ascending.
        measured: a row for each.
        sources: who measured each (the last one, where shots were added).
    """

    numbers: Ints
    measured: Measured
    sources: tuple[Source, ...]


class Journal:
    """The tables `jobs` and `journal`: by run, ordinal of the job in the run, and number of the circuit in the job.

    Shots added to a circuit that is there add up. What is bought to complete a circuit of the journal must be bought
    fresh: the sample cache may hold the very shots that the journal has.
    """

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    def begin(self, run: str, job: int, digest: bytes, n_qubits: int) -> Replay:
        """Announce a job; what it has received already.

        Args:
            run: id of the run.
            job: its ordinal in the run.
            digest: of all that decides what the job asks: a resumed run must ask the same.
            n_qubits: measured in every circuit.

        Raises:
            RunError: where the run asked something else as this job, or there is no such run.
        """
        number = self._runs.number(run)
        values = {"run": number, "job": job, "digest": digest, "n_qubits": n_qubits}
        with self._database.write():
            self._database.run(sql.ADD_JOB, values)
            if self._database.row(sql.GET_JOB, values) != (digest, n_qubits):
                raise RunError(
                    f"expected job {job} of run {run} to ask what it asked before, got another job; resume with the "
                    "same program, data and settings, or start a new run"
                )
            return self._read(number, job, n_qubits)

    def next_job(self, run: str) -> int:
        """The ordinal behind the last job that the run has begun. Raises RunError for a run that is not there."""
        return int(self._database.rows(sql.NEXT_JOB, {"run": self._runs.number(run)})[0][0])

    def read(self, run: str, job: int) -> Replay:
        """What a job has received. Raises RunError for a run or job that is not there."""
        number = self._runs.number(run)
        with self._database.read():
            return self._read(number, job, self.n_qubits(run, job))

    def add(self, run: str, job: int, numbers: npt.ArrayLike, measured: Measured, source: Source) -> None:
        """Keep what circuits received, in one transaction; rows without an answer are left out. Raises as `read`."""
        answered = np.flatnonzero(measured.shots != 0)
        given = np.asarray(numbers, dtype=np.int64)[answered]
        n = self.n_qubits(run, job)
        own = self._runs.number(run)
        with self._database.write():
            unique, group = np.unique(given, return_inverse=True)
            known = self._known(own, job, unique.tolist(), n)
            total = pooled([(np.arange(len(unique)), known), (group, measured.take(answered))], len(unique), n)
            origin = self._source(source)
            self._database.many(
                sql.PUT_ENTRY,
                [
                    (own, job, number, origin, None if shots == EXACT else shots, row)
                    for number, shots, row in zip(unique.tolist(), total.shots.tolist(), pack(total), strict=True)
                ],
            )

    def n_qubits(self, run: str, job: int) -> int:
        """Of the circuits of a job. Raises as `read`."""
        found = self._database.row(sql.GET_JOB, {"run": self._runs.number(run), "job": job})
        if found is None:
            raise RunError(f"expected a job {job} that run {run} has begun, got none of that number")
        return int(found[1])

    def _source(self, source: Source) -> int:
        values = {"backend": source.backend, "noise_id": source.noise_id}
        self._database.run(sql.ADD_SOURCE, values)
        return int(self._database.rows(sql.GET_SOURCE, values)[0][0])

    def _known(self, run: int, job: int, numbers: Sequence[int], n_qubits: int) -> Measured:
        found = {row[0]: row[1:] for row in self._database.rows_in(sql.GET_ENTRIES, numbers, (run, job))}
        return _measured([found.get(number, (0, b"")) for number in numbers], n_qubits)

    def _read(self, run: int, job: int, n_qubits: int) -> Replay:
        rows = self._database.rows(sql.READ_JOURNAL, {"run": run, "job": job})
        numbers = np.array([row[0] for row in rows], dtype=np.int64)
        sources = tuple(Source(row[3], row[4]) for row in rows)
        return Replay(numbers, _measured([row[1:3] for row in rows], n_qubits), sources)


def _measured(rows: Sequence[tuple[Any, ...]], n_qubits: int) -> Measured:
    shots = np.array([EXACT if row[0] is None else row[0] for row in rows], dtype=np.int64)
    return unpack([row[1] for row in rows], shots, n_qubits)
