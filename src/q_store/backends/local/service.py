"""The local engine behind the interface of a remote backend, so that it can be a member of a pool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice
from q_store.backends.binding import Binder, check, freed, slices, wanted
from q_store.backends.distributions import Distributions
from q_store.backends.expansion import Expansion, expand
from q_store.backends.local.backend import LocalBackend
from q_store.backends.threaded import Stop, ThreadedBackend
from q_store.jobs import EXACT_ONLY, Job, Output

Ints = npt.NDArray[np.int64]
_MOST = 5_000
_AT_ONCE = 1 << 20  # probabilities


@dataclass(frozen=True, slots=True, eq=False)
class LocalSlice(Slice):
    """A slice that remembers its job, whose rows the engine runs as they are: preparations loaded, digits the same.

    Attributes:
        whole: probabilities of the slice's setting for every inner row of the expansion.
    """

    whole: Job | None = None


class LocalService(ThreadedBackend):
    """`LocalBackend` in slices: free, exact, in a worker thread. It answers with probabilities.

    What is then drawn from them by `Expansion.outcome` is bit by bit what `LocalBackend.run` draws (to 12 qubits),
    however a job was cut. Whole jobs and outputs that need the state run on `engine` itself.

    Args:
        engine: the engine; None: one of its own.
        workers: 1: slices run in a thread; 0: within `submit`. The engine has threads of its own.
    """

    def __init__(self, engine: LocalBackend | None = None, workers: int = 1) -> None:
        self.engine = engine or LocalBackend()
        own = self.engine.capabilities
        super().__init__(replace(own, outputs=own.outputs - EXACT_ONLY), workers)
        self._binder = Binder()

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> list[Slice]:
        """The slices of a job; see `backends.base.Backend`."""
        own = self.capabilities
        expansion = expand(job, own.name)
        check(job, own.name, own.max_qubits, exact=True)
        settings = self._binder.settings(expansion, wanted(expansion, numbers, shots))
        return [_local(part, expansion) for part in slices(settings, expansion.seed, exact=True, most=_MOST)]

    def step(self, part: Slice) -> int:
        """See `ThreadedBackend`."""
        return _AT_ONCE >> part.circuit.n_qubits

    def measure(self, part: Slice, stop: Stop) -> Distributions:  # noqa: ARG002  # a step takes milliseconds
        """See `ThreadedBackend`."""
        return Distributions.from_dense(self.engine.row_by_row(_rows(part)))


def _local(part: Slice, expansion: Expansion) -> LocalSlice:
    inner = expansion.inner
    circuit = expansion.plan.settings[int(part.numbers[0]) // inner.rows].circuit
    whole = Job(circuit, inner.data, inner.params, output=Output.PROBABILITIES, pairs=inner.pairs)
    return LocalSlice(
        part.circuit, part.angles, part.numbers, part.shots, part.seed, part.fingerprint, part.flips, whole
    )


def _rows(part: Slice) -> Job:
    """The circuits of a slice as a job; of one without a memory, with angles for parameters."""
    whole = part.whole if isinstance(part, LocalSlice) else None
    if whole is None:
        return Job(freed(part.circuit), params=part.angles, output=Output.PROBABILITIES)
    return replace(whole, pairs=whole.row_pairs()[part.numbers % whole.rows])
