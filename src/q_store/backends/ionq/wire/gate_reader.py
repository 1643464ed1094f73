"""Gates of the wire as operations, with everything that shipped clients write.

A job repeats few gates many times: what a gate says but for its numbers (its form) is checked once and looked up after
that, and circuits are equal in structure when their forms are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from q_store.backends.ionq.wire.gates import ONE_QUBIT, TWO_QUBIT
from q_store.backends.ionq.wire.limits import MAX_CONTROLS
from q_store.backends.ionq.wire.refusal import WireError, invalid
from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.gates import GATES, PAULIEXP
from q_store.errors import CircuitError

MOST_QUBITS = 63  # measured states are 64-bit integers
NOP = "nop"
MS_ANGLE = 0.25  # of an ms without an angle
_SPELLINGS = {"not": "x", "cnot": "x"}
_NATIVE = {"gpi": "gpi", "gpi2": "gpi2", "ms": "ms", "zz": "nzz", NOP: NOP}
_ROTATIONS = frozenset({"rx", "ry", "rz", "xx", "yy", "zz"})
Gate = Mapping[str, Any]
Numbers = Callable[[Gate], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Form:
    """A gate but for its numbers.

    Attributes:
        gate: our name for it.
        qubits, controls, paulis: as in `Op`.
        field: where its numbers are, a key of `_NUMBERS`.
    """

    gate: str
    qubits: tuple[int, ...]
    controls: tuple[int, ...] = ()
    paulis: tuple[tuple[str, float], ...] = ()
    field: str = ""

    @property
    def wires(self) -> tuple[int, ...]:
        """Controls and targets."""
        return self.controls + self.qubits

    @property
    def n_angles(self) -> int:
        """Number of angles."""
        return 0 if self.gate == NOP else 1 if self.gate == PAULIEXP else GATES[self.gate].n_angles


class GateReader:
    """Reads the gate lists of one gate set; remembers the forms it has seen."""

    def __init__(self, *, native: bool) -> None:
        self.native = native
        self.forms: list[Form] = []
        self._number: dict[Form, int] = {}
        self._seen: dict[tuple[Any, ...], tuple[int, Numbers | None]] = {}
        self._ops: dict[tuple[int, int], Op] = {}

    def read(self, gates: list[Any]) -> tuple[tuple[int, ...], list[float]]:
        """(forms by number, their angles one after another) of a gate list.

        Raises:
            WireError: for a gate that cannot be read, with keys such as `circuit[3].targets`.
        """
        structure: list[int] = []
        angles: list[float] = []
        try:
            for gate in gates:
                number, numbers = self._form(gate)
                if numbers is not None:
                    angles += numbers(gate)
                structure.append(number)
        except WireError as error:
            raise error.under(f"circuit[{len(structure)}]") from None
        return tuple(structure), angles

    def circuit(self, structure: tuple[int, ...], n_qubits: int) -> Circuit:
        """The circuit of these forms; theta_i is its angle i."""
        ops: list[Op] = []
        first = 0
        for number in structure:
            form = self.forms[number]
            if form.gate == NOP:
                continue
            op = self._ops.get((number, first))
            if op is None:
                op = self._ops[number, first] = _op(form, first)
            ops.append(op)
            first += len(op.angles)
        return Circuit(n_qubits, first, 0, tuple(ops))

    def width(self, structure: tuple[int, ...]) -> int:
        """Number of qubits that these forms use: the largest and all below."""
        return 1 + max(q for number in set(structure) for q in (-1, *self.forms[number].wires))

    def _form(self, gate: Any) -> tuple[int, Numbers | None]:
        """(number of the gate's form, how to read its angles)."""
        try:
            key = _key(gate)
            known = self._seen.get(key)
        except (TypeError, AttributeError, IndexError, OverflowError):  # no gate: `_read` says why
            key, known = (), None
        if known is not None:
            return known
        form = _read(gate, native=self.native)
        number = self._number.setdefault(form, len(self.forms))
        if number == len(self.forms):
            self.forms.append(form)
        found = self._seen[key] = number, _NUMBERS.get(form.field)
        return found


def _key(gate: Any) -> tuple[Any, ...]:
    """Everything but angles; some error for what is no gate."""
    get = gate.get
    targets, controls, terms = get("targets"), get("controls"), get("terms")
    return (
        get("gate"),
        *gate,
        None,
        get("target"),
        get("control"),
        targets and tuple(targets),
        controls and tuple(controls),
        terms and (*terms, *_relative(get("coefficients"))),
    )


def _op(form: Form, first: int) -> Op:
    angles = tuple(Angle((((first + k, -1), 1.0),)) for k in range(form.n_angles))
    return Op(form.gate, form.qubits, angles, form.controls, form.paulis)


def _read(gate: Any, *, native: bool) -> Form:
    """The form of a gate, checked."""
    if not isinstance(gate, Mapping) or not isinstance(gate.get("gate"), str):
        raise invalid("", "a gate such as {'gate': 'h', 'target': 0}", gate)
    targets, controls = _qubits(gate, "target"), _qubits(gate, "control")
    if len(controls) > MAX_CONTROLS:
        raise WireError(
            f"expected at most {MAX_CONTROLS} controls, got {len(controls)}; split the gate",
            "controls",
            code="TooManyControls",
        )
    form = (_native if native else _qis)(gate, gate["gate"], targets, controls)
    if form.gate != NOP:
        _check(form)
    return form


def _check(form: Form) -> None:
    """Refuse what the gate itself forbids: repeated qubits, a wrong number of them, strings that do not commute."""
    try:
        Circuit(max(form.wires, default=0) + 1, form.n_angles, 0, (_op(form, 0),))
    except CircuitError as error:
        reason = str(error).removeprefix(f"operation 0 ({form.gate}): ")
        raise WireError(reason, "", code="InvalidInput") from None


def _qis(gate: Gate, name: str, targets: tuple[int, ...], controls: tuple[int, ...]) -> Form:
    if name == PAULIEXP:
        return Form(name, targets, controls, _strings(gate, len(targets)), "time")
    ours = _SPELLINGS.get(name, name)
    if ours not in ONE_QUBIT and ours not in TWO_QUBIT:
        raise _unsupported(name, {*ONE_QUBIT, *TWO_QUBIT, *_SPELLINGS, PAULIEXP})
    if ours == "swap" and controls:
        reason = f"expected a swap without controls, got {len(controls)}; write it as three cnot"
        raise WireError(reason, "controls", code="UnsupportedGate")
    if name == "cnot" and not controls:
        raise invalid("control", "a control of the cnot", None)
    if ours == "z" and "rotation" in gate:
        return Form("p", targets, controls, field="rotation")
    return Form(ours, targets, controls, field="rotation" if ours in _ROTATIONS else "")


def _native(gate: Gate, name: str, targets: tuple[int, ...], controls: tuple[int, ...]) -> Form:
    if name not in _NATIVE:
        raise _unsupported(name, set(_NATIVE))
    if controls:
        reason = f"expected a native gate without controls, got {len(controls)}; compile it first"
        raise WireError(reason, "controls", code="UnsupportedGate")
    ours = _NATIVE[name]
    field = {"gpi": "phase", "gpi2": "phase", "ms": "phases"}.get(name, "")
    if ours == "nzz":
        # the description says angle or rotation, one client writes phase
        field = next((each for each in ("angle", "phase", "rotation") if each in gate), "angle")
    return Form(ours, targets, field=field)


def _strings(gate: Gate, n: int) -> tuple[tuple[str, float], ...]:
    """Our (letters, coefficient): the last letter of the wire acts on the first target."""
    terms, coefficients = gate.get("terms"), gate.get("coefficients")
    if not isinstance(terms, list) or not terms or not all(_is_string(term, n) for term in terms):
        raise invalid("terms", f"strings of {n} letters of IXYZ", terms)
    if not isinstance(coefficients, list) or len(coefficients) != len(terms):
        raise invalid("coefficients", f"a list of {len(terms)} numbers", coefficients)
    merged: dict[str, float] = {}
    for term, coefficient in zip(terms, _relative([_float(c, "coefficients") for c in coefficients]), strict=True):
        merged[term[::-1]] = merged.get(term[::-1], 0.0) + coefficient
    return tuple(merged.items())


def _is_string(term: Any, n: int) -> bool:
    return isinstance(term, str) and len(term) == n and not set(term) - set("IXYZ")


def _relative(coefficients: list[float]) -> list[float]:
    """Coefficients without what goes into the angle, so that circuits that differ in it share their structure."""
    scale = _scale(coefficients)
    return [1.0] if len(coefficients) == 1 else [c * scale for c in coefficients]


def _scale(coefficients: list[float]) -> float:
    """Of the time: a single coefficient, or the sign of the first."""
    return coefficients[0] if len(coefficients) == 1 else math.copysign(1.0, coefficients[0])


def _qubits(gate: Gate, singular: str) -> tuple[int, ...]:
    """Of `target` or `targets`, `control` or `controls`; both may say the same."""
    one, many = gate.get(singular), gate.get(f"{singular}s")
    if many is None:
        return () if one is None else (_qubit(one, singular),)
    if not isinstance(many, list) or (one is not None and [one] != many):
        raise invalid(f"{singular}s", f"a list of qubits, or one qubit as {singular!r}", many)
    return tuple(_qubit(each, f"{singular}s") for each in many)


def _qubit(value: Any, key: str) -> int:
    if not isinstance(value, (int, float)) or value not in range(MOST_QUBITS):
        large = isinstance(value, int) and value >= MOST_QUBITS
        raise invalid(key, f"a qubit in 0..{MOST_QUBITS - 1}", value, "NotEnoughQubits" if large else "InvalidInput")
    return int(value)


def _float(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid(key, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise invalid(key, "a finite number", value)
    return number


def _field(name: str) -> Numbers:
    def numbers(gate: Gate) -> tuple[Any, ...]:
        value = gate.get(name)
        return (value if type(value) is float and math.isfinite(value) else _float(value, name),)

    return numbers


def _time(gate: Gate) -> tuple[float]:
    time = _float(gate.get("time"), "time")
    if time < 0:
        raise invalid("time", "a time of 0 or more (a sign goes into the coefficients)", time)
    coefficients = [_float(c, "coefficients") for c in gate["coefficients"]]
    return (_float(time * _scale(coefficients), "time"),)


def _phases(gate: Gate) -> tuple[Any, ...]:
    phases = gate.get("phases")
    if not isinstance(phases, list) or len(phases) != 2:
        raise invalid("phases", "a list of two phases in turns", phases)
    return (*(_float(phase, "phases") for phase in phases), _float(gate.get("angle", MS_ANGLE), "angle"))


_NUMBERS: dict[str, Numbers] = {
    "rotation": _field("rotation"),
    "phase": _field("phase"),
    "angle": _field("angle"),
    "phases": _phases,
    "time": _time,
}


def _unsupported(name: str, known: set[str]) -> WireError:
    return invalid("gate", f"one of {', '.join(sorted(known))}", name, "UnsupportedGate")
