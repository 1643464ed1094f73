"""What makes two circuits the same for the sample cache: structure, angles as they count, and noise domain.

An angle is folded into its period and rounded to 1e-10 radians (1e-11 turns), as it is before it is sent; -0 is 0. The
period follows from the frequencies of an expectation value in that angle (Wierichs et al., Quantum 6, 677): with
frequencies that are multiples of f, the circuit is the same up to a global phase after 2 pi / f.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from q_store.backends.base import Slice
from q_store.circuits.circuit import PREPARE, Circuit, Op
from q_store.circuits.gates import GATES, PAULIEXP
from q_store.circuits.structure import Structure, within
from q_store.errors import InputError, ShapeError

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
KEY_BYTES = 16
_FORMAT = b"q-store sample 1"
_QUANTUM, _TURN_QUANTUM = 1e-10, 1e-11
_CACHED = 256


@dataclass(frozen=True, slots=True)
class Domain:
    """Where samples may be shared: everything beside the circuit that their distribution depends on.

    Attributes:
        noise_id: noise domain; `ideal` for every noiseless backend.
        target: the device or its model, where that is not in `noise_id`.
        settings: compilation and mitigation, as text.
        characterisation: of the hardware, where the service names it; samples end with it.
    """

    noise_id: str
    target: str = ""
    settings: str = ""
    characterisation: str = ""

    @property
    def text(self) -> str:
        """As it is stored and hashed."""
        return json.dumps([self.noise_id, self.target, self.settings, self.characterisation], separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> Domain:
        """The domain whose `text` this is."""
        return Domain(*json.loads(text))


def keys(circuit: Circuit, angles: npt.ArrayLike, domain: Domain, flips: Ints | None = None) -> list[bytes]:
    """16 bytes for each circuit: equal where samples of one are samples of the other.

    Args:
        circuit: the structure as it is sent, without `prepare`.
        angles: [S, A], in the unit of each gate.
        domain: what else the distribution depends on.
        flips: [S], bits inverted in the answer, see `Slice.flips`.

    Raises:
        InputError: for a circuit with `prepare`, whose amplitudes are no angles. ShapeError: for other shapes, or an
            angle that is not finite.
    """
    table = _units(Structure(circuit))
    given = np.asarray(angles, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != len(table.period) or not np.isfinite(given).all():
        raise ShapeError(f"expected finite angles of shape [S, {len(table.period)}], got {list(given.shape)}")
    whole = np.empty((len(given), len(table.period) + 1), dtype="<i8")
    whole[:, :-1] = table.whole(given)
    whole[:, -1] = 0 if flips is None else flips
    text = domain.text.encode()
    base = hashlib.blake2b(b"|".join([_FORMAT, circuit.digest.encode(), text]), digest_size=KEY_BYTES)
    data, width = whole.tobytes(), 8 * whole.shape[1]
    out = []
    for first in range(0, len(data), width):
        row = base.copy()
        row.update(data[first : first + width])
        out.append(row.digest())
    return out


def keys_of(part: Slice, domain: Domain) -> list[bytes]:
    """The keys of the circuits of a slice."""
    return keys(part.circuit, part.angles, domain, part.flips)


@dataclass(frozen=True, eq=False)
class _Units:
    """period[A] (0: none) and quantum[A] (0: none, every bit counts) of the angles of a circuit."""

    period: Reals
    quantum: Reals

    def whole(self, angles: Reals) -> Ints:
        """Angles in quanta within (-period/2, period/2]; the bits of those without a quantum."""
        rest = within(angles, self.period)
        unit = np.where(self.quantum > 0, self.quantum, 1)
        rounded = np.rint(np.where(self.quantum > 0, rest, 0) / unit)
        half = np.rint(self.period / 2 / unit)
        rounded = np.where((self.period > 0) & (rounded <= -half), half, rounded)
        bits = np.ascontiguousarray(angles + 0.0).view(np.int64)  # -0 + 0 = 0
        return np.where(self.quantum > 0, rounded, 0).astype(np.int64) + np.where(self.quantum > 0, 0, bits)


@lru_cache(maxsize=_CACHED)
def _units(structure: Structure) -> _Units:
    period: list[float] = []
    quantum: list[float] = []
    for op in structure.circuit.ops:
        if op.gate == PREPARE:
            raise InputError("expected a circuit without prepare, got one; lower it to gates first: encoders.lower")
        for frequencies in op.frequencies:
            period.append(_period(frequencies))
            quantum.append(_quantum(op, frequencies, period[-1]))
    return _Units(np.array(period), np.array(quantum))


def _quantum(op: Op, frequencies: tuple[float, ...], period: float) -> float:
    if not frequencies:
        return math.inf  # an angle without effect: every value is 0
    if not period:
        return 0.0
    if op.gate == PAULIEXP:  # its coefficient times the angle is rounded
        return 2 * _QUANTUM / min(frequencies)
    return _TURN_QUANTUM if GATES[op.gate].native else _QUANTUM


def _period(frequencies: tuple[float, ...]) -> float:
    """2 pi over the lowest frequency where all are multiples of it, else 0."""
    lowest = min(frequencies, default=0.0)
    if not lowest or any(not math.isclose(f / lowest, round(f / lowest), rel_tol=1e-12) for f in frequencies):
        return 0.0
    return 2 * math.pi / lowest
