"""Circuits to OpenQASM 2 and 3 by an own writer, and back through Qiskit's parsers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.circuits.angle import Angle
from q_store.circuits.circuit import Circuit, Op
from q_store.circuits.encoders import lower
from q_store.circuits.interop.elementary import expand
from q_store.circuits.interop.imported import Imported, require
from q_store.circuits.interop.qiskit_reader import read
from q_store.circuits.interop.qiskit_symbols import Symbols
from q_store.circuits.interop.substitution import amplitudes, bound
from q_store.errors import CircuitError, ConfigError

# (our name, number of controls) -> name in the header of the OpenQASM 2 paper (arXiv:1707.03429) and in stdgates.inc
_BOTH = {
    **{(name, 0): name for name in ("x", "y", "z", "h", "s", "t", "rx", "ry", "rz")},
    **{(name, 1): f"c{name}" for name in ("x", "y", "z", "h", "rz")},
    ("si", 0): "sdg",
    ("ti", 0): "tdg",
    ("x", 2): "ccx",
}
_ONLY_3 = {("p", 0): "p", ("p", 1): "cp", ("rx", 1): "crx", ("ry", 1): "cry", ("v", 0): "sx"}
_NAMES = {
    2: {**_BOTH, ("p", 0): "u1", ("p", 1): "cu1"},
    3: {**_BOTH, **_ONLY_3, ("swap", 0): "swap", ("swap", 1): "cswap"},
}
_VERSION = re.compile(r"^\s*OPENQASM\s+(\d+)", re.MULTILINE)
_INPUT = re.compile(r"(?:^|(?<=;))\s*input\s+(?:float|angle)\s*(?:\[[^\]]*\])?\s*(\w+)\s*;", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PLACE = re.compile(r"(?:<input>:)?(\d+),\d+:?\s*")


def to_qasm(
    circuit: Circuit, version: int = 3, params: npt.ArrayLike | None = None, data: npt.ArrayLike | None = None
) -> str:
    """The circuit as OpenQASM text, equal up to a global phase.

    Only gates of `stdgates.inc` (3) or of the header `qelib1.inc` of the OpenQASM 2 paper (2) occur; others are
    decomposed, an SO(4) pair exp(-i a/2 YX) exp(-i b/2 XY) into 2 CNOT, any other string of w letters into 2 (w - 1).
    In OpenQASM 3 what is not bound becomes `input float theta_0;`, `input float x_0;`, all P and D of them. A leading
    `prepare` of a data row becomes RY and CNOT (`encoders.lower`).

    Args:
        circuit: the circuit.
        version: 2 or 3.
        params: params[P] or None; OpenQASM 2 needs it.
        data: data[D] or None; OpenQASM 2 and `prepare` need it.

    Raises:
        GateError: for a `prepare` without data: OpenQASM has no initial states.
        CircuitError: for symbolic angles in OpenQASM 2.
        ConfigError: for another version.
        ShapeError: for values of another shape.
    """
    if version not in _NAMES:
        raise ConfigError(f"expected OpenQASM version 2 or 3, got {version!r}")
    if circuit.prepare is not None:
        circuit, data = _lowered(circuit, circuit.prepare, data)
    numbers, _ = bound(circuit, params, data)
    if version == 2 and not all(a.is_constant for op in numbers.ops for a in op.angles):
        raise CircuitError(
            "expected numbers for all angles in OpenQASM 2, got symbols; pass params and data, or version=3"
        )
    names = _NAMES[version]
    ops = expand(numbers.ops, lambda op: (op.gate, len(op.controls)) in names)
    return "\n".join([*_header(version, circuit, params, data), *(_line(op, names) for op in ops), ""])


def _lowered(circuit: Circuit, prepare: Op, data: npt.ArrayLike | None) -> tuple[Circuit, npt.ArrayLike]:
    _, x = bound(circuit, None, data)
    amplitudes(prepare, circuit.n_qubits, x)
    gates, rows = lower(circuit, np.asarray(x)[None])
    return gates, rows[0]


def _header(version: int, circuit: Circuit, params: Any, data: Any) -> list[str]:
    if version == 2:
        return ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{circuit.n_qubits}];"]
    theta = [f"input float theta_{i};" for i in range(circuit.n_params) if params is None]
    x = [f"input float x_{j};" for j in range(circuit.n_features) if data is None]
    return ["OPENQASM 3.0;", 'include "stdgates.inc";', *theta, *x, f"qubit[{circuit.n_qubits}] q;"]


def _line(op: Op, names: dict[tuple[str, int], str]) -> str:
    angles = f"({', '.join(map(_text, op.angles))})" if op.angles else ""
    wires = ", ".join(f"q[{q}]" for q in op.wires)
    return f"{names[(op.gate, len(op.controls))]}{angles} {wires};"


def _text(angle: Angle) -> str:
    out = ""
    for (i, j), coefficient in angle.terms:
        factors = [*[f"theta_{i}"] * (i >= 0), *[f"x_{j}"] * (j >= 0)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, _number(abs(coefficient)))
        sign = "-" if coefficient < 0 else "+" if out else ""
        out += f" {sign} " if out else sign
        out += "*".join(factors)
    return out or "0.0"


def _number(value: float) -> str:
    """The shortest text that reads back as the same float64; OpenQASM 2 wants a point in every real."""
    mantissa, _, exponent = repr(float(value)).partition("e")
    mantissa += "" if "." in mantissa else ".0"
    return f"{mantissa}e{exponent}" if exponent else mantissa


def from_qasm(text: str, features: Iterable[str] | str = ()) -> Imported:
    """OpenQASM 2 or 3 text as a circuit, equal up to a global phase.

    Qiskit reads it; see `from_qiskit` for what is understood.

    Args:
        text: the program, with its `OPENQASM` line. `input` parameters become theta in the order of their declarations.
        features: names of the inputs that are data, in the order of the columns; "x" stands for x_0, x_1, ... too.

    Raises:
        CircuitError: for text that cannot be read, with its line.
        GateError: for what has no unitary.
        CapabilityError: without the extra `qiskit`.
    """
    text = text.removeprefix("\ufeff")  # some editors begin a file with this mark
    plain = _COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)
    found = _VERSION.search(plain)
    if found is None or int(found[1]) not in _NAMES:
        raise CircuitError(f"line 1: expected 'OPENQASM 2.0;' or 'OPENQASM 3.0;', got {text.strip()[:40]!r}")
    require("qiskit", "qiskit", "qiskit_qasm3_import")
    from qiskit.circuit import Parameter

    qc = _parsed(text, _loads_2 if found[1] == "2" else _loads_3)
    inputs = [Parameter(name) for name in _INPUT.findall(plain)]
    return read(qc, Symbols(inputs, features))


def _loads_2(text: str) -> Any:
    from qiskit import qasm2

    # no path: text from elsewhere opens no files of this machine; the standard header needs none
    return qasm2.loads(text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


def _loads_3(text: str) -> Any:
    from qiskit import qasm3

    return qasm3.loads(text)


def _parsed(text: str, loads: Callable[[str], Any]) -> Any:
    try:
        return loads(text)
    except Exception as error:  # the parsers raise ANTLR's, Qiskit's and plain index errors
        line, reason = _place(error)
        where = f"line {line}: " if line else ""
        shown = text.splitlines()[line - 1].strip() if line and line <= len(text.splitlines()) else ""
        raise CircuitError(f"{where}expected OpenQASM, got {shown!r}: {reason}") from error


def _place(error: BaseException) -> tuple[int, str]:
    """(line or 0, reason) of a parser's error."""
    text = re.sub(r"^(['\"])(.*)\1$", r"\2", str(getattr(error, "message", error)))
    found = _PLACE.match(text)
    if found:
        return int(found[1]), text[found.end() :]
    token = _offending_token(error)
    if token is not None:
        return int(token.line), f"unexpected {token.text!r}, or something missing before it"
    return _visited_line(error), text or type(error).__name__


def _offending_token(error: BaseException | None) -> Any:
    """ANTLR's token, found along the causes."""
    while error is not None:
        for source in (error, *error.args):
            token = getattr(source, "offendingToken", None)
            if token is not None:
                return token
        error = error.__cause__ or error.__context__
    return None


def _visited_line(error: BaseException) -> int:
    """The line of the syntax node that the importer was visiting; errors of Qiskit's circuit come without a place."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        span = getattr(trace.tb_frame.f_locals.get("node"), "span", None)
        if span is not None:
            line = int(span.start_line)
        trace = trace.tb_next
    return line
