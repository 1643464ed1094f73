"""Any Qiskit sampler as a backend: a slice is one PUB, a circuit with an array of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice
from q_store.backends.binding import Binder, Recent, check, freed, slices, wanted
from q_store.backends.distributions import Distributions
from q_store.backends.expansion import expand
from q_store.backends.threaded import Stop, ThreadedBackend
from q_store.circuits.circuit import Circuit
from q_store.circuits.interop import to_qiskit
from q_store.circuits.interop.imported import require
from q_store.jobs import EXACT_ONLY, Capabilities, Job, Output

Ints = npt.NDArray[np.int64]
MAX_QUBITS = 24
_KEPT = 64


class SamplerBackend(ThreadedBackend):
    """A `qiskit.primitives.BaseSamplerV2`, in a worker thread. Needs the extra `qiskit`.

    The sampler alone decides what is random: seeds of jobs have no effect.

    Args:
        sampler: the sampler.
        name: for messages and as the source of rows.
        noise_id: noise domain; None: one by this name. Say 'ideal' for a sampler without noise, so that its answers
            may stand beside those of others.
        translate: from a circuit with free parameters to what the sampler takes, e.g. a pass manager's `run`; None:
            circuits go as they are.
        max_qubits: refuse larger circuits.
        most: circuits in a PUB.
    """

    def __init__(
        self,
        sampler: Any,
        name: str = "sampler",
        *,
        noise_id: str | None = None,
        translate: Callable[[Any], Any] | None = None,
        max_qubits: int = MAX_QUBITS,
        most: int = 1_000,
    ) -> None:
        require("qiskit", "qiskit")
        outputs = frozenset(Output) - EXACT_ONLY
        super().__init__(
            Capabilities(name, outputs, max_qubits, exact=False, noise_id=noise_id or f"sampler:{name}"), workers=1
        )
        self.sampler = sampler
        self._translate, self._most = translate, most
        self._binder = Binder()
        self._circuits: Recent[Any] = Recent(_KEPT)

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """The slices of a job; see `backends.base.Backend`."""
        own = self.capabilities
        expansion = expand(job, own.name)
        check(job, own.name, own.max_qubits, exact=False)
        settings = self._binder.settings(expansion, wanted(expansion, numbers, shots))
        return list(slices(settings, expansion.seed, exact=False, most=self._most))

    def step(self, part: Slice) -> int:
        """See `ThreadedBackend`: one PUB."""
        return part.size

    def measure(self, part: Slice, stop: Stop) -> Distributions:
        """See `ThreadedBackend`."""
        from qiskit.primitives.containers.bindings_array import BindingsArray

        circuit = self._circuits.get(part.circuit.digest, lambda: self._translated(part.circuit))
        free = tuple(circuit.parameters)  # a translation may have dropped some
        values = part.angles[:, [angle.index for angle in free]]
        pub = circuit, BindingsArray({free: values} if free else {}, shape=(part.size,)), part.shots
        job = self.sampler.run([pub])
        stop.then(job.cancel)
        return _distributions(job.result()[0].data.meas, part.circuit.n_qubits)

    def _translated(self, circuit: Circuit) -> Any:
        out = to_qiskit(freed(circuit))
        out.measure_all()
        return out if self._translate is None else self._translate(out)


def _distributions(bits: Any, n_qubits: int) -> Distributions:
    """From a `BitArray` of shape [S]: bytes [S, shots, bytes], the most significant first."""
    weights = 256 ** np.arange(bits.array.shape[-1], dtype=np.int64)[::-1]
    rows = []
    for states in bits.array.astype(np.int64) @ weights:
        state, count = np.unique(states, return_counts=True)
        rows.append(dict(zip(state.tolist(), count.tolist(), strict=True)))
    return Distributions.of(rows, n_qubits)
