"""A circuit as the JSON text of its gate list: the structure is written once, a row only fills in numbers.

An angle is folded into one period around 0 and rounded, so that 150,000 rotations fit into 10 MB and equal circuits
have equal texts. Without controls RX(a + 2 pi) = -RX(a), so the period is 2 pi; with controls 4 pi. Rounding moves an
angle by at most 5e-11 radians.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from q_store.backends.ionq.wire.gates import is_native, is_qis
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.gates import PAULIEXP, TURN
from q_store.circuits.structure import Structure, within
from q_store.errors import CircuitError, GateError, ShapeError

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
CACHED = 128
QIS_DECIMALS = 10
NATIVE_DECIMALS = 11  # a turn is 2 pi radians
_WIDEST, _WIDEST_FREE = 14, 23
_SLOT = "%b"
MS_RANGE = (0.0, 0.25)


@dataclass(frozen=True, slots=True)
class _Number:
    """One number of the text: an angle times `scale`, folded and rounded.

    Attributes:
        angle: which angle of the operation.
        scale: factor in front of it.
        period: length of the interval around 0 that it is folded into; 0: it is not.
        decimals: that are kept; None: 15 significant digits.
        within: smallest and largest number that the service accepts.
        magnitude: whether the sign is left out.
        sign_of: write this number with the sign of the angle instead of the angle.
    """

    angle: int
    scale: float = 1.0
    period: float = 0.0
    decimals: int | None = QIS_DECIMALS
    within: tuple[float, float] = (-math.inf, math.inf)
    magnitude: bool = False
    sign_of: float | None = None


class _Texts(dict[float, bytes]):
    """Numbers as text, each written once: most rows of a sweep or a gradient share most of theirs."""

    def __missing__(self, number: float) -> bytes:
        text = self[number] = b"%.15g" % number
        return text


@dataclass(frozen=True, eq=False)
class Template:
    """The JSON text of the gate list of a circuit, with gaps for its numbers.

    Attributes:
        gates: number of gates.
        n_angles: A, the number of angles of the circuit.
        text: a format string with V gaps.
        column, scale, period, unit, low, high, magnitude, factor: [V], how a number follows from the angles.
    """

    gates: int
    n_angles: int
    text: bytes
    column: Ints
    scale: Reals
    period: Reals
    unit: Reals
    low: Reals
    high: Reals
    magnitude: npt.NDArray[np.bool_]
    factor: Reals

    @staticmethod
    def of(circuit: Circuit, *, native: bool = False) -> Template:
        """The template of a circuit in gates of the wire; the last ones are kept, by digest.

        Raises:
            GateError: for an operation that the wire does not have in this gate set.
            CircuitError: for a circuit without gates: the service refuses it.
        """
        return _template(Structure(circuit), native)

    @staticmethod
    def made(circuit: Circuit, *, native: bool = False) -> Template:
        """The same, made anew."""
        return _template.__wrapped__(Structure(circuit), native)

    @property
    def bytes_estimate(self) -> int:
        """A length that no circuit exceeds."""
        free = int(np.isnan(self.unit).sum())
        return len(self.text) + len(self.column) * (_WIDEST - len(_SLOT)) + free * (_WIDEST_FREE - _WIDEST)

    def numbers(self, angles: npt.ArrayLike) -> Reals:
        """The numbers [S, V] that are sent for angles[S, A]: equal rows are equal circuits.

        Raises:
            ShapeError: for another shape, or an angle that is not finite.
            GateError: for a native angle out of the range that the service accepts.
        """
        given = np.asarray(angles, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != self.n_angles or not np.isfinite(given).all():
            raise ShapeError(f"expected finite angles of shape [S, {self.n_angles}], got {_described(given)}")
        values = self._rounded(within(given[:, self.column] * self.scale, self.period))
        self._check_range(values)
        signed = np.where(values < 0, -self.factor, self.factor)
        values = np.where(self.magnitude, np.abs(values), values)
        return np.asarray(np.where(np.isnan(self.factor), values, signed) + 0.0)  # -0 + 0 = 0

    def write(self, angles: npt.ArrayLike) -> list[bytes]:
        """The JSON text of the gate list of each row of angles[S, A]. Raises as `numbers`."""
        text, written = self.text, _Texts().__getitem__
        return [text % tuple(map(written, row)) for row in self.numbers(angles).tolist()]

    def filled(self, numbers: Reals) -> bytes:
        """The text with these numbers [V], a row of `numbers`."""
        return self.text % tuple(b"%.15g" % number for number in numbers.tolist())

    def _rounded(self, values: Reals) -> Reals:
        half = np.rint(self.period / 2 * self.unit) / self.unit
        rounded = np.where(np.isnan(self.unit), values, np.rint(values * self.unit) / self.unit)
        # the lower end of the interval is the same angle as the upper one
        return np.asarray(np.where((self.period > 0) & (rounded <= -half), half, rounded))

    def _check_range(self, values: Reals) -> None:
        bad = np.argwhere((values < self.low) | (values > self.high))
        if len(bad):
            row, k = bad[0]
            raise GateError(
                f"expected an angle of {self.low[k]:g}..{self.high[k]:g} turns for ms, got {values[row, k]:g} in "
                f"circuit {row}; fold it first: circuits.native.fold"
            )


@lru_cache(maxsize=CACHED)
def _template(key: Structure, native: bool) -> Template:  # noqa: FBT001  # part of the cache's key
    circuit = key.circuit
    if not circuit.ops:
        raise CircuitError("expected a circuit of one gate or more, got none; IonQ refuses empty circuits: add a gate")
    texts, numbers, columns = [], [], []
    first = 0
    for k, op in enumerate(circuit.ops):
        if not (is_native(op) if native else is_qis(op)):
            raise GateError(_refusal(k, op, native=native))
        text, own = _native_text(op) if native else _qis_text(op)
        texts.append(text)
        numbers += own
        columns += [first + number.angle for number in own]
        first += len(op.angles)
    return Template(
        gates=len(circuit.ops),
        n_angles=first,
        text=f"[{','.join(texts)}]".encode(),
        column=np.array(columns, dtype=np.intp),
        scale=np.array([n.scale for n in numbers], dtype=float),
        period=np.array([n.period for n in numbers], dtype=float),
        unit=np.array([math.nan if n.decimals is None else 10.0**n.decimals for n in numbers], dtype=float),
        low=np.array([n.within[0] for n in numbers], dtype=float),
        high=np.array([n.within[1] for n in numbers], dtype=float),
        magnitude=np.array([n.magnitude for n in numbers], dtype=bool),
        factor=np.array([math.nan if n.sign_of is None else n.sign_of for n in numbers], dtype=float),
    )


def _qis_text(op: Op) -> tuple[str, list[_Number]]:
    if op.gate == PAULIEXP:
        return _exponential_text(op)
    if op.gate == "x" and len(op.controls) == 1:
        return f'{{"gate":"cnot","control":{op.controls[0]},"target":{op.qubits[0]}}}', []
    fields = [f'"gate":"{op.gate}"', f'"targets":{_list(op.qubits)}']
    if op.controls:
        fields.append(f'"controls":{_list(op.controls)}')
    numbers = [_Number(0, period=2 * TURN if op.controls else TURN)] if op.angles else []
    fields += [f'"rotation":{_SLOT}' for _ in numbers]
    return _object(fields), numbers


def _exponential_text(op: Op) -> tuple[str, list[_Number]]:
    """The service takes times of 0 and more, so the sign of the angle goes into the coefficients.

    The letters are reversed: the last one acts on the first target. exp(-i t c P) with one string has the period pi up
    to a global phase.
    """
    terms = json.dumps([letters[::-1] for letters, _ in op.paulis], separators=(",", ":"))
    coefficients = [c for _, c in op.paulis]
    time = _Number(0, decimals=None)
    if len(op.paulis) == 1:
        time, coefficients = _Number(0, coefficients[0], math.pi), [1.0]
    numbers = [replace(time, sign_of=c) for c in coefficients] + [replace(time, magnitude=True)]
    slots = ",".join([_SLOT] * len(coefficients))
    head = f'"gate":"{PAULIEXP}","targets":{_list(op.qubits)},"terms":{terms}'
    return _object([head, f'"coefficients":[{slots}]', f'"time":{_SLOT}']), numbers


def _native_text(op: Op) -> tuple[str, list[_Number]]:
    numbers = [_Number(k, period=1.0, decimals=NATIVE_DECIMALS) for k in range(len(op.angles))]
    if op.gate in {"gpi", "gpi2"}:
        return _object([f'"gate":"{op.gate}"', f'"target":{op.qubits[0]}', f'"phase":{_SLOT}']), numbers
    targets = f'"targets":{_list(op.qubits)}'
    if op.gate == "ms":
        numbers[2] = _Number(2, decimals=NATIVE_DECIMALS, within=MS_RANGE)
        return _object(['"gate":"ms"', targets, f'"phases":[{_SLOT},{_SLOT}]', f'"angle":{_SLOT}']), numbers
    return _object(['"gate":"zz"', targets, f'"angle":{_SLOT}']), numbers


def _object(fields: list[str]) -> str:
    return "{" + ",".join(fields) + "}"


def _list(qubits: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, qubits))}]"


def _refusal(place: int, op: Op, *, native: bool) -> str:
    controls = f" with {len(op.controls)} controls" if op.controls else ""
    remedy = "compile it first: circuits.native.to_native" if native else "rewrite it first: wire.gates.expressible"
    return (
        f"operation {place}: expected a gate of IonQ's {'native' if native else 'qis'} set, got {op.gate!r}{controls}; "
        f"{remedy}"
    )


def _described(angles: Reals) -> str:
    bad = np.argwhere(~np.isfinite(angles))
    if angles.ndim == 2 and len(bad):
        return f"{angles[tuple(bad[0])]} in row {bad[0, 0]}"
    return str(list(angles.shape))
