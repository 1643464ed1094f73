"""The emulated backends: what they have, what they cost and how they describe themselves.

Documented are the names, the qubits of the simulator and of forte-1, native gates, noise rates, and the price of a gate
on Aria (Azure's public list). Emulated, chosen by us for want of a public figure, are the qubits of the other machines,
Aria's price for all of them, the times of operations, and SPAM without errors, as the noise models have none. Every
description says `"location": "emulated"`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from q_store.backends.ionq.noise import MODELS
from q_store.backends.ionq.wire.limits import MAX_QUBITS_IDEAL, SIMULATOR
from q_store.backends.ionq.wire.parse import SINGLE

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

PLACE = "emulated"
_NAMESPACE = uuid.UUID("b7c0a3de-6d5c-5f0e-9a58-4f2d3a1c7e90")
_DATE = "2026-01-01T00:00:00Z"
_QIS = (
    *("x", "y", "z", "rx", "ry", "rz", "h", "not", "cnot", "s", "si", "t", "ti", "v", "vi"),
    *("xx", "yy", "zz", "swap", "pauliexp"),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each operation, and the two times of coherence."""

    one: float
    two: float
    readout: float
    reset: float
    t1: float
    t2: float


@dataclass(frozen=True, slots=True)
class Price:
    """In USD: for a gate in a shot, and the least that a job costs."""

    one: float
    two: float
    minimum: float


ARIA_TIMING = Timing(135e-6, 600e-6, 300e-6, 20e-6, 100.0, 1.0)
FORTE_TIMING = Timing(130e-6, 970e-6, 150e-6, 50e-6, 100.0, 1.0)
PRICE = Price(0.00022, 0.00098, 1.0)
FREE = Price(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Machine:
    """A backend.

    Attributes:
        name: as in the API.
        qubits: how many it has.
        native: gates of its native set.
        mitigations: kinds of error mitigation that it accepts.
        price: see `Price`.
        timing: None for the simulator.
    """

    name: str
    qubits: int
    native: tuple[str, ...]
    mitigations: tuple[str, ...] = ("debiasing",)
    price: Price = PRICE
    timing: Timing | None = None


_MS, _ZZ = ("gpi", "gpi2", "ms"), ("gpi", "gpi2", "zz")
MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine(SIMULATOR, MAX_QUBITS_IDEAL, ("gpi", "gpi2", "ms", "zz"), (), FREE),
        Machine("qpu.aria-1", 25, _MS, timing=ARIA_TIMING),
        Machine("qpu.aria-2", 25, _MS, timing=ARIA_TIMING),
        Machine("qpu.forte-1", 36, _ZZ, timing=FORTE_TIMING),
        Machine("qpu.forte-enterprise-1", 36, _ZZ, timing=FORTE_TIMING),
    )
}
NOISE_QUBITS: Mapping[str, int] = {
    name: 11 if name.startswith("harmony") else 25 if name.startswith("aria") else MAX_QUBITS_IDEAL for name in MODELS
}
"""Qubits that the simulator takes with each noise model."""


def prices(backend: str, one: Ints, two: Ints, shots: int) -> Reals:
    """[S] in USD, of the circuits of a job with gates on one[S] and on two[S] qubits; the minimum is spread evenly."""
    price = MACHINES[backend].price
    each = (price.one * one + price.two * two) * float(shots)
    return np.asarray(each + max(0.0, price.minimum - each.sum()) / max(1, len(each)))


def describe(machine: Machine, now: str, queue_ms: int = 0) -> dict[str, Any]:
    """A backend as in GET /backends; `now` is a time in ISO 8601."""
    shown: dict[str, Any] = {
        "backend": machine.name,
        "status": "available",
        "degraded": False,
        "qubits": machine.qubits,
        "average_queue_time": queue_ms,
        "last_updated": now,
        "location": PLACE,
        "supported_gates": list(_QIS),
        "supported_native_gates": list(machine.native),
        "supported_error_mitigations": list(machine.mitigations),
    }
    if machine.timing is not None:
        shown["characterization_id"] = characterization_id(machine)
    return shown


def characterization_id(machine: Machine) -> str:
    """A UUID that stays the same."""
    return str(uuid.uuid5(_NAMESPACE, machine.name))


def characterization(machine: Machine) -> dict[str, Any] | None:
    """As in GET /backends/{backend}/characterizations/{uuid}; None for a simulator.

    Fidelities are those of the noise model: with rate r on d states the average is 1 - r (d - 1)/d.
    """
    rates, timing = MODELS.get(machine.name.removeprefix("qpu.")), machine.timing
    if rates is None or timing is None:
        return None
    return {
        "id": characterization_id(machine),
        "backend": machine.name,
        "date": _DATE,
        "qubits": machine.qubits,
        "connectivity": [[a, b] for a in range(machine.qubits) for b in range(a + 1, machine.qubits)],
        "fidelity": {
            "spam": {"median": 1.0, "stderr": 0.0},
            "1q": {"median": 1 - rates.one / 2, "stderr": 0.0},
            "2q": {"median": 1 - rates.two * 3 / 4, "stderr": 0.0},
        },
        "timing": {
            "readout": timing.readout,
            "reset": timing.reset,
            "1q": timing.one,
            "2q": timing.two,
            "t1": timing.t1,
            "t2": timing.t2,
        },
    }


def compute_seconds(machine: Machine, one: float, two: float, shots: int) -> float:
    """Time on the machine: gates one after the other, reset and readout in every shot; 0 for a simulator."""
    timing = machine.timing
    if timing is None:
        return 0.0
    return shots * (one * timing.one + two * timing.two + timing.readout + timing.reset)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What GET /jobs/estimate asks, with its defaults; `one` and `two` are gates on one and two qubits."""

    backend: str
    type: str = SINGLE
    qubits: int = 25
    shots: int = 1000
    one: int = 0
    two: int = 0
    error_mitigation: bool = False


def estimate(asked: Estimate, now: str, execution_ms: float, queue_ms: float) -> dict[str, Any]:
    """As in GET /jobs/estimate.

    Gates are those of the whole job, `now` is a time in ISO 8601, the other times are what this emulator would take.
    """
    machine = MACHINES[asked.backend]
    one, two = np.array([asked.one]), np.array([asked.two])
    seconds = compute_seconds(machine, asked.one, asked.two, asked.shots)
    price = machine.price
    return {
        "estimate_context": {
            "backend": asked.backend,
            "type": asked.type,
            "qubits": asked.qubits,
            "shots": asked.shots,
            "1q_gates": asked.one,
            "2q_gates": asked.two,
            "error_mitigation": asked.error_mitigation,
            "organization": None,
            "project": None,
        },
        "estimated_at": now,
        "estimated_unit": "usd",
        "rate_card": {
            "id": f"{PLACE}-{machine.name}",
            "rates": [
                {
                    "sku": f"{PLACE}-{machine.name}",
                    "unit": "gates",
                    "cost_1q_gate": price.one,
                    "cost_2q_gate": price.two,
                    "job_cost_minimum": price.minimum,
                }
            ],
        },
        "estimated_total_cost": float(prices(machine.name, one, two, asked.shots).sum()),
        "estimated_execution_time": round(execution_ms),
        "current_predicted_queue_time": round(queue_ms),
        "estimated_quantum_compute_time_us": round(seconds * 1e6),
    }
