"""From a job to slices: circuits in gates of the target, bound angles, and packs that one remote job takes."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice
from q_store.backends.expansion import Expansion, expand
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.ionq.wire.gates import expressible
from q_store.backends.ionq.wire.limits import MAX_SHOTS
from q_store.backends.ionq.wire.payload import pack
from q_store.backends.ionq.wire.template import Template
from q_store.backends.local.engine import check_norm
from q_store.circuits import encoders
from q_store.circuits.circuit import Circuit, op
from q_store.circuits.native import Family, fold, to_native
from q_store.errors import CapabilityError, InputError
from q_store.jobs import Job

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_DEBIASED = 500
_KEPT = 64
_KEPT_DATA = 16
_SEEDS = 2**31 - 1


def family_of(settings: IonQSettings) -> Family:
    """Which entangler a target is documented to take; the service's own list counts where it is known."""
    name = settings.noise if settings.is_simulator else settings.backend
    return Family.ZZ if "forte" in name or "tempo" in name else Family.MS


def fingerprint() -> str:
    """A new one."""
    return secrets.token_hex(12)


@dataclass(frozen=True, eq=False)
class Planned:
    """A job with its slices."""

    expansion: Expansion
    slices: list[Slice]


class Planner:
    """Plans jobs; what belongs to a structure or a data set is computed once and kept."""

    def __init__(self, settings: IonQSettings, name: str) -> None:
        self.settings = settings
        self.name = name
        self.family = family_of(settings)
        self._lowered: OrderedDict[tuple[str, bytes], tuple[Circuit, Reals]] = OrderedDict()
        self._compiled: OrderedDict[tuple[str, Family], Circuit] = OrderedDict()

    def plan(self, job: Job) -> Planned:
        """The slices of a job.

        Raises:
            CapabilityError: for what the backend cannot run. InputError: for numbers that it cannot be run with.
            CircuitError: for an empty circuit.
        """
        expansion = expand(job, self.name)
        self._check(job)
        slices: list[Slice] = []
        for g in range(len(expansion.plan.settings)):
            slices += self._setting(expansion, g)
        return Planned(expansion, slices)

    def _check(self, job: Job) -> None:
        settings = self.settings
        if job.circuit.n_qubits > settings.max_qubits:
            raise CapabilityError(
                f"expected at most {settings.max_qubits} qubits for {self.name}, got {job.circuit.n_qubits}; "
                "use fewer qubits or another backend"
            )
        for what, numbers in (("params", job.params), ("data", job.data)):
            if numbers is not None and not np.isfinite(numbers).all():
                raise InputError(f"expected finite {what}, got a NaN or an infinity; check where they come from")
        if settings.is_exact:
            return
        if job.shots is None:
            raise CapabilityError(
                f"expected shots for {self.name}, which measures, got none; give shots, or use the ideal simulator"
            )
        shots = np.asarray(job.shots)
        if shots.max() > MAX_SHOTS:
            raise InputError(f"expected at most {MAX_SHOTS} shots a circuit for {self.name}, got {shots.max()}")
        if settings.debiasing and shots.min() < LEAST_DEBIASED:
            raise InputError(
                f"expected {LEAST_DEBIASED} shots or more with debiasing, got {shots.min()}; ask for more, or leave "
                "debiasing out"
            )

    def _setting(self, expansion: Expansion, g: int) -> Iterator[Slice]:
        """The slices of one measured setting."""
        inner = expansion.inner
        circuit, data = self._prepared(expansion.plan.settings[g].circuit, inner.data)
        circuit = self._in_gates(circuit)
        pairs = inner.row_pairs()
        angles = circuit.bind(None if data is None else data[pairs[:, 0]], inner.params[pairs[:, 1]])
        angles = np.broadcast_to(angles, (inner.rows, angles.shape[1]))
        flips: Ints | None = None
        if self.settings.gateset == "native":
            angles, flips = fold(circuit, angles)
        for rows, shots, seed in self._groups(expansion, g, angles):
            for part in self._packs(circuit, rows):
                yield Slice(
                    circuit,
                    angles[part],
                    part + g * inner.rows,
                    shots,
                    seed,
                    fingerprint(),
                    None if flips is None else flips[part],
                )

    def _prepared(self, circuit: Circuit, data: npt.NDArray[Any] | None) -> tuple[Circuit, Reals | None]:
        """The circuit with its preparation as gates, and the data for it; once for a data set."""
        if circuit.prepare is None or data is None:
            return circuit, data
        content = np.ascontiguousarray(data)
        key = (
            circuit.digest,
            hashlib.blake2b(content.data, digest_size=16, person=str(content.dtype)[:8].encode()).digest(),
        )
        found = self._lowered.get(key)
        if found is None:
            first, number = circuit.prepare.columns
            check_norm(float(np.abs((content[:, first : first + number] ** 2).sum(axis=1) - 1).max()))
            found = _kept(self._lowered, key, encoders.lower(circuit, data), _KEPT_DATA)
        return found

    def _in_gates(self, circuit: Circuit) -> Circuit:
        """The circuit in gates of the target; once for a structure."""
        key = (circuit.digest, self.family)
        found = self._compiled.get(key)
        if found is None:
            if self.settings.gateset == "native":
                made = to_native(circuit, self.family, measured=True)
                # what measurement cannot see is compiled away, and the service takes no empty circuit
                made = made if made.ops or not circuit.ops else replace(made, ops=(op("gpi", 0, angles=[0.0]),) * 2)
            else:
                made = expressible(circuit)
            found = _kept(self._compiled, key, made, _KEPT)
        return found

    def _groups(self, expansion: Expansion, g: int, angles: Reals) -> Iterator[tuple[Ints, int | None, int]]:
        """Rows that may share a remote job, their shots and the seed of their noise."""
        every = np.arange(expansion.inner.rows)
        if self.settings.is_exact or expansion.shots is None:
            yield every, None, 0
            return
        repeats = _repeats(angles) if self.settings.is_simulator else np.zeros(len(every), dtype=np.int64)
        kinds, which = np.unique(np.stack([expansion.shots, repeats]), axis=1, return_inverse=True)
        for k, (shots, repeat) in enumerate(kinds.T.tolist()):
            yield np.flatnonzero(which.ravel() == k), shots, _seed(expansion.seed(g), repeat)

    def _packs(self, circuit: Circuit, rows: Ints) -> Iterator[Ints]:
        """Rows by remote job. Free jobs are many, as the circuits of one may share a slot; paid ones are full."""
        template = Template.of(circuit, native=self.settings.gateset == "native")
        parts = [rows]
        if self.settings.is_simulator:
            parts = np.array_split(rows, max(1, min(self.settings.parallel, len(rows) // self.settings.smallest)))
        for part in parts:
            for taken in pack(template.gates, [template.bytes_estimate] * len(part)):
                yield part[taken.start : taken.stop]


def _seed(seed: int, repeat: int) -> int:
    """1..2^31 - 1, another one for each repetition of a circuit: the same seed would bring the same samples."""
    digest = hashlib.blake2b(f"{seed} {repeat}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _SEEDS + 1


def _repeats(angles: Reals) -> Ints:
    """[R], how many equal rows come before each."""
    seen: dict[bytes, int] = {}
    out = np.zeros(len(angles), dtype=np.int64)
    for r, row in enumerate(np.ascontiguousarray(angles)):
        key = row.tobytes()
        out[r] = seen.get(key, 0)
        seen[key] = int(out[r]) + 1
    return out


def _kept(store: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> Any:
    """Put into a store that forgets the oldest."""
    store[key] = value
    if len(store) > most:
        store.popitem(last=False)
    return value
