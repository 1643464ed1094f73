"""Circuits as dicts, and back: `{"qubits": n, "circuit": [{"gate": "ry", "targets": [0], "rotation": 0.97}, ...]}`.

The gates are those of IonQ's QIS set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.ionq.wire.gate_reader import GateReader
from q_store.backends.ionq.wire.gates import expressible
from q_store.backends.ionq.wire.refusal import WireError
from q_store.backends.ionq.wire.template import Template
from q_store.circuits.circuit import Circuit
from q_store.errors import CircuitError
from q_store.jobs import Job, Output

Given = Mapping[str, Any]
Reals = npt.NDArray[np.float64]


def jobs_of(circuits: Sequence[Given], shots: int, seed: int) -> tuple[list[Job], list[list[int]]]:
    """A job for each structure, and the places of its rows in the list. Raises CircuitError: says which and where."""
    reader = GateReader(native=False)
    rows: dict[tuple[int, tuple[int, ...]], tuple[list[int], list[list[float]]]] = {}
    for k, given in enumerate(circuits):
        structure, angles, width = _read(reader, given, f"circuit {k}: ")
        numbers, values = rows.setdefault((width, structure), ([], []))
        numbers.append(k)
        values.append(angles)
    jobs = []
    for (width, structure), (_, values) in rows.items():
        circuit = reader.circuit(structure, width)
        params = np.array(values, dtype=np.float64).reshape(len(values), -1)
        jobs.append(Job(circuit, params=params, output=Output.COUNTS, shots=shots, seed=seed, reuse=False))
    return jobs, [numbers for numbers, _ in rows.values()]


def circuit_of(given: Given) -> tuple[Circuit, Reals]:
    """A circuit whose parameters are the angles of the dict, and their values. Raises CircuitError."""
    reader = GateReader(native=False)
    structure, angles, width = _read(reader, given, "")
    return reader.circuit(structure, width), np.array(angles, dtype=np.float64)


def dicts_of(circuit: Circuit, angles: npt.ArrayLike) -> list[dict[str, Any]]:
    """A dict for every row of angles[S, A], of a circuit in gates of the wire."""
    texts = Template.of(circuit).write(angles)
    return [{"qubits": circuit.n_qubits, "circuit": json.loads(text)} for text in texts]


def dict_of(circuit: Circuit, params: npt.ArrayLike) -> dict[str, Any]:
    """The dict of a circuit without features at these parameters [P]; one without gates has an empty list."""
    if not circuit.ops:
        return {"qubits": circuit.n_qubits, "circuit": []}
    made = expressible(circuit)
    return dicts_of(made, made.bind(None, params))[0]


def _read(reader: GateReader, given: Given, where: str) -> tuple[tuple[int, ...], list[float], int]:
    gates = given.get("circuit") if isinstance(given, Mapping) else None
    if not isinstance(gates, list) or not gates:
        raise CircuitError(
            f"{where}expected {{'qubits': n, 'circuit': [gates]}} with a gate or more, got {given!r:.100}"
        )
    try:
        structure, angles = reader.read(gates)
    except WireError as error:
        raise CircuitError(f"{where}{error}") from None
    used = reader.width(structure)
    width = given.get("qubits", used)
    if not isinstance(width, int) or width < used:
        raise CircuitError(f"{where}expected qubits of {used} or more, got {width!r}")
    return structure, angles, width
