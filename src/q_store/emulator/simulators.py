"""From rows of angles to exact probabilities: the local engine for small circuits, state vectors of our own for others.

The local engine is made for many rows of a short circuit: its compilation takes the square of the gates, and sixteen
rows share a vector. Beyond that a circuit runs on sparse states as long as they stay sparse, else on whole ones.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from q_store.backends.distributions import Distributions
from q_store.backends.local import LocalBackend
from q_store.circuits.circuit import Circuit
from q_store.emulator import states
from q_store.emulator.limits import Budget, ImpossibleJobError
from q_store.emulator.trajectories import Unravelled
from q_store.jobs import Job, Output

Reals = npt.NDArray[np.float64]

SMALL_QUBITS = 14
SMALL_GATES = 2_000
"""The local engine takes circuits that are within both."""
WHOLE_QUBITS = 22
"""Any state up to this size; of larger circuits those whose states stay within SPARSE_STATES basis states."""
SPARSE_STATES = 1 << 18
_SPARSE_SHARE = 6  # a sparse state is worth it below 2^-6 of the basis states
_NEGLIGIBLE = 1e-13  # smaller probabilities are rounding
_BATCH = 1 << 22  # probabilities at a time
_HELD_BYTES = 1 << 29
# Estimates, for one ordinary core.
_COMPILE_SECONDS = 1e-7  # a gate and one before it
_SMALL_SECONDS = 1e-9  # an amplitude and a gate
_WHOLE_SECONDS = 4e-9  # an amplitude and a rotation
_SPARSE_SECONDS = 2e-7  # an entry and a rotation
_STEP_SECONDS = 5e-5  # a rotation of a batch


class Simulator(Protocol):
    """A circuit that is ready to run."""

    def batches(self, angles: Reals) -> Iterator[Distributions]:
        """Rows of angles[T, R] in order, some at a time. Raises ImpossibleJobError."""


class Engine:
    """The local engine in double precision, made anew before the programs that it keeps fill the memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backend, self._held = LocalBackend(precision="float64"), 0

    def probabilities(self, circuit: Circuit, params: Reals) -> Reals:
        """Probabilities [S, 2^n] for params[S, P]."""
        need = 32 * 2**circuit.n_qubits * (len(params) + 16)
        with self._lock:
            if self._held + need > _HELD_BYTES:
                self._backend, self._held = LocalBackend(precision="float64"), 0
            self._held += need
            values = self._backend.run(Job(circuit, None, params, output=Output.PROBABILITIES)).values
        return np.asarray(values)


def is_small(n_qubits: int, gates: int) -> bool:
    """Whether it is a circuit for the local engine."""
    return n_qubits <= SMALL_QUBITS and gates <= SMALL_GATES


class Small:
    """A circuit whose parameter r is angle r, on the local engine."""

    def __init__(self, engine: Engine, circuit: Circuit, budget: Budget) -> None:
        self._engine, self._circuit, self._budget = engine, circuit, budget
        budget.spend(_COMPILE_SECONDS * len(circuit.ops) ** 2)

    def batches(self, angles: Reals) -> Iterator[Distributions]:
        """See `Simulator`."""
        n = self._circuit.n_qubits
        self._budget.spend(_SMALL_SECONDS * len(angles) * len(self._circuit.ops) * 2**n)
        most = max(1, _BATCH >> n)
        for first in range(0, len(angles), most):
            params = np.ascontiguousarray(angles[first : first + most])
            yield _distributions(self._engine.probabilities(self._circuit, params))


class Large:
    """State vectors: sparse as long as that pays, many rows at a time if they are very sparse."""

    def __init__(self, circuit: Unravelled, budget: Budget) -> None:
        self._n_qubits, self._budget = circuit.n_qubits, budget
        self._paulis = [r.pauli for r in circuit.rotations]
        self._whole = self._n_qubits <= WHOLE_QUBITS
        self._most = 1 << max(0, self._n_qubits - _SPARSE_SHARE) if self._whole else SPARSE_STATES

    def batches(self, angles: Reals) -> Iterator[Distributions]:
        """See `Simulator`."""
        done, rows = 0, 1
        while done < len(angles):
            part = angles[done : done + rows]
            left = len(angles) - done - len(part)
            found = self._sparse(part, left)
            if found is None and len(part) > 1:  # not all rows are as sparse as the first
                rows = 1
                continue
            if found is None:
                yield self._dense(part[0], left)
            else:
                yield found[0]
                rows = max(1, SPARSE_STATES // (4 * found[1]))
            done += len(part)

    def _sparse(self, angles: Reals, left: int) -> tuple[Distributions, int] | None:
        """Distributions and the most basis states a row, unless that is too many; `left` rows are still to come."""
        rows, steps = len(angles), len(self._paulis)
        found = states.evolve(self._n_qubits, self._paulis, angles, self._most if rows == 1 else SPARSE_STATES)
        if found is None:
            return None
        entries, effort = found
        seconds = _STEP_SECONDS * steps + _SPARSE_SECONDS * effort.total
        self._budget.spend(seconds, ahead=_SPARSE_SECONDS * effort.total / rows * left)
        return entries.distributions(rows), -(-effort.peak // rows)

    def _dense(self, angles: Reals, left: int) -> Distributions:
        if not self._whole:
            msg = (
                f"expected a circuit of at most {WHOLE_QUBITS} qubits, or one whose states stay within "
                f"{SPARSE_STATES} basis states, got {self._n_qubits} qubits and more states; use fewer qubits"
            )
            raise ImpossibleJobError("SimulationTimeout", msg)
        seconds = _WHOLE_SECONDS * len(self._paulis) * 2**self._n_qubits
        self._budget.spend(seconds, ahead=seconds * left)
        return _distributions(states.whole(self._n_qubits, self._paulis, angles)[None])


def _distributions(probabilities: Reals) -> Distributions:
    return Distributions.from_dense(np.where(probabilities > _NEGLIGIBLE, probabilities, 0.0))
