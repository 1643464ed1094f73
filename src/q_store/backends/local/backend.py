"""The local backend: every output of a job, exact or sampled, on the compiled engine."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends import measurement
from q_store.backends.expansion import DENSE_QUBITS, SETTING, unshifted
from q_store.backends.local import derivatives, exact, threads
from q_store.backends.local.programs import KEPT, Programs, own_rows
from q_store.backends.local.sampling import sample
from q_store.circuits.circuit import Circuit
from q_store.circuits.observables import Observables
from q_store.errors import CapabilityError, ConfigError, InputError, suggestion
from q_store.jobs import Capabilities, Job, Outcome, Output

Answer = dict[str, Any]

PRECISIONS = {"float32": np.float32, "float64": np.float64}
MAX_QUBITS = 16


class LocalBackend:
    """Exact simulation of small circuits on this machine.

    Args:
        threads: kernel threads; None for all processors of the process. Results do not depend on it.
        precision: 'float32' (values to about 1e-6, the default) or 'float64' (to about 1e-14).
        max_qubits: refuse larger circuits; from about 16 qubits other simulators are faster.

    Threads that share an instance wait for each other.
    """

    def __init__(self, threads: int | None = None, precision: str = "float32", max_qubits: int = MAX_QUBITS) -> None:
        if precision not in PRECISIONS:
            msg = (
                f"expected a precision of float32 or float64, got {precision!r}{suggestion(str(precision), PRECISIONS)}"
            )
            raise ConfigError(msg)
        if threads is not None and threads < 1:
            msg = f"expected 1 thread or more, got {threads}; None takes all processors"
            raise ConfigError(msg)
        self.threads = threads or available()
        self.precision = precision
        self.capabilities = Capabilities("local", frozenset(Output), max_qubits)
        self._programs = Programs(PRECISIONS[precision], self.threads)
        self._plans: OrderedDict[tuple[str, str], measurement.Plan] = OrderedDict()
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._answers: dict[Output, Callable[[Job], Answer]] = {
            Output.EXPECTATION: self._expectation,
            Output.PROBABILITIES: self._probabilities,
            Output.COUNTS: self._counts,
            Output.SHIFTED: self._shifted,
            Output.STATE: self._state,
            Output.VJP: self._vjp,
            Output.JACOBIAN: self._jacobian,
            Output.METRIC: self._metric,
        }

    def __reduce__(self) -> tuple[type[LocalBackend], tuple[int, str, int]]:
        """A copy compiles anew: it has memory and a lock of its own."""
        return LocalBackend, (self.threads, self.precision, self.capabilities.max_qubits)

    async def run_async(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run the jobs one after the other in the caller: they are computation, not waiting."""
        return [self.run(job) for job in jobs]

    def warm_up(self, circuit: Circuit, observables: Observables) -> float:
        """Compile what training this circuit needs; seconds that it took."""
        start = time.perf_counter()
        rows = 64 << circuit.n_qubits if circuit.prepare else 2
        first = circuit.prepare.columns[0] if circuit.prepare else 0
        data = np.zeros((min(rows, 4096), circuit.n_features), dtype=PRECISIONS[self.precision])
        data[:, first : first + 1] = 1
        for part in (data[:2], data):
            batch = part if circuit.n_features else None
            self.run(Job(circuit, batch, np.zeros(circuit.n_params), observables, Output.VJP, pullback=np.zeros_like))
        return time.perf_counter() - start

    def run(self, job: Job) -> Outcome:
        """Run a job in the caller.

        Raises:
            CapabilityError: for more qubits than this backend takes.
            InputError, ShapeError: for parameters or data that are not finite, amplitudes without unit norm, or a
                pullback that
                returns another shape than it got.
        """
        start = time.perf_counter()
        if job.circuit.n_qubits > self.capabilities.max_qubits:
            msg = (
                f"expected at most {self.capabilities.max_qubits} qubits, got {job.circuit.n_qubits}; the local "
                "engine is made for small circuits: use Qiskit Aer or PennyLane Lightning for this one, or "
                "LocalBackend(max_qubits=...) if memory and patience allow"
            )
            raise CapabilityError(msg)
        with self._alone():
            answer = self._answers[job.output](job)
        return Outcome(rows=job.rows, seconds=time.perf_counter() - start, **answer)

    def row_by_row(self, job: Job) -> npt.NDArray[Any]:
        """Probabilities [R, 2^n], to the last bit independent of the rows beside: what shots are drawn from."""
        with self._alone():
            return exact.values(self._programs.of("probabilities", job.circuit), job, alone=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Other threads wait, as memory is shared between the passes; a pullback that comes back here is refused."""
        if self._owner == threading.get_ident():
            msg = "expected a pullback that does not use the backend that called it; give it a LocalBackend of its own"
            raise InputError(msg)
        with self._lock:
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None

    def _expectation(self, job: Job) -> Answer:
        if job.shots is not None:
            return self._estimates(job)
        return {"values": exact.values(self._programs.values(job.circuit, job.measured), job)}

    def _probabilities(self, job: Job) -> Answer:
        if job.shots is None:
            return {"values": exact.values(self._programs.of("probabilities", job.circuit), job)}
        counts, shots = self._sampled(job, job.circuit, job.seed)
        return {"values": counts / shots[:, None], "shots_paid": int(shots.sum())}

    def _sampled(self, job: Job, circuit: Circuit, seed: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Counts [R, 2^n] and shots [R]."""
        shots = np.ascontiguousarray(np.broadcast_to(np.asarray(job.shots, dtype=np.int64), (job.rows,)))
        probabilities = exact.values(self._programs.of("probabilities", circuit), job, alone=True)
        return sample(probabilities, shots, seed, self.threads), shots

    def _counts(self, job: Job) -> Answer:
        if job.shots is None:
            msg = "expected shots for the output counts, got None; ask for probabilities for exact values"
            raise InputError(msg)
        counts, shots = self._sampled(job, job.circuit, job.seed)
        if job.circuit.n_qubits <= DENSE_QUBITS:
            return {"counts": counts, "shots_paid": int(shots.sum())}
        sparse = [{int(s): int(row[s]) for s in np.flatnonzero(row)} for row in counts]
        return {"counts": sparse, "shots_paid": int(shots.sum())}

    def _estimates(self, job: Job) -> Answer:
        plan = self._plan(job)
        values = np.repeat(plan.constant[None], job.rows, axis=0)
        variances = np.zeros_like(values)
        paid = 0
        for g, setting in enumerate(plan.settings):
            counts, shots = self._sampled(job, setting.circuit, job.seed + g * SETTING)
            mean, variance = measurement.estimate(counts, shots, setting.table)
            values += mean
            variances += variance
            paid += int(shots.sum())
        return {"values": values, "variances": variances, "shots_paid": paid}

    def _plan(self, job: Job) -> measurement.Plan:
        key = (job.circuit.digest, job.measured.digest)
        found = self._plans.get(key)
        if found is None:
            job.measured.check(job.circuit.n_qubits)
            found = self._plans[key] = measurement.plan(job.circuit, job.measured)
            if len(self._plans) > KEPT:
                self._plans.popitem(last=False)
        return found

    def _shifted(self, job: Job) -> Answer:
        inner, size = unshifted(job)
        answer = self._answers[inner.output](inner)
        shape = (job.rows, size, -1)
        return {k: v.reshape(shape) if k in {"values", "variances", "counts"} else v for k, v in answer.items()}

    def _state(self, job: Job) -> Answer:
        return {"values": exact.states(self._programs.of("state", job.circuit), job)}

    def _vjp(self, job: Job) -> Answer:
        values, gradient = exact.vjp(self._programs.values(job.circuit, job.measured), job)
        return {"values": values, "gradient": gradient}

    def _jacobian(self, job: Job) -> Answer:
        engine = self._programs.jacobian(job.circuit, job.measured)
        values, jacobian = derivatives.jacobian(engine, own_rows(job, engine))
        return {"values": values, "jacobian": jacobian}

    def _metric(self, job: Job) -> Answer:
        engine = self._programs.of("metric", job.circuit)
        return {"values": derivatives.metric(engine, own_rows(job, engine))}


available = threads.available
