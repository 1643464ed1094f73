"""Bodies of POST /jobs, as the emulator receives them: from our client and from others.

Shipped clients break the published schema, so this accepts more than it says: unknown keys, numbers of shots as text,
nulls for what is absent, every spelling of a gate. What is at fault is refused with its place in the request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from q_store.backends.ionq.wire.gate_reader import MOST_QUBITS, GateReader
from q_store.backends.ionq.wire.limits import (
    DEFAULT_SHOTS,
    MAX_BYTES,
    MAX_CIRCUITS,
    MAX_GATES,
    MAX_QUBITS_IDEAL,
    MAX_SHOTS,
    SIMULATOR,
)
from q_store.backends.ionq.wire.refusal import WireError, invalid
from q_store.circuits.angle import theta
from q_store.circuits.circuit import Circuit
from q_store.circuits.interop import from_qasm
from q_store.errors import QStoreError

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SINGLE, MULTI, QASM = "ionq.circuit.v1", "ionq.multi-circuit.v1", "ionq.qasm3.v1"
GATESETS = ("qis", "native")
KEPT_INPUT = 65_536
_SEEDS = range(-(2**31), 2**31)
_REGISTER = re.compile(r"\b(?:qubit|qreg\s+\w+)\s*\[\s*(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Circuits of one structure.

    Attributes:
        circuit: the structure; theta_i is its angle i, in the unit of its gate.
        numbers: [S], places of the circuits in the job.
        angles: [S, A].
    """

    circuit: Circuit
    numbers: Ints
    angles: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A job as the service understands it.

    Attributes:
        type: `ionq.circuit.v1`, `ionq.multi-circuit.v1` or `ionq.qasm3.v1`.
        backend: the name that was asked for; not checked here.
        shots: 1..1,000,000; 100 where the request says nothing.
        noise_model, noise_seed: of the simulator; None where the request says nothing. The model is not checked here.
        debiasing: as asked for; None where the request says nothing.
        gateset: `qis` or `native`, of circuits that do not say otherwise.
        n_qubits: of each circuit.
        names: of each circuit, None where it has none.
        groups: the circuits by structure; every circuit is in one of them.
        gate_counts: gates on one qubit and on more, [S] each.
        name, metadata, session_id, dry_run, settings: as sent.
        input: as sent, if it is small; else None.
    """

    type: str
    backend: str
    shots: int
    noise_model: str | None
    noise_seed: int | None
    debiasing: bool | None
    gateset: str
    n_qubits: list[int]
    names: list[str | None]
    groups: list[Group]
    gate_counts: tuple[Ints, Ints]
    name: str | None
    metadata: dict[str, Any] | None
    session_id: str | None
    dry_run: bool
    settings: dict[str, Any]
    input: dict[str, Any] | None

    @property
    def size(self) -> int:
        """Number of circuits."""
        return len(self.n_qubits)


@dataclass(frozen=True, slots=True)
class _Circuits:
    gateset: str
    n_qubits: list[int]
    names: list[str | None]
    groups: list[Group]


def read_job(body: bytes) -> Received:
    """A job from the body of a request.

    Raises:
        WireError: for a body that the service would refuse, or accept and fail (then with a failure code).
    """
    if len(body) > MAX_BYTES:
        reason = f"expected a body of at most {MAX_BYTES} bytes, got {len(body)}; send fewer circuits in a job"
        raise WireError(reason, status=413)
    job = _object(_parsed(body), "")
    kind, backend = _needed_text(job, "type"), _needed_text(job, "backend")
    given = _object(job.get("input"), "input")
    noise = _object(job.get("noise") or {}, "noise")
    settings = _object(job.get("settings") or {}, "settings")
    mitigation = _object(settings.get("error_mitigation") or {}, "settings.error_mitigation")
    metadata = job.get("metadata")
    ceiling = MAX_QUBITS_IDEAL if backend == SIMULATOR else MOST_QUBITS
    try:
        circuits = _circuits(kind, given, ceiling)
    except WireError as error:
        raise error.under("input") if error.keys != ["type"] else error from None
    return Received(
        type=kind,
        backend=backend,
        shots=_shots(job.get("shots")),
        noise_model=_text(noise, "model", "noise.model"),
        noise_seed=_seed(noise.get("seed")),
        debiasing=_flag(mitigation, "debiasing", "settings.error_mitigation.debiasing"),
        gateset=circuits.gateset,
        n_qubits=circuits.n_qubits,
        names=circuits.names,
        groups=circuits.groups,
        gate_counts=_gate_counts(circuits.groups, len(circuits.n_qubits)),
        name=_text(job, "name", "name"),
        metadata=None if metadata is None else _object(metadata, "metadata"),
        session_id=_text(job, "session_id", "session_id"),
        dry_run=bool(_flag(job, "dry_run", "dry_run")),
        settings=settings,
        input=given if len(body) <= KEPT_INPUT else None,
    )


def _parsed(body: bytes) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON number")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError:
        raise WireError("expected a JSON object, got one nested too deeply") from None
    except ValueError as error:  # of the parser, of the encoding, of numbers of thousands of digits
        raise WireError(f"expected a JSON object, got: {error}") from None


def _circuits(kind: str, given: dict[str, Any], ceiling: int) -> _Circuits:
    if kind == QASM:
        return _from_qasm(given, ceiling)
    if kind not in {SINGLE, MULTI}:
        raise invalid("type", f"one of {SINGLE}, {MULTI}, {QASM}", kind, None)
    if "circuit" in given and "circuits" in given:
        raise WireError("expected circuit or circuits, got both", "circuit", "circuits")
    gateset = _gateset(given, "qis")
    if kind == SINGLE:
        items, places = [given], [""]
    else:
        items = _list(given.get("circuits"), "circuits", MAX_CIRCUITS, "circuits")
        places = [f"circuits[{k}]" for k in range(len(items))]
    return _read(items, places, gateset, given.get("qubits"), ceiling)


def _read(items: list[Any], places: list[str], gateset: str, shared_qubits: Any, ceiling: int) -> _Circuits:
    readers = {name: GateReader(native=name == "native") for name in GATESETS}
    found: dict[tuple[str, int, tuple[int, ...]], tuple[list[int], list[list[float]]]] = {}
    widths: dict[tuple[str, tuple[int, ...]], int] = {}
    n_qubits: list[int] = []
    names: list[str | None] = []
    left = MAX_GATES
    for k, (item, place) in enumerate(zip(items, places, strict=True)):
        try:
            one = _object(item, "")
            own = _gateset(one, gateset)
            gates = _list(one.get("circuit"), "circuit", left, f"gates in a job of {MAX_GATES}", "TooManyGates")
            left -= len(gates)
            structure, angles = readers[own].read(gates)
            used = widths.get((own, structure))
            if used is None:
                used = widths[own, structure] = readers[own].width(structure)
            qubits = one.get("qubits")
            width = _width(shared_qubits if qubits is None else qubits, used, ceiling)
            names.append(_text(one, "name", "name"))
        except WireError as error:
            raise error.under(place) if place else error from None
        n_qubits.append(width)
        numbers, rows = found.setdefault((own, width, structure), ([], []))
        numbers.append(k)
        rows.append(angles)
    groups = [
        Group(
            readers[own].circuit(structure, width),
            np.array(numbers, dtype=np.int64),
            np.array(rows, dtype=np.float64).reshape(len(rows), -1),
        )
        for (own, width, structure), (numbers, rows) in found.items()
    ]
    return _Circuits(gateset, n_qubits, names, groups)


def _from_qasm(given: dict[str, Any], ceiling: int) -> _Circuits:
    text = _needed_text(given, "data")
    wires = sum(min(int(size[:9]), MAX_GATES) for size in _REGISTER.findall(text))
    if wires > ceiling:
        raise invalid("data", f"at most {ceiling} qubits", wires, "NotEnoughQubits")
    try:
        circuit = from_qasm(text).circuit
    except QStoreError as error:
        raise WireError(str(error), "data", code="UnsupportedGate") from None
    except Exception as error:  # a program of a stranger, through the parsers of others
        raise invalid("data", "an OpenQASM 3 program", f"{type(error).__name__}: {error}") from error
    if circuit.n_params:
        raise invalid("data", "numbers for all angles", f"{circuit.n_params} inputs")
    angles = circuit.bind(None, np.zeros((1, 0)))
    numbers = iter(range(angles.shape[1]))
    ops = tuple(replace(op, angles=tuple(theta(next(numbers)) for _ in op.angles)) for op in circuit.ops)
    free = Circuit(circuit.n_qubits, angles.shape[1], 0, ops)
    return _Circuits("qis", [circuit.n_qubits], [None], [Group(free, np.zeros(1, dtype=np.int64), angles)])


def _width(qubits: Any, used: int, ceiling: int) -> int:
    """Number of qubits of a circuit: as said, at least as many as it uses."""
    width = used if qubits is None else qubits
    if not isinstance(width, (int, float)) or width != width // 1 or width < 1:
        raise invalid("qubits", "a number of qubits of 1 or more", qubits)
    if used > width:
        raise invalid("circuit", f"qubits in 0..{int(width) - 1}", used - 1)
    if width > ceiling:
        raise invalid("qubits", f"at most {ceiling} qubits", width, "NotEnoughQubits")
    return int(width)


def _gate_counts(groups: list[Group], size: int) -> tuple[Ints, Ints]:
    one, more = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for group in groups:
        more[group.numbers] = group.circuit.two_qubit_gates
        one[group.numbers] = len(group.circuit.ops) - group.circuit.two_qubit_gates
    return one, more


def _shots(value: Any) -> int:
    if value is None:
        return DEFAULT_SHOTS
    if isinstance(value, str) and value.isascii() and value.strip().isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in range(1, MAX_SHOTS + 1):
        raise invalid("shots", f"a whole number of 1..{MAX_SHOTS}", value, None)
    return int(value)


def _seed(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in _SEEDS:
        raise invalid("noise.seed", "a whole number of 32 bits", value, None)
    return int(value)


def _gateset(given: Mapping[str, Any], default: str) -> str:
    gateset = given.get("gateset")
    if gateset is None:
        return default
    if gateset not in GATESETS:
        raise invalid("gateset", " or ".join(GATESETS), gateset, None)
    return str(gateset)


def _list(value: Any, key: str, most: int, what: str, code: str | None = None) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise invalid(key, "a list of one or more", value)
    if len(value) > most:
        raise invalid(key, f"at most {most} {what}", len(value), code)
    return value


def _object(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(key, "a JSON object", value, None)
    return value


def _needed_text(given: Mapping[str, Any], key: str) -> str:
    if key not in given:
        raise WireError("expected it in the request, got none", key)
    value = given[key]
    if not isinstance(value, str) or not value:
        raise invalid(key, "text", value, None)
    return value


def _text(given: Mapping[str, Any], key: str, place: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise invalid(place, "text", value, None)
    return value


def _flag(given: Mapping[str, Any], key: str, place: str) -> bool | None:
    value = given.get(key)
    if value is not None and not isinstance(value, bool):
        raise invalid(place, "true or false", value, None)
    return value
