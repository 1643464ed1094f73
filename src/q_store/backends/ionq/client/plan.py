"""From a job to slices: circuits in gates of the target, bound angles, and packs that one remote job takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice, fingerprint
from q_store.backends.binding import Bindable, Binder, Recent, check, wanted
from q_store.backends.expansion import Expansion, expand
from q_store.backends.ionq.settings import IonQSettings
from q_store.backends.ionq.wire.gates import expressible
from q_store.backends.ionq.wire.limits import MAX_SHOTS
from q_store.backends.ionq.wire.payload import pack
from q_store.backends.ionq.wire.template import Template
from q_store.circuits.circuit import Circuit, op
from q_store.circuits.native import Family, fold, to_native
from q_store.errors import InputError
from q_store.jobs import Job

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST_DEBIASED = 500
_SEEDS = 2**31 - 1


def family_of(settings: IonQSettings) -> Family:
    """Which entangler a target is documented to take; the service's own list counts where it is known."""
    name = settings.noise if settings.is_simulator else settings.backend
    return Family.ZZ if "forte" in name or "tempo" in name else Family.MS


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
        self._binder = Binder()
        self._compiled: Recent[Circuit] = Recent(settings.kept_structures)

    def plan(self, job: Job, numbers: Ints | None = None, shots: Ints | None = None) -> Planned:
        """The slices of a job, or of some of its circuits; see `backends.base.Backend`.

        Raises:
            CapabilityError: for what the backend cannot run. InputError: for numbers that it cannot be run with.
            CircuitError: for an empty circuit.
        """
        expansion = expand(job, self.name)
        check(job, self.name, self.settings.max_qubits, exact=self.settings.is_exact)
        chosen = wanted(expansion, numbers, shots)
        if chosen.shots is not None and len(chosen.shots) and not self.settings.is_exact:
            self._check(chosen.shots)
        slices: list[Slice] = []
        for part in self._binder.settings(expansion, chosen):
            slices += self._setting(part, expansion.seed(part.setting))
        return Planned(expansion, slices)

    def _check(self, shots: Ints) -> None:
        if shots.max() > MAX_SHOTS:
            raise InputError(f"expected at most {MAX_SHOTS} shots a circuit for {self.name}, got {shots.max()}")
        if self.settings.debiasing and shots.min() < LEAST_DEBIASED:
            raise InputError(
                f"expected {LEAST_DEBIASED} shots or more with debiasing, got {shots.min()}; ask for more, or leave "
                "debiasing out"
            )

    def _setting(self, setting: Bindable, seed: int) -> Iterator[Slice]:
        """The slices of one measured setting."""
        circuit, settings = self._in_gates(setting.circuit), self.settings
        noisy = settings.is_simulator and not settings.is_exact
        # equal circuits of a job must not get equal noise; which repetition one is depends on all rows
        angles = setting.angles(circuit, np.arange(len(setting.pairs)) if noisy else setting.rows)
        angles, flips = fold(circuit, angles) if settings.gateset == "native" else (angles, None)
        kinds: Ints | None = None
        if noisy:
            kinds, angles = _repeats(angles)[setting.rows], angles[setting.rows]
            flips = None if flips is None else flips[setting.rows]
        chosen = replace(setting.wanted, shots=None) if settings.is_exact else setting.wanted
        for places, shots, repeat in chosen.groups(kinds):
            for part in self._packs(circuit, places):
                yield Slice(
                    circuit,
                    angles[part],
                    chosen.numbers[part],
                    shots,
                    0 if shots is None else _seed(seed, repeat),
                    fingerprint(),
                    None if flips is None else flips[part],
                )

    def _in_gates(self, circuit: Circuit) -> Circuit:
        """The circuit in gates of the target; once for a structure."""
        return self._compiled.get((circuit.digest, self.family), lambda: self._translated(circuit))

    def _translated(self, circuit: Circuit) -> Circuit:
        if self.settings.gateset != "native":
            return expressible(circuit)
        made = to_native(circuit, self.family, measured=True)
        # what measurement cannot see is compiled away, and the service takes no empty circuit
        return made if made.ops or not circuit.ops else replace(made, ops=(op("gpi", 0, angles=[0.0]),) * 2)

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
