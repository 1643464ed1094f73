"""The local backend: every output of a job, exact or sampled, on the compiled engine."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends import measurement
from q_store.backends.local import derivatives, kernels, threads
from q_store.backends.local.engine import Engine, RowSet, unblock
from q_store.backends.local.program import (
    Program,
    Strings,
    compile_metric,
    compile_probabilities,
    compile_state,
    compile_values,
)
from q_store.backends.local.sampling import DENSE_QUBITS, sample
from q_store.backends.local.simd import LANES
from q_store.backends.local.unitary import UnitaryFirst, pays
from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observables
from q_store.circuits.shifts import shift_rules
from q_store.errors import CapabilityError, ConfigError, InputError, ShapeError, suggestion
from q_store.jobs import Capabilities, Job, Outcome, Output

Floats = npt.NDArray[Any]

PRECISIONS = {"float32": np.float32, "float64": np.float64}
MAX_QUBITS = 16
_PROGRAMS = 256
_SLICE_BYTES = 64 << 20
_NO_FEATURES = np.zeros((1, 0))
_FEW_ROWS = 8
_OBSERVED = ("values", "jacobian")
_DOUBLE = ("metric", "jacobian")


class LocalBackend:
    """Exact simulation of small circuits on this machine.

    Args:
        threads: kernel threads; None for all processors of the process. Results do not depend on it.
        precision: 'float32' (values to about 1e-6, the default) or 'float64' (to about 1e-14).
        max_qubits: refuse larger circuits; from about 16 qubits other simulators are faster.

    An instance may be used by one thread at a time.
    """

    def __init__(self, threads: int | None = None, precision: str = "float32", max_qubits: int = MAX_QUBITS) -> None:
        if precision not in PRECISIONS:
            msg = f"expected a precision of float32 or float64, got {precision!r}{suggestion(precision, PRECISIONS)}"
            raise ConfigError(msg)
        if threads is not None and threads < 1:
            msg = f"expected 1 thread or more, got {threads}"
            raise ConfigError(msg)
        self.threads = threads or available()
        self.precision = precision
        self.capabilities = Capabilities("local", frozenset(Output), max_qubits)
        self._engines: OrderedDict[tuple[str, str, str], Engine] = OrderedDict()
        self._plans: OrderedDict[tuple[str, str], measurement.Plan] = OrderedDict()

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs one after the other in the caller: they are computation, not waiting."""
        return [self.run(job) for job in jobs]

    def warm_up(self, circuit: Circuit, observables: Observables) -> float:
        """Compile what training this circuit needs; seconds that it took."""
        start = time.perf_counter()
        columns = circuit.prepare.columns if circuit.prepare else (0, 0)
        data = np.zeros((2, circuit.n_features), dtype=PRECISIONS[self.precision])
        data[:, columns[0] : columns[0] + 1] = 1
        self.run(
            Job(circuit, data, np.zeros(circuit.n_params), observables, Output.VJP, pullback=np.zeros_like)
        )
        return time.perf_counter() - start

    def run(self, job: Job) -> Outcome:
        """Run a job in the caller.

        Raises:
            CapabilityError: for more qubits than this backend takes.
            InputError, ShapeError: for parameters or data that are not finite, amplitudes without unit norm, or a pullback that
                returns another shape than it got.
        """
        start = time.perf_counter()
        if job.circuit.n_qubits > self.capabilities.max_qubits:
            msg = (
                f"expected at most {self.capabilities.max_qubits} qubits, got {job.circuit.n_qubits}; the local engine is made for small "
                "circuits: use Qiskit Aer or PennyLane Lightning for this one, or LocalBackend(max_qubits=...) if memory allows"
            )
            raise CapabilityError(msg)
        if not np.isfinite(job.params).all():
            msg = "expected finite parameters, got NaN or infinity; a smaller learning rate usually helps"
            raise InputError(msg)
        answer = _ANSWERS[job.output](self, job)
        answer["seconds"] = time.perf_counter() - start
        return Outcome(rows=job.rows, **answer)

    # -- programs and rows ------------------------------------------------------------------------------------------

    def _engine(self, kind: str, circuit: Circuit, observables: Observables) -> Engine:
        key = (kind, circuit.digest, observables.digest if kind in _OBSERVED else "")
        engine = self._engines.get(key)
        if engine is None:
            observables.check(circuit.n_qubits)
            compilers: dict[str, Callable[[], Program]] = {
                "values": lambda: compile_values(circuit, observables),
                "probabilities": lambda: compile_probabilities(circuit),
                "state": lambda: compile_state(circuit),
                "metric": lambda: compile_metric(circuit),
                "jacobian": lambda: compile_values(circuit, observables),
            }
            # derivatives of whole states and values are small jobs, and differences of them lose digits: float64 always
            dtype = np.float64 if kind in _DOUBLE else PRECISIONS[self.precision]
            engine = self._engines[key] = Engine(compilers[kind](), dtype, self.threads)
            if len(self._engines) > _PROGRAMS:
                self._engines.popitem(last=False)
        return engine

    @staticmethod
    def _rows(job: Job, engine: Engine) -> RowSet:
        """All rows of a job, each with parameters of its own."""
        pairs = job.row_pairs()
        data = np.ascontiguousarray(_NO_FEATURES if job.data is None else job.data, dtype=engine.dtype)
        return RowSet(data, job.params, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))

    def _row_sets(self, job: Job, engine: Engine) -> list[tuple[RowSet, bool, slice]]:
        """Parts of the rows with shared (False) or with their own (True) angles, and where their answers go."""
        n_params = len(job.params)
        if job.pairs is None and not engine.uses_data and (n_params == 1 or job.n_data >= _FEW_ROWS):
            data = np.ascontiguousarray(_NO_FEATURES if job.data is None else job.data, dtype=engine.dtype)
            b = np.arange(job.n_data)
            return [
                (RowSet(data, job.params, b, np.full(len(b), k)), False, slice(k, None, n_params)) for k in range(n_params)
            ]
        return [(self._rows(job, engine), True, slice(None))]

    @staticmethod
    def _slices(engine: Engine, rows: int, *, lanes: bool) -> list[slice]:
        """Rows in portions whose states and angles fit the memory that the engine may use."""
        row_bytes = np.dtype(engine.dtype).itemsize * 2 * engine.dim + (16 * engine.program.size if lanes else 0)
        unit = kernels.GROUP * LANES
        portion = max(unit, _SLICE_BYTES // row_bytes // unit * unit)
        return [slice(a, min(a + portion, rows)) for a in range(0, rows, portion)]

    # -- exact values -----------------------------------------------------------------------------------------------

    def _exact(self, job: Job, engine: Engine, *, lanes: bool = False) -> Floats:
        """Values [R, M]; with `lanes` always row by row, so that a row's value does not depend on the rows beside it."""
        out = np.empty((job.rows, engine.width), dtype=engine.dtype)
        if lanes:
            sets = [(self._rows(job, engine), True, slice(None))]
        else:
            sets = self._row_sets(job, engine)
        for rows, own, place in sets:
            if not own and pays(engine, len(rows)):
                UnitaryFirst(engine, rows).values(out[place])
                continue
            part = out[place] if place.step in (None, 1) else np.empty((len(rows), engine.width), dtype=engine.dtype)
            for piece in self._slices(engine, len(rows), lanes=own):
                chosen = rows.part(piece)
                angles = engine.angles(chosen, lanes=own)
                engine.forward(angles, chosen, part[piece], keep=False)
            if part.base is not out:
                out[place] = part
        return _weighted(engine, out)

    def _expectation(self, job: Job) -> dict[str, Any]:
        if job.shots is not None:
            return self._estimates(job)
        return {"values": self._exact(job, self._engine("values", job.circuit, job.measured))}

    def _probabilities(self, job: Job) -> dict[str, Any]:
        if job.shots is None:
            return {"values": self._exact(job, self._engine("probabilities", job.circuit, job.measured))}
        counts, paid = self._sampled(job, job.circuit, job.seed)
        return {"values": counts / np.asarray(job.shots).reshape(-1, 1), "shots_paid": paid}

    # -- samples ----------------------------------------------------------------------------------------------------

    def _sampled(self, job: Job, circuit: Circuit, seed: int) -> tuple[npt.NDArray[np.int32], int]:
        engine = self._engine("probabilities", circuit, job.measured)
        shots = np.broadcast_to(np.asarray(1024 if job.shots is None else job.shots, dtype=np.int64), (job.rows,))
        probabilities = self._exact(job, engine, lanes=True)
        return sample(probabilities, np.ascontiguousarray(shots), seed, self.threads), int(shots.sum())

    def _counts(self, job: Job) -> dict[str, Any]:
        if job.shots is None:
            msg = "expected shots for the output counts, got None; ask for probabilities for exact values"
            raise InputError(msg)
        counts, paid = self._sampled(job, job.circuit, job.seed)
        if job.circuit.n_qubits <= DENSE_QUBITS:
            return {"counts": counts, "shots_paid": paid}
        sparse = [{int(s): int(row[s]) for s in np.flatnonzero(row)} for row in counts]
        return {"counts": sparse, "shots_paid": paid}

    def _estimates(self, job: Job) -> dict[str, Any]:
        key = (job.circuit.digest, job.measured.digest)
        plan = self._plans.get(key)
        if plan is None:
            job.measured.check(job.circuit.n_qubits)
            plan = self._plans[key] = measurement.plan(job.circuit, job.measured)
            if len(self._plans) > _PROGRAMS:
                self._plans.popitem(last=False)
        values = np.repeat(plan.constant[None], job.rows, axis=0)
        variances = np.zeros_like(values)
        shots = np.broadcast_to(np.asarray(job.shots), (job.rows,))
        paid = 0
        for g, setting in enumerate(plan.settings):
            counts, cost = self._sampled(job, setting.circuit, job.seed + g)
            mean, variance = measurement.estimate(counts, shots, setting.table)
            values += mean
            variances += variance
            paid += cost
        return {"values": values, "variances": variances, "shots_paid": paid}

    # -- states and derivatives -------------------------------------------------------------------------------------

    def _state(self, job: Job) -> dict[str, Any]:
        engine = self._engine("state", job.circuit, job.measured)
        out = np.empty((job.rows, engine.dim), dtype=np.result_type(engine.dtype, np.complex64))
        nothing = np.empty((job.rows, 0), dtype=engine.dtype)
        for rows, own, place in self._row_sets(job, engine):
            part = np.empty((len(rows), engine.dim), dtype=out.dtype)
            for piece in self._slices(engine, len(rows), lanes=own):
                chosen = rows.part(piece)
                angles = engine.angles(chosen, lanes=own)
                re, im = engine.forward(angles, chosen, nothing, keep=True)
                part.real[piece] = unblock(re, len(chosen), engine.dim)
                part.imag[piece] = unblock(im, len(chosen), engine.dim)
            out[place] = part
        return {"values": out}

    def _vjp(self, job: Job) -> dict[str, Any]:
        engine = self._engine("values", job.circuit, job.measured)
        sets = self._row_sets(job, engine)
        gradient = np.zeros(job.params.shape)
        rows, own, _ = sets[0]
        if len(sets) == 1 and not own and pays(engine, len(rows)):
            first = UnitaryFirst(engine, rows)
            values = np.empty((job.rows, engine.width), dtype=engine.dtype)
            slots = first.vjp(values, _checked(job))
            _chain(engine, rows.part(slice(0, 1)), slots, gradient)
            return {"values": values, "gradient": gradient}
        pieces = [(rows.part(p), own, place, p) for rows, own, place in sets for p in self._slices(engine, len(rows), lanes=own)]
        if len(pieces) == 1:
            raw = np.empty((job.rows, engine.width), dtype=engine.dtype)
            angles = engine.angles(rows, lanes=own)
            states = engine.forward(angles, rows, raw, keep=True)
            values = _weighted(engine, raw)
            cotangents = _unweighted(engine, _checked(job)(values))
            _chain_rows(engine, rows, engine.backward(angles, len(rows), states, cotangents), gradient, lanes=own)
            return {"values": values, "gradient": gradient}
        values = self._exact(job, engine)
        cotangents = _unweighted(engine, _checked(job)(values))
        scratch = np.empty((job.rows, engine.width), dtype=engine.dtype)
        for chosen, own, place, p in pieces:
            angles = engine.angles(chosen, lanes=own)
            states = engine.forward(angles, chosen, scratch[: len(chosen)], keep=True)
            part = np.ascontiguousarray(cotangents[place][p])
            _chain_rows(engine, chosen, engine.backward(angles, len(chosen), states, part), gradient, lanes=own)
        return {"values": values, "gradient": gradient}

    def _jacobian(self, job: Job) -> dict[str, Any]:
        engine = self._engine("jacobian", job.circuit, job.measured)
        values, jacobian = derivatives.jacobian(engine, self._rows(job, engine))
        return {"values": values, "jacobian": jacobian}

    def _metric(self, job: Job) -> dict[str, Any]:
        engine = self._engine("metric", job.circuit, job.measured)
        return {"values": derivatives.metric(engine, self._rows(job, engine))}

    def _shifted(self, job: Job) -> dict[str, Any]:
        rules = shift_rules(job.circuit)
        pairs = job.row_pairs()
        each = np.stack([np.repeat(pairs[:, 0], rules.size), (pairs[:, 1:] * rules.size + np.arange(rules.size)).ravel()], axis=1)
        output = Output.EXPECTATION if job.measured.items else Output.COUNTS
        shots = job.shots if job.shots is None or np.ndim(job.shots) == 0 else np.repeat(np.asarray(job.shots), rules.size)
        if not rules.size or (output is Output.COUNTS and shots is None):
            msg = "expected a circuit with parameters, and observables or shots, for the output shifted"
            raise InputError(msg)
        rows = rules.rows(job.params)
        inner = Job(rules.circuit, job.data, rows, job.observables, output, each, shots, seed=job.seed)
        answer = _ANSWERS[output](self, inner)
        shape = (job.rows, rules.size, -1)
        return {k: v.reshape(shape) if k in {"values", "variances", "counts"} else v for k, v in answer.items()}


_ANSWERS: dict[Output, Callable[[LocalBackend, Job], dict[str, Any]]] = {
    Output.EXPECTATION: LocalBackend._expectation,
    Output.PROBABILITIES: LocalBackend._probabilities,
    Output.COUNTS: LocalBackend._counts,
    Output.STATE: LocalBackend._state,
    Output.VJP: LocalBackend._vjp,
    Output.JACOBIAN: LocalBackend._jacobian,
    Output.METRIC: LocalBackend._metric,
    Output.SHIFTED: LocalBackend._shifted,
}


def _weighted(engine: Engine, raw: Floats) -> Floats:
    readout = engine.program.readout
    if isinstance(readout, Strings):
        return np.asarray(readout.constant + raw @ readout.weights, dtype=engine.dtype)
    return raw


def _unweighted(engine: Engine, cotangents: Floats) -> Floats:
    readout = engine.program.readout
    if isinstance(readout, Strings):
        cotangents = cotangents @ readout.weights.T
    return np.ascontiguousarray(cotangents, dtype=engine.dtype)


def _checked(job: Job) -> Callable[[Floats], Floats]:
    def pullback(values: Floats) -> Floats:
        assert job.pullback is not None  # noqa: S101  # Job checks it
        cotangents = np.asarray(job.pullback(values))
        if cotangents.shape != values.shape:
            msg = f"expected cotangents of the values' shape {list(values.shape)} from the pullback, got {list(cotangents.shape)}"
            raise ShapeError(msg)
        return cotangents

    return pullback


def _chain_rows(engine: Engine, rows: RowSet, slots: Floats, gradient: Floats, *, lanes: bool) -> None:
    if lanes:
        kernels.chain(engine.terms, rows.data, rows.b, rows.k, slots, gradient)
    else:
        _chain(engine, rows.part(slice(0, 1)), slots, gradient)


def _chain(engine: Engine, row: RowSet, slots: Floats, gradient: Floats) -> None:
    spread = np.zeros(len(slots) * LANES)
    spread[::LANES] = slots
    kernels.chain(engine.terms, row.data, row.b, row.k, spread, gradient)


available = threads.available
