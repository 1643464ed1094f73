"""The sample cache: shots of equal circuits add up, whoever bought them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from q_store.circuits.circuit import Circuit
from q_store.errors import InputError, StoreError
from q_store.store import sql
from q_store.store.circuits import Circuits
from q_store.store.database import Database
from q_store.store.keys import Domain
from q_store.store.measured import EXACT, Measured, pooled
from q_store.store.packing import pack, unpack


class Samples:
    """The table `samples`; keys come from `keys`.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, circuits: Circuits, clock: Callable[[], float]) -> None:
        self._database = database
        self._circuits = circuits
        self._clock = clock

    def lookup(self, keys: Sequence[bytes], n_qubits: int, *, max_age: float | None = None) -> Measured:
        """What is known of each circuit, in the order of the keys; 0 shots where nothing is.

        Args:
            keys: of S circuits.
            n_qubits: of all of them.
            max_age: seconds after which the oldest shots of a row are too old, for hardware that drifts; None: never.
        """
        return self._found(keys, n_qubits, max_age)[0]

    def merge(
        self,
        keys: Sequence[bytes],
        measured: Measured,
        circuit: Circuit,
        domain: Domain,
        *,
        max_age: float | None = None,
    ) -> None:
        """Add shots to what is known, in one transaction; rows older than `max_age` are replaced.

        Rows without an answer are left out. Exact probabilities replace samples and are not changed by more of them.
        """
        with self._database.write():
            self.add(keys, measured, self._circuits.origin(circuit, domain), max_age)

    def add(self, keys: Sequence[bytes], measured: Measured, origin: int, max_age: float | None) -> None:
        """`merge` for a known origin, see `Circuits.origin`; within a transaction."""
        if len(keys) != len(measured):
            raise InputError(f"expected a key for each of {len(measured)} rows, got {len(keys)}")
        answered = np.flatnonzero(measured.shots != 0)
        keys, measured = [keys[r] for r in answered.tolist()], measured.take(answered)
        n = measured.distributions.n_qubits
        unique = sorted(set(keys))  # in the order of the table: neighbours share pages
        place = {key: k for k, key in enumerate(unique)}
        known, since = self._found(unique, n, max_age)
        groups = np.fromiter((place[key] for key in keys), np.int64, len(keys))
        total = pooled([(np.arange(len(unique)), known), (groups, measured)], len(unique), n)
        self._database.many(
            sql.PUT_SAMPLE,
            [
                (key, origin, n, None if shots == EXACT else shots, time, row)
                for key, shots, time, row in zip(unique, total.shots.tolist(), since, pack(total), strict=True)
            ],
        )

    def __len__(self) -> int:
        found = self._database.row(sql.COUNT_SAMPLES)
        return int(found[0]) if found else 0

    def _found(self, keys: Sequence[bytes], n_qubits: int, max_age: float | None) -> tuple[Measured, list[int]]:
        """Rows in the order of the keys, and since when each is known; now where it is not."""
        now = self._clock()
        oldest = -np.inf if max_age is None else now - max_age
        rows = {row[0]: row[1:] for row in self._database.rows_in(sql.GET_SAMPLES, sorted(set(keys)))}
        if any(n != n_qubits for n, *_ in rows.values()):
            raise StoreError(
                f"expected samples of {n_qubits} qubits under these keys, got others; the store is damaged"
            )
        blank = (n_qubits, 0, int(now), b"")
        found = [rows.get(key, blank) for key in keys]
        found = [row if row[2] >= oldest else blank for row in found]
        shots = np.array([EXACT if shots is None else shots for _, shots, _, _ in found], dtype=np.int64)
        return unpack([row[3] for row in found], shots, n_qubits), [row[2] for row in found]
