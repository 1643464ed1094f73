"""From a job to bound circuits: what every backend that takes slices plans from.

Which circuits of an expansion are wanted, and with how many shots; preparations as gates, computed once for a data set;
angles of the chosen rows; groups that may share a slice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice, fingerprint
from q_store.backends.expansion import Expansion
from q_store.backends.local.engine import check_norm
from q_store.circuits import encoders
from q_store.circuits.angle import theta
from q_store.circuits.circuit import Circuit, Op
from q_store.errors import CapabilityError, InputError
from q_store.jobs import MAX_SHOTS, Job

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_KEPT_DATA = 16
T = TypeVar("T")


class Recent(Generic[T]):
    """What was made for the last `most` different keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for the key, made now if need be."""
        found = self._made.pop(key, None)
        found = self._made[key] = make() if found is None else found
        if len(self._made) > self._most:
            self._made.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Circuits of an expansion that are to run.

    Attributes:
        numbers: [S], different circuits of the expansion.
        shots: [S], measurements of each; None where the job asks for exact values.
    """

    numbers: Ints
    shots: Ints | None

    def take(self, places: Ints) -> Wanted:
        """Some of them."""
        return Wanted(self.numbers[places], None if self.shots is None else self.shots[places])

    def groups(self, kinds: Ints | None = None) -> Iterator[tuple[Ints, int | None, int]]:
        """Places [S'] that share shots and kind, with the two; `kinds` [S] is what else must not meet in a slice."""
        if not len(self.numbers):
            return
        size = len(self.numbers)
        shots = np.zeros(size, np.int64) if self.shots is None else self.shots
        both = np.stack([shots, np.zeros(size, np.int64) if kinds is None else kinds])
        different, which = np.unique(both, axis=1, return_inverse=True)
        for k, (each, kind) in enumerate(different.T.tolist()):
            yield np.flatnonzero(which.ravel() == k), None if self.shots is None else each, kind


def wanted(expansion: Expansion, numbers: npt.ArrayLike | None = None, shots: npt.ArrayLike | None = None) -> Wanted:
    """The circuits that `Backend.plan` was asked for.

    Args:
        expansion: of the job.
        numbers: [S], which of its circuits; None: all.
        shots: [S], in place of the job's.

    Raises:
        InputError: for a number that there is not or that comes twice, shots of another shape or below 1, or shots for
            a job of exact values.
    """
    size = expansion.size
    listed = np.arange(size) if numbers is None else np.asarray(numbers)
    chosen = listed.astype(np.int64)
    if (
        listed.ndim != 1
        or (listed.dtype.kind not in "iu" and listed.size)
        or len(np.unique(chosen)) != len(chosen)
        or not ((chosen >= 0) & (chosen < size)).all()
    ):
        raise InputError(f"expected different circuits of 0 to {size - 1}, got {_some(listed)}; each is planned once")
    given = expansion.shots
    if shots is None:
        return Wanted(chosen, None if given is None else given[chosen % expansion.inner.rows])
    each = np.asarray(shots)
    if given is None:
        raise InputError(f"expected no shots for a job of exact values, got {_some(each)}; give them to the job")
    if each.shape != chosen.shape or each.dtype.kind not in "iu" or not ((each >= 1) & (each <= MAX_SHOTS)).all():
        raise InputError(f"expected 1 to {MAX_SHOTS} shots for each of {len(chosen)} circuits, got {_some(each)}")
    return Wanted(chosen, each.astype(np.int64))


def _some(values: npt.NDArray[Any]) -> str:
    return np.array2string(values, threshold=8, edgeitems=3)


