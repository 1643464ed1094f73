"""The programs of a backend, compiled on first use and kept; and the rows of a job as the engine takes them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.local import kernels
from q_store.backends.local.engine import Engine, RowSet, frozen
from q_store.backends.local.program import compile_metric, compile_probabilities, compile_state, compile_values
from q_store.backends.local.simd import LANES
from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observables
from q_store.jobs import Job

Floats = npt.NDArray[Any]

KEPT = 256
_SLICE_BYTES = 64 << 20
_NO_FEATURES = np.zeros((1, 0))
_FEW_ROWS = 8


class Programs:
    """Engines by what they compute; the least recently compiled go first."""

    def __init__(self, dtype: Any, n_threads: int) -> None:
        """`dtype` of values and samples; metric and Jacobian are small jobs that difference states: float64 always."""
        self.dtype, self.n_threads = dtype, n_threads
        self._kept: OrderedDict[tuple[str, str, str], Engine] = OrderedDict()

    def values(self, circuit: Circuit, observables: Observables) -> Engine:
        """For values of observables."""
        key = ("values", circuit.digest, observables.digest)
        return self._kept.get(key) or self._compiled(key, circuit, observables)

    def jacobian(self, circuit: Circuit, observables: Observables) -> Engine:
        """For derivatives of values."""
        key = ("jacobian", circuit.digest, observables.digest)
        return self._kept.get(key) or self._compiled(key, circuit, observables)

    def of(self, kind: str, circuit: Circuit) -> Engine:
        """For `probabilities`, `state` or `metric`."""
        key = (kind, circuit.digest, "")
        return self._kept.get(key) or self._compiled(key, circuit, Observables(()))

    def _compiled(self, key: tuple[str, str, str], circuit: Circuit, observables: Observables) -> Engine:
        kind = key[0]
        if kind in {"values", "jacobian"}:
            observables.check(circuit.n_qubits)
            program = compile_values(circuit, observables)
        else:
            compilers = {"probabilities": compile_probabilities, "state": compile_state, "metric": compile_metric}
            program = compilers[kind](circuit)
        dtype = np.float64 if kind in {"metric", "jacobian"} else self.dtype
        engine = self._kept[key] = Engine(program, dtype, self.n_threads)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return engine


def own_rows(job: Job, engine: Engine) -> RowSet:
    """All rows of a job, each with angles of its own."""
    data, params = _data(job, engine), frozen(job.params)
    if job.pairs is None and len(params) == 1:
        return RowSet(data, params, *engine.counting(job.n_data))
    pairs = job.row_pairs()
    return RowSet(data, params, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))


def row_sets(job: Job, engine: Engine) -> list[tuple[RowSet, bool, slice]]:
    """Parts of the rows with shared (False) or with their own (True) angles, and where their answers go."""
    n_params = len(job.params)
    if job.pairs is not None or engine.uses_data or (n_params > 1 and job.n_data < _FEW_ROWS):
        return [(own_rows(job, engine), True, slice(None))]
    data, params, (b, zero) = _data(job, engine), frozen(job.params), engine.counting(job.n_data)
    if n_params == 1:
        return [(RowSet(data, params, b, zero), False, slice(None))]
    return [(RowSet(data, params, b, zero + k), False, slice(k, None, n_params)) for k in range(n_params)]


def slices(engine: Engine, rows: int, *, lanes: bool) -> list[slice]:
    """Rows in portions whose states and angles fit the memory that the engine may use."""
    row_bytes = np.dtype(engine.dtype).itemsize * 2 * engine.dim + (24 * engine.program.size if lanes else 0)
    unit = kernels.GROUP * LANES
    portion = max(unit, _SLICE_BYTES // row_bytes // unit * unit)
    return [slice(a, min(a + portion, rows)) for a in range(0, rows, portion)]


def _data(job: Job, engine: Engine) -> Floats:
    return frozen(np.ascontiguousarray(_NO_FEATURES if job.data is None else job.data, dtype=engine.dtype))
