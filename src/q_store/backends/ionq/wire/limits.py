"""What the service accepts in one job: OpenAPI description of the API v0.4, 2026-09; the noise page for the qubits."""

from __future__ import annotations

from dataclasses import dataclass

MAX_CIRCUITS = 5_000
MAX_GATES = 150_000
MAX_BYTES = 10_000_000
MAX_CONTROLS = 7
MAX_SHOTS = 1_000_000
MAX_QUBITS_IDEAL = 29
DEFAULT_SHOTS = 100
SIMULATOR = "simulator"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may hold.

    Attributes:
        circuits: circuits.
        gates: gates, over all circuits.
        bytes: length of the body.
    """

    circuits: int = MAX_CIRCUITS
    gates: int = MAX_GATES
    bytes: int = MAX_BYTES