def check(job: Job, name: str, max_qubits: int, *, exact: bool) -> None:
    """See that the backend `name` can run a job.

    Raises:
        CapabilityError: for too many qubits, or a job without shots where the backend measures (not `exact`).
        InputError: for parameters or data that are not finite.
    """
    if job.circuit.n_qubits > max_qubits:
        raise CapabilityError(
            f"expected at most {max_qubits} qubits for {name}, got {job.circuit.n_qubits}; "
            "use fewer qubits or another backend"
        )
    for what, numbers in (("params", job.params), ("data", job.data)):
        if numbers is not None and not np.isfinite(numbers).all():
            raise InputError(f"expected finite {what}, got a NaN or an infinity; check where they come from")
    if job.shots is None and not exact:
        raise CapabilityError(
            f"expected shots for {name}, which measures, got none; give shots, or use a backend that is exact"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Bindable:
    """The wanted circuits of one measured setting, whose angles can be computed.

    Attributes:
        setting: g.
        circuit: its structure, without `prepare`.
        wanted: the circuits; never empty.
        rows: [S], the inner row of each.
        data, params, pairs: of all R' inner rows, data for `circuit`.
    """

    setting: int
    circuit: Circuit
    wanted: Wanted
    rows: Ints
    data: npt.NDArray[Any] | None
    params: Reals
    pairs: npt.NDArray[np.intp]

    def angles(self, circuit: Circuit, rows: Ints) -> Reals:
        """[S, A] at some inner rows, of `self.circuit` or what was compiled from it."""
        pairs = self.pairs[rows]
        data = None if self.data is None else self.data[pairs[:, 0]]
        out = circuit.bind(data, self.params[pairs[:, 1]])
        return np.broadcast_to(out, (len(rows), out.shape[1]))


class Binder:
    """Takes expansions apart by setting; preparations are lowered once for a data set."""

    def __init__(self) -> None:
        self._lowered: Recent[tuple[Circuit, Reals]] = Recent(_KEPT_DATA)

    def settings(self, expansion: Expansion, chosen: Wanted) -> Iterator[Bindable]:
        """The settings that have wanted circuits.

        Raises:
            InputError: for amplitudes without unit norm.
        """
        inner, pairs = expansion.inner, expansion.inner.row_pairs()
        which, rows = np.divmod(chosen.numbers, len(pairs))
        for g, setting in enumerate(expansion.plan.settings):
            places = np.flatnonzero(which == g)
            if not len(places):
                continue
            circuit, data = self._prepared(setting.circuit, inner.data)
            yield Bindable(g, circuit, chosen.take(places), rows[places], data, inner.params, pairs)

    def _prepared(self, circuit: Circuit, data: npt.NDArray[Any] | None) -> tuple[Circuit, npt.NDArray[Any] | None]:
        """The circuit with its preparation as gates, and the data for it."""
        if circuit.prepare is None or data is None:
            return circuit, data
        content = np.ascontiguousarray(data)
        kind = str(content.dtype)[:8].encode()
        key = circuit.digest, hashlib.blake2b(content.data, digest_size=16, person=kind).digest()
        return self._lowered.get(key, lambda: _lowered(circuit, content))


def _lowered(circuit: Circuit, data: npt.NDArray[Any]) -> tuple[Circuit, Reals]:
    if circuit.prepare is not None:
        first, number = circuit.prepare.columns
        check_norm(float(np.abs((data[:, first : first + number] ** 2).sum(axis=1) - 1).max()))
    return encoders.lower(circuit, data)


def slices(bindables: Iterable[Bindable], seed: Callable[[int], int], *, exact: bool, most: int) -> Iterator[Slice]:
    """Slices of at most `most` circuits, of one setting and shots each, for a backend that takes any gate.

    Args:
        bindables: what is to run.
        seed: of the samples of a setting.
        exact: whether probabilities come back, so that shots do not matter.
        most: circuits in a slice.
    """
    for each in bindables:
        angles = each.angles(each.circuit, each.rows)
        chosen = replace(each.wanted, shots=None) if exact else each.wanted
        for places, shots, _ in chosen.groups():
            for part in np.array_split(places, -(-len(places) // most)):
                yield Slice(each.circuit, angles[part], chosen.numbers[part], shots, seed(each.setting), fingerprint())


def freed(circuit: Circuit) -> Circuit:
    """The circuit of a slice with angle a as parameter a, so that `Slice.angles` are rows of parameters."""
    ops: list[Op] = []
    used = 0
    for each in circuit.ops:
        ops.append(replace(each, angles=tuple(theta(used + k) for k in range(len(each.angles)))))
        used += len(each.angles)
    return Circuit(circuit.n_qubits, used, 0, tuple(ops))
