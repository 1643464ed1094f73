"""IonQ's documented noise models: depolarising rates.

With rate r the channel on k qubits is rho -> (1 - r) rho + r (1/2^k on these qubits): with probability r a Pauli string
drawn evenly from all 4^k is applied. This is the service's K_0 = sqrt(1 - 3r/4), K_i = sqrt(r/4) sigma_i for one qubit
and K_00 = sqrt(1 - 15r/16), K_ij = sqrt(r/16) sigma_i sigma_j for two
(https://docs.ionq.com/guides/simulation-with-noise-models).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Depolarising rates after a gate on one and on two qubits."""

    one: float
    two: float


_HARMONY = Rates(0.01, 0.04)
_FORTE = Rates(0.00026667, 0.00494933)
MODELS: Mapping[str, Rates | None] = {
    "ideal": None,
    # Another formula, which is not public: ours are the rates that give fidelities of 0.995 and 0.97.
    "harmony": _HARMONY,
    "harmony-1": _HARMONY,
    "harmony-2": _HARMONY,
    "aria-1": Rates(0.0005, 0.0133),
    "aria-2": Rates(0.00065733, 0.01856),
    "forte-1": _FORTE,
    # Not documented: those of forte-1.
    "forte-enterprise-1": _FORTE,
}
"""Rates by noise model, None without noise. Documented are aria-1, aria-2 and forte-1."""
