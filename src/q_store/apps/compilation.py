"""`q-store compile`: an OpenQASM file in an IonQ machine's native gates, and a check that it is still the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from q_store.apps.progress import plain
from q_store.apps.underway import underway
from q_store.backends.ionq.settings import QPU_QUBITS
from q_store.backends.ionq.wire.payload import JobSettings, body
from q_store.backends.ionq.wire.template import Template
from q_store.backends.local import reference
from q_store.circuits.circuit import Circuit, Op, op
from q_store.circuits.interop import from_qasm
from q_store.circuits.native import Family, counts, to_native
from q_store.errors import CapabilityError, CircuitError, ConfigError, DataError, suggestion

Complex = npt.NDArray[np.complex128]
MOST_EXACT = 8
"""Qubits up to which whole unitaries are compared."""
MOST_SAMPLED = 16
"""Qubits up to which random states are."""
STATES = 2


@dataclass(frozen=True)
class Machine:
    """What `--target` names: its native gates, and the service's name for it."""

    family: Family
    name: str

    @property
    def qubits(self) -> int:
        """How many it has."""
        return QPU_QUBITS[self.name]


MACHINES = {"ionq-aria": Machine(Family.MS, "qpu.aria-1"), "ionq-forte": Machine(Family.ZZ, "qpu.forte-1")}


def show(file: Path, target: str, *, measured: bool, as_json: bool) -> None:
    """Run the command."""
    chosen = machine(target)
    with underway(f"compiling {file.name}"):
        found = compiled(read(file), chosen, measured=measured)
    console = Console(stderr=as_json)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in (file.name, "one-qubit gates", "two-qubit gates", "depth"):
        table.add_column(title, justify="left" if title == file.name else "right")
    for name, title in (("before", "as read"), ("after", f"native gates of {target}")):
        table.add_row(title, *(f"{found[name][key]:,}" for key in ("one_qubit", "two_qubit", "depth")))
    console.print(table)
    infidelity = found["infidelity"]
    plain(console, found["method"] if infidelity is None else f"infidelity {infidelity:.1e}, by {found['method']}")
    if as_json:
        print(json.dumps(found), flush=True)  # noqa: T201  # the one thing on stdout
    else:
        plain(console, "with --json: the job's input in IonQ JSON")


def machine(target: str) -> Machine:
    """The machine of this name. Raises ConfigError."""
    if target not in MACHINES:
        raise ConfigError(f"expected --target to be one of {', '.join(MACHINES)}, got {target!r}{_hint(target)}")
    return MACHINES[target]


def _hint(target: str) -> str:
    hint = suggestion(target, MACHINES)
    return hint if "did you mean" in hint else ""


def read(file: Path) -> Circuit:
    """The circuit in an OpenQASM file, all numbers. Raises DataError, CircuitError, GateError or CapabilityError."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected OpenQASM text, got a file that is no UTF-8; check the path") from error
    except OSError as error:
        raise DataError(f"{file}: expected an OpenQASM file, got: {error.strerror}; check the path") from error
    try:
        imported = from_qasm(text)
    except CircuitError as error:
        raise type(error)(f"{file}: {error}; correct the file") from error
    if imported.parameters:
        names = ", ".join(imported.parameters)
        raise CircuitError(
            f"{file}: expected numbers for all angles, got the inputs {names}; write their values in place of them, or "
            "compile it symbolically in Python: q_store.circuits.native.to_native"
        )
    if not imported.circuit.ops:
        raise CircuitError(f"{file}: expected at least one gate, got an empty circuit, which IonQ refuses; add a gate")
    return imported.circuit


def compiled(circuit: Circuit, target: Machine, *, measured: bool) -> dict[str, Any]:
    """What `compile --json` prints. Raises CapabilityError for more qubits than the machine has."""
    if circuit.n_qubits > target.qubits:
        raise CapabilityError(
            f"expected at most the {target.qubits} qubits of {target.name}, got {circuit.n_qubits}; use fewer qubits"
        )
    native = to_native(circuit, target.family, measured=measured)
    if not native.ops:
        what = "that no measurement can see" if measured else "that is the identity"
        raise CircuitError(
            f"expected a circuit that does something, got one {what}: no native gate is left, and IonQ refuses empty "
            "circuits; leave it out, its answer is known"
        )
    (gates,) = Template.of(native, native=True).write(native.bind(None, np.zeros(0)))
    job = body([gates], native.n_qubits, JobSettings(target.name, "native"), "compiled", {})
    sent = json.loads(job)["input"]
    written = reread(sent)
    infidelity, method = difference(circuit, written, measured=measured)
    return {"before": size(circuit), "after": size(written), "infidelity": infidelity, "method": method, "input": sent}


def size(circuit: Circuit) -> dict[str, int]:
    """Gates of one and of more qubits, and depth."""
    return {**counts(circuit)._asdict(), "depth": circuit.depth}


def reread(sent: dict[str, Any]) -> Circuit:
    """The circuit that an input object in native IonQ JSON holds."""
    return Circuit(sent["qubits"], 0, 0, tuple(_operation(gate) for gate in sent["circuit"]))


def _operation(gate: dict[str, Any]) -> Op:
    if gate["gate"] in {"gpi", "gpi2"}:
        return op(gate["gate"], gate["target"], angles=[gate["phase"]])
    name = {"ms": "ms", "zz": "nzz"}[gate["gate"]]
    return op(name, *gate["targets"], angles=[*gate.get("phases", ()), gate["angle"]])


def difference(before: Circuit, after: Circuit, *, measured: bool) -> tuple[float | None, str]:
    """(infidelity, how it was found), by simulating both with dense matrices.

    Up to 8 qubits 1 - |tr(U^+ V)|^2 / 4^n, of the whole unitaries; up to 16 the largest 1 - |<a|b>|^2 of the final
    states from random ones. What is only measured may differ by a phase of every measured state: there the sum over
    each of them is taken by its absolute value. (None, why) for more qubits.
    """
    n = before.n_qubits
    if n > MOST_SAMPLED:
        return None, f"not simulated: {n} qubits, more than {MOST_SAMPLED}"
    exact = n <= MOST_EXACT
    inputs = np.eye(2**n, dtype=complex) if exact else _random_states(n)
    a, b = _through(before, inputs), _through(after, inputs)  # [inputs, 2^n]
    products = a.conj() * b
    if exact:
        overlap = np.abs(products.sum(axis=0)).sum() if measured else np.abs(products.sum())
        found, method = (overlap / 2**n) ** 2, "their unitaries"
    else:
        overlaps = np.abs(products).sum(axis=1) if measured else np.abs(products.sum(axis=1))
        found, method = overlaps.min() ** 2, f"the final states from {STATES} random ones"
    return max(0.0, 1.0 - float(found)), f"dense simulation of {method}"


def _random_states(n_qubits: int) -> Complex:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(STATES, 2**n_qubits)) + 1j * rng.normal(size=(STATES, 2**n_qubits))
    return np.asarray(states / np.linalg.norm(states, axis=1, keepdims=True))


def _through(circuit: Circuit, states: Complex) -> Complex:
    """The final states [S, 2^n]; the number of the state counts as further qubits, which no gate touches."""
    angles = circuit.bind(None, np.zeros(0))[0]
    more = len(states).bit_length() - 1
    psi, used = states.reshape(-1), 0
    for each in circuit.ops:
        unitary = reference.matrix(each, angles[used : used + len(each.angles)])
        psi = reference.apply(psi, unitary, each.wires, circuit.n_qubits + more)
        used += len(each.angles)
    return psi.reshape(states.shape)
